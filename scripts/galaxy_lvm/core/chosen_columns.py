"""Some columns of large tables: the others are never read."""

from collections.abc import Collection, Sequence
from pathlib import Path

import pandas as pd
import pyarrow.parquet as pq

_NO_NUMBER = ("", "nan", "NaN", "NA", "N/A", "null", "--")


def has_columns_apart(path: Path) -> bool:
    """Return whether columns can be read by themselves: parquet, and CSV, packed as well."""
    return _is_parquet(path) or path.name.removesuffix(".gz").endswith(".csv")


def column_names(path: Path) -> list[str]:
    """Return the names of a table's columns; errors are those of pandas and pyarrow."""
    if _is_parquet(path):
        return list(pq.read_schema(path).names)
    return list(pd.read_csv(path, nrows=0))


def read_columns(path: Path, wanted: Sequence[str], texts: Collection[str]) -> pd.DataFrame:
    """Return columns in the order asked for.

    Parameters
    ----------
    path
        Parquet or CSV.
    wanted
        Names of columns.
    texts
        Those that stay as they are written, to the last digit; in a CSV the others are numbers,
        NaN where a cell says that there is none.
    """
    if _is_parquet(path):
        return pd.read_parquet(path, columns=list(wanted))
    numbers = {name: list(_NO_NUMBER) for name in wanted if name not in texts}
    table = pd.read_csv(
        path, usecols=list(wanted), dtype=dict.fromkeys(texts, str), keep_default_na=False,
        na_values=numbers,
    )  # fmt: skip
    return table[list(wanted)]


def _is_parquet(path: Path) -> bool:
    with path.open("rb") as file:
        return file.read(4) == b"PAR1"
