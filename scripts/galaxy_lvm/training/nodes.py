"""One training over several nodes: torchrun's processes on each, started by srun in the allocation.

`launch_nodes` runs once, on the first node; `python -m galaxy_lvm.training.nodes` on every node.
"""

import os
import pickle
import signal
import socket
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from galaxy_lvm.core.errors import ConfigError
from galaxy_lvm.core.state import atomic_path
from galaxy_lvm.training.interrupt import UNFINISHED, Interrupted
from galaxy_lvm.training.launch import run_elastic


def launch_nodes(
    function: Callable[..., None],
    n_nodes: int,
    n_processes: int,
    threads: int,
    shared: str | os.PathLike,
    **kwargs: Any,
) -> None:
    """Call `function(**kwargs)` in processes on every node of this SLURM job.

    Parameters
    ----------
    function
        Function of an importable module; it writes its results in the main process only.
    n_nodes
        Nodes of the job.
    n_processes
        Processes over all nodes, a multiple of `n_nodes`: one for each GPU.
    threads
        CPU threads of the job on each node.
    shared
        Folder that every node sees; the call is left there while it lasts.
    **kwargs
        Arguments, picklable.

    Raises
    ------
    ConfigError
        Outside of a SLURM job.
    Interrupted
        If a signal ended the processes.
    """
    job = os.environ.get("SLURM_JOB_ID")
    if job is None:
        raise ConfigError(f"nodes: {n_nodes} needs SLURM (snakemake --profile slurm); 1 elsewhere?")
    per_node = n_processes // n_nodes
    call = Path(shared) / f"call_{job}.pickle"
    with atomic_path(call) as temporary:
        temporary.write_bytes(pickle.dumps((function, max(1, threads // per_node), kwargs)))
    command = [
        "srun", f"--nodes={n_nodes}", f"--ntasks={n_nodes}", "--ntasks-per-node=1",
        f"--cpus-per-task={threads}", *_gpus(per_node), "--cpu-bind=none", "--kill-on-bad-exit=1",
        sys.executable, "-m", "galaxy_lvm.training.nodes", str(call), str(per_node), _free_port(),
    ]  # fmt: skip
    folder = str(Path(__file__).parents[2])
    paths = [folder, *filter(None, [os.environ.get("PYTHONPATH")])]
    try:
        code = _run(command, {**os.environ, "PYTHONPATH": os.pathsep.join(paths)})
    finally:
        call.unlink(missing_ok=True)
    if code == UNFINISHED:
        raise Interrupted(f"the processes of job {job} left between two steps")
    if code:
        raise RuntimeError(f"srun ended with code {code}; what the nodes said stands above")


def _run(command: list[str], environment: dict[str, str]) -> int:
    """Run srun to its end, which a SIGTERM to this process does not cut short: the nodes get it."""
    process = subprocess.Popen(command, env=environment)
    before = {
        number: signal.signal(number, lambda number, frame: process.send_signal(number))
        for number in (signal.SIGTERM, signal.SIGUSR1)
    }
    try:
        return process.wait()
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _gpus(per_node: int) -> list[str]:
    """Return what asks srun for the GPUs of a node, where the job has any."""
    has_gpus = any(os.environ.get(name) for name in ("CUDA_VISIBLE_DEVICES", "SLURM_GPUS_ON_NODE"))
    return [f"--gpus-per-node={per_node}"] if has_gpus else []


def _free_port() -> str:
    """Return a free port of this node, which is the first one: there the processes meet."""
    with socket.socket() as probe:
        probe.bind(("", 0))
        return str(probe.getsockname()[1])


def main(call: str, n_processes: int, port: int) -> None:
    """Start the processes of one node; srun says which node it is and where the first one stands.

    Parameters
    ----------
    call
        The pickled function, threads of a process, and arguments.
    n_processes
        Processes on this node.
    port
        Where the nodes meet on the first one.
    """
    from torch.distributed.launcher.api import LaunchConfig

    function, threads, kwargs = pickle.loads(Path(call).read_bytes())
    n_nodes, rank = int(os.environ["SLURM_NNODES"]), int(os.environ["SLURM_NODEID"])
    first = os.environ["SLURM_LAUNCH_NODE_IPADDR"]
    config = LaunchConfig(
        min_nodes=n_nodes,
        max_nodes=n_nodes,
        nproc_per_node=n_processes,
        run_id=os.environ["SLURM_JOB_ID"],
        rdzv_backend="static",
        rdzv_endpoint=f"{first}:{port}",
        rdzv_configs={"rank": rank, "timeout": 900},
        max_restarts=0,
    )
    run_elastic(config, function, threads, kwargs)


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]), int(sys.argv[3]))
