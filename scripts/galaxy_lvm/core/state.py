"""What survives a kill: outputs that appear whole, and folders of unfinished work."""

import contextlib
import errno
import hashlib
import json
import os
import re
import socket
import threading
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from galaxy_lvm.core.errors import DataError

# The disk is full, one's share of it is, a file of this size is too large, nothing may be written.
NO_ROOM = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EROFS)
_FORBIDDEN = (errno.EROFS, errno.EACCES, errno.EPERM)


def cannot_write(path: str | os.PathLike, error: OSError) -> str:
    """Return in words that a disk does not take an output, and what to do."""
    forbidden = error.errno in _FORBIDDEN
    help_ = "see to the rights of the folder and its disk" if forbidden else "make room on the disk"
    return (
        f"{path}: cannot be written ({os.strerror(error.errno) if error.errno else error}); "
        f"{help_}, or move the output to another, and run it again"
    )


def writable_folder(path: str | os.PathLike) -> Path:
    """Return a folder, made where it is not there, that takes files.

    Raises
    ------
    DataError
        If it does not: better now than when hours of work are to be written.
    """
    try:
        Path(path).mkdir(parents=True, exist_ok=True)
        if not os.access(path, os.W_OK):
            read_only = os.statvfs(path).f_flag & os.ST_RDONLY
            raise OSError(errno.EROFS if read_only else errno.EACCES, "")
    except OSError as error:
        if error.errno not in (*NO_ROOM, *_FORBIDDEN):
            raise
        raise DataError(cannot_write(path, error)) from error
    return Path(path)


# Some libraries write files that their owner alone may read; colleagues share results. The mask can
# only be asked for by setting it: once, before there are threads.
_MASK = os.umask(0o022)
os.umask(_MASK)
_ORDINARY_MODE = 0o666 & ~_MASK


@contextlib.contextmanager
def atomic_path(path: str | os.PathLike) -> Iterator[Path]:
    """Yield a temporary path beside `path`; rename it on success, remove it on failure.

    A reader, or a run started again after a kill, never sees half a file. What killed processes of
    this host left of the same output is removed first; of another host on a shared disk nobody
    here can tell whether its process still writes. Threads may write one output at a time each.

    Raises
    ------
    DataError
        If the disk has no room for what is written, or takes nothing: libraries name no file then.
    """
    path = Path(path)
    writable_folder(path.parent)
    head = f".{path.stem}.{socket.gethostname()}-"
    _remove_orphans(path, head)
    temporary = path.with_name(f"{head}{os.getpid()}-{threading.get_ident()}{path.suffix}")
    try:
        yield temporary
        if temporary.is_file():
            temporary.chmod(_ORDINARY_MODE)
        os.replace(temporary, path)
    except OSError as error:
        if error.errno not in NO_ROOM:
            raise
        raise DataError(cannot_write(path, error)) from error
    finally:
        temporary.unlink(missing_ok=True)


def _remove_orphans(path: Path, head: str) -> None:
    """Remove unfinished files of an output whose processes are dead."""
    pattern = re.compile(f"{re.escape(head)}([0-9]+)-[0-9]+{re.escape(path.suffix)}")
    for name in os.listdir(path.parent):
        found = pattern.fullmatch(name)
        if found and not _is_running(int(found[1])):
            path.with_name(name).unlink(missing_ok=True)


def _is_running(pid: int) -> bool:
    try:
        os.kill(pid, 0)  # sends nothing
    except ProcessLookupError:
        return False
    except PermissionError:  # of another user
        return True
    return True


def file_version(path: str | os.PathLike) -> tuple[str, int, int]:
    """Return what changes when a file is written anew: its path, size and time, for a hash."""
    about = os.stat(path)
    return str(path), about.st_size, about.st_mtime_ns


def state_folder(
    root: str | os.PathLike,
    recipe_version: int,
    settings: Any,
    files: Iterable[str | os.PathLike | None],
) -> Path:
    """Return the folder of what is unfinished of a job.

    Its name changes with the recipe, with every setting and with every input file that is written
    anew, so that a job never goes on from results of other code or other data.

    Parameters
    ----------
    root
        Folder of the rule.
    recipe_version
        Version of the rule's code: its param of that name, raised with every change of results.
    settings
        All that the result depends on beside the files.
    files
        The inputs; None for one that is not used.
    """
    versions = [file_version(path) for path in files if path is not None]
    return Path(root) / config_hash([recipe_version, settings, versions])


def config_hash(settings: Any) -> str:
    """Return 12 hex digits that change whenever a setting does; used to key resumable state."""
    text = json.dumps(settings, sort_keys=True, default=str)
    return hashlib.sha256(text.encode()).hexdigest()[:12]
