"""How many labels a model saves: the same score with 1/k of the galaxies."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy import special

from galaxy_lvm.core.errors import DataError

# Steps in the logarithm of the size, over which the tests are inverted.
N_STEPS = 1000
NOT_REACHED = "not reached"


@dataclass(frozen=True)
class Efficiency:
    """Labels that a reference had, over the labels that a model needs for the same score.

    Attributes
    ----------
    k
        Ratio; 0 where the model does not reach the score with any number of labels tried.
    low95, high95
        Interval over seeds; NaN for a single seed. A lower end of 0 says that the model may not
        reach the score with any number of labels tried, an upper end of infinity that it may reach
        it with fewer labels than were tried.
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
        value = f"{'at least ' if self.at_least else ''}{self.k:.2g}" if self.k else NOT_REACHED
        if math.isnan(self.low95):
            return f"{value} (single seed, no interval)"
        if self.high95 == 0:
            return value
        if self.low95 == 0 and math.isinf(self.high95):
            return f"{value} (95 %: cannot be told, from {NOT_REACHED} to more than was tried)"
        if self.low95 == 0:
            return f"{value} (95 %: {NOT_REACHED} to {self.high95:.2g})"
        if math.isinf(self.high95):
            return f"{value} (95 %: {self.low95:.2g} or more)"
        return f"{value} (95 %: {self.low95:.2g} to {self.high95:.2g})"


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
) -> Efficiency:
    """Return the k of "the model needs 1/k of the reference's labels for the same score".

    The score is the reference's mean at `reference_size`; the labels that the model needs for it
    come from its mean curve by interpolation. The interval holds every k that a t test over seeds
    does not refuse (Fieller 1954): at 1/k of the labels, is the model's score, interpolated seed by
    seed, another than the reference's? Where a curve turns back, what lies between belongs to it.

    Parameters
    ----------
    sizes
        Labels per class, rising.
    model_scores, reference_scores
        (number of sizes, number of seeds). Equal numbers are compared in pairs, column by column;
        others by Welch's test.
    reference_size
        One of `sizes`.

    Raises
    ------
    DataError
        If the size was not tried.
    """
    sizes = list(sizes)
    if reference_size not in sizes:
        raise DataError(f"{reference_size} labels per class were not tried; sizes: {sizes}")
    row = sizes.index(reference_size)
    model, reference = model_scores.mean(axis=1), reference_scores[row]
    needed = labels_needed(sizes, model, float(reference.mean()))
    low, high = math.nan, math.nan
    if min(model_scores.shape[1], len(reference)) > 1:
        low, high = _interval(np.array(sizes, float), model_scores, reference, needed)
        low, high = reference_size * low, reference_size * high
    at_least = bool(model[0] >= reference.mean())
    return Efficiency(reference_size / needed, low, high, at_least)


def _interval(
    sizes: np.ndarray, model: np.ndarray, reference: np.ndarray, needed: float
) -> tuple[float, float]:
    """Return the ends of the interval of 1 / (labels that the model needs)."""
    steps = np.linspace(*np.log(sizes[[0, -1]]), N_STEPS)
    known = [math.log(needed)] if math.isfinite(needed) else []
    at = np.unique(np.concatenate([steps, np.log(sizes), known]))
    curves = np.stack([np.interp(at, np.log(sizes), curve) for curve in model.T], axis=1)
    gain, half = _difference(curves, reference)
    better, worse = gain > half + 1e-12, gain < -half - 1e-12
    possible = np.flatnonzero(~better & ~worse)
    # Beyond the sizes tried nothing is refused, unless the test at the last one speaks.
    high = math.inf if not worse[0] else 0.0
    low = 0.0 if not better[-1] else math.inf
    if possible.size:
        high = max(high, math.exp(-at[possible[0]]))
        low = min(low, math.exp(-at[possible[-1]]))
    elif better.all():
        low = 1 / sizes[0]
    return low, high


def _difference(curves: np.ndarray, reference: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return model minus reference at every size, and half the width of its 95 % t interval."""
    n, m = curves.shape[1], len(reference)
    if n == m:
        differences = curves - reference
        error, freedom = differences.std(axis=1, ddof=1) / math.sqrt(n), n - 1
        return differences.mean(axis=1), special.stdtrit(freedom, 0.975) * error
    a, b = curves.var(axis=1, ddof=1) / n, reference.var(ddof=1) / m
    spread = np.maximum(a**2 / (n - 1) + b**2 / (m - 1), np.finfo(float).tiny)
    freedom = np.maximum((a + b) ** 2 / spread, min(n, m) - 1)
    return curves.mean(axis=1) - reference.mean(), special.stdtrit(freedom, 0.975) * np.sqrt(a + b)
