"""Tables that users bring, in any common form: read without guessing, or refused with words."""

import bz2
import gzip
import io
import logging
import lzma
import os
import warnings
import zlib
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import pandas as pd

from galaxy_lvm.core import fits_text
from galaxy_lvm.core.delimited import decoded, parse
from galaxy_lvm.core.errors import DataError

log = logging.getLogger("galaxy_lvm.tables")

# Line of a row in its file. Names of columns are stripped: none of them begins with a space.
LINE = " line"
_SAVE = "save the table as CSV (UTF-8)"
_UNPACK: dict[bytes, Callable[[bytes], bytes]] = {
    b"\x1f\x8b": gzip.decompress,
    b"BZh": bz2.decompress,
    b"\xfd7zXZ\x00": lzma.decompress,
}
# What is no table, or one that only its own program reads.
_OTHER = {
    b"PK\x03\x04": "an Excel or OpenDocument workbook, or another zip archive",
    b"\xd0\xcf\x11\xe0": "an old Excel workbook",
    b"\x89HDF": "an HDF5 file",
    b"SQLite format 3": "an SQLite database",
    b"ARROW1": "a feather file",
    b"%PDF": "a PDF document",
    b"\x89PNG": "an image",
    b"\xff\xd8\xff": "an image",
    b"{\\rtf": "a text document",
    b"{": "JSON",
    b"[": "JSON",
}


def read_user_table(path: str | os.PathLike, expected: Sequence[str] = ()) -> pd.DataFrame:
    """Read a user's table.

    Parameters
    ----------
    path
        CSV (separated by commas, semicolons, tabs or |; UTF-8 or UTF-16), ECSV, FITS, VOTable or
        parquet, told by its contents; packed by gzip, bzip2 or xz too.
    expected
        Names in lower case that the header should have; see `delimited.parse`.

    Returns
    -------
    pandas.DataFrame
        The columns of the file, all text where the file is text, else as it declares them; `LINE`,
        the line that the row begins at (in a file without lines the first row is 2, as if line 1
        were a header). `attrs["units"]` has the units of columns that bear one.

    Raises
    ------
    DataError
        If the file is missing, in another form (the message says which to save), damaged or
        without rows, or two columns bear one name.
    """
    path = Path(path)
    if not path.is_file():
        raise DataError(f"{path}: no such table; give a CSV, ECSV, FITS, VOTable or parquet file")
    content = _unpacked(path)
    _refuse_others(content, path)
    table = _read(content, path, expected)
    table = _named(table, path)
    if table.empty:
        raise DataError(f"{path}: the table has a header but no rows")
    return table


NUL_PROBLEM = "it holds a NUL character; correct the row"


def holds_nul(table: pd.DataFrame) -> np.ndarray:
    """Return which rows (n,) hold a NUL character, which no store of ours takes, in any text."""
    found = np.zeros(len(table), bool)
    for name in table:
        if not pd.api.types.is_numeric_dtype(table[name]):
            found |= np.array(["\0" in str(value) for value in table[name]], bool)
    return found


def _unpacked(path: Path) -> bytes:
    try:
        content = path.read_bytes()
        for mark, unpack in _UNPACK.items():
            if content.startswith(mark):
                return unpack(content)
    except (OSError, EOFError, zlib.error, lzma.LZMAError) as error:
        raise DataError(f"{path}: cannot be read: {error}; copy the file again") from error
    return content


def _refuse_others(content: bytes, path: Path) -> None:
    start = content[:512].lstrip()
    for mark, what in _OTHER.items():
        if start.startswith(mark):
            raise DataError(f"{path}: this is {what}; {_SAVE}")
    if start[:100].lower().startswith((b"<!doctype html", b"<html")):
        raise DataError(f"{path}: this is a web page, not a table; fetch the table itself")


def _read(content: bytes, path: Path, expected: Sequence[str]) -> pd.DataFrame:
    if content.startswith(b"PAR1"):
        return _with_lines(_guarded(_from_parquet, content, path))
    if content.startswith(b"SIMPLE"):
        return _with_lines(_guarded(_from_fits, content, path))
    if content.lstrip().startswith((b"<?xml", b"<VOTABLE")):
        return _with_lines(_guarded(_from_votable, content, path))
    text = decoded(content, path)
    if not text.startswith("# %ECSV"):
        return _frame(*parse(text, path, expected))
    described = _guarded(_ecsv, text, path)
    # The text itself has what the numbers would lose, and the lines.
    declared = "# delimiter: ','" in text or '# delimiter: ","' in text
    table = _frame(*parse(text, path, expected, "," if declared else " "))
    table.attrs["units"] = _units(described)
    return table


def _guarded(read: Callable, content: object, path: Path) -> object:
    """Read by a library; what it raises about a damaged file becomes a message with its name."""
    try:
        return read(content)
    except DataError as error:
        raise DataError(f"{path}: {error}") from error
    except Exception as error:  # the libraries name no base class of what damaged files raise
        raise DataError(f"{path}: not a readable table: {error}; {_SAVE}") from error


def _frame(names: list[str], rows: list[tuple[int, list[str]]]) -> pd.DataFrame:
    values = np.array([values for _, values in rows], dtype=object).reshape(len(rows), len(names))
    table = pd.DataFrame(values, columns=names, dtype=object)
    # By position: names that stand twice are refused later, by name.
    table.insert(len(names), LINE, np.array([line for line, _ in rows], dtype=np.int64))
    return table


def _with_lines(table: pd.DataFrame) -> pd.DataFrame:
    table.insert(len(table.columns), LINE, np.arange(len(table), dtype=np.int64) + 2)
    return table


def _from_parquet(content: bytes) -> pd.DataFrame:
    table = pd.read_parquet(io.BytesIO(content))
    # What pandas keeps as an index is a column of the user's: often the identifiers.
    named = any(name is not None for name in table.index.names)
    return table.reset_index(drop=not named)


def _from_fits(content: bytes) -> pd.DataFrame:
    from astropy.io import fits
    from astropy.table import Table

    with warnings.catch_warnings():
        # astropy only warns of what means other values than were written.
        warnings.filterwarnings("error", message=".*(truncated|sum verification failed).*")
        with fits.open(io.BytesIO(content), checksum=True) as hdus:
            kinds = (fits.BinTableHDU, fits.TableHDU)
            tables = [number for number, hdu in enumerate(hdus) if isinstance(hdu, kinds)]
            if len(tables) != 1:
                raise DataError(f"the FITS file holds {len(tables)} tables; save one that has one")
            is_escaped = bool(hdus[tables[0]].header.get(fits_text.CARD, False))
            return _from_astropy(Table.read(hdus, hdu=tables[0]), is_escaped)


def _from_votable(content: bytes) -> pd.DataFrame:
    from astropy.io.votable import parse as parse_votable

    tables = list(parse_votable(io.BytesIO(content)).iter_tables())
    if len(tables) != 1:
        raise DataError(f"the file holds {len(tables)} VOTables; save one that has one")
    return _from_astropy(tables[0].to_table(use_names_over_ids=True))


def _ecsv(text: str) -> object:
    from astropy.table import Table

    return Table.read(text, format="ascii.ecsv")


def _units(table: object) -> dict[str, str]:
    named = {name: getattr(table[name], "unit", None) for name in table.colnames}
    return {name: unit.to_string() for name, unit in named.items() if unit is not None}


def _from_astropy(table: object, is_escaped: bool = False) -> pd.DataFrame:
    """Return the columns with one value a row; masked values are gaps."""
    columns, wide = {}, []
    for name in table.colnames:
        column = table[name]
        if np.ndim(column) != 1:
            wide.append(name)
            continue
        columns[name] = _column(np.ma.asarray(column), is_escaped)
    if wide:
        log.warning("columns of several values a row are left out: %s", ", ".join(wide))
    frame = pd.DataFrame(columns)
    frame.attrs["units"] = _units(table)
    return frame


def _column(values: np.ma.MaskedArray, is_escaped: bool) -> pd.Series:
    plain, mask = values.data, np.ma.getmaskarray(values)
    if not plain.dtype.isnative:  # FITS: big-endian, which pandas does not take
        plain = plain.astype(plain.dtype.newbyteorder("="))
    if plain.dtype.kind == "S" or (plain.dtype.kind == "U" and is_escaped):
        plain = fits_text.decoded(plain, is_escaped)
    if plain.dtype.kind in "OU":
        plain = plain.astype(object)
    series = pd.Series(plain)
    if not mask.any():
        return series
    # As objects or nullable integers: a gap must not make floats of 64-bit integers.
    return series.astype("Int64" if plain.dtype.kind in "iu" else object).mask(mask)


def _named(table: pd.DataFrame, path: Path) -> pd.DataFrame:
    """Strip the names, drop nameless empty columns and refuse names that stand twice."""
    units = table.attrs.get("units", {})
    names = [name if name == LINE else str(name).strip() for name in table.columns]
    table.columns = names
    there = [
        bool(name) or bool((table.iloc[:, i].astype(str).str.strip() != "").any())
        for i, name in enumerate(names)
    ]
    table = table.loc[:, there]
    table.columns = [name or f"unnamed_{i + 1}" for i, name in enumerate(table.columns)]
    twice = sorted(set(table.columns[table.columns.duplicated()]))
    if twice:
        raise DataError(
            f"{path}: several columns are called {', '.join(map(repr, twice))}; rename all but one"
        )
    table.attrs["units"] = {name.strip(): unit for name, unit in units.items()}
    return table
