"""Each job on this machine its own GPUs: locks that end with the process that holds them.

Snakemake counts GPUs (`--resources gpu=4`) and does not say which; SLURM does both.
"""

import contextlib
import fcntl
import logging
import os
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import IO

from galaxy_lvm.core.errors import ConfigError

log = logging.getLogger("galaxy_lvm")

# One folder a user: nobody can open another's lock.
LOCKS = Path(tempfile.gettempdir()) / f"galaxy_lvm_gpus_{os.getuid()}"
SECONDS_BETWEEN_TRIES = 1.0


def visible_gpus() -> list[str]:
    """Return the names of the GPUs that this process may use, as CUDA_VISIBLE_DEVICES has them."""
    import torch

    given = os.environ.get("CUDA_VISIBLE_DEVICES")
    n_gpus = torch.cuda.device_count()
    names = [str(number) for number in range(n_gpus)] if given is None else given.split(",")
    return names[:n_gpus]  # CUDA ends its list at the first name that it does not know


@contextlib.contextmanager
def own_gpus(
    n_gpus: int, find: Callable[[], Sequence[str]] = visible_gpus, locks: Path = LOCKS
) -> Iterator[None]:
    """Keep GPUs for this process, and show it no others; wait while other jobs have them.

    Within a SLURM job, on a machine without GPU, and for a job that asks for none, nothing is done.

    Parameters
    ----------
    n_gpus
        GPUs that the job asks for.
    find
        Returns the names of the GPUs at hand.
    locks
        Folder of the lock files, one a GPU.

    Raises
    ------
    ConfigError
        If the machine has GPUs, but fewer than asked for.
    """
    at_hand = list(find()) if n_gpus and "SLURM_JOB_ID" not in os.environ else []
    if not at_hand:
        yield
        return
    if n_gpus > len(at_hand):
        raise ConfigError(
            f"gpus: {n_gpus} were asked for, and this machine shows {len(at_hand)} "
            f"({', '.join(at_hand)}); --config gpus={len(at_hand)}?"
        )
    before = os.environ.get("CUDA_VISIBLE_DEVICES")
    with contextlib.ExitStack() as held:
        names = _take(n_gpus, at_hand, locks, held)
        log.info("GPU %s of this machine", ", ".join(names))
        os.environ["CUDA_VISIBLE_DEVICES"] = ",".join(names)
        try:
            yield
        finally:
            if before is None:
                del os.environ["CUDA_VISIBLE_DEVICES"]
            else:
                os.environ["CUDA_VISIBLE_DEVICES"] = before


def _take(
    n_gpus: int, at_hand: Sequence[str], locks: Path, held: contextlib.ExitStack
) -> list[str]:
    """Lock so many GPUs; `held` lets go of them."""
    locks.mkdir(mode=0o700, exist_ok=True)
    names: set[str] = set()
    told = False
    # One job at a time collects: two that wait for two GPUs each might hold one each for good.
    with (locks / "queue.lock").open("a") as queue:
        fcntl.flock(queue, fcntl.LOCK_EX)
        while True:
            for name in at_hand:
                if name not in names and (file := _lock(locks, name)) is not None:
                    held.enter_context(file)
                    names.add(name)
                if len(names) == n_gpus:
                    # In the machine's order: a rank's device does not hang on who let go first.
                    return [name for name in at_hand if name in names]
            if not told:
                log.info("waiting for GPUs: %d of %d are free (other jobs of yours: %s)",
                         len(names), n_gpus, locks)  # fmt: skip
                told = True
            time.sleep(SECONDS_BETWEEN_TRIES)


def _lock(locks: Path, name: str) -> IO[str] | None:
    """Return the open lock file of a GPU; None where another process has it."""
    file = (locks / f"{name.replace('/', '_')}.lock").open("a")
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        file.close()
        return None
    return file
