"""How many labels a model saves: the same score with 1/k of the galaxies."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from galaxy_lvm.core.errors import DataError

N_BOOTSTRAP = 2000
NOT_REACHED = "not reached"


@dataclass(frozen=True)
class Efficiency:
    """Labels that a reference had, over the labels that a model needs for the same score.

    Attributes
    ----------
    k
        Ratio; 0 where the model does not reach the score with any number of labels tried.
    low95, high95
        Bootstrap interval over seeds; NaN for a single seed, a lower end of 0 where resamples of
        the model do not reach the score.
    at_least
        True where the model's smallest training set is already enough: k may be larger.
    """

    k: float
    low95: float
    high95: float
    at_least: bool

    @property
    def text(self) -> str:
        """The ratio with its interval, or "not reached"."""
        if self.k == 0:
            return NOT_REACHED + (f" (95 %: up to {self.high95:.2g})" if self.high95 > 0 else "")
        value = f"{'at least ' if self.at_least else ''}{self.k:.2g}"
        if math.isnan(self.low95):
            return f"{value} (single seed, no interval)"
        low = NOT_REACHED if self.low95 == 0 else f"{self.low95:.2g}"
        return f"{value} (95 %: {low} to {self.high95:.2g})"


def labels_needed(sizes: Sequence[float], scores: np.ndarray, target: float) -> float:
    """Return the size at which a curve first reaches a score, infinity where it never does.

    Linear in the logarithm of the size between the measured sizes. A curve that starts above the
    target returns its smallest size: fewer labels were not tried.

    Parameters
    ----------
    sizes
        Labels per class, rising.
    scores
        Score at every size, same length.
    target
        Score to reach.
    """
    sizes, scores = np.asarray(sizes, float), np.asarray(scores, float)
    if len(sizes) != len(scores) or len(sizes) == 0 or (np.diff(sizes) <= 0).any():
        raise DataError(f"{len(scores)} scores for sizes {sizes.tolist()}, which must rise")
    reached = np.flatnonzero(scores >= target)
    if not reached.size:
        return math.inf
    i = int(reached[0])
    if i == 0:
        return float(sizes[0])
    share = (target - scores[i - 1]) / (scores[i] - scores[i - 1])
    low, high = np.log(sizes[i - 1 : i + 1])
    return float(np.exp(low + share * (high - low)))


def label_efficiency(
    sizes: Sequence[int],
    model_scores: np.ndarray,
    reference_scores: np.ndarray,
    reference_size: int,
    seed: int,
) -> Efficiency:
    """Return the k of "the model needs 1/k of the reference's labels for the same score".

    The score is the reference's mean at `reference_size`; the labels that the model needs for it
    come from its mean curve by interpolation.

    Parameters
    ----------
    sizes
        Labels per class, rising.
    model_scores, reference_scores
        (number of sizes, number of seeds); the numbers of seeds may differ.
    reference_size
        One of `sizes`.
    seed
        Of the bootstrap over seeds (Efron & Tibshirani 1993), in which each model's seeds are
        drawn anew, as whole curves.

    Raises
    ------
    DataError
        If the size was not tried.
    """
    sizes = list(sizes)
    if reference_size not in sizes:
        raise DataError(f"{reference_size} labels per class were not tried; sizes: {sizes}")
    row = sizes.index(reference_size)

    def ratio(model: np.ndarray, reference: np.ndarray) -> float:
        return reference_size / labels_needed(sizes, model, reference[row])

    model, reference = model_scores.mean(axis=1), reference_scores.mean(axis=1)
    low, high = math.nan, math.nan
    if min(model_scores.shape[1], reference_scores.shape[1]) > 1:
        rng = np.random.default_rng(seed)
        draws = [
            ratio(_resample(model_scores, rng), _resample(reference_scores, rng))
            for _ in range(N_BOOTSTRAP)
        ]
        low, high = (float(end) for end in np.quantile(draws, (0.025, 0.975)))
    return Efficiency(ratio(model, reference), low, high, bool(model[0] >= reference[row]))


def _resample(scores: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    return scores[:, rng.integers(scores.shape[1], size=scores.shape[1])].mean(axis=1)
