"""A SLURM of two nodes on one machine: no systemd, no cgroup, no accounting, fake GPUs.

State lies in one folder; daemons are children of the tests and end with them.
"""

import contextlib
import os
import random
import re
import shutil
import socket
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path

NODES = ("n1", "n2")
TOOLS = ("munged", "slurmctld", "slurmd", "sbatch", "srun", "scancel", "squeue", "scontrol")
CLIENTS = ("srun", "sbatch", "scontrol", "squeue", "sinfo", "scancel", "sshare", "sacctmgr")
SEARCH = os.pathsep.join([os.environ.get("PATH", ""), "/usr/sbin", "/sbin"])
# For every single wait: seconds elsewhere, minutes on two slow cores that others use as well.
PATIENCE_S = 600.0


def missing() -> str:
    """Return why there can be no cluster here; nothing where there can be one."""
    lacking = [tool for tool in TOOLS if shutil.which(tool, path=SEARCH) is None]
    if lacking:
        return f"no {', '.join(lacking)} (Debian: slurmctld slurmd slurm-client munge)"
    return "" if os.geteuid() == 0 else "slurmd starts jobs as root only"


def dies_with_parent(command: list[str]) -> list[str]:
    """Return a command whose process ends with the tests, however they end."""
    setpriv = shutil.which("setpriv", path=SEARCH)
    return [setpriv, "--pdeathsig", "KILL", *command] if setpriv else command


class NoCluster(RuntimeError):
    """SLURM is installed and does not work on this machine."""


class ConfRefused(NoCluster):
    """SLURM does not take what these tests configure, in a version that they are written for."""


# Of these a refused slurm.conf is a fault of these tests, of others perhaps a change of SLURM.
VERSIONS = ("22.05",)
REFUSED = re.compile(r"unrecognized key|Unable to process configuration file|Parsing error", re.I)


def wait_until(condition: Callable[[], object], what: str, seconds: float = PATIENCE_S) -> None:
    """Wait for a condition; fail with what was waited for."""
    end = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > end:
            raise TimeoutError(f"{what} did not come within {seconds:.0f} s")
        time.sleep(0.5)


def free_ports(number: int) -> list[int]:
    """Return ports that nothing listens on, below those that the system hands out to clients."""
    free: list[int] = []
    for port in random.SystemRandom().sample(range(16000, 32000), 500):
        with socket.socket() as probe, contextlib.suppress(OSError):
            probe.bind(("0.0.0.0", port))
            free.append(port)
        if len(free) == number:
            return free
    raise NoCluster("no free ports between 16000 and 32000")


class Cluster:
    """Daemons of a cluster; a context manager."""

    def __init__(self, folder: Path, cpus: int = 2, mem_mb: int = 16000, gpus: int = 2) -> None:
        self.folder, self.gpus = folder, gpus
        for name in ("etc", "run", "log", "state", "dev", "bin"):
            (folder / name).mkdir(parents=True)
        self.conf = folder / "etc" / "slurm.conf"
        self._daemons: dict[str, subprocess.Popen] = {}
        self._works = False
        self._write_conf(cpus, mem_mb)
        self._write_gres()
        # The job step of Snakemake's executor drops SLURM_CONF, but not PATH.
        for tool in CLIENTS:
            if path := shutil.which(tool, path=SEARCH):
                script = folder / "bin" / tool
                script.write_text(f'#!/bin/sh\nSLURM_CONF={self.conf} exec {path} "$@"\n')
                script.chmod(0o755)

    @property
    def environment(self) -> dict[str, str]:
        """What a client of this cluster needs."""
        kept = {k: v for k, v in os.environ.items() if not k.startswith(("SLURM_", "SBATCH_"))}
        path = os.pathsep.join([str(self.folder / "bin"), SEARCH])
        return {**kept, "SLURM_CONF": str(self.conf), "PATH": path}

    def ask(self, *command: str) -> str:
        """Run a client; return what it prints."""
        done = subprocess.run(
            command, env=self.environment, capture_output=True, text=True, check=False,
            timeout=PATIENCE_S,
        )  # fmt: skip
        if done.returncode:
            raise RuntimeError(f"{' '.join(command)}: {done.stderr.strip()}")
        return done.stdout

    def jobs(self, *states: str) -> list[str]:
        """Return ids of the jobs in these states, of all that are not over without any."""
        chosen = ["--states", ",".join(states)] if states else []
        return self.ask("squeue", "--noheader", "--format=%A", *chosen).split()

    def about(self, job: str) -> dict[str, str]:
        """Return what SLURM knows of a job, also of one that is over."""
        words = self.ask("scontrol", "--oneliner", "show", "job", job).split()
        return dict(word.split("=", 1) for word in words if "=" in word)

    def start_node(self, node: str) -> None:
        """Start a node's daemon."""
        (self.folder / f"spool.{node}").mkdir(exist_ok=True)
        self._start(node, "slurmd", "-D", "-N", node, "-f", str(self.conf))

    def stop_node(self, node: str) -> None:
        """Let a node vanish: its daemon is killed."""
        self._end(self._daemons.pop(node))

    def nodes_up(self) -> int:
        """Return how many nodes take jobs."""
        states = self.ask("sinfo", "--noheader", "--Node", "--format=%N %T").splitlines()
        return len({s for s in states if s.split()[1] in ("idle", "mixed", "allocated")})

    def __enter__(self) -> "Cluster":
        key, run = self.folder / "etc" / "munge.key", self.folder / "run"
        key.write_bytes(os.urandom(1024))
        key.chmod(0o600)
        try:
            self._start(
                "munged", "munged", "--foreground", "--force", f"--key-file={key}",
                f"--socket={run}/munge.socket", f"--pid-file={run}/munged.pid",
                f"--log-file={self.folder}/log/munged.log", f"--seed-file={run}/munged.seed",
            )  # fmt: skip
            wait_until(lambda: self._all_run() and (run / "munge.socket").exists(), "munged")
            self._start("slurmctld", "slurmctld", "-D", "-f", str(self.conf))
            for node in NODES:
                self.start_node(node)
            wait_until(
                lambda: self._all_run() and self._answers() and self.nodes_up() == len(NODES),
                "both nodes",
            )
            self._try_job()
        except Exception as error:
            raise self._fault()(f"{error}\n{self.logs()}") from error
        finally:
            if not self._works:
                self.stop()
        return self

    def __exit__(self, *error: object) -> None:
        self.stop()

    def _fault(self) -> type[NoCluster]:
        """Return whose fault it is that none came up: the machine's, or that of these tests."""
        if not REFUSED.search(self.logs()):
            return NoCluster
        words = self.ask("slurmctld", "-V").split()  # slurm-wlm 22.05.8
        return ConfRefused if words and words[-1].startswith(VERSIONS) else NoCluster

    def logs(self) -> str:
        """Return the ends of the daemons' logs."""
        files = sorted((self.folder / "log").glob("*"))
        return "\n".join(f"== {f.name}\n{f.read_text(errors='replace')[-1500:]}" for f in files)

    def stop(self) -> None:
        """End jobs and daemons, by their own process ids, whatever state they are in."""
        try:
            if "slurmctld" in self._daemons and self._answers():
                for job in self.jobs():
                    self.ask("scancel", job)
                wait_until(lambda: not self.jobs(), "the end of all jobs", 60)
        except (RuntimeError, TimeoutError, subprocess.TimeoutExpired) as error:
            print(f"the cluster is stopped with jobs in it: {error}")
        for name in list(self._daemons):
            self._end(self._daemons.pop(name))
        for process in self._left():
            with contextlib.suppress(ProcessLookupError):
                os.kill(process, 9)

    def _try_job(self) -> None:
        """Run a job step with a GPU and memory: where that fails, this project is not to blame."""
        asked = ["--gpus=1", "--mem=100", "--wrap=srun -n1 true", f"--output={self.folder}/try.log"]
        job = self.ask("sbatch", "--parsable", *asked).strip()
        wait_until(lambda: job not in self.jobs(), "the end of a first job")
        if (state := self.about(job)["JobState"]) != "COMPLETED":
            said = (self.folder / "try.log").read_text(errors="replace")
            raise RuntimeError(f"a first job ended as {state}: {said}")
        self._works = True

    def _all_run(self) -> bool:
        """Return True; fail at once where a daemon has ended."""
        for name, process in self._daemons.items():
            if process.poll() is not None:
                raise RuntimeError(f"{name} ended with code {process.returncode}")
        return True

    def _answers(self) -> bool:
        ping = subprocess.run(
            ["scontrol", "ping"], env=self.environment, capture_output=True, timeout=60, check=False
        )
        return b"UP" in ping.stdout

    def _left(self) -> Iterator[int]:
        """Yield what still runs for this cluster: jobs whose node vanished under them."""
        mark = f"SLURM_CONF={self.conf}".encode()
        for folder in Path("/proc").glob("[0-9]*"):
            try:
                if mark in (folder / "environ").read_bytes().split(b"\0"):
                    yield int(folder.name)
            except OSError:  # over by now
                continue

    def _start(self, name: str, *command: str) -> None:
        with (self.folder / "log" / f"{name}.out").open("ab") as out:
            self._daemons[name] = subprocess.Popen(
                dies_with_parent([*command]), env=self.environment, stdin=subprocess.DEVNULL,
                stdout=out, stderr=out, start_new_session=True,
            )  # fmt: skip

    def _end(self, process: subprocess.Popen) -> None:
        for end in (process.terminate, process.kill):
            end()
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(20)
                return

    def _write_gres(self) -> None:
        """Fake GPUs: devices like /dev/null, or a bare number where no device can be made."""
        lines = ["AutoDetect=off"]
        devices = [self.folder / "dev" / f"nvidia{number}" for number in range(self.gpus)]
        try:
            for device in devices:
                os.mknod(device, 0o666 | 0o020000, os.makedev(1, 3))
            with devices[0].open("rb"):
                lines.append(f"Name=gpu File={self.folder}/dev/nvidia[0-{self.gpus - 1}]")
        except OSError:
            lines.append(f"Name=gpu Count={self.gpus}")
        (self.conf.parent / "gres.conf").write_text("\n".join(lines) + "\n")
        (self.conf.parent / "cgroup.conf").write_text("CgroupAutomount=no\n")

    def _write_conf(self, cpus: int, mem_mb: int) -> None:
        # ReturnToService=1: a node that was set DOWN by hand stays down. With 2 it came back when
        # its daemon next registered, and the job whose node had fallen could start there again.
        host, folder = socket.gethostname().split(".")[0], self.folder
        control, *ports = free_ports(1 + len(NODES))
        nodes = "\n".join(
            f"NodeName={node} NodeHostname={host} NodeAddr=127.0.0.1 Port={port} CPUs={cpus} "
            f"RealMemory={mem_mb} Gres=gpu:{self.gpus} State=UNKNOWN"
            for node, port in zip(NODES, ports, strict=True)
        )
        self.conf.write_text(f"""\
ClusterName=test
SlurmctldHost={host}(127.0.0.1)
SlurmctldPort={control}
SlurmUser=root
SlurmdUser=root
AuthType=auth/munge
AuthInfo=socket={folder}/run/munge.socket,cred_expire=10
CredType=cred/munge
StateSaveLocation={folder}/state
SlurmdSpoolDir={folder}/spool.%n
SlurmctldPidFile={folder}/run/slurmctld.pid
SlurmdPidFile={folder}/run/slurmd.%n.pid
SlurmctldLogFile={folder}/log/slurmctld.log
SlurmdLogFile={folder}/log/slurmd.%n.log
MailProg=/bin/true
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
JobAcctGatherType=jobacct_gather/linux
JobAcctGatherFrequency=task=2
JobAcctGatherParams=UsePss,OverMemoryKill
SwitchType=switch/none
MpiDefault=none
SelectType=select/cons_tres
SelectTypeParameters=CR_Core_Memory
SchedulerType=sched/backfill
SchedulerParameters=sched_interval=2,bf_interval=2,batch_sched_delay=0,sched_min_interval=0
PriorityType=priority/basic
PreemptType=preempt/partition_prio
PreemptMode=REQUEUE
AccountingStorageType=accounting_storage/none
MinJobAge=7200
KillWait=30
CompleteWait=0
InactiveLimit=0
SlurmctldTimeout=600
SlurmdTimeout=600
ReturnToService=1
JobRequeue=1
EnforcePartLimits=ALL
SlurmdParameters=config_overrides
PropagateResourceLimits=NONE
DefMemPerCPU=500
GresTypes=gpu
{nodes}
PartitionName=batch Nodes={",".join(NODES)} Default=YES PriorityTier=1 PreemptMode=REQUEUE MaxTime=INFINITE State=UP
PartitionName=high Nodes={",".join(NODES)} PriorityTier=10 PreemptMode=OFF MaxTime=INFINITE State=UP
""")  # noqa: E501
