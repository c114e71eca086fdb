"""Which columns of a table are positions; no other library needed."""

import re
from collections.abc import Sequence
from pathlib import Path

from galaxy_lvm.core.errors import DataError

# What published tables call them, without letter case, blanks, underscores and brackets.
_ENDINGS = ("", "deg", "degree", "degrees", "d")
_RA = ("ra", "raj2000", "ra2000", "raicrs", "alphaj2000", "alphawinj2000", "rightascension", "sra",
       "rahms", "rasexagesimal", "meanra", "ramean", "rafk5")  # fmt: skip
_DEC = ("dec", "decj2000", "dej2000", "dec2000", "de2000", "decicrs", "deicrs", "deltaj2000",
        "deltawinj2000", "decl", "declination", "sdec", "decdms", "decsexagesimal", "meandec",
        "decmean", "decfk5")  # fmt: skip
_NAMES = {
    "ra": {name + ending for name in _RA for ending in _ENDINGS},
    "dec": {name + ending for name in _DEC for ending in _ENDINGS} | {"dedeg"},
}
_MEANING = {"ra": "right ascension", "dec": "declination"}
# Columns of hours, minutes and seconds apart, as in the tables of journals.
_IN_PARTS = {"rah", "ram", "ras"}


def position_columns(columns: Sequence[str], path: str | Path) -> dict[str, str]:
    """Return which columns are `ra` and `dec`; empty if there is neither.

    Parameters
    ----------
    columns
        The table's. One called exactly `ra` or `dec` is taken whatever the others are called, else
        the one that bears any usual name (RA, RAJ2000, ra_deg, ALPHA_J2000, Decl. ...).
    path
        File, for messages.

    Raises
    ------
    DataError
        If several could be one of them, only one of both is there, or hours, minutes and seconds
        are columns of their own.
    """
    short = {column: re.sub(r"[^a-z0-9]", "", column.lower()) for column in columns}
    found = {}
    for name, aliases in _NAMES.items():
        matches = [column for column in columns if short[column] in aliases]
        if name in columns:
            matches = [name]
        if len(matches) > 1:
            raise DataError(
                f"{path}: columns {', '.join(map(repr, matches))} could all be {name!r}; rename "
                f"the one that is meant to {name!r}"
            )
        if matches:
            found[name] = matches[0]
    if not found and set(short.values()) >= _IN_PARTS:
        raise DataError(
            f"{path}: hours, minutes and seconds of the positions are columns of their own (RAh, "
            "RAm, RAs ...); join them to columns ra and dec, for instance 10:23:45.6"
        )
    if len(found) == 1:
        (name, column), (other,) = *found.items(), set(_NAMES) - set(found)
        raise DataError(
            f"{path}: column {column!r} is the {_MEANING[name]}, but no column has the usual name "
            f"of a {_MEANING[other]}; call it {other!r}, or rename {column!r} if it is none; the "
            f"table has {list(columns)}"
        )
    return found
