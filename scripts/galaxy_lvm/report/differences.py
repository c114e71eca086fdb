"""How much higher one model scores than another, with intervals that cover what was repeated."""

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import pandas as pd
from scipy import special

_ALPHA = 0.05
POWER = 0.8
_ENOUGH = 10_000
"""Degrees of freedom for a standard error that comes from a bootstrap: nearly a normal one."""


@dataclass(frozen=True)
class Part:
    """One source of chance in a difference: its standard error and degrees of freedom."""

    error: float
    freedom: int


@dataclass(frozen=True)
class Difference:
    """How much higher the first of two models scores.

    Attributes
    ----------
    value
        Mean difference, first minus second.
    parts
        Sources of chance: trainings, test galaxies, or both. Their half widths add in quadrature.
    how
        Where the difference is from, for the reader.
    trainings
        Trainings of each model behind it; with one, it speaks of these two networks only.
    ends
        Ends of a bootstrap interval that stand for the parts where they are not symmetric. Only
        for a single comparison.
    """

    value: float
    parts: tuple[Part, ...]
    how: str
    trainings: int
    ends: tuple[float, float] | None = None

    def interval(self, n_comparisons: int = 1) -> tuple[float, float]:
        """Return the 95 % interval; of several comparisons all are covered at once (Bonferroni)."""
        if self.ends is not None and n_comparisons == 1:
            return self.ends
        half = _in_quadrature(
            _quantile(part.freedom, n_comparisons) * part.error for part in self.parts
        )
        return self.value - half, self.value + half

    def detectable(self, n_comparisons: int = 1) -> float:
        """Return the smallest true difference whose interval excludes 0 in 80 % of the cases."""
        return _in_quadrature(
            _noncentrality(part.freedom, n_comparisons) * part.error for part in self.parts
        )


def by_seed(first: pd.Series, second: pd.Series) -> Difference | None:
    """Compare two models by trainings of one seed each; None without a seed in common.

    The interval is Student's, over trainings; a single one has none. It does not cover other test
    galaxies, which are the same for all of them.

    Parameters
    ----------
    first, second
        Scores, indexed by seed.
    """
    values = (first - second).dropna().to_numpy(dtype=float)
    n = len(values)
    if n == 0:
        return None
    if n == 1:
        return Difference(float(values[0]), (Part(math.inf, 1),), "one seed, no interval", 1)
    return Difference(values.mean(), (_mean_error(values),), _paired(values, f"{n} seeds"), n)


def by_galaxy(first: pd.Series, second: pd.Series) -> Difference | None:
    """Compare two trained models galaxy by galaxy; None with fewer than two in common.

    The interval is Student's, over test galaxies. It does not cover other trainings.

    Parameters
    ----------
    first, second
        Scores, indexed by galaxy.
    """
    values = (first - second).dropna().to_numpy(dtype=float)
    n = len(values)
    if n < 2:
        return None
    return Difference(values.mean(), (_mean_error(values),), _paired(values, f"{n} galaxies"), 1)


def by_seed_and_galaxy(first: pd.DataFrame, second: pd.DataFrame) -> Difference | None:
    """Compare two models by trainings of one seed and by galaxy, for new ones of both.

    Every training scores every galaxy: a crossed design, d = mean + training + galaxy + rest. The
    mean squares give the variance of the mean that is from trainings (with the rest) and from
    galaxies (without it); their t half widths add in quadrature, after Howe (1974). Satterthwaite's
    degrees of freedom would be narrower, but with two or three trainings cover too little.

    Parameters
    ----------
    first, second
        Scores: a row per seed, a column per galaxy.

    Returns
    -------
    Difference or None
        None with fewer than two seeds or galaxies in common. Galaxies that lack a score are left
        out.
    """
    table = (first - second).dropna(axis=0, how="all").dropna(axis=1)
    n_seeds, n_galaxies = table.shape
    if n_seeds < 2 or n_galaxies < 2:
        return None
    values = table.to_numpy(dtype=float)
    of_seed, of_galaxy, mean = values.mean(axis=1), values.mean(axis=0), values.mean()
    rest = values - of_seed[:, None] - of_galaxy + mean
    rest_square = (rest**2).sum() / ((n_seeds - 1) * (n_galaxies - 1))
    # The variance over galaxies contains that of the rest, which is in the trainings' part already.
    extra = max(of_galaxy.var(ddof=1) - rest_square / n_seeds, 0.0)
    parts = (_mean_error(of_seed), Part(math.sqrt(extra / n_galaxies), n_galaxies - 1))
    how = _paired(values, f"{n_seeds} seeds and {n_galaxies} galaxies")
    return Difference(float(mean), parts, how, n_seeds)


def by_seed_with_ends(
    values: Sequence[float], ends: Sequence[tuple[float, float]], unit: str
) -> Difference:
    """Compare two models by seed where each difference has its own interval over test objects.

    For scores that are no mean over objects, such as an average precision. With several trainings
    the mean width of the intervals stands for the objects' part: a little too wide, since it holds
    some of the trainings' scatter as well, less of it where the interval is that of their mean.

    Parameters
    ----------
    values
        Difference of every seed.
    ends
        Ends of its 95 % interval over the same objects; of several seeds the one pair of ends of
        their mean will do, where all were asked about the same draws.
    unit
        What the objects are, in the plural.
    """
    values = np.asarray(values, dtype=float)
    if len(values) == 1:
        low, high = ends[0]
        error = max(high - values[0], values[0] - low) / _quantile(_ENOUGH)
        part = Part(error, _ENOUGH)
        return Difference(values[0], (part,), f"paired by {unit}", 1, (low, high))
    width = float(np.mean([high - low for low, high in ends]))
    part = Part(width / (2 * _quantile(_ENOUGH)), _ENOUGH)
    how = _paired(values, f"{len(values)} seeds and by {unit}")
    return Difference(values.mean(), (_mean_error(values), part), how, len(values))


def unpaired(first: tuple[float, float, int], second: tuple[float, float, int]) -> Difference:
    """Compare two models that nothing pairs.

    Parameters
    ----------
    first, second
        Mean, half width of its 95 % interval (NaN for none) and number of seeds; the interval of
        a single seed runs over galaxies.
    """
    value, trainings = first[0] - second[0], min(first[2], second[2])
    if math.isnan(first[1]) or math.isnan(second[1]):
        return Difference(value, (Part(math.inf, 1),), "no interval", trainings)
    parts = []
    for _, half, n_seeds in (first, second):
        freedom = n_seeds - 1 if n_seeds > 1 else _ENOUGH
        parts.append(Part(half / _quantile(freedom), freedom))
    return Difference(value, tuple(parts), "unpaired", trainings)


def _paired(values: np.ndarray, units: str) -> str:
    return f"paired by {units}" if values.any() else f"equal, paired by {units}"


def _mean_error(values: np.ndarray) -> Part:
    return Part(float(values.std(ddof=1)) / math.sqrt(len(values)), len(values) - 1)


def _in_quadrature(halves: Iterable[float]) -> float:
    return math.hypot(*halves)


@lru_cache
def _quantile(freedom: int, n_comparisons: int = 1) -> float:
    """Return the quantile of Student's t that a two-sided 95 % interval reaches to."""
    return float(special.stdtrit(freedom, 1 - _ALPHA / (2 * n_comparisons)))


@lru_cache
def _noncentrality(freedom: int, n_comparisons: int) -> float:
    """Return the true difference, in standard errors, that a t test finds with `POWER`."""
    limit = _quantile(freedom, n_comparisons)
    if freedom >= _ENOUGH:
        return limit + float(special.ndtri(POWER))
    return float(special.nctdtrinc(freedom, 1 - POWER, limit))
