"""How a search goes: what every round found, precision, scores; as tables and small charts."""

from typing import Any

import numpy as np
import pandas as pd

from galaxy_lvm.hitl.majority import SETTLED
from galaxy_lvm.hitl.store import NEGATIVE, POSITIVE, UNSURE
from galaxy_lvm.ui.model import histogram

ROUND_COLUMNS = (
    "annotator", "round", "rule", "n_asked", "n_positive", "n_negative", "n_unsure",
    "precision", "found",
)  # fmt: skip


def rounds_table(suggestions: pd.DataFrame, current: pd.DataFrame) -> pd.DataFrame:
    """Return what came out of every round, in the order in which they began.

    Parameters
    ----------
    suggestions
        Of `LabelStore.suggestions`.
    current
        Labels that stand, of `LabelStore.current`.

    Returns
    -------
    DataFrame
        `ROUND_COLUMNS`: `n_asked` galaxies, what their annotator says of them, `precision` (share
        of positives among positives and negatives, NaN without either) and `found`, all
        positives of rounds so far.
    """
    keys = ["annotator", "round"]
    asked = suggestions.merge(
        current[["id", "annotator", "value"]], on=["id", "annotator"], how="left"
    )
    # A galaxy that was asked about again, after it was handed back, counts in its last round.
    asked = asked.drop_duplicates(["annotator", "id"], keep="last")
    began = suggestions.groupby(keys, sort=False).agg(rule=("rule", "first"), time=("time", "min"))
    began["n_asked"] = suggestions.groupby(keys, sort=False).size()
    for value in (POSITIVE, NEGATIVE, UNSURE):
        counts = asked[asked["value"] == value].groupby(keys).size()
        began[f"n_{value}"] = counts.reindex(began.index, fill_value=0).astype(int)
    table = began.sort_values("time", kind="stable").reset_index()
    judged = table["n_positive"] + table["n_negative"]
    table["precision"] = table["n_positive"] / judged.where(judged > 0)
    table["found"] = table["n_positive"].cumsum()
    return table[list(ROUND_COLUMNS)]


def curve(rounds: pd.DataFrame) -> list[tuple[float, float]]:
    """Return (galaxies asked, positives found) after every round."""
    asked = (rounds["n_positive"] + rounds["n_negative"] + rounds["n_unsure"]).cumsum()
    return [(0.0, 0.0), *zip(asked.astype(float), rounds["found"].astype(float), strict=True)]


def progress_of(
    suggestions: pd.DataFrame,
    current: pd.DataFrame,
    scores: np.ndarray | None,
    auprs: dict[int, float],
) -> dict[str, Any]:
    """Return what the page's part on progress shows.

    Parameters
    ----------
    suggestions, current
        Of the label store.
    scores
        Of the newest model (N,), None where there is none.
    auprs
        Average precision by the number of labels, where the truth is known.
    """
    rounds = rounds_table(suggestions, current)
    people = current[~current["annotator"].str.startswith(SETTLED)]
    by_person = people.groupby("annotator").size().sort_values(ascending=False)
    return {
        "rounds": rounds,
        "last_rounds": rounds.tail(10).iloc[::-1].to_dict("records"),
        "curve": curve(rounds),
        "precision": [
            (float(i + 1), float(p)) for i, p in enumerate(rounds["precision"]) if np.isfinite(p)
        ],
        "histogram": histogram(scores) if scores is not None else [],
        "auprs": [(float(n), value) for n, value in auprs.items()],
        "by_person": by_person.to_dict(),
    }
