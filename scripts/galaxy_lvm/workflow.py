"""What every workflow script needs: logging, progress, atomic outputs, derived seeds."""

import contextlib
import hashlib
import json
import logging
import os
import sys
import time
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from tqdm import tqdm

log = logging.getLogger("galaxy_lvm")

# Without a terminal a bar would fill the log with control characters; a line now and then does.
SECONDS_BETWEEN_PROGRESS_LINES = 15.0


@contextlib.contextmanager
def job_log(path: str | os.PathLike) -> Iterator[None]:
    """Send log records to the rule's log file and to stderr; write an uncaught error there too.

    Parameters
    ----------
    path
        Log file of the rule. Its folder is created.
    """
    Path(path).parent.mkdir(parents=True, exist_ok=True)
    log.setLevel(logging.INFO)
    formatter = logging.Formatter("%(asctime)s %(levelname)s %(message)s", datefmt="%H:%M:%S")
    handlers = [logging.FileHandler(path, mode="w"), logging.StreamHandler(sys.stderr)]
    for handler in handlers:
        handler.setFormatter(formatter)
        log.addHandler(handler)
    logging.captureWarnings(True)
    try:
        yield
    except BaseException as error:
        log.error("%s: %s", type(error).__name__, error, exc_info=True)
        raise
    finally:
        for handler in handlers:
            log.removeHandler(handler)
            handler.close()


def progress(
    iterable: Iterable, total: int | None = None, desc: str = "", unit: str = "it"
) -> Iterator:
    """Iterate with a bar on a terminal, or with a plain log line every 15 seconds elsewhere.

    Parameters
    ----------
    iterable
        What to iterate over.
    total
        Number of items; taken from `len(iterable)` where that exists.
    desc, unit
        What is done and what one item is called.
    """
    if total is None and hasattr(iterable, "__len__"):
        total = len(iterable)
    if sys.stderr.isatty():
        yield from tqdm(iterable, total=total, desc=desc, unit=unit)
        return
    start = last = time.monotonic()
    for done, item in enumerate(iterable, start=1):
        yield item
        now = time.monotonic()
        if now - last > SECONDS_BETWEEN_PROGRESS_LINES:
            last = now
            rate = done / (now - start)
            left = f", {(total - done) / rate:.0f} s left" if total else ""
            log.info("%s: %d/%s %s, %.1f/s%s", desc, done, total or "?", unit, rate, left)


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


def derive_seed(seed: int, *names: Any) -> int:
    """Return a seed in [0, 2**63) that depends on the config's seed and on what it is for.

    Independent streams without bookkeeping: `derive_seed(1, "mock", 17)`.
    """
    text = json.dumps([int(seed), *[str(name) for name in names]])
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:8], "big") >> 1


def file_version(path: str | os.PathLike) -> tuple[str, int, int]:
    """Return what changes when a file is written anew: its path, size and time, for a hash."""
    about = os.stat(path)
    return str(path), about.st_size, about.st_mtime_ns


def state_folder(
    root: str | os.PathLike, settings: Any, files: Iterable[str | os.PathLike | None]
) -> Path:
    """Return the folder of what is unfinished of a job.

    Its name changes with every setting and with every input file that is written anew, so that a
    job never goes on from results of other data.

    Parameters
    ----------
    root
        Folder of the rule.
    settings
        All that the result depends on beside the files.
    files
        The inputs; None for one that is not used.
    """
    versions = [file_version(path) for path in files if path is not None]
    return Path(root) / config_hash([settings, versions])


def config_hash(settings: Any) -> str:
    """Return 12 hex digits that change whenever a setting does; used to key resumable state."""
    text = json.dumps(settings, sort_keys=True, default=str)
    return hashlib.sha256(text.encode()).hexdigest()[:12]
