"""What is measured of a ranker: figure 10's five scores, and the progress of a search."""

import numpy as np

from galaxy_lvm.core.errors import DataError
from galaxy_lvm.hitl.selection import BOUNDARY
from galaxy_lvm.report.rankings import area_under_roc, average_precision

CHANCE = "chance"  # stands among the models of figure 10
COMPARISON_METRICS = ("aupr", "auc", "accuracy", "purity", "completeness")
DISCOVERY_METRICS = ("asked_precision", "found", "precision", "recall", "aupr", "auc")


def comparison_metrics(truth: np.ndarray, scores: np.ndarray) -> dict[str, float]:
    """Return the scores of figure 10.

    Parameters
    ----------
    truth
        Whether each galaxy is a positive (N,); both kinds must occur.
    scores
        Probability of being one (N,).

    Returns
    -------
    dict
        `aupr` (average precision), `auc`, and at a threshold of 0.5 `accuracy`, `purity` (share
        of true ones among the predicted, 0 where none is predicted) and `completeness` (share of
        the true ones that is predicted).

    Raises
    ------
    DataError
        If only one kind occurs or a score is not finite.
    """
    truth = np.asarray(truth, dtype=bool)
    if truth.all() or not truth.any():
        raise DataError(f"{truth.sum()} positives among {len(truth)} galaxies; both must occur")
    if not np.isfinite(scores).all():
        raise DataError(f"{np.sum(~np.isfinite(scores))} of {len(scores)} scores are not finite")
    predicted = scores >= BOUNDARY
    right = np.sum(predicted & truth)
    return {
        "aupr": average_precision(scores[~truth], scores[truth]),
        "auc": area_under_roc(scores[~truth], scores[truth]),
        "accuracy": float(np.mean(predicted == truth)),
        "purity": float(right / max(predicted.sum(), 1)),
        "completeness": float(right / truth.sum()),
    }


def chance_metrics(truth: np.ndarray) -> dict[str, float]:
    """Return what figure 10's scores come to without a look at any image.

    Parameters
    ----------
    truth
        Whether each galaxy is a positive (N,).

    Returns
    -------
    dict
        `n_galaxies` and `n_positives`; the mean over all orders of the galaxies of `aupr` and
        `auc`; `purity`, the share of positives; `accuracy` where all are called what most are.
        Completeness has no such floor: it is 1 where all are called positives.

    Notes
    -----
    The average precision of few galaxies lies above the share of positives: what is found first has
    a precision of 1 (Bestgen 2015, Prague Bulletin of Mathematical Linguistics 103).
    """
    n, n_positives = len(truth), int(np.sum(truth))
    share = n_positives / n
    harmonic = float(np.sum(1 / np.arange(1, n + 1)))
    aupr = (n_positives - 1 + (n - n_positives) * harmonic / n) / (n - 1)
    scores = {"aupr": aupr, "auc": 0.5, "accuracy": max(share, 1 - share), "purity": share}
    return scores | {"n_galaxies": float(n), "n_positives": float(n_positives)}


def discovery_metrics(
    truth: np.ndarray,
    scores: np.ndarray | None,
    labelled: np.ndarray,
    prompts: np.ndarray,
    asked: np.ndarray,
) -> dict[str, float]:
    """Return how far a search has come.

    Parameters
    ----------
    truth
        Whether each galaxy of the pool is a positive (N,).
    scores
        Of the ranker (N,), NaN where there is none; None without a ranker.
    labelled, prompts, asked
        Rows with a label; of these, the rows that the search began with and those of the latest
        round.

    Returns
    -------
    dict
        `asked_precision` (share of positives among the latest round, absent where nothing was
        asked), `found` (share of the pool's positives that have a label, prompts left out); over
        the galaxies without a label `precision` and `recall` at a threshold of 0.5, and `aupr` and
        `auc`, absent where no positive is left.
    """
    values = {}
    if len(asked):
        values["asked_precision"] = float(truth[asked].mean())
    hidden = truth.copy()
    hidden[prompts] = False
    n_hidden = int(hidden.sum())
    values["found"] = float(hidden[labelled].sum() / n_hidden) if n_hidden else 1.0
    if scores is None:
        return values
    rest = np.isfinite(scores)
    rest[labelled] = False
    if truth[rest].any() and not truth[rest].all():
        found = comparison_metrics(truth[rest], scores[rest])
        values |= {"precision": found["purity"], "recall": found["completeness"]}
        values |= {"aupr": found["aupr"], "auc": found["auc"]}
    return values


def labels_to_find(found: list[float], n_labels: list[int], share: float = 0.5) -> float:
    """Return the number of labels after which a share of the positives was found; inf if never.

    Parameters
    ----------
    found, n_labels
        Share found and labels given after every round, in order.
    share
        In (0, 1].
    """
    reached = [n for f, n in zip(found, n_labels, strict=True) if f >= share]
    return float(reached[0]) if reached else float("inf")
