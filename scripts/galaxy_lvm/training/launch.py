"""Start training in one process, or in one process per GPU as torchrun does."""

import os
import signal
import uuid
from collections.abc import Callable
from typing import Any, TypeVar

import torch
from accelerate import PartialState
from accelerate.utils import broadcast_object_list

from galaxy_lvm.training.interrupt import UNFINISHED, Interrupted

Result = TypeVar("Result")


def launch(function: Callable[..., None], n_gpus: int, threads: int, **kwargs: Any) -> None:
    """Call `function(**kwargs)`, in `n_gpus` processes where that is more than one.

    Parameters
    ----------
    function
        Function of an importable module; it writes its results in the main process only.
    n_gpus
        GPUs of this job; 0 and 1 need no further process.
    threads
        CPU threads of this job. One count gives one result: the order of sums depends on it.
    **kwargs
        Arguments, picklable.
    """
    if n_gpus > 1:
        launch_processes(function, n_gpus, max(1, threads // n_gpus), **kwargs)
    else:
        torch.set_num_threads(threads)
        function(**kwargs)


def launch_processes(
    function: Callable[..., None], n_processes: int, threads: int, **kwargs: Any
) -> None:
    """Call `function(**kwargs)` in `n_processes` processes that find each other on this machine.

    Raises
    ------
    Interrupted
        If a signal ended them.
    """
    from torch.distributed.launcher.api import LaunchConfig

    config = LaunchConfig(
        min_nodes=1,
        max_nodes=1,
        nproc_per_node=n_processes,
        run_id=uuid.uuid4().hex,
        rdzv_backend="c10d",
        rdzv_endpoint="localhost:0",
        # Else the processes look for each other under the machine's full name, which need not
        # resolve: they would wait for half an hour.
        local_addr="127.0.0.1",
        max_restarts=0,
    )
    run_elastic(config, function, threads, kwargs)


def run_elastic(
    config: Any, function: Callable[..., None], threads: int, kwargs: dict[str, Any]
) -> None:
    """Call `function(**kwargs)` in the processes of a torchrun configuration.

    Raises
    ------
    Interrupted
        If a signal ended them.
    """
    from torch.distributed.elastic.multiprocessing.api import SignalException
    from torch.distributed.elastic.multiprocessing.errors import ChildFailedError
    from torch.distributed.launcher.api import elastic_launch

    if not torch.cuda.is_available():
        os.environ["ACCELERATE_USE_CPU"] = "true"
    # torchrun leaves handlers of its own behind, which would end what this process does next.
    heard = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGQUIT, signal.SIGUSR1)
    before = {number: signal.getsignal(number) for number in heard}
    signal.signal(signal.SIGUSR1, signal.SIG_IGN)  # for the processes, which hear it themselves
    try:
        elastic_launch(config, _call)(function, threads, kwargs)
    except SignalException as error:  # torchrun has handed it on and waited
        raise Interrupted(f"{error.sigval.name} ended the processes of this job") from None
    except ChildFailedError as error:
        _, first = error.get_first_failure()
        if first.exitcode != UNFINISHED:
            raise
        raise Interrupted("the processes of this job left between two steps") from None
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def told_by_main_process(make: Callable[[], Result]) -> Result:
    """Return what `make` returns in the main process, in every process; only that one calls it.

    For decisions that all have to take alike, where each would come to its own.
    """
    made = [make() if PartialState().is_main_process else None]
    return broadcast_object_list(made)[0]


def _call(function: Callable[..., None], threads: int, kwargs: dict[str, Any]) -> None:
    torch.set_num_threads(threads)
    function(**kwargs)
