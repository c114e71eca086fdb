"""Leaving a training when the machine is wanted back: signals, and SLURM's queue."""

import contextlib
import logging
import os
import shutil
import signal
import subprocess
import threading
from collections.abc import Iterator
from types import FrameType

log = logging.getLogger("galaxy_lvm")

# Both ask for a checkpoint and the way out. SLURM sends SIGUSR1 some time ahead of the limit, where
# it was asked to (--signal=USR1@180), and SIGTERM at the limit, at a preemption or for scancel.
SIGNALS = (signal.SIGTERM, signal.SIGUSR1)
# "Try again" (EX_TEMPFAIL of sysexits.h): nothing is wrong, the training is unfinished.
UNFINISHED = 75


class Interrupted(SystemExit):
    """A training left between two steps, its checkpoint written; code 75."""

    def __init__(self, text: str) -> None:
        super().__init__(UNFINISHED)
        self.text = text

    def __str__(self) -> str:
        return self.text


class StopRequest:
    """Whether a signal has asked this process to stop."""

    def __init__(self) -> None:
        self.signal: signal.Signals | None = None

    def note(self, number: int, frame: FrameType | None) -> None:
        """Take note of a signal: a handler."""
        # The first one counts: SLURM sends SIGTERM behind a SIGUSR1, a launcher repeats either.
        self.signal = self.signal or signal.Signals(number)

    @property
    def is_made(self) -> bool:
        """Whether one came."""
        return self.signal is not None


@contextlib.contextmanager
def hear_signals() -> Iterator[StopRequest]:
    """Take note of SIGTERM and SIGUSR1 instead of dying of them, in a process's main thread."""
    request = StopRequest()
    if threading.current_thread() is not threading.main_thread():
        yield request  # signals reach the main thread alone
        return
    before = {number: signal.signal(number, request.note) for number in SIGNALS}
    try:
        yield request
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def requeue() -> bool:
    """Put this SLURM job back into the queue; return whether it is there.

    A job that leaves before its time limit would count as failed. SLURM requeues after a
    preemption by itself, and after SIGTERM it has decided already.
    """
    job = os.environ.get("SLURM_JOB_ID")
    if job is None or shutil.which("scontrol") is None:
        return False
    done = subprocess.run(
        ["scontrol", "requeue", job], capture_output=True, text=True, check=False, timeout=60
    )
    if done.returncode:
        log.warning("SLURM does not requeue job %s: %s", job, done.stderr.strip())
    return done.returncode == 0
