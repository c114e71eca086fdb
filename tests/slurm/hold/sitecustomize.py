"""A training waits behind its third checkpoint until it is told to leave, or all may go on.

Every Python of a job imports this, because its folder is on PYTHONPATH (`slurm_calls.Hold`). So a
test never races with a training: what is done to it meets it at a known step, on any machine.
"""

import os
import signal
import sys
import time

FOLDER, TEST = os.environ["HOLD_FOLDER"], os.environ["HOLD_TEST_PROCESS"]
RULE = os.environ.get("HOLD_RULE", "")  # of one rule alone
CHECKPOINTS = 3
_replace = os.replace
_written = 0


def _is_told_to_leave():
    """Return whether the handler that a training installs has heard a signal."""
    request = getattr(signal.getsignal(signal.SIGTERM), "__self__", None)
    return getattr(request, "is_made", False)


def _replace_and_wait(source, goal, **options):
    global _written
    _replace(source, goal, **options)
    if os.path.basename(goal) != "checkpoint.pt" or f"/{RULE}" not in str(goal):
        return
    _written += 1
    held = os.path.join(FOLDER, "held")
    if _written != CHECKPOINTS or not os.path.exists(held):
        return
    with open(os.path.join(FOLDER, "waiting"), "a") as file:
        file.write(os.environ.get("SLURM_JOB_ID", "no job") + "\n")
    while os.path.exists(held) and not _is_told_to_leave():
        if not os.path.exists(f"/proc/{TEST}"):
            sys.exit("the test that held this training is gone")
        time.sleep(0.1)


os.replace = _replace_and_wait
