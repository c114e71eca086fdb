"""The pool as a table, the galaxies most likely wanted first."""

import os
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd

from galaxy_lvm.core.errors import DataError
from galaxy_lvm.hitl.selection import BOUNDARY
from galaxy_lvm.hitl.store import NEGATIVE, POSITIVE

FORMATS = (".csv", ".parquet")


def refuse_format(path: str | os.PathLike | None) -> None:
    """Refuse a path that no ranking can be written to, before the work is done.

    Raises
    ------
    DataError
        If it ends in none of `FORMATS`.
    """
    if path is not None and Path(path).suffix not in FORMATS:
        raise DataError(f"{path}: the export is a .csv or a .parquet file")


def ranking_of(ids: Sequence[str], scores: np.ndarray, labels: pd.DataFrame) -> pd.DataFrame:
    """Return every galaxy with score and label, highest score first.

    Parameters
    ----------
    ids, scores
        Of all galaxies (N,); scores are NaN without finite features.
    labels
        One row per labelled galaxy, of `by_majority`.

    Returns
    -------
    DataFrame
        `id`, `score`, `is_positive` (by label where there is one, else a score of at least 0.5)
        and the columns of `labels`.
    """
    table = pd.DataFrame({"id": ids}).assign(score=scores).merge(labels, on="id", how="left")
    by_score = table["score"] >= BOUNDARY
    known = table["value"].isin([POSITIVE, NEGATIVE])
    table.insert(2, "is_positive", (table["value"] == POSITIVE).where(known, by_score))
    return table.sort_values("score", ascending=False, kind="stable", ignore_index=True)
