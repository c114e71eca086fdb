"""What a method has to beat: mean, ridge, nearest neighbours, quadratic ridge on components."""

from collections.abc import Iterator

import numpy as np
from sklearn.decomposition import PCA
from sklearn.impute import SimpleImputer
from sklearn.linear_model import Ridge
from sklearn.neighbors import KNeighborsRegressor
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import FunctionTransformer, PolynomialFeatures, StandardScaler

from galaxy_lvm.core.config.spectra import SpectrumLabels
from galaxy_lvm.core.logs import log
from galaxy_lvm.spectra.stars import SplitStars, Stars

_STRENGTHS = tuple(10.0**k for k in range(-5, 3))


def floor_predictions(
    stars: SplitStars, settings: SpectrumLabels, seed: int
) -> Iterator[tuple[str, np.ndarray]]:
    """Yield name and predictions (n_test, k) of every floor.

    Scaling and components are those of the training stars; the strength of a ridge is chosen for
    each label by the mean absolute error of the validation stars.

    Parameters
    ----------
    stars
        The three parts.
    settings
        Number of neighbours and components; both at most what the training stars allow.
    seed
        Of the components' start.
    """
    train, n_train = stars.train, len(stars.train)
    yield "mean", np.tile(train.labels.mean(axis=0), (len(stars.test), 1))
    centre, spread = label_scale(train)
    targets = (train.labels - centre) / spread
    before = pixels()
    yield "ridge", chosen_ridge(before, stars, targets) * spread + centre
    near = KNeighborsRegressor(min(settings.n_neighbours, n_train))
    near = make_pipeline(pixels(), near).fit(train.flux, targets)
    yield "neighbours", near.predict(stars.test.flux) * spread + centre
    n_components = min(settings.n_components, n_train - 1, train.flux.shape[1])
    before = quadratic_inputs(n_components, train.flux.shape[1], seed)
    yield "quadratic", chosen_ridge(before, stars, targets) * spread + centre


def label_scale(train: Stars) -> tuple[np.ndarray, np.ndarray]:
    """Return mean and standard deviation (k,) of the training labels; a constant one has 1."""
    spread = train.labels.std(axis=0)
    return train.labels.mean(axis=0), np.where(spread > 0, spread, 1.0)


def pixels() -> Pipeline:
    """Return what brings fluxes (n, L) to inputs: bad pixels at the mean, then unit variance.

    In float64: neighbouring pixels are so alike that float32 loses what tells stars apart.
    """
    wide = FunctionTransformer(np.asarray, kw_args={"dtype": np.float64})
    return make_pipeline(wide, SimpleImputer(keep_empty_features=True), StandardScaler())


def quadratic_inputs(n_components: int, n_pixels: int, seed: int) -> Pipeline:
    """Return what brings fluxes (n, L) to principal components, their squares and products.

    Components keep their sizes, the first about 1: a ridge holds down small ones and their
    products, which are mostly noise. Whitened ones gave errors a third larger and more.
    """
    return make_pipeline(
        pixels(),
        PCA(n_components, svd_solver="randomized", random_state=seed % 2**32),
        FunctionTransformer(_times, kw_args={"factor": n_pixels**-0.5}),
        PolynomialFeatures(2, include_bias=False),
    )


def chosen_ridge(before: Pipeline, stars: SplitStars, targets: np.ndarray) -> np.ndarray:
    """Return a ridge regression's predictions (n_test, k) of scaled labels.

    Parameters
    ----------
    before
        Makes the inputs; fitted here, on the training stars.
    stars
        The three parts.
    targets
        (n_train, k) scaled labels.
    """
    inputs = before.fit_transform(stars.train.flux)
    val, test = before.transform(stars.val.flux), before.transform(stars.test.flux)
    centre, spread = label_scale(stars.train)
    truth = (stars.val.labels - centre) / spread
    of_val, predicted = ridge_path(inputs, targets, val, test)
    errors = np.abs(of_val - truth[:, None]).mean(axis=0)
    best = np.argmin(errors, axis=0)
    log.info("ridge on %d inputs: strengths %s", inputs.shape[1],
             ", ".join(f"{_STRENGTHS[k]:g}" for k in best))  # fmt: skip
    return predicted[:, best, np.arange(targets.shape[1])]


def ridge_path(inputs: np.ndarray, targets: np.ndarray, *others: np.ndarray) -> list[np.ndarray]:
    """Return predictions (n, strengths, k) of a ridge regression for each of the other inputs.

    Parameters
    ----------
    inputs, targets
        (n_train, D) and (n_train, k), about unit variance.
    others
        (n, D) each.
    """
    n_labels = targets.shape[1]
    # All strengths at once, label by label: the inputs are decomposed a single time.
    strengths = np.repeat(_STRENGTHS, n_labels)
    fitted = Ridge(strengths, solver="svd").fit(inputs, np.tile(targets, len(_STRENGTHS)))
    shape = (-1, len(_STRENGTHS), n_labels)
    return [fitted.predict(each).reshape(shape) for each in others]


def _times(values: np.ndarray, factor: float) -> np.ndarray:
    return values * factor
