"""What several annotators say of a galaxy, taken together."""

import numpy as np
import pandas as pd

from galaxy_lvm.hitl.store import NEGATIVE, POSITIVE, UNSURE

# A name that begins so is that of nobody: what annotators agreed on after they had looked again.
SETTLED = "settled by "


def by_majority(current: pd.DataFrame) -> pd.DataFrame:
    """Return one row per labelled galaxy.

    Parameters
    ----------
    current
        Labels that stand, of `LabelStore.current`. One whose annotator begins with `SETTLED`
        decides alone, the last of several.

    Returns
    -------
    DataFrame
        `id`, `value` (that of the majority; unsure at a tie), `n_positive`, `n_negative`,
        `n_unsure` (annotators) and `disputed` (some said positive, some negative), sorted by `id`.
    """
    # In NumPy: asked for several times a round, and pandas takes ten times as long for few rows.
    ids, values = current["id"].to_numpy(object), current["value"].to_numpy(object)
    settled = np.array([name.startswith(SETTLED) for name in current["annotator"]], dtype=bool)
    decisions = dict(zip(ids[settled], values[settled], strict=True))
    voted = set(ids[~settled])
    counted = ~settled | np.array([name not in voted for name in ids], dtype=bool)
    known, place = np.unique(ids[counted], return_inverse=True)
    said = values[counted]
    positive, negative, unsure = (
        np.bincount(place[said == value], minlength=len(known))
        for value in (POSITIVE, NEGATIVE, UNSURE)
    )
    majority = np.where(positive > negative, POSITIVE, NEGATIVE).astype(object)
    majority[positive == negative] = UNSURE
    decided = np.array([name in decisions for name in known], dtype=bool)
    majority[decided] = [decisions[name] for name in known[decided]]
    return pd.DataFrame(
        {
            "id": pd.array(known, dtype=current["id"].dtype),
            "value": pd.array(majority, dtype=current["value"].dtype),
            "n_positive": positive,
            "n_negative": negative,
            "n_unsure": unsure,
            "disputed": (positive > 0) & (negative > 0) & ~decided,
        }
    )


def latest_counts(current: pd.DataFrame, annotator: str) -> tuple[int, int]:
    """Return positives and negatives of an annotator's latest round with a label."""
    # In NumPy: asked for with every label, and pandas takes most of the time of keeping one.
    mine = (current["annotator"] == annotator).to_numpy()
    rounds, values = current["round"].to_numpy()[mine], current["value"].to_numpy(object)[mine]
    latest = values[rounds == rounds.max()] if len(rounds) else values
    return int((latest == POSITIVE).sum()), int((latest == NEGATIVE).sum())
