"""Tables with arrays in their cells, as archives write sampled spectra."""

from pathlib import Path
from typing import Any

import numpy as np
from astropy.table import Table

from galaxy_lvm.core.errors import DataError, in_short
from galaxy_lvm.core.fits_text import FITS_ENDINGS
from galaxy_lvm.core.user_tables import LINE, read_user_table


def read_array_rows(path: Path) -> list[dict[str, Any]]:
    """Return the rows of a table, a dict each.

    Parameters
    ----------
    path
        FITS or VOTable, whose cells may be arrays; any other table is read as a user's is, and has
        arrays as text.

    Raises
    ------
    DataError
        If it is no readable table.
    """
    start = path.read_bytes()[:2000].lstrip()
    kind = None
    if start.startswith((b"SIMPLE", b"\x1f\x8b")) or path.name.lower().endswith(FITS_ENDINGS):
        kind = "fits"
    elif start.startswith((b"<?xml", b"<VOTABLE")):
        kind = "votable"
    if kind is None:
        return read_user_table(path).drop(columns=LINE).to_dict("records")
    try:
        read = Table.read(path, format=kind)
    except Exception as error:  # astropy names no base class of what damaged files raise
        raise DataError(f"{path}: not a readable table of arrays ({in_short(error)})") from error
    return [{name: _plain(row[name]) for name in read.colnames} for row in read]


def _plain(value: Any) -> Any:
    if np.ma.is_masked(value):
        return np.ma.filled(np.ma.asarray(value, dtype=float), np.nan) if np.ndim(value) else np.nan
    return value.decode() if isinstance(value, bytes) else value
