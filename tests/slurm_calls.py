"""Snakemake on a cluster of the tests: calls, small configs, and trainings that wait for a test."""

import contextlib
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from safetensors.torch import load_file
from slurm_cluster import NODES, PATIENCE_S, dies_with_parent, wait_until

ROOT = Path(__file__).parents[1]
# A whole call of Snakemake, on a machine eight times slower than the one it was written on.
RUN_S = 1800
# So long the queue may be empty while Snakemake is at work: light steps run beside it. Longer is no
# slow machine, but a Snakemake that waits for jobs which are over.
EMPTY_S = 900
CONFIG = ["--configfile", str(ROOT / "config" / "test.yaml")]
VARIANT = "reconstruct_noskips"
WEIGHTS = f"models/pretrain/{VARIANT}/lvm.safetensors"
# A checkpoint behind every step: a held training (`Hold`) waits behind its third.
EVERY_STEP = {"checkpoint_seconds": 1e-9}


def command_line(folder, *arguments):
    """Return a Snakemake command on a folder of its own."""
    return [
        sys.executable, "-m", "snakemake", "--snakefile", str(ROOT / "Snakefile"),
        "--directory", str(folder), "--nolock", *arguments,
    ]  # fmt: skip


def slurm_options():
    """Return the profile as a user gives it, with logs that stay and no waiting ahead of them."""
    return [
        "--profile", "slurm", "--slurm-no-account",
        "--slurm-init-seconds-before-status-checks", "2", "--slurm-keep-successful-logs",
    ]  # fmt: skip


def environment(cluster):
    """Return what Snakemake needs beside the cluster's clients: tools lie beside Python."""
    known = cluster.environment if cluster else dict(os.environ)
    path = f"{Path(sys.executable).parent}{os.pathsep}{known['PATH']}"
    return {**known, "PATH": path, "OMP_NUM_THREADS": "1"}


class Hold:
    """Trainings that wait behind their third checkpoint until they are told to leave, or let go."""

    def __init__(self, folder):
        self.folder, self.seen = folder, 0
        folder.mkdir(parents=True)
        (folder / "held").touch()

    @property
    def environment(self):
        """What makes a job's Python wait; see hold/sitecustomize.py."""
        return {
            "PYTHONPATH": str(ROOT / "tests" / "slurm" / "hold"),
            "HOLD_FOLDER": str(self.folder),
            "HOLD_TEST_PROCESS": str(os.getpid()),
        }

    def next(self, call, seconds=PATIENCE_S):
        """Wait until one more training waits; return its job."""

        def waiting():
            assert call.process.poll() is None, call.report()
            with contextlib.suppress(FileNotFoundError):
                return (self.folder / "waiting").read_text().splitlines()[self.seen :]

        try:
            wait_until(waiting, "a training at its third checkpoint", seconds)
        except TimeoutError as error:
            pytest.fail(f"{error}\n{call.report()}")
        [job] = waiting()
        self.seen += 1
        return job

    def let_go(self):
        """Let all go on to their end."""
        (self.folder / "held").unlink()


class Call:
    """A Snakemake at work in the background; what it prints goes into a file."""

    def __init__(self, cluster, folder, *arguments, hold=None):
        self.cluster, self.folder = cluster, folder
        folder.mkdir(parents=True, exist_ok=True)
        self.log = folder / f"snakemake_{len(list(folder.glob('snakemake_*.log')))}.log"
        options = slurm_options() if cluster else ["--cores", "2"]
        self.process = subprocess.Popen(
            dies_with_parent(command_line(folder, *options, *arguments)), cwd=ROOT,
            env={**environment(cluster), **(hold.environment if hold else {})},
            stdin=subprocess.DEVNULL, stdout=self.log.open("wb"), stderr=subprocess.STDOUT,
            start_new_session=True,
        )  # fmt: skip

    def __enter__(self):
        return self

    def __exit__(self, *error):
        if self.process.poll() is None:
            os.killpg(self.process.pid, signal.SIGKILL)  # its scripts as well
            self.process.wait(PATIENCE_S)

    @property
    def text(self):
        return self.log.read_text(errors="replace")

    def submitted(self):
        """Ids of the jobs that SLURM was handed, in their order."""
        return re.findall(r"submitted with SLURM jobid (\d+)", self.text)

    def job_of(self, rule):
        """What SLURM knows of the first job of a rule."""
        for job in self.submitted():
            about = self.cluster.about(job)
            if about["Comment"].startswith(f"rule_{rule}"):
                return about
        raise AssertionError(f"no job of {rule}")

    def report(self):
        """What Snakemake, its last jobs and the queue say."""
        logs = sorted((self.folder / ".snakemake" / "slurm_logs").rglob("*.log"))
        ends = [f"== {path}\n{path.read_text(errors='replace')[-2500:]}" for path in logs[-3:]]
        queue = self.cluster.ask("squeue", "--states=all") if self.cluster else ""
        return "\n".join([f"code {self.process.poll()}", self.text[-4000:], *ends, queue])

    def has_ended(self, seconds, pause_s=5):
        """Wait for its end; False where it is slow, a failure where nothing is at work any more."""
        began = time.monotonic()
        end, empty_until = began + seconds, began + EMPTY_S
        while self.process.poll() is None and (now := time.monotonic()) < end:
            if self.cluster.jobs():
                empty_until = now + EMPTY_S
            if now > empty_until:
                pytest.fail(f"no job in the queue for {EMPTY_S} s, and no end\n{self.report()}")
            time.sleep(pause_s)
        return self.process.poll() is not None

    def succeed(self, seconds=RUN_S):
        """Wait for its end."""
        try:
            code = self.process.wait(seconds)
        except subprocess.TimeoutExpired:
            code = "none: still at work"
        if code != 0:
            pytest.fail(self.report())
        return self


def overlay(folder, name, **changes):
    """Write a config that lies over that of the tests."""
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{name}.yaml"
    path.write_text(json.dumps({"run": name, **changes}))
    return [*CONFIG, str(path)]


def with_data_of(source, folder, name):
    """Return a run's folder with the data of another run; `source` is that one's folder."""
    goal = folder / "results" / name
    goal.mkdir(parents=True)
    shutil.copytree(source / "data", goal / "data")
    return goal


def check_all_was_handed_in(cluster, call):
    """Find every job that is not light completed; return the tries of each, with their rules."""
    jobs = [cluster.about(job) for job in call.submitted()]
    handed_in = [re.match(r"rule_(\w+?)(_wildcards|$)", job["Comment"])[1] for job in jobs]
    planned = re.findall(r"^rule (\w+):$", call.text, re.MULTILINE)
    assert set(handed_in) == set(planned)
    # A try may fail for the machine's fault; Snakemake hands the job in again (`retries`).
    last = {job["Comment"]: job["JobState"] for job in jobs}
    assert set(last.values()) == {"COMPLETED"} and len(last) > 30, last
    assert cluster.jobs() == []
    light = re.findall(r"^localrule (\w+):$", call.text, re.MULTILINE)
    assert "make_tables" in light and not set(light) & set(planned)
    return list(zip(handed_in, jobs, strict=True))


def weights(run):
    """Return the weights that a run's pretraining ended with."""
    return load_file(run / WEIGHTS)


def continued_from(run):
    """Return the step that the last job of a run's pretraining went on from, as its log says."""
    log = run.parents[1] / "logs" / run.name / "pretrain_lvm" / f"{VARIANT}.log"
    return int(re.search(r"continuing from step (\d+)", log.read_text())[1])


def interrupt(cluster, call, job):
    """Press Ctrl-C; return what became of the job, once nothing is left in the queue."""
    call.process.send_signal(2)
    wait_until(lambda: not cluster.jobs(), "an empty queue behind Ctrl-C")
    call.process.wait(PATIENCE_S)
    return cluster.about(job)["JobState"]


def preempt(cluster):
    """Let jobs of a partition with more rights take both nodes."""
    urgent = [
        cluster.ask(
            "sbatch", "--parsable", "--partition=high", f"--nodelist={node}", "--exclusive",
            "--output=/dev/null", "--wrap=true",
        ).strip()
        for node in NODES
    ]  # fmt: skip
    wait_until(lambda: set(urgent) <= set(cluster.jobs("COMPLETED")), "the urgent jobs")
