"""Logs and progress of a job: one file a rule, plain lines where there is no terminal."""

import contextlib
import logging
import os
import sys
import time
from collections.abc import Iterable, Iterator
from pathlib import Path

from tqdm import tqdm

log = logging.getLogger("galaxy_lvm")

# Without a terminal a bar would fill the log with control characters; a line now and then does.
SECONDS_BETWEEN_PROGRESS_LINES = 15.0


@contextlib.contextmanager
def logging_to(*handlers: logging.Handler) -> Iterator[None]:
    """Send log records to handlers, which are closed at the end."""
    log.setLevel(logging.INFO)
    for handler in handlers:
        log.addHandler(handler)
    try:
        yield
    finally:
        for handler in handlers:
            log.removeHandler(handler)
            handler.close()


@contextlib.contextmanager
def job_log(path: str | os.PathLike) -> Iterator[None]:
    """Send log records to the rule's log file and to stderr; write an uncaught error there too.

    Parameters
    ----------
    path
        Log file of the rule. Its folder is created.
    """
    Path(path).parent.mkdir(parents=True, exist_ok=True)
    formatter = logging.Formatter("%(asctime)s %(levelname)s %(message)s", datefmt="%H:%M:%S")
    handlers = [logging.FileHandler(path, mode="w"), logging.StreamHandler(sys.stderr)]
    for handler in handlers:
        handler.setFormatter(formatter)
    logging.captureWarnings(True)
    with logging_to(*handlers):
        try:
            yield
        except BaseException as error:
            log.error("%s: %s", type(error).__name__, error, exc_info=True)
            raise


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
