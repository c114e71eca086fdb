"""Files of a folder: which are images, and what keeps one from being read at all."""

import errno
import os
import stat
from collections import Counter
from collections.abc import Iterable, Iterator
from pathlib import Path

from galaxy_lvm.core.fits_text import FITS_ENDINGS

IMAGE_SUFFIXES = (".jpg", ".jpeg", ".png")
# macOS writes what its disks keep beside a file (icons, labels) into another one of this name.
_COMPANION = "._"
_TYPES_NAMED = 5


def kind_of(path: Path | os.DirEntry) -> str | None:
    """Return `image`, `fits` or None, by the end of the file's name."""
    name = path.name.lower()
    if name.endswith(IMAGE_SUFFIXES):
        return "image"
    return "fits" if name.endswith(FITS_ENDINGS) else None


def file_problem(path: Path) -> str | None:
    """Return why a path cannot be read as a file, None where it can.

    Whatever a table may hold is allowed: names with NUL, of 300 characters, of folders or pipes.
    """
    if "\0" in str(path):
        return "its name holds a NUL character, which no file's can; correct the table"
    try:
        mode = path.stat().st_mode
    except (OSError, ValueError) as error:
        return _stat_problem(path, error)
    if stat.S_ISDIR(mode):
        if not os.access(path, os.R_OK | os.X_OK):
            return "is a folder that may not be looked into; change its permissions (chmod)"
        return "is a folder, not an image"
    if not stat.S_ISREG(mode):
        return "is a pipe, socket or device, not a file; remove it"
    if not os.access(path, os.R_OK):
        return "may not be read; change its permissions (chmod)"
    if path.name.startswith(_COMPANION):
        return f"is what macOS keeps beside {path.name[len(_COMPANION) :]}, no image; remove it"
    return None


def _stat_problem(path: Path, error: Exception) -> str:
    number = getattr(error, "errno", None)
    if number == errno.ENAMETOOLONG:
        length = len(os.fsencode(path.name))
        return f"its name has {length} bytes, more than file systems take; correct it"
    if number == errno.ELOOP:
        return "is a link that leads back to itself; remove it"
    if number in (errno.EACCES, errno.EPERM):
        return f"lies in a folder that may not be looked into ({path.parent}); change that (chmod)"
    if number in (errno.ENOENT, errno.ENOTDIR):
        if path.is_symlink():
            return "is a link to a file that is not there; remove or mend it"
        return f"no such file in {path.parent}; correct the name or remove the row"
    return f"cannot be looked at ({error})"


def other_types(paths: Iterable[Path]) -> str:
    """Return how many files are of no type that is read here, in words; "" where none is."""
    ends = Counter(path.suffix.lower() or path.name for path in paths)
    if not ends:
        return ""
    n = ends.total()
    named = ", ".join(sorted(ends)[:_TYPES_NAMED]) + ", ..." * (len(ends) > _TYPES_NAMED)
    return f"{n} file{'s' * (n != 1)} of other types ({named}) passed over"


def same_file(path: Path) -> str:
    """Return what is equal for two paths of one file; no path makes it raise."""
    try:
        return os.path.realpath(path)
    except (OSError, ValueError):
        return str(path)


def walk(folder: Path) -> Iterator[Path]:
    """Yield whatever lies below a folder and is no folder, sorted, links to folders followed once.

    Folders that may not be looked into, and those that bear an image's name, are yielded too, for
    `file_problem` to explain.
    """
    seen = {os.path.realpath(folder)}
    yield from sorted(_below(folder, seen))


def _below(folder: Path, seen: set[str]) -> Iterator[Path]:
    try:
        entries = sorted(os.scandir(folder), key=lambda entry: entry.name)
    except OSError:
        yield folder
        return
    for entry in entries:
        path = folder / entry.name
        if not _is_folder(entry):
            yield path
            continue
        if kind_of(path):
            yield path
        if (real := os.path.realpath(path)) not in seen:
            seen.add(real)
            yield from _below(path, seen)


def _is_folder(entry: os.DirEntry) -> bool:
    try:
        return entry.is_dir()
    except OSError:
        return False
