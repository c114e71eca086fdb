"""Error against the number of training spectra: a power law above a floor, with intervals."""

from dataclasses import dataclass, replace

import numpy as np
import pandas as pd
from scipy import optimize

from galaxy_lvm.core.config.spectra import Scaling
from galaxy_lvm.core.errors import DataError
from galaxy_lvm.core.seeds import derive_seed
from galaxy_lvm.report.results import long_rows
from galaxy_lvm.spectra.stars import SplitStars

EXPERIMENT = "spectra_scaling"
# What falls more steeply than 1 / n does so between the first points alone, on to its floor.
_MOST_STEEP = 2.0
_FLOOR_STARTS = (0.0, 0.5, 0.9)
_FITTED = ("amplitude", "exponent", "floor")


@dataclass(frozen=True)
class PowerLaw:
    """Mean absolute error `amplitude * n**-exponent + floor` of n training stars."""

    amplitude: float
    exponent: float
    floor: float

    def at(self, n_stars: np.ndarray) -> np.ndarray:
        """Return the errors for numbers of training stars."""
        return self.amplitude * np.asarray(n_stars, float) ** -self.exponent + self.floor


def fit_power_law(n_stars: np.ndarray, errors: np.ndarray) -> PowerLaw:
    """Return the power law nearest to errors, by least squares of their logarithms.

    Parameters
    ----------
    n_stars
        (s,) numbers of training stars, at least 3 different ones.
    errors
        (s,) mean absolute errors, above 0.

    Raises
    ------
    DataError
        If there are fewer numbers than the law has.
    """
    n_stars, errors = np.asarray(n_stars, float), np.asarray(errors, float)
    if len(np.unique(n_stars)) < len(_FITTED):
        raise DataError(f"{len(n_stars)} points say nothing of a law with {len(_FITTED)} numbers")
    middle, smallest = np.exp(np.log(n_stars).mean()), errors.min()

    def misfit(at: np.ndarray) -> np.ndarray:
        # The amplitude at the middle of the points, and the floor as a share of the least error:
        # all three are then of order one and hardly depend on each other.
        shape = np.exp(at[0]) * (n_stars / middle) ** -at[1] + at[2] * smallest
        return np.log(shape) - np.log(errors)

    bounds = ([-np.inf, 0.0, 0.0], [np.inf, _MOST_STEEP, 1.0])
    starts = [
        (np.log(np.median(errors) - share * smallest + 1e-3 * smallest), 0.5, share)
        for share in _FLOOR_STARTS
    ]
    found = min(
        (optimize.least_squares(misfit, start, bounds=bounds) for start in starts),
        key=lambda fit: fit.cost,
    )
    log_amplitude, exponent, share = found.x
    return PowerLaw(
        float(np.exp(log_amplitude) * middle**exponent), float(exponent), float(share * smallest)
    )


def first_stars(stars: SplitStars, n_stars: int, seed: int) -> SplitStars:
    """Return the parts with so many training stars, each number's among the next one's.

    Raises
    ------
    DataError
        If there are fewer.
    """
    if n_stars > len(stars.train):
        raise DataError(
            f"spectra.scaling.n_stars: {n_stars} of {len(stars.train)} training stars; choose "
            "smaller numbers, or spectra of more stars"
        )
    rng = np.random.default_rng(derive_seed(seed, "spectra", "scaling"))
    rows = np.sort(rng.permutation(len(stars.train))[:n_stars])
    return replace(stars, train=stars.train.take(rows))


def scaling_rows(predictions: pd.DataFrame, settings: Scaling, seed: int) -> list[dict]:
    """Return rows of the long table: errors by number of stars, and the law that they follow.

    The intervals are those of resampled test stars, the same ones for all numbers; how much another
    training would differ is not in them.

    Parameters
    ----------
    predictions
        Columns `model`, `label`, `id`, `true`, `predicted`, `n_train`.
    settings
        Number of resamples.
    seed
        The run's seed.
    """
    errors = (predictions["predicted"] - predictions["true"]).abs()
    wide = predictions.assign(error=errors).pivot(
        index=["model", "label", "id"], columns="n_train", values="error"
    )
    rows = []
    for (model, label), part in wide.groupby(level=["model", "label"], sort=False):
        values = part.to_numpy()
        rng = np.random.default_rng(derive_seed(seed, "spectra", "scaling", "resamples"))
        draws = rng.integers(len(values), size=(settings.n_resamples, len(values)))
        means = np.array([values[draw].mean(axis=0) for draw in draws])
        low, high = np.percentile(means, (2.5, 97.5), axis=0)
        for k, n_train in enumerate(part.columns):
            found = {"mae": values[:, k].mean(), "mae_low95": low[k], "mae_high95": high[k]}
            rows += long_rows(EXPERIMENT, label, model, f"train={n_train}", seed, found)
        law = _law_with_ends(np.array(part.columns), values.mean(axis=0), means)
        rows += long_rows(EXPERIMENT, label, model, "law", seed, law)
    return rows


def _law_with_ends(n_stars: np.ndarray, errors: np.ndarray, means: np.ndarray) -> dict[str, float]:
    """Return the law's numbers and the ends of their 95 % intervals over resamples (b, s)."""
    law = fit_power_law(n_stars, errors)
    fitted = [fit_power_law(n_stars, resample) for resample in means]
    found = {}
    for name in _FITTED:
        low, high = np.percentile([getattr(one, name) for one in fitted], (2.5, 97.5))
        found |= {name: getattr(law, name), f"{name}_low95": low, f"{name}_high95": high}
    return found
