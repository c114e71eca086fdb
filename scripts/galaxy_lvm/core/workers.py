"""Simulations in several processes, with the same result whatever their number."""

import multiprocessing
import os
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from typing import Any

import cv2
from threadpoolctl import threadpool_limits


def map_in_processes(
    function: Callable[[Any], Any], tasks: Sequence[Any], cores: int = 1
) -> Iterator[Any]:
    """Yield `function(task)` of every task, in order.

    Parameters
    ----------
    function
        Of an importable module; its result must depend on the task alone.
    tasks
        Picklable.
    cores
        Number of processes; 1 stays in this one.
    """
    if cores <= 1 or len(tasks) <= 1:
        # As in the workers: another number of threads would round sums differently.
        with threadpool_limits(1):
            yield from map(function, tasks)
        return
    # spawn: forked children may hang on locks of threads (OpenCV, BLAS) of the parent.
    context = multiprocessing.get_context("spawn")
    workers = min(cores, len(tasks))
    with ProcessPoolExecutor(workers, mp_context=context, initializer=_start_worker) as pool:
        yield from pool.map(function, tasks)


def available_cores() -> int:
    """Return the number of cores that this process may use."""
    if hasattr(os, "sched_getaffinity"):  # not on macOS
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def _start_worker() -> None:
    # Workers already fill the cores; threads below them would only compete.
    threadpool_limits(1)
    cv2.setNumThreads(1)
