"""The table of what could not be used: one row per image or table row, with a reason."""

import os
import re
from collections.abc import Iterable

import pandas as pd

from galaxy_lvm.core.tables import load_table, save_table

# All control characters but tab and line feed, which a quoted cell holds.
_CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f]")
REJECTED_COLUMNS = ("stage", "id", "file", "row", "reason")


def rejection(
    stage: str, reason: str, id: str = "", file: str = "", row: int | None = None
) -> dict[str, object]:
    """Return one line of the table.

    Parameters
    ----------
    stage
        import, crop or split.
    reason
        What is wrong and what to do about it.
    id, file
        As the user wrote them; empty where there is none.
    row
        Line in the user's table, the header being line 1.
    """
    row_text = "" if row is None else str(row)
    written = {"id": printable(id), "file": printable(file), "row": row_text}
    written["reason"] = printable(reason)
    return {"stage": stage, **written}


def printable(name: str) -> str:
    """Return a file's name as text that every table takes.

    Old disks hold names that are no UTF-8: Python reads their bytes as surrogates, which cannot be
    written. They are shown as escapes, and so are characters that end or hide a line.
    """
    text = name.encode("utf-8", "surrogateescape").decode("utf-8", "backslashreplace")
    return _CONTROL.sub(lambda found: f"\\x{ord(found[0]):02x}", text)


def write_rejected(path: str | os.PathLike, rejections: Iterable[dict[str, object]]) -> None:
    """Write the table as CSV, with its header even where nothing was rejected."""
    table = pd.DataFrame(list(rejections), columns=list(REJECTED_COLUMNS))
    save_table(path, table)


def read_rejected(path: str | os.PathLike) -> pd.DataFrame:
    """Read such a table; all columns are text."""
    return load_table(path)
