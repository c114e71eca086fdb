"""The rows of metrics/lenses.csv: every score of every lens detector, and differences in pairs."""

import logging
import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass

import numpy as np
import pandas as pd

from galaxy_lvm.core.config.lenses import Evaluation
from galaxy_lvm.core.errors import DataError
from galaxy_lvm.lenses import curves
from galaxy_lvm.lenses.match import KINDS, Matches, match_fields
from galaxy_lvm.report.results import long_rows
from galaxy_lvm.survey.fields import FieldStore

log = logging.getLogger("galaxy_lvm")

EXPERIMENT, CURVES_EXPERIMENT = "lenses", "lenses_curves"
# By what the lenses are divided into bins, as far as it is known of them.
BIN_COLUMNS = ("einstein_radius_arcsec", "arc_mag_r", "arc_snr")
_FIRST_IOU = slice(curves.IOU_50, curves.IOU_50 + 1)
OPERATING_METRICS = ("purity", "completeness", "f1", "fp_per_field")


@dataclass(frozen=True)
class RunScores:
    """Rows of one detector, and its resampled APs for comparisons in pairs."""

    rows: list[dict]
    curve_rows: list[dict]
    ap: dict[str, np.ndarray]
    """`boxes` and `masks`: (3,) AP, AP50, AP75."""
    resampled_ap: dict[str, np.ndarray]
    """The same over the resamples, (n, 3)."""


def fields_condition(n_train: int) -> str:
    """Return the condition of a number of training fields."""
    return f"train={n_train}"


def n_train_of(condition: str) -> int:
    """Return the number of training fields that a condition stands for."""
    return int(condition.split()[0].removeprefix("train="))


def score_run(
    store: FieldStore,
    detections: pd.DataFrame,
    run: Mapping[str, object],
    settings: Evaluation,
    weights: np.ndarray,
) -> RunScores:
    """Return every number of one detector.

    Parameters
    ----------
    store
        Fields and lenses.
    detections
        The detector's, on validation and test fields.
    run
        Its `model`, `n_train` and `seed`.
    settings
        How to score.
    weights
        Resamples of the test fields; the same for all detectors, which makes pairs of them.
    """
    head = (run["model"], fields_condition(run["n_train"]), run["seed"])
    rows, curve_rows, ap, resampled = [], [], {}, {}
    for kind in KINDS:
        matches = match_fields(store, "test", detections, kind, settings.max_detections)
        ap[kind] = curves.average_precisions(matches)
        resampled[kind] = np.array([curves.average_precisions(matches, w) for w in weights])
        scores = _with_intervals(curves.AP_METRICS, ap[kind], resampled[kind])
        if kind == "boxes":
            validation = match_fields(store, "val", detections, kind, settings.max_detections)
            threshold = choose_threshold(validation, settings, head)
            scores |= _counts(matches) | {"threshold": threshold}
            scores |= _operating_scores(matches, threshold, weights)
            scores |= _wrong_at_completeness(matches, settings.completeness, weights)
            rows += _bin_rows(matches, threshold, settings.n_bins, weights, head)
        rows += long_rows(EXPERIMENT, kind, *head, scores)
        curve_rows += _curve_rows(matches, kind, head)
    return RunScores(rows, curve_rows, ap, resampled)


def _curve_rows(matches: Matches, kind: str, head: Sequence) -> list[dict]:
    """Return the precision at IoU 0.5 by recall."""
    precision = curves.precision_curves(matches, ious=_FIRST_IOU)[0]
    rows = []
    for recall, value in zip(curves.RECALLS, precision, strict=True):
        place = (head[0], f"{head[1]} recall={recall:.2f}", head[2])
        rows += long_rows(CURVES_EXPERIMENT, kind, *place, {"precision": value})
    return rows


def choose_threshold(validation: Matches, settings: Evaluation, head: Sequence[object]) -> float:
    """Return the score threshold that the validation fields ask for; the log says where they fail.

    Parameters
    ----------
    validation
        Matches of the validation fields' boxes.
    settings
        Which rule.
    head
        Names of the detector, for the log.
    """
    if settings.threshold == "best_f1":
        return curves.best_f1_threshold(validation)
    threshold, reached = curves.completeness_threshold(validation, settings.completeness)
    if not reached:
        log.warning(
            "%s: completeness %g is not reached on the validation fields; the threshold %.3f "
            "keeps all lenses that are found",
            *(head, settings.completeness, threshold),
        )
    return threshold


def _with_intervals(
    names: Sequence[str], values: np.ndarray, resampled: np.ndarray
) -> dict[str, float]:
    scores = {}
    for name, value, column in zip(names, values, resampled.T, strict=True):
        low, high = curves.interval(column)
        scores |= {name: float(value), f"{name}_low95": low, f"{name}_high95": high}
    return scores


def _counts(matches: Matches) -> dict[str, float]:
    empty = len(matches.rows) - len(np.unique(matches.lens_field))
    return {
        "n_fields": len(matches.rows),
        "n_empty_fields": empty,
        "n_lenses": len(matches.lenses),
        "n_detections": len(matches.score),
        "max_completeness": float(curves.found_lenses(matches, -np.inf).mean()),
    }


def _operating_scores(matches: Matches, threshold: float, weights: np.ndarray) -> dict[str, float]:
    def at(counts: np.ndarray | None) -> np.ndarray:
        point = asdict(curves.operating_point(matches, threshold, counts))
        return np.array([point[name] for name in OPERATING_METRICS])

    return _with_intervals(OPERATING_METRICS, at(None), np.array([at(w) for w in weights]))


def _wrong_at_completeness(
    matches: Matches, completeness: float, weights: np.ndarray
) -> dict[str, float]:
    """Return wrong detections per field; ends that lie beyond what is reached are left out."""
    name = wrong_metric(completeness)
    values = np.array([curves.fp_at_completeness(matches, completeness, w) for w in weights])
    low, high = curves.interval(values)
    point = curves.fp_at_completeness(matches, completeness)
    scores = {name: point, f"{name}_low95": low, f"{name}_high95": high}
    reached = {f"{name}_reached_share": float(np.isfinite(values).mean())}
    return {key: value for key, value in scores.items() if math.isfinite(value)} | reached


def wrong_metric(completeness: float) -> str:
    """Return the metric's name of wrong detections per field at a completeness."""
    return f"fp_per_field_c{100 * completeness:g}"


def _bin_rows(
    matches: Matches, threshold: float, n_bins: int, weights: np.ndarray, head: Sequence
) -> list[dict]:
    rows = []
    found = curves.found_lenses(matches, threshold)
    for column in BIN_COLUMNS:
        values = matches.lenses[column].to_numpy(float)
        for number, (low, high, members) in enumerate(curves.equal_bins(values, n_bins), start=1):
            inside = weights[weights[:, matches.lens_field[members]].sum(axis=1) > 0]
            counts = inside[:, matches.lens_field[members]]
            shares = (counts * found[members]).sum(axis=1) / counts.sum(axis=1)
            ap50 = [_ap50(matches, w, members) for w in inside]
            point = np.array([found[members].mean(), _ap50(matches, None, members)])
            resampled = np.stack([shares, ap50], axis=1)
            scores = _with_intervals(("completeness", "ap50"), point, resampled)
            scores |= {"low": low, "high": high, "n_lenses": int(members.sum())}
            scores["median"] = float(np.median(values[members]))
            place = (head[0], f"{head[1]} {column} bin={number}", head[2])
            rows += long_rows(EXPERIMENT, "boxes", *place, scores)
        unknown = int((~np.isfinite(values)).sum())
        if unknown:
            place = (head[0], f"{head[1]} {column} unknown", head[2])
            rows += long_rows(EXPERIMENT, "boxes", *place, {"n_lenses": unknown})
    return rows


def _ap50(matches: Matches, weights: np.ndarray | None, among: np.ndarray) -> float:
    return float(curves.precision_curves(matches, weights, among, _FIRST_IOU).mean())


def difference_rows(scores: Mapping[tuple, RunScores]) -> list[dict]:
    """Return AP differences of every LVM to every other backbone, trained on as many fields.

    Fields are resampled for both at once: what is hard for both does not widen the interval.

    Parameters
    ----------
    scores
        By (model, n_train, seed).
    """
    rows = []
    for (model, n_train, seed), ours in scores.items():
        others = {
            key[0]: theirs
            for key, theirs in scores.items()
            if key[1:] == (n_train, seed) and not key[0].startswith("lvm")
        }
        for other, theirs in others.items() if model.startswith("lvm") else ():
            for kind in KINDS:
                values = _with_intervals(
                    curves.AP_METRICS,
                    ours.ap[kind] - theirs.ap[kind],
                    ours.resampled_ap[kind] - theirs.resampled_ap[kind],
                )
                head = (f"{model} - {other}", fields_condition(n_train), seed)
                rows += long_rows(EXPERIMENT, kind, *head, values)
    return rows


def box_scores(results: pd.DataFrame, run: Mapping[str, object]) -> dict[str, float]:
    """Return the scores of one detector's boxes, among them its `threshold`.

    Parameters
    ----------
    results
        Long table of the experiment.
    run
        Its `model`, `n_train` and `seed`.

    Raises
    ------
    DataError
        If the table has no such detector.
    """
    keys = {
        "model": run["model"],
        "condition": fields_condition(run["n_train"]),
        "seed": run["seed"],
    }
    keys |= {"experiment": EXPERIMENT, "task": "boxes"}
    chosen = results[np.logical_and.reduce([results[k] == v for k, v in keys.items()])]
    if chosen.empty:
        raise DataError(f"no scores of a detector with {keys}; run evaluate_detectors first")
    return dict(zip(chosen["metric"], chosen["value"], strict=True))
