"""The one writer and the one reader of the project's own tables: texts stay what they are.

Readers of tables guess: of `0042`, `None` or `nan` they make 42 and a gap. Here nothing is guessed:
a column is text unless it is declared to hold numbers or truth values. Tables of users, which
declare nothing, are read by `core.user_tables`.
"""

import logging
import os
from collections.abc import Sequence
from fnmatch import fnmatchcase
from functools import partial
from pathlib import Path

import numpy as np
import pandas as pd

from galaxy_lvm.core.errors import DataError
from galaxy_lvm.core.state import atomic_path

log = logging.getLogger("galaxy_lvm.tables")

# Texts that stand for "no value" among numbers, in lower case; among texts they are words.
GAPS = frozenset({"", "nan", "null", "none", "na", "n/a", "--", "-"})
_PARQUET = ".parquet"
# A float holds whole numbers of this many digits without a loss.
_EXACT_DIGITS = 15
_NUMBER = r"[+-]?(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?|[+-]?[iI]nf(?:inity)?"
_DECIMAL_COMMA = r"[+-]?\d+,\d+"
# Digits that are a name: numbers are not written with a leading zero, and long ones lose digits.
_NAME_OF_DIGITS = rf"[+-]?(?:0\d+|\d{{{_EXACT_DIGITS + 1},}})"


def save_table(path: str | os.PathLike, table: pd.DataFrame) -> None:
    """Write a table, CSV or parquet by its name, which it bears only once it is complete.

    Parameters
    ----------
    path
        File ending in .csv or .parquet.
    table
        Its index is not kept. A column `id` becomes text, and missing texts "".

    Raises
    ------
    ValueError
        If the name ends otherwise.
    """
    suffix = Path(path).suffix
    if suffix not in (".csv", _PARQUET):
        raise ValueError(f"{path}: tables are saved as .csv or {_PARQUET}")
    table = table.reset_index(drop=True)
    if "id" in table:
        table = table.assign(id=as_text(table["id"], path))
    table = _texts_filled(table)
    with atomic_path(path) as temporary:
        if suffix == _PARQUET:
            table.to_parquet(temporary, index=False)
        else:
            table.to_csv(temporary, index=False)


def load_table(
    path: str | os.PathLike, numbers: Sequence[str] = (), flags: Sequence[str] = ()
) -> pd.DataFrame:
    """Read a table of `save_table`, or one that is kept with the project.

    Parameters
    ----------
    path
        File ending in .csv or .parquet.
    numbers
        Columns of a CSV that hold numbers, as names or patterns such as `*_low95`; nothing at all
        is a gap (NaN). All others are text, "" where there is none. A parquet file declares its
        columns itself.
    flags
        Columns of a CSV that hold True or False.

    Raises
    ------
    DataError
        If the file is missing or damaged, or a value is not what its column holds.
    """
    path = Path(path)
    if not path.exists():
        raise DataError(f"{path}: no such file")
    try:
        if path.suffix == _PARQUET:
            return _texts_filled(pd.read_parquet(path))
        if path.read_bytes()[:3].strip() == b"" and path.stat().st_size:
            return pd.DataFrame()  # a table without columns, as a record of nothing is
        table = pd.read_csv(path, dtype=str, keep_default_na=False, encoding="utf-8")
    except (OSError, ValueError) as error:
        raise DataError(f"{path}: not a readable table: {error}; have it made again") from error
    for name in table.columns:
        if any(fnmatchcase(name, pattern) for pattern in numbers):
            table[name] = _numbers(table[name], path)
        elif name in flags:
            table[name] = _flags(table[name], path)
    return table


def as_text(values: pd.Series, path: str | os.PathLike) -> pd.Series:
    """Return values as their table writes them, "" where there is none.

    Raises
    ------
    DataError
        If they are floating-point numbers too large to have kept their last digits.
    """
    there = values.notna()
    if pd.api.types.is_float_dtype(values):
        # 1, none, 2 is 1.0, NaN, 2.0 in a binary table.
        if (values.abs() >= 2**53).any():
            raise DataError(
                f"{path}: column {values.name!r} holds floating-point numbers, whose last digits "
                "are lost; save it as text or as 64-bit integers"
            )
        as_short = partial(np.format_float_positional, trim="-")
        values = values.map(as_short, na_action="ignore")
    return values.astype(object).where(there, "").astype(str).str.strip()


def typed(values: pd.Series) -> pd.Series:
    """Return a user's column as numbers where every value is one, else as text.

    Gaps are NaN among numbers and "" among texts. Digits that are a name stay text in the whole
    column: those with a leading zero, and integers too long for a float (64-bit identifiers).
    """
    if pd.api.types.is_bool_dtype(values):
        return values
    if pd.api.types.is_numeric_dtype(values):
        whole = pd.api.types.is_integer_dtype(values)
        if not whole or not (values.abs() >= 10**_EXACT_DIGITS).any():
            return values.astype(float) if values.isna().any() else values
        return values.astype(object).where(values.notna(), "").astype(str)
    texts = values.astype(object).where(values.notna(), "").astype(str).str.strip()
    written = texts[~texts.str.lower().isin(GAPS)]
    is_number = len(written) > 0 and written.str.fullmatch(_NUMBER).all()
    if len(written) and written.str.fullmatch(_DECIMAL_COMMA).all():
        log.warning("column %r stays text: its numbers have decimal commas; save it with points",
                    values.name)  # fmt: skip
    if not is_number or written.str.fullmatch(_NAME_OF_DIGITS).any():
        return texts
    return pd.to_numeric(texts.where(texts.index.isin(written.index), np.nan))


def _texts_filled(table: pd.DataFrame) -> pd.DataFrame:
    """Put "" where a text is missing: a gap would come back as a float."""
    changed = {}
    for name in table.columns:
        column = table[name]
        if isinstance(column.dtype, pd.StringDtype):
            changed[name] = column.fillna("")
        elif column.dtype == object and all(isinstance(value, str) for value in column.dropna()):
            changed[name] = column.where(column.notna(), "").astype("str")
    return table.assign(**changed)


def _numbers(texts: pd.Series, path: Path) -> pd.Series:
    numbers = pd.to_numeric(texts.replace("", np.nan), errors="coerce")
    wrong = np.flatnonzero(numbers.isna() & ~texts.str.lower().isin(("", "nan")))
    if wrong.size:
        value = texts.iloc[wrong[0]]
        raise DataError(f"{path}: line {wrong[0] + 2}: {texts.name} {value!r} is no number")
    return numbers


def _flags(texts: pd.Series, path: Path) -> pd.Series:
    wrong = np.flatnonzero(~texts.isin(("True", "False")))
    if wrong.size:
        value = texts.iloc[wrong[0]]
        raise DataError(f"{path}: line {wrong[0] + 2}: {texts.name} {value!r} is not True or False")
    return texts == "True"
