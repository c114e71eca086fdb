"""Whether a user's images are still those that were read: names, sizes and times, for the rules.

Snakemake asks while it plans: nothing heavy is imported here unless a table makes it necessary.
"""

import hashlib
import os
import re
from collections.abc import Iterator
from functools import cache
from pathlib import Path

from galaxy_lvm.core.delimited import decoded, parse
from galaxy_lvm.core.errors import DataError
from galaxy_lvm.survey.image_files import kind_of

# Folders in which runs are kept.
_OWN = ("results", "logs", ".snakemake")
# What a table needs to name files outside of the folder.
_OUTSIDE = re.compile(rb"\.\.|(?:^|[,;|\t\n\r \"])[/~]|\\\\")


@cache
def images_state(folder: str, table: str = "", file_column: str = "") -> str:
    """Return a hash that changes when an image is replaced, repaired, added or removed.

    Parameters
    ----------
    folder
        Folder of images; its sub-folders belong to it.
    table, file_column
        Table that may name images outside of the folder, and the column that does.

    Returns
    -------
    str
        "" where there is no such folder: whoever reads it says so.
    """
    if not folder or not os.path.isdir(folder):
        return ""
    states = dict(_below(folder, {os.path.realpath(folder)}))
    if table and os.path.isfile(table):
        paths = [os.path.join(folder, name) for name in _outside_names(Path(table), file_column)]
        states.update((path, state_of(path)) for path in paths)
    text = "\0".join(f"{path}\0{state}" for path, state in sorted(states.items()))
    return hashlib.sha256(os.fsencode(text)).hexdigest()[:16]


def is_own(real_path: str) -> bool:
    """Return whether a file lies where the workflow writes that runs here: it is no input."""
    here = os.path.realpath(os.getcwd())
    return any(real_path.startswith(os.path.join(here, name, "")) for name in _OWN)


def _below(folder: str, seen: set[str]) -> Iterator[tuple[str, str]]:
    """Yield path and state of all images below a folder; links to folders are followed once."""
    try:
        entries = list(os.scandir(folder))
    except OSError:
        yield folder, "closed"
        return
    for entry in entries:
        if kind_of(entry):
            yield entry.path, state_of(entry)
        if not entry.is_dir():
            continue
        real = os.path.realpath(entry.path)
        if real not in seen and not is_own(os.path.join(real, "")):
            seen.add(real)
            yield from _below(entry.path, seen)


def state_of(path: str | os.PathLike) -> str:
    """Return what changes when a file is written anew: its size and time; "absent" without one."""
    try:
        found = os.stat(path)
    except (OSError, ValueError):
        return "absent"
    return f"{found.st_size} {found.st_mtime_ns}"


def _outside_names(table: Path, file_column: str) -> list[str]:
    """Return the files of a table that need not lie in its folder; a bad table has none."""
    try:
        content = table.read_bytes()
        text = content.isascii() or _is_text(content)
        if text and not _OUTSIDE.search(content):
            return []
        if text:
            names, rows = parse(decoded(content, table), table)
            column = names.index(file_column)
            files = [values[column] for _, values in rows]
        else:
            from galaxy_lvm.core.user_tables import read_user_table

            files = read_user_table(table)[file_column].astype(str).tolist()
    except (DataError, OSError, ValueError, KeyError):
        return []  # the import says what is wrong with it
    return [name.strip() for name in files if os.path.isabs(name.strip()) or ".." in name]


def _is_text(content: bytes) -> bool:
    try:
        content.decode("utf-8")
    except UnicodeDecodeError:
        return False
    return b"\0" not in content
