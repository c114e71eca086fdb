"""Users' tables as text, so that every value can be quoted as it was written."""

import csv
import gzip
from pathlib import Path

import pandas as pd

from galaxy_lvm.core.errors import DataError


def read_text_table(path: Path) -> pd.DataFrame:
    """Read a CSV, or a TSV (.tsv, .tab), with all values as text.

    Row n of the table is line n + 2 of the file. Rows may end in spare delimiters. What pandas
    raises is the caller's to explain.

    Raises
    ------
    DataError
        If a row has more values than the header has names: nobody knows which belongs where.
    """
    delimiter = "\t" if path.suffix.lower() in (".tsv", ".tab") else ","
    return pd.read_csv(
        path,
        sep=delimiter,
        dtype=str,
        keep_default_na=False,
        skip_blank_lines=False,  # keeps the line numbers right
        encoding="utf-8-sig",
        # pandas else takes the first column for an index where the first row is too long, and
        # refuses spare delimiters further down.
        index_col=False,
        usecols=range(_count_columns(path, delimiter)),
    )


def _count_columns(path: Path, delimiter: str) -> int:
    """Return how many columns the header names; refuse rows with more values."""
    opened = gzip.open if path.suffix.lower() == ".gz" else open
    with opened(path, "rt", encoding="utf-8-sig", newline="") as file:
        reader = csv.reader(file, delimiter=delimiter)
        try:
            count = len(next(reader, []))
            for values in reader:
                if any(value.strip() for value in values[count:]):
                    raise DataError(
                        f"{path}: line {reader.line_num} has {len(values)} values, the header "
                        f"names {count} columns; name the others too, or put values that contain "
                        f"{delimiter!r} in double quotes"
                    )
        except csv.Error as error:
            raise DataError(f"{path}: line {reader.line_num} cannot be read: {error}") from error
    return count
