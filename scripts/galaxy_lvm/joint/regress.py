"""The same regressors for every view: quadratic ridge and a perceptron, chosen on validation."""

import warnings
from collections.abc import Iterator, Sequence
from copy import copy
from dataclasses import dataclass

import numpy as np
from sklearn.decomposition import PCA
from sklearn.exceptions import ConvergenceWarning
from sklearn.neural_network import MLPRegressor
from sklearn.preprocessing import PolynomialFeatures

from galaxy_lvm.core.config.joint import JointEstimates
from galaxy_lvm.core.logs import log
from galaxy_lvm.core.seeds import derive_seed
from galaxy_lvm.spectra.floors import pixels, ridge_path

KEPT_SHARE = 0.9  # of the training galaxies in one repetition


class Components:
    """Principal components of one view, found once and taken by every regressor.

    Parameters
    ----------
    view
        (n, D) of all galaxies.
    parts
        Rows of the training galaxies, of those to choose by, and of those that are asked.
    n_most
        Components to find; fewer where the training galaxies or D do not give as many.

    Attributes
    ----------
    n_asked
        Galaxies that are asked.
    """

    def __init__(self, view: np.ndarray, parts: Sequence[np.ndarray], n_most: int) -> None:
        self.n_asked = len(parts[2])
        n_found = min(n_most, len(parts[0]) - 1, view.shape[1])
        before = pixels().fit(view[parts[0]])
        self._parts = [before.transform(view[rows]) for rows in parts]
        # It decomposes the whole covariance however few components are asked for.
        self._found = PCA(n_found, svd_solver="covariance_eigh").fit(self._parts[0])

    def take(self, n: int, whiten: bool) -> list[np.ndarray]:
        """Return the first n components (n_galaxies, n) of every part, of size 1 or less."""
        first = copy(self._found)
        first.components_ = self._found.components_[:n]
        first.explained_variance_ = self._found.explained_variance_[:n]
        first.whiten = whiten
        unit = 1.0 if whiten else np.sqrt(self._parts[0].shape[1])
        return [first.transform(part) / unit for part in self._parts]


@dataclass(frozen=True)
class Parts:
    """Views of galaxies in three parts: to learn from, to choose by, to be asked.

    Attributes
    ----------
    views
        Components of each, all of the same galaxies.
    targets, truth
        (n_train, k) and (n_val, k).
    """

    views: Sequence[Components]
    targets: np.ndarray
    truth: np.ndarray


def most_components(settings: JointEstimates) -> int:
    """Return how many components of a view the regressors take at most."""
    return max(*settings.quadratic_components, settings.perceptron_components)


def estimates(
    parts: Parts, settings: JointEstimates, seed: int, told: str = ""
) -> tuple[np.ndarray, np.ndarray]:
    """Return estimates of validation and test galaxies (n, k).

    Inputs are principal components of each view, side by side. Of all regressors the one with the
    least squared error of validation galaxies is taken, target by target.

    Parameters
    ----------
    parts
        Galaxies; the training ones are those of this repetition.
    settings
        Sizes to choose from.
    seed
        Of the perceptron.
    told
        What the log calls the views.
    """
    centre, spread = parts.targets.mean(axis=0), parts.targets.std(axis=0)
    spread = np.where(spread > 0, spread, 1.0)
    scaled, truth = (parts.targets - centre) / spread, (parts.truth - centre) / spread
    best = np.full(truth.shape[1], np.inf)
    found = [np.zeros_like(truth), np.zeros((parts.views[0].n_asked, truth.shape[1]))]
    names = np.full(truth.shape[1], "", dtype=object)
    for name, of_val, of_test in _candidates(parts, scaled, truth, settings, seed):
        errors = np.square(of_val - truth).mean(axis=0)
        better = errors < best
        best[better], names[better] = errors[better], name
        found[0][:, better], found[1][:, better] = of_val[:, better], of_test[:, better]
    log.info("%s: %s", told, ", ".join(map(str, names)))
    return found[0] * spread + centre, found[1] * spread + centre


def _candidates(
    parts: Parts, scaled: np.ndarray, truth: np.ndarray, settings: JointEstimates, seed: int
) -> Iterator[tuple[str, np.ndarray, np.ndarray]]:
    """Yield name and scaled estimates of validation and test galaxies."""
    for n in settings.quadratic_components:
        inputs = [PolynomialFeatures(2, include_bias=False).fit_transform(each)
                  for each in _components(parts, n, whiten=False)]  # fmt: skip
        of_val, of_test = ridge_path(inputs[0], scaled, *inputs[1:])
        errors = np.square(of_val - truth[:, None]).mean(axis=0)
        chosen, each = np.argmin(errors, axis=0), np.arange(scaled.shape[1])
        yield f"quadratic {n}", of_val[:, chosen, each], of_test[:, chosen, each]
    inputs, n_targets = _components(parts, settings.perceptron_components, True), scaled.shape[1]
    for decay in settings.weight_decays:
        network = MLPRegressor(
            hidden_layer_sizes=(settings.perceptron_width,), alpha=decay, early_stopping=True,
            n_iter_no_change=15, max_iter=settings.perceptron_epochs, learning_rate_init=0.002,
            random_state=seed % 2**32,
        )  # fmt: skip
        with warnings.catch_warnings():
            # The epochs are a setting: that it could go on is no news.
            warnings.simplefilter("ignore", ConvergenceWarning)
            network.fit(inputs[0], scaled if n_targets > 1 else scaled[:, 0])
        made = (network.predict(each).reshape(-1, n_targets) for each in inputs[1:])
        yield f"perceptron {decay:g}", *made


def _components(parts: Parts, n: int, whiten: bool) -> list[np.ndarray]:
    """Return inputs (n, D) of train, val and test: components of each view, side by side."""
    blocks = [view.take(n, whiten) for view in parts.views]
    return [np.concatenate(each, axis=1) for each in zip(*blocks, strict=True)]


def repetition(n_train: int, seed: int, number: int) -> np.ndarray:
    """Return which of the training galaxies (sorted numbers) a repetition learns from."""
    rng = np.random.default_rng(derive_seed(seed, "joint", "repetition", number))
    n_kept = max(2, round(KEPT_SHARE * n_train))
    return np.sort(rng.permutation(n_train)[:n_kept])
