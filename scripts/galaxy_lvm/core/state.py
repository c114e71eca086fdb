"""What survives a kill: outputs that appear whole, and folders of unfinished work."""

import contextlib
import hashlib
import json
import os
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any


@contextlib.contextmanager
def atomic_path(path: str | os.PathLike) -> Iterator[Path]:
    """Yield a temporary path beside `path`; rename it on success, remove it on failure.

    A reader, or a run started again after a kill, never sees half a file.
    """
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.stem}.{os.getpid()}{path.suffix}")
    try:
        yield temporary
        os.replace(temporary, path)
    finally:
        temporary.unlink(missing_ok=True)


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
