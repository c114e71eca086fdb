"""Scores of classifications, with intervals over galaxies."""

import numpy as np

from galaxy_lvm.core.errors import DataError
from galaxy_lvm.report.metrics import (
    CLASSIFICATION_METRICS,
    SECOND_METRICS,
    bootstrap_interval,
    confusion_counts,
    metric_of_counts,
)


def classification_metrics(
    y_true: np.ndarray, y_pred: np.ndarray, n_classes: int
) -> dict[str, float]:
    """Return accuracy and macro-averaged precision, recall and F1 (paper, Table 1).

    The averages run over the classes that occur in `y_true`: recall of a class without a galaxy
    is not defined. A class that is never predicted has precision 0.

    Parameters
    ----------
    y_true, y_pred
        Class numbers (N,), in [0, n_classes).
    n_classes
        Number of classes.

    Returns
    -------
    dict
        `accuracy`, `precision`, `recall`, `f1`, each in [0, 1].

    Raises
    ------
    DataError
        If there is no galaxy, the lengths differ or a number is outside its range.
    """
    counts = confusion_counts(y_true, y_pred, n_classes)
    return {name: float(metric_of_counts(counts, name)) for name in CLASSIFICATION_METRICS}


def classification_scores(
    y_true: np.ndarray, y_pred: np.ndarray, n_classes: int, seed: int
) -> dict[str, float]:
    """Return `classification_metrics` and the ends of their 95 % intervals over galaxies.

    Keys: `accuracy`, `accuracy_low95`, `accuracy_high95`, and so on.
    """
    scores = {}
    for metric, value in classification_metrics(y_true, y_pred, n_classes).items():
        low, high = bootstrap_interval((y_true, y_pred), metric, seed)
        scores |= {metric: value, f"{metric}_low95": low, f"{metric}_high95": high}
    return scores


def second_scores(
    second: np.ndarray | None, y_pred: np.ndarray, n_classes: int, seed: int
) -> dict[str, float]:
    """Return the scores against another judgement of the classes, and their intervals.

    Parameters
    ----------
    second
        Class numbers (N,) by the other judgement, -1 where it has none; None where there is none
        at all.
    y_pred
        Predicted class numbers (N,).
    n_classes, seed
        As for `classification_scores`.

    Returns
    -------
    dict
        Keys `accuracy_second`, `accuracy_second_low95`, `accuracy_second_high95`, the same of
        `f1_second`, and `n_second`, the galaxies that were compared; empty for None.

    Raises
    ------
    DataError
        If no galaxy has another label.
    """
    if second is None:
        return {}
    known = second >= 0
    if not known.any():
        raise DataError(
            f"none of {len(second)} test galaxies has a second label of a known class; check "
            "folder.second_label_column"
        )
    scores = {"n_second": float(known.sum())}
    of_all = classification_scores(second[known], y_pred[known], n_classes, seed)
    for name in SECOND_METRICS:
        metric = name.removesuffix("_second")
        scores |= {f"{name}{end}": of_all[f"{metric}{end}"] for end in ("", "_low95", "_high95")}
    return scores
