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
    settled = current["annotator"].str.startswith(SETTLED)
    decisions = current[settled].drop_duplicates("id", keep="last").set_index("id")["value"]
    current = current[~settled | ~current["id"].isin(current.loc[~settled, "id"])]
    counts = pd.DataFrame({f"n_{v}": current["value"] == v for v in (POSITIVE, NEGATIVE, UNSURE)})
    table = counts.groupby(current["id"]).sum().astype(int)
    more = np.sign(table["n_positive"] - table["n_negative"])
    table.insert(0, "value", more.map({1: POSITIVE, -1: NEGATIVE, 0: UNSURE}))
    decided = table.index.isin(decisions.index)
    table["disputed"] = (table["n_positive"] > 0) & (table["n_negative"] > 0) & ~decided
    table.loc[decided, "value"] = table.index[decided].map(decisions)
    return table.rename_axis("id").reset_index()


def latest_counts(current: pd.DataFrame, annotator: str) -> tuple[int, int]:
    """Return positives and negatives of an annotator's latest round with a label."""
    # In NumPy: asked for with every label, and pandas takes most of the time of keeping one.
    mine = (current["annotator"] == annotator).to_numpy()
    rounds, values = current["round"].to_numpy()[mine], current["value"].to_numpy(object)[mine]
    latest = values[rounds == rounds.max()] if len(rounds) else values
    return int((latest == POSITIVE).sum()), int((latest == NEGATIVE).sum())
