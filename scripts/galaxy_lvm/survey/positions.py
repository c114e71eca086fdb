"""Tables of positions on the sky: read, checked row by row, and which rows are the same object."""

import os
from collections.abc import Sequence
from functools import partial
from pathlib import Path

import astropy.units as u
import numpy as np
import pandas as pd
from astropy.coordinates import SkyCoord, search_around_sky

from galaxy_lvm.core.errors import DataError
from galaxy_lvm.survey.rejected import rejection
from galaxy_lvm.survey.text_table import read_text_table

# Line of a row in its file. Names of the file are stripped: none of them begins with a space.
LINE = " line"
# What published tables call the columns that are needed; letter case does not matter.
_NAMES = {"id": ("id", "name"), "ra": ("ra",), "dec": ("dec",)}
_LIMITS_DEG = {"ra": (0.0, 360.0), "dec": (-90.0, 90.0)}


def read_positions(
    path: str | os.PathLike,
    make_ids: bool = False,
    keep_copies: bool = False,
    as_text: Sequence[str] = (),
) -> tuple[pd.DataFrame, list[dict[str, object]]]:
    """Read a table of positions.

    Parameters
    ----------
    path
        CSV, TSV (.tsv, .tab) or parquet with the columns `ra` and `dec` in degrees and `id` (or
        `name`); letter case does not matter.
    make_ids
        Make an id from the position where the table has none.
    keep_copies
        Keep rows without an id at the position of an earlier one, with the same made id, for
        callers that look for copies themselves; else they are rejected.
    as_text
        Other columns, in lower case, that stay as the table writes them although they look like
        numbers, as `label` does.

    Returns
    -------
    table : pandas.DataFrame
        Good rows: `id` (text), `ra`, `dec` (float), `LINE` (line in the file, the header being
        line 1) and all other columns, as numbers where every value is one.
    rejections : list of dict
        Rows with a bad position, without an id or with one that was used before, and copies.

    Raises
    ------
    DataError
        If the file cannot be read, lacks a column, has two that could be the same, or has no rows.
    """
    path = Path(path)
    table = _named(_read(path), path, make_ids, as_text)
    table[LINE] = np.arange(len(table)) + 2
    degrees = table[list(_LIMITS_DEG)].apply(pd.to_numeric, errors="coerce").astype(float)
    written, places = (part[list(_LIMITS_DEG)].to_dict("records") for part in (table, degrees))
    reasons = list(map(_position_problem, written, places))
    made = [
        make_ids and not name and not why for name, why in zip(table["id"], reasons, strict=True)
    ]
    table.loc[made, "id"] = [
        _made_id(**place) for place, new in zip(places, made, strict=True) if new
    ]
    first_line: dict[str, int] = {}
    for number, (name, line) in enumerate(zip(table["id"], table[LINE], strict=True)):
        if reasons[number]:
            continue
        if not name:
            reasons[number] = "the id is empty; give every row one"
        elif name not in first_line:
            first_line[name] = line
        elif not made[number]:
            reasons[number] = f"id used before, in line {first_line[name]}; give every row its own"
        elif not keep_copies:
            earlier = f"a duplicate: line {first_line[name]} has the same position"
            reasons[number] = f"{earlier}; remove one, or give both an id"
    rejections = [
        rejection("import", reason, name, path.name, line)
        for reason, name, line in zip(reasons, table["id"], table[LINE], strict=True)
        if reason
    ]
    good = [not reason for reason in reasons]
    return table.assign(**degrees)[good].reset_index(drop=True), rejections


def _made_id(ra: float, dec: float) -> str:
    # 360 degrees are 0, and so is a declination of -0.
    return f"{round(ra, 5) % 360:.5f}{round(dec, 5) + 0.0:+.5f}"


def _read(path: Path) -> pd.DataFrame:
    if not path.is_file():
        raise DataError(f"{path}: no such table; give a CSV, TSV or parquet with id, ra, dec")
    try:
        if path.suffix.lower() == ".parquet":
            table = pd.read_parquet(path)
        else:
            table = read_text_table(path)
    except DataError:
        raise
    except (pd.errors.ParserError, pd.errors.EmptyDataError, OSError, ValueError) as error:
        raise DataError(f"{path}: not a readable table: {error}") from error
    if table.empty:
        raise DataError(f"{path}: the table has a header but no rows")
    return table


def find_column(columns: Sequence[str], aliases: Sequence[str], path: Path) -> str | None:
    """Return the column that bears one of several names; None if there is none.

    Parameters
    ----------
    columns
        The table's.
    aliases
        In lower case. A column that bears the first one exactly is taken whatever the others are
        called; else letter case does not matter.
    path
        File, for the message.

    Raises
    ------
    DataError
        If several columns could be the one.
    """
    if aliases[0] in columns:
        return aliases[0]
    matches = [column for column in columns if column.lower() in aliases]
    if len(matches) > 1:
        raise DataError(
            f"{path}: columns {', '.join(map(repr, matches))} could all be {aliases[0]!r}; rename "
            f"the one that is meant to {aliases[0]!r}"
        )
    return matches[0] if matches else None


def _named(table: pd.DataFrame, path: Path, make_ids: bool, as_text: Sequence[str]) -> pd.DataFrame:
    """Give the needed columns their names and types, and the others numbers where they are."""
    table.columns = [str(name).strip() for name in table.columns]
    twice = sorted(set(table.columns[table.columns.duplicated()]))
    if twice:
        raise DataError(
            f"{path}: several columns are called {', '.join(map(repr, twice))}; rename all but one"
        )
    found = {name: find_column(list(table), aliases, path) for name, aliases in _NAMES.items()}
    absent = [name for name in sorted(found) if not found[name] and not (name == "id" and make_ids)]
    if absent:
        raise DataError(
            f"{path}: no column {', '.join(map(repr, absent))}; the table has "
            f"{list(table.columns)}. Positions are columns ra and dec in degrees, names are id"
        )
    table = table.rename(columns={column: name for name, column in found.items() if column})
    if "id" not in table:
        table.insert(0, "id", "")
    for name in table.columns:
        if name in _NAMES or name == "label" or name.lower() in as_text:
            table[name] = _written(table[name])
        elif not pd.api.types.is_numeric_dtype(table[name]):
            text = _written(table[name])
            numbers = pd.to_numeric(text.replace("", np.nan), errors="coerce")
            numeric = numbers.notna().any() and numbers.notna().sum() == (text != "").sum()
            table[name] = numbers if numeric else text
    table["id"] = table["id"].replace({"nan": "", "None": ""})
    return table


def _written(values: pd.Series) -> pd.Series:
    """Return values as a table writes them, "" where there is none."""
    there = values.notna()
    if pd.api.types.is_float_dtype(values):
        # 1, none, 2 is 1.0, NaN, 2.0 in a parquet file.
        as_short = partial(np.format_float_positional, trim="-")
        values = values.map(as_short, na_action="ignore")
    return values.astype(object).where(there, "").astype(str).str.strip()


def _position_problem(written: dict[str, str], degrees: dict[str, float]) -> str:
    for name, (low, high) in _LIMITS_DEG.items():
        if not np.isfinite(degrees[name]):
            return f"{name} {written[name]!r} is no number of degrees; write 150.1, not 10:00:24"
        if not low <= degrees[name] <= high:
            return f"{name} {written[name]!r} is not between {low:g} and {high:g} degrees"
    return ""


def sky(table: pd.DataFrame) -> SkyCoord:
    """Return the positions of a table with `ra` and `dec` in degrees."""
    return SkyCoord(table["ra"].to_numpy(float), table["dec"].to_numpy(float), unit="deg")


def first_of_each(table: pd.DataFrame, radius_arcsec: float) -> np.ndarray:
    """Return, for every row, the first row within a radius of it on the sky.

    A row that is its own first is kept as such, whatever lies around it: chains of neighbours do
    not melt into one object.

    Parameters
    ----------
    table
        `ra`, `dec` in degrees.
    radius_arcsec
        Rows closer than this are one object; 0 keeps all apart.
    """
    first = np.arange(len(table))
    if radius_arcsec <= 0 or len(table) < 2:
        return first
    places = sky(table)
    left, right = search_around_sky(places, places, radius_arcsec * u.arcsec)[:2]
    order = np.lexsort((left, right))
    for one, other in zip(left[order], right[order], strict=True):
        # `other` rises; `one` is settled already where it is smaller.
        if one < other and first[other] == other and first[one] == one:
            first[other] = one
    return first
