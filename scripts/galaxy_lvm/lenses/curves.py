"""Scores of lens detectors from their matches, and all of them again over resampled fields.

Matching is done once. A resample of the fields is a count for each field, and every score takes
these counts as weights; this gives what a new evaluation of the resampled fields would give.
"""

from dataclasses import dataclass

import numpy as np

from galaxy_lvm.core.errors import DataError
from galaxy_lvm.lenses.match import IOU_THRESHOLDS, Matches
from galaxy_lvm.survey.fields import FieldStore

# Recalls at which COCO reads the precision.
RECALLS = np.linspace(0, 1, 101)
IOU_50, IOU_75 = 0, int(np.flatnonzero(np.isclose(IOU_THRESHOLDS, 0.75))[0])
AP_METRICS = ("ap", "ap50", "ap75")


@dataclass(frozen=True)
class OperatingPoint:
    """What a score threshold gives at IoU 0.5."""

    purity: float
    """Share of the detections that are lenses; 0 where there is no detection."""
    completeness: float
    """Share of the lenses that are found."""
    f1: float
    """Harmonic mean of the two."""
    fp_per_field: float
    """Wrong detections per field."""


def resample_fields(store: FieldStore, split: str, n_resamples: int, seed: int) -> np.ndarray:
    """Return how often each field of a split is in each resample, (n, n_fields).

    Resamples without any lens are left out: no score is defined for them.
    """
    rows = store.rows(split)
    rng = np.random.default_rng(seed)
    weights = rng.multinomial(len(rows), np.full(len(rows), 1 / len(rows)), size=n_resamples)
    with_lens = np.isin(rows, store.lenses["field"].to_numpy())
    return weights[weights[:, with_lens].any(axis=1)]


def interval(values: np.ndarray) -> tuple[float, float]:
    """Return the 95 % percentile interval of resampled values; infinite ones are allowed."""
    low, high = np.quantile(values, (0.025, 0.975), method="nearest")
    return float(low), float(high)


def precision_curves(
    matches: Matches,
    weights: np.ndarray | None = None,
    among: np.ndarray | None = None,
    ious: slice = slice(None),
) -> np.ndarray:
    """Return the precision at `RECALLS`, each the best at this recall or a higher one.

    Parameters
    ----------
    matches
        Of one detector.
    weights
        (N,) how often each field counts; once where it is None.
    among
        (L,) bool, lenses that count. Detections of the others are left out; wrong detections
        count in full.
    ious
        Part of `IOU_THRESHOLDS`.

    Returns
    -------
    numpy.ndarray
        (T, 101), 0 at recalls that are not reached.

    Raises
    ------
    DataError
        If no lens counts.
    """
    among = np.ones(len(matches.lenses), bool) if among is None else among
    weights = np.ones(len(matches.rows)) if weights is None else weights
    n_lenses = weights[matches.lens_field[among]].sum()
    if n_lenses == 0:
        raise DataError("no lens among these fields: precision and recall are not defined")
    lens = matches.lens[ious]
    hit = lens >= 0
    each = weights[matches.field]
    right = np.cumsum(each * (hit & among[lens]), axis=1)
    claimed = right + np.cumsum(each * ~hit, axis=1)
    precision = right / np.maximum(claimed, 1)
    best = np.maximum.accumulate(precision[:, ::-1], axis=1)[:, ::-1]
    best = np.pad(best, ((0, 0), (0, 1)))  # beyond the last detection
    places = [np.searchsorted(recall, RECALLS, side="left") for recall in right / n_lenses]
    return np.take_along_axis(best, np.array(places), axis=1)


def average_precisions(
    matches: Matches, weights: np.ndarray | None = None, among: np.ndarray | None = None
) -> np.ndarray:
    """Return (3,) of AP (mean over IoU 0.5 to 0.95), AP50 and AP75; see `precision_curves`."""
    areas = precision_curves(matches, weights, among).mean(axis=1)
    return np.array([areas.mean(), areas[IOU_50], areas[IOU_75]])


def _steps(
    matches: Matches, weights: np.ndarray | None = None
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return every distinct score, falling, and the right and wrong detections down to it."""
    each = np.ones(len(matches.field)) if weights is None else weights[matches.field]
    hit = matches.lens[IOU_50] >= 0
    # Detections of the same score are accepted together or not at all.
    ends = np.flatnonzero(np.diff(matches.score, append=-np.inf))
    return matches.score[ends], np.cumsum(each * hit)[ends], np.cumsum(each * ~hit)[ends]


def best_f1_threshold(matches: Matches) -> float:
    """Return the score threshold with the highest F1; 1 where nothing right was found."""
    score, right, wrong = _steps(matches)
    if not len(score) or right[-1] == 0:
        return 1.0
    f1 = 2 * right / (right + wrong + len(matches.lenses))
    return float(score[np.argmax(f1)])


def completeness_threshold(matches: Matches, completeness: float) -> tuple[float, bool]:
    """Return the highest threshold with this completeness, and whether there is one.

    Where there is none the threshold is the score of the last lens that was found (1 where none
    was).
    """
    score, right, _ = _steps(matches)
    if not len(score) or right[-1] == 0:
        return 1.0, False
    share = right / len(matches.lenses)
    reached = share[-1] >= completeness
    wanted = completeness if reached else share[-1]
    return float(score[np.argmax(share >= wanted)]), bool(reached)


def operating_point(
    matches: Matches, threshold: float, weights: np.ndarray | None = None
) -> OperatingPoint:
    """Return purity, completeness and wrong detections at a score threshold, at IoU 0.5."""
    weights = np.ones(len(matches.rows)) if weights is None else weights
    kept = matches.score >= threshold
    hit = matches.lens[IOU_50, kept] >= 0
    each = weights[matches.field[kept]]
    right, claimed = float(each[hit].sum()), float(each.sum())
    n_lenses = float(weights[matches.lens_field].sum())
    return OperatingPoint(
        purity=right / claimed if claimed else 0.0,
        completeness=right / n_lenses,
        f1=2 * right / (claimed + n_lenses),
        fp_per_field=(claimed - right) / float(weights.sum()),
    )


def fp_at_completeness(
    matches: Matches, completeness: float, weights: np.ndarray | None = None
) -> float:
    """Return the wrong detections per field at a completeness (IoU 0.5); inf if not reached."""
    weights = np.ones(len(matches.rows)) if weights is None else weights
    _, right, wrong = _steps(matches, weights)
    reached = np.flatnonzero(right >= completeness * weights[matches.lens_field].sum() - 1e-9)
    return float(wrong[reached[0]] / weights.sum()) if len(reached) else float("inf")


def found_lenses(matches: Matches, threshold: float) -> np.ndarray:
    """Return (L,) bool: lenses found at IoU 0.5 with a score of at least `threshold`."""
    found = np.zeros(len(matches.lenses), bool)
    lens = matches.lens[IOU_50, matches.score >= threshold]
    found[lens[lens >= 0]] = True
    return found


def equal_bins(values: np.ndarray, n_bins: int) -> list[tuple[float, float, np.ndarray]]:
    """Split values into bins of nearly equal counts.

    Parameters
    ----------
    values
        (L,) one value per lens; NaN, where it is not known, is in no bin.
    n_bins
        Bins at most; ties can make them fewer.

    Returns
    -------
    list of tuple
        Smallest and largest value and the members (L,) bool of each bin.
    """
    known = values[np.isfinite(values)]
    if not len(known):
        return []
    edges = np.unique(np.quantile(known, np.linspace(0, 1, n_bins + 1)))
    inner = edges[1:-1]
    number = np.where(np.isfinite(values), np.searchsorted(inner, values, side="right"), -1)
    bins = [number == i for i in range(len(inner) + 1)]
    return [(float(values[b].min()), float(values[b].max()), b) for b in bins if b.any()]
