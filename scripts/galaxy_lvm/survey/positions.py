"""Tables of positions on the sky: read, checked row by row, and which rows are the same object."""

import os
from collections.abc import Sequence
from pathlib import Path

import astropy.units as u
import numpy as np
import pandas as pd
from astropy.coordinates import SkyCoord, search_around_sky

from galaxy_lvm.core.errors import DataError
from galaxy_lvm.core.tables import as_text, typed
from galaxy_lvm.core.user_tables import LINE, NUL_PROBLEM, holds_nul, read_user_table
from galaxy_lvm.survey.position_columns import position_columns
from galaxy_lvm.survey.rejected import rejection
from galaxy_lvm.survey.sky_columns import degrees_of

# What published tables call the names; letter case does not matter.
_ID_NAMES = ("id", "name")


def read_positions(
    path: str | os.PathLike,
    make_ids: bool = False,
    keep_copies: bool = False,
    as_written: Sequence[str] = (),
) -> tuple[pd.DataFrame, list[dict[str, object]]]:
    """Read a table of positions.

    Parameters
    ----------
    path
        Any table that `read_user_table` reads, with positions under one of the usual names, in
        degrees or sexagesimal (see `position_columns`), and `id` (or `name`; letter case does not
        matter).
    make_ids
        Make an id from the position where the table has none.
    keep_copies
        Keep rows without an id at the position of an earlier one, with the same made id, for
        callers that look for copies themselves; else they are rejected.
    as_written
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
    table = read_user_table(path, expected=("ra", "dec"))
    return positions_of(table, path, make_ids, keep_copies, as_written)


def positions_of(
    table: pd.DataFrame,
    path: str | os.PathLike,
    make_ids: bool = False,
    keep_copies: bool = False,
    as_written: Sequence[str] = (),
) -> tuple[pd.DataFrame, list[dict[str, object]]]:
    """Check a table that was read already, `LINE` among its columns; see `read_positions`.

    Parameters
    ----------
    table
        As `read_user_table` returns it.
    path
        Where it comes from, for the messages.
    """
    path = Path(path)
    units = table.attrs.get("units", {})
    table, columns = _named(table, path, make_ids, as_written)
    written = table[["ra", "dec"]]
    degrees, reasons = degrees_of(written, {name: units.get(columns[name]) for name in columns})
    unknown = degrees["ra"].isna().to_numpy()
    for row in np.flatnonzero(unknown):
        reasons[row] = reasons[row] or "the row has no position: ra and dec are empty"
    for row in np.flatnonzero(holds_nul(table)):
        reasons[row] = NUL_PROBLEM
    made = [
        make_ids and not name and not why for name, why in zip(table["id"], reasons, strict=True)
    ]
    places = degrees.to_dict("records")
    table.loc[made, "id"] = [
        _made_id(**place) for place, new in zip(places, made, strict=True) if new
    ]
    _judge_ids(table, made, reasons, keep_copies)
    rejections = [
        rejection("import", reason, name, path.name, line)
        for reason, name, line in zip(reasons, table["id"], table[LINE], strict=True)
        if reason
    ]
    good = [not reason for reason in reasons]
    table = table.assign(ra=degrees["ra"], dec=degrees["dec"])
    return table[good].reset_index(drop=True), rejections


def _judge_ids(
    table: pd.DataFrame, made: Sequence[bool], reasons: list[str], keep_copies: bool
) -> None:
    """Write into `reasons` which rows have no id or one that an earlier row has."""
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


def _made_id(ra: float, dec: float) -> str:
    # 360 degrees are 0, and so is a declination of -0.
    return f"{round(ra, 5) % 360:.5f}{round(dec, 5) + 0.0:+.5f}"


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


def _named(
    table: pd.DataFrame, path: Path, make_ids: bool, as_written: Sequence[str]
) -> tuple[pd.DataFrame, dict[str, str]]:
    """Give the needed columns their names and types, and the others numbers where they are.

    Returns the table and what the columns of the position were called.
    """
    names = [name for name in table.columns if name != LINE]
    positions = position_columns(names, path)
    found = {"id": find_column(names, _ID_NAMES, path), **positions}
    needed = ("dec", "id", "ra") if not make_ids else ("dec", "ra")
    absent = [name for name in needed if not found.get(name)]
    if absent:
        raise DataError(
            f"{path}: no column {', '.join(map(repr, absent))}; the table has {names}. Positions "
            "are columns ra and dec, in degrees or as 10:23:45.6, names are id"
        )
    table = table.rename(columns={column: name for name, column in found.items() if column})
    if "id" not in table:
        table.insert(0, "id", "")
    for name in table.columns:
        if name in ("id", "label") or name.lower() in as_written:
            table[name] = as_text(table[name], path)
        elif name not in ("ra", "dec", LINE):
            table[name] = typed(table[name])
    return table, positions


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
