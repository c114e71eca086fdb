"""Translation: the other spectrum of a star, made from the one; and what that says of oddities."""

from collections.abc import Iterator

import numpy as np
import pandas as pd
from sklearn.decomposition import PCA
from sklearn.pipeline import make_pipeline

from galaxy_lvm.align.network import AlignedNetworks
from galaxy_lvm.align.pairs import Pairs, Side, SplitPairs
from galaxy_lvm.core.logs import log
from galaxy_lvm.core.seeds import derive_seed
from galaxy_lvm.report.results import long_rows
from galaxy_lvm.spectra.floors import chosen_ridge, label_scale, pixels, quadratic_inputs
from galaxy_lvm.spectra.scores import mean_interval
from galaxy_lvm.spectra.stars import SplitStars, Stars

EXPERIMENT = "translation"
DIRECTIONS = ("a_to_b", "b_to_a")
ERROR_COLUMNS = ("model", "direction", "id", "error")
PROFILE_COLUMNS = ("model", "direction", "wavelength_angstrom", "error")
_IN, _OUT = (20, 40), 60


def translations(
    split: SplitPairs, asked: Pairs, module: AlignedNetworks, seed: int
) -> Iterator[tuple[str, np.ndarray]]:
    """Yield name and side b (n, L) of asked stars made from side a, by every method.

    Parameters
    ----------
    split
        The three parts; floors learn from the first, and choose by the second.
    asked
        Stars to translate.
    module
        The aligned networks.
    seed
        Of the components' start.
    """
    mean = np.nanmean(split.train.b.flux, axis=0, dtype=float)
    yield "mean", np.tile(mean, (len(asked), 1))
    yield "quadratic", _quadratic(split, asked, seed)
    yield "aligned", module.translated(asked)


def _quadratic(split: SplitPairs, asked: Pairs, seed: int) -> np.ndarray:
    """Return what a quadratic ridge makes: components of side a to those of side b."""
    n_most = min(len(split.train) - 1, split.train.b.flux.shape[1])
    target = make_pipeline(pixels(), PCA(min(_OUT, n_most), svd_solver="covariance_eigh"))
    targets = target.fit_transform(split.train.b.flux)
    names = tuple(str(k) for k in range(targets.shape[1]))

    def stars(pairs: Pairs, values: np.ndarray) -> Stars:
        side = pairs.a
        return Stars(pairs.ids, side.flux, side.error, values, names, side.wavelength)

    learned, val = stars(split.train, targets), stars(split.val, target.transform(split.val.b.flux))
    both = joined(split.val, asked)
    wanted = SplitStars(learned, val, stars(both, np.zeros((len(both), len(names)))))
    centre, spread = label_scale(learned)
    found = []
    for n in sorted({min(n, len(learned) - 1, learned.flux.shape[1]) for n in _IN}):
        before = quadratic_inputs(n, learned.flux.shape[1], seed)
        parts = chosen_ridge(before, wanted, (targets - centre) / spread) * spread + centre
        # The pipeline's imputer has no inverse, and needs none: components have no gaps.
        made = _flux_of(target, parts)
        found.append((np.nanmedian(star_errors(made[: len(val)], split.val.b)), n, made))
    error, n, made = min(found, key=lambda each: each[0])
    log.info("quadratic: %d components (validation: %.5f)", n, error)
    return made[len(val) :]


def _flux_of(target, parts: np.ndarray) -> np.ndarray:  # noqa: ANN001
    standard = target[-1].inverse_transform(parts)
    return target[0][-1].inverse_transform(standard)


def joined(*pairs: Pairs) -> Pairs:
    """Return pairs one after the other."""
    sides = []
    for name in ("a", "b"):
        own = [getattr(part, name) for part in pairs]
        arrays = (
            np.concatenate([getattr(s, key) for s in own]) for key in ("flux", "error", "scale")
        )
        sides.append(Side(*arrays, own[0].wavelength))
    return Pairs(np.concatenate([part.ids for part in pairs]), *sides)


def star_errors(made: np.ndarray, true: Side) -> np.ndarray:
    """Return the median relative error (n,) over each star's pixels."""
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.nanmedian(np.abs(made / true.flux - 1), axis=1)


def error_profile(made: np.ndarray, true: Side) -> np.ndarray:
    """Return the median relative error (L,) over stars at every wavelength; NaN without a star."""
    some = np.isfinite(true.flux).any(axis=0)
    found = np.full(true.flux.shape[1], np.nan)
    with np.errstate(divide="ignore", invalid="ignore"):
        found[some] = np.nanmedian(np.abs(made / true.flux - 1)[:, some], axis=0)
    return found


def noise_profile(true: Side) -> np.ndarray:
    """Return the median relative error (L,) that perfect spectra would have: their noise's."""
    half_of_normal = 0.6745
    return half_of_normal * error_profile(true.flux + true.error, true)


def score_translation(
    made: np.ndarray, test: Pairs, experiment: str, model: str, direction: str, seed: int
) -> tuple[list[dict], pd.DataFrame, pd.DataFrame]:
    """Return rows of the long table, the error of every star, and that of every wavelength."""
    errors = star_errors(made, test.b)
    low, high = mean_interval(errors, seed)
    values = {
        "error": errors.mean(), "error_low95": low, "error_high95": high,
        "median_error": np.nanmedian(np.abs(made / test.b.flux - 1)),
        "mae": np.nanmean(np.abs(made - test.b.flux)), "n_test": len(test),
    }  # fmt: skip
    rows = long_rows(EXPERIMENT, experiment, model, direction, seed, values)
    head = {"model": model, "direction": direction}
    table = pd.DataFrame({**head, "id": test.ids, "error": errors})
    wave = test.b.wavelength
    profile = {**head, "wavelength_angstrom": wave, "error": error_profile(made, test.b)}
    return rows, table[list(ERROR_COLUMNS)], pd.DataFrame(profile)[list(PROFILE_COLUMNS)]


def binaries(test: Pairs, n_binaries: int, shares: tuple[float, float], seed: int) -> Pairs:
    """Return spectra (n_binaries) of two test stars whose light is added, as both sides see it.

    Any two stars meet: their types are not those of real binaries. The second star's share of the
    light, at the median of the whole spectrum, is drawn evenly.
    """
    rng = np.random.default_rng(derive_seed(seed, "align", "binaries"))
    first = rng.integers(len(test), size=n_binaries)
    second = (first + rng.integers(1, len(test), size=n_binaries)) % len(test)
    share = rng.uniform(*shares, n_binaries)
    sides = []
    for side in (test.a, test.b):
        weights = (1 - share) * side.scale[first], share * side.scale[second]
        one, two = (w[:, None] for w in weights)
        flux = one * side.flux[first] + two * side.flux[second]
        error = np.hypot(one * side.error[first], two * side.error[second])
        scale = np.nanmedian(flux, axis=1)
        parts = ((values / scale[:, None]).astype(np.float32) for values in (flux, error))
        sides.append(Side(*parts, scale, side.wavelength))
    return Pairs(np.array([f"binary_{k:05d}" for k in range(n_binaries)], dtype=object), *sides)
