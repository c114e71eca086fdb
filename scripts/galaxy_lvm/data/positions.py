"""Tables of positions on the sky: read, checked row by row, and which rows are the same object."""

import os
from pathlib import Path

import astropy.units as u
import numpy as np
import pandas as pd
from astropy.coordinates import SkyCoord, search_around_sky

from galaxy_lvm.data.rejected import rejection
from galaxy_lvm.data.text_table import read_text_table
from galaxy_lvm.errors import DataError

# What published tables call the columns that are needed; letter case does not matter.
_NAMES = {"id": ("id", "name"), "ra": ("ra",), "dec": ("dec",)}
_LIMITS_DEG = {"ra": (0.0, 360.0), "dec": (-90.0, 90.0)}


def read_positions(
    path: str | os.PathLike, make_ids: bool = False
) -> tuple[pd.DataFrame, list[dict[str, object]]]:
    """Read a table of positions.

    Parameters
    ----------
    path
        CSV, TSV (.tsv, .tab) or parquet with the columns `ra` and `dec` in degrees and `id` (or
        `name`); letter case does not matter.
    make_ids
        Make an id from the position where the table has none.

    Returns
    -------
    table : pandas.DataFrame
        Good rows: `id` (text), `ra`, `dec` (float), `row` (line in the file, the header being line
        1) and all other columns, as numbers where every value is one.
    rejections : list of dict
        Rows with a bad position, without an id or with one that was used before.

    Raises
    ------
    DataError
        If the file cannot be read, lacks a column or has no rows.
    """
    path = Path(path)
    table = _read(path)
    table.columns = [str(name).strip() for name in table.columns]
    table = _named(table, path, make_ids)
    table["row"] = np.arange(len(table)) + 2
    rejections, good = [], np.ones(len(table), dtype=bool)
    first_row: dict[str, int] = {}
    degrees = {name: pd.to_numeric(table[name], errors="coerce") for name in _LIMITS_DEG}
    for number, record in enumerate(table[["id", "ra", "dec", "row"]].itertuples(index=False)):
        reason = _position_problem(record, {name: degrees[name].iloc[number] for name in degrees})
        if not reason and record.id in first_row:
            reason = f"id used before, in line {first_row[record.id]}; give every row its own"
        if reason:
            good[number] = False
            line = rejection("import", reason, record.id, path.name, record.row)
            rejections.append(line)
        elif record.id:
            first_row[record.id] = record.row
    table = table.assign(**{name: values.astype(float) for name, values in degrees.items()})[good]
    table = table.reset_index(drop=True)
    if make_ids:
        made = [f"{ra:.5f}{dec:+.5f}" for ra, dec in zip(table["ra"], table["dec"], strict=True)]
        table["id"] = table["id"].where(table["id"] != "", made)
    elif (table["id"] == "").any():
        empty = table["id"] == ""
        for row in table.loc[empty, "row"]:
            reason = "the id is empty; give every row one"
            rejections.append(rejection("import", reason, file=path.name, row=row))
        table = table[~empty].reset_index(drop=True)
    return table, rejections


def _read(path: Path) -> pd.DataFrame:
    if not path.is_file():
        raise DataError(f"{path}: no such table; give a CSV, TSV or parquet with id, ra, dec")
    try:
        if path.suffix.lower() == ".parquet":
            table = pd.read_parquet(path)
        else:
            table = read_text_table(path)
    except (pd.errors.ParserError, pd.errors.EmptyDataError, OSError, ValueError) as error:
        raise DataError(f"{path}: not a readable table: {error}") from error
    if table.empty:
        raise DataError(f"{path}: the table has a header but no rows")
    return table


def _named(table: pd.DataFrame, path: Path, make_ids: bool) -> pd.DataFrame:
    """Give the needed columns their names and types, and the others numbers where they are."""
    found = {}
    for name, aliases in _NAMES.items():
        matches = [column for column in table.columns if column.lower() in aliases]
        if matches:
            found[matches[0]] = name
    absent = set(_NAMES) - set(found.values()) - ({"id"} if make_ids else set())
    if absent:
        raise DataError(
            f"{path}: no column {', '.join(map(repr, sorted(absent)))}; the table has "
            f"{list(table.columns)}. Positions are columns ra and dec in degrees, names are id"
        )
    table = table.rename(columns=found)
    if "id" not in table:
        table.insert(0, "id", "")
    for name in table.columns:
        if name in _NAMES:
            table[name] = table[name].astype(str).str.strip()
            continue
        if pd.api.types.is_numeric_dtype(table[name]):
            continue
        text = table[name].fillna("").astype(str).str.strip()
        numbers = pd.to_numeric(text.replace("", np.nan), errors="coerce")
        numeric = numbers.notna().any() and numbers.notna().sum() == (text != "").sum()
        table[name] = numbers if numeric and name != "label" else text
    table["id"] = table["id"].replace({"nan": "", "None": ""})
    return table


def _position_problem(record: tuple, degrees: dict[str, float]) -> str:
    for name, (low, high) in _LIMITS_DEG.items():
        value = getattr(record, name)
        if not np.isfinite(degrees[name]):
            return f"{name} {value!r} is no number of degrees; write 150.1, not 10:00:24"
        if not low <= degrees[name] <= high:
            return f"{name} {value!r} is not between {low:g} and {high:g} degrees"
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
