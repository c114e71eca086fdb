"""Labels that leave and come: tables for others, a training set, labels made elsewhere."""

import tempfile
from pathlib import Path

import numpy as np
import pandas as pd
from astropy.table import Table

from galaxy_lvm.core.tables import save_table
from galaxy_lvm.hitl.store import NEGATIVE, POSITIVE, UNSURE
from galaxy_lvm.ui.labelling import Labelling

EXPORT_COLUMNS = (
    "id", "ra", "dec", "label", "annotator", "time", "round", "model_version", "score",
)  # fmt: skip
SUFFIXES = ("csv", "fits", "parquet")
MATCH_ARCSEC = 2.0
MOST_PROBLEMS = 50
WORDS = {
    POSITIVE: {"positive", "yes", "true", "1", "p", "pos", "y"},
    NEGATIVE: {"negative", "no", "false", "0", "n", "neg"},
    UNSURE: {"unsure", "maybe", "unknown", "?", "not sure", "can't tell"},
}
_LABEL_NAMES = ("label", "value", "class", "answer")
_PERSON_NAMES = ("annotator", "user_name", "user", "observer")


# Out


def label_table(labelling: Labelling) -> pd.DataFrame:
    """Return one row per galaxy and annotator, in the order in which they were given.

    Returns
    -------
    DataFrame
        `EXPORT_COLUMNS`: `ra`, `dec` in degrees and `score` (of the newest model, 0 to 1) are NaN
        where they are not known; `time` is UTC, `round` 0 for examples.
    """
    current = labelling.current()
    rows = labelling.pool.rows_of(current["id"])
    known, model = labelling.place.catalogue, labelling.model.latest
    table = current.rename(columns={"value": "label"})
    for name in ("ra", "dec"):
        values = known[name].to_numpy(float) if name in known else np.full(len(known), np.nan)
        table[name] = values[rows]
    table["score"] = np.nan if model is None else model.scores.values[rows].astype(float)
    return table[list(EXPORT_COLUMNS)]


def exported(table: pd.DataFrame, suffix: str) -> bytes:
    """Return a table as the content of a file: csv, fits or parquet."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / f"labels.{suffix}"
        if suffix == "fits":
            columns = {name: _fits_column(table[name]) for name in table.columns}
            Table(columns).write(path, format="fits")
        else:
            save_table(path, table)
        return path.read_bytes()


def _fits_column(values: pd.Series) -> np.ndarray:
    if pd.api.types.is_numeric_dtype(values):
        return values.to_numpy()
    # FITS tables hold bytes: what is not ASCII is kept as UTF-8, which our reader understands.
    return np.array([str(value).encode() for value in values], dtype=bytes)
