"""The workflow through a real SLURM: what is asked of it, and what it does to a training.

One file, so that one worker has the cluster to itself. No test waits for a fixed time.
"""

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

import pandas as pd
import pytest
import torch
from safetensors.torch import load_file
from slurm_cluster import NODES, PATIENCE_S, wait_until

ROOT = Path(__file__).parents[2]
# A whole call of Snakemake, on a machine eight times slower than the one it was written on.
RUN_S = 1500
CONFIG = ["--configfile", str(ROOT / "config" / "test.yaml")]
WEIGHTS = "models/pretrain/{variant}/lvm.safetensors"
pytestmark = pytest.mark.workflow


def command_line(folder, *arguments):
    """Return a Snakemake command on a folder of its own."""
    return [
        sys.executable, "-m", "snakemake", "--snakefile", str(ROOT / "Snakefile"),
        "--directory", str(folder), "--nolock", *arguments,
    ]  # fmt: skip


def slurm_options():
    """Return the profile as a user gives it on a small cluster without accounting."""
    return [
        "--profile", "slurm", "--slurm-status-command", "squeue", "--slurm-no-account",
        "--slurm-init-seconds-before-status-checks", "2", "--slurm-keep-successful-logs",
    ]  # fmt: skip


def environment(cluster):
    path = f"{Path(sys.executable).parent}{os.pathsep}{cluster.environment['PATH']}"
    return {**cluster.environment, "PATH": path, "OMP_NUM_THREADS": "1"}


class Call:
    """A Snakemake at work in the background; what it prints goes into a file."""

    def __init__(self, cluster, folder, *arguments, on_slurm=True):
        self.cluster, self.folder = cluster, folder
        folder.mkdir(parents=True, exist_ok=True)
        self.log = folder / f"snakemake_{len(list(folder.glob('snakemake_*.log')))}.log"
        options = slurm_options() if on_slurm else ["--cores", "2"]
        self.process = subprocess.Popen(
            command_line(folder, *options, *arguments), cwd=ROOT, env=environment(cluster),
            stdin=subprocess.DEVNULL, stdout=self.log.open("wb"), stderr=subprocess.STDOUT,
            start_new_session=True,
        )  # fmt: skip

    def __enter__(self):
        return self

    def __exit__(self, *error):
        if self.process.poll() is None:
            self.process.kill()
            self.process.wait(60)

    @property
    def text(self):
        return self.log.read_text(errors="replace")

    def submitted(self):
        """Ids of the jobs that SLURM was handed, in their order."""
        return re.findall(r"submitted with SLURM jobid (\d+)", self.text)

    def succeed(self, seconds=RUN_S):
        try:
            code = self.process.wait(seconds)
        except subprocess.TimeoutExpired:
            code = "none: still at work"
        if code != 0:
            logs = sorted((self.folder / ".snakemake" / "slurm_logs").rglob("*.log"))
            ends = "\n".join(f"== {path}\n{path.read_text()[-2500:]}" for path in logs[-3:])
            queue = self.cluster.ask("squeue", "--states=all")
            pytest.fail(f"code {code}\n{self.text[-4000:]}\n{ends}\n{queue}")
        return self


def overlay(folder, name, **changes):
    """Write a config that lies over that of the tests."""
    path = folder / f"{name}.yaml"
    path.write_text(json.dumps({"run": name, **changes}))
    return [*CONFIG, str(path)]


# Two pretrainings at once, of the four of the tests' config.
FEW = {"gpus": 1, "pretrain": {"compare": ["masked_noskips"]}}


@pytest.fixture(scope="module")
def first_run(cluster, tmp_path_factory):
    """From simulated galaxies to the table of objectives, every job through SLURM."""
    folder = tmp_path_factory.mktemp("workflow")
    with Call(cluster, folder, *overlay(folder, "test", **FEW), "--", "objectives") as call:
        yield call.succeed()


def job_of(cluster, call, rule):
    """What SLURM knows of the first job of a rule."""
    for job in call.submitted():
        about = cluster.about(job)
        if about["Comment"].startswith(f"rule_{rule}"):
            return about
    raise AssertionError(f"no job of {rule}")


def test_heavy_rules_are_jobs_and_light_ones_are_not(cluster, first_run):
    table = first_run.folder / "results" / "test" / "metrics" / "objectives.csv"
    assert pd.read_csv(table)["value"].notna().all()
    states = [cluster.about(job) for job in first_run.submitted()]
    assert {about["JobState"] for about in states} == {"COMPLETED"}
    rules = {re.match(r"rule_([a-z_]+?)(_wildcards|$)", about["Comment"])[1] for about in states}
    assert {"simulate_survey", "crop_cutouts", "pretrain_lvm", "evaluate_objectives"} <= rules
    assert not [rule for rule in rules if rule.startswith(("plot_", "draw_", "make_tables"))]


def test_requests_for_gpus_memory_and_time_arrive(cluster, first_run):
    about = job_of(cluster, first_run, "pretrain_lvm")
    assert about["TresPerJob"] in ("gres:gpu:1", "gres/gpu:1") and about["NumNodes"] == "1"
    assert "TresPerNode" not in about  # a profile's `gres` would ask a second time
    assert about["MinMemoryNode"] == "6000M" and about["TimeLimit"] == "04:00:00"
    assert about["NumCPUs"] == "1"
    other = job_of(cluster, first_run, "crop_cutouts")
    assert not [key for key in other if key.startswith("TresPer")]


# More steps than a training makes between all that is done to it below, on a fast machine too (12
# were seen on a busy one); it sees the same galaxies again.
STEPS = 300
SHORT = {"optim": {"steps": 6}, "compare": []}
LONG = {"optim": {"steps": STEPS, "checkpoint_seconds": 1e-9}, "compare": []}
VARIANT = "reconstruct_noskips"


def prepared(first_run, folder, name):
    """Return a folder with the data of the first run under another run's name."""
    source, goal = first_run.folder / "results" / "test", folder / "results" / name
    goal.mkdir(parents=True)
    shutil.copytree(source / "data", goal / "data")
    return goal


def weights(run):
    return load_file(run / WEIGHTS.format(variant=VARIANT))


class Training:
    """A pretraining under way on the cluster, as its checkpoint shows."""

    def __init__(self, cluster, run):
        self.cluster, self.run = cluster, run

    def goes_on(self, call):
        """Wait until a job writes checkpoints (again); return its id."""

        def runs():
            assert call.process.poll() is None, call.text[-3000:]
            return self.cluster.jobs("RUNNING")

        wait_until(runs, "a running job", RUN_S)
        since = time.time()  # what the job before wrote on its way out is older

        def writes():
            assert call.process.poll() is None, call.text[-3000:]
            assert not (self.run / WEIGHTS.format(variant=VARIANT)).exists(), "too fast to meet"
            files = list((self.run / "state" / "pretrain_lvm").glob("*/checkpoint.pt"))
            with contextlib.suppress(FileNotFoundError):  # between two renamings
                return any(file.stat().st_mtime > since for file in files)

        wait_until(lambda: runs() and writes(), "a new checkpoint", RUN_S)
        [job] = self.cluster.jobs("RUNNING")
        return job

    def moves_on(self, call, job):
        """Wait until a job has left the queue for good; return the one that follows it."""
        wait_until(lambda: job not in self.cluster.jobs(), f"the end of {job}")
        return self.goes_on(call)

    def leaves(self, job):
        """Wait until a job does not run any more."""
        wait_until(lambda: job not in self.cluster.jobs("RUNNING", "COMPLETING"), f"{job}'s end")


@pytest.fixture(scope="module")
def alone(cluster, first_run, tmp_path_factory):
    """What nothing happens to: trainings in one process, beside SLURM, while others are killed.

    Yields a function that waits for one of them and returns its weights.
    """
    folder = tmp_path_factory.mktemp("alone")
    trainings = {"long": LONG, "short": {**SHORT, "accumulate": 2}}
    with contextlib.ExitStack() as stack:
        calls = {}
        for name, settings in trainings.items():
            run = prepared(first_run, folder / name, name)
            target = f"results/{name}/{WEIGHTS.format(variant=VARIANT)}"
            config = overlay(folder / name, name, pretrain=settings)
            call = Call(cluster, folder / name, *config, "--", target, on_slurm=False)
            calls[name] = (stack.enter_context(call), run)

        def finished(name):
            call, run = calls[name]
            call.succeed()
            return weights(run)

        yield finished


@pytest.fixture(scope="module")
def long_run(cluster, first_run, alone, tmp_path_factory):
    """A training that six kinds of kill were done to, and what became of its jobs."""
    folder = tmp_path_factory.mktemp("killed")
    run = prepared(first_run, folder, "long")
    target = f"results/long/{WEIGHTS.format(variant=VARIANT)}"
    arguments = [*overlay(folder, "long", pretrain=LONG), "--", target]
    training, met = Training(cluster, run), {}
    with Call(cluster, folder, *arguments) as call:
        met["ctrl-c"] = training.goes_on(call)
        os.kill(call.process.pid, signal.SIGINT)
        wait_until(lambda: not cluster.jobs(), "an empty queue behind Ctrl-C")
        met["ctrl-c state"] = cluster.about(met["ctrl-c"])["JobState"]
        call.process.wait(PATIENCE_S)
    with Call(cluster, folder, "--rerun-incomplete", *arguments) as call:
        # First, while Snakemake still asks often what became of its jobs.
        met["cancelled"] = training.goes_on(call)
        cluster.ask("scancel", met["cancelled"])
        job = training.moves_on(call, met["cancelled"])
        met["retried"] = job
        cluster.ask("scontrol", "requeue", job)
        training.leaves(job)
        met["requeued"] = training.goes_on(call)
        met["preempted"] = preempted(cluster, training, call, job)
        cluster.ask("scancel", "--signal=USR1", job)
        training.leaves(job)
        met["ahead of the time limit"] = training.goes_on(call)
        node = cluster.about(job)["NodeList"]
        cluster.ask("scontrol", "update", f"NodeName={node}", "State=DOWN", "Reason=test")
        training.leaves(job)
        met["node down"] = training.goes_on(call)
        met["nodes"] = (node, cluster.about(job)["NodeList"])
        cluster.ask("scontrol", "update", f"NodeName={node}", "State=RESUME")
        met["restarts"] = int(cluster.about(job)["Restarts"])
        call.succeed()
    wait_until(lambda: cluster.nodes_up() == len(NODES), "the node that was down")
    return run, met, call


def preempted(cluster, training, call, job):
    """Let jobs of a partition with more rights take both nodes; return the job that follows."""
    urgent = [
        cluster.ask(
            "sbatch", "--parsable", "--partition=high", f"--nodelist={node}", "--exclusive",
            "--output=/dev/null", "--wrap=true",
        ).strip()
        for node in NODES
    ]  # fmt: skip
    training.leaves(job)
    wait_until(lambda: set(urgent) <= set(cluster.jobs("COMPLETED")), "the urgent jobs")
    return training.goes_on(call)


def test_ctrl_c_leaves_no_job_behind(long_run):
    assert long_run[1]["ctrl-c state"] == "CANCELLED"


def test_slurm_and_snakemake_each_bring_a_training_back(long_run):
    _, met, call = long_run
    kinds = ("retried", "requeued", "preempted", "ahead of the time limit", "node down")
    one = {met[kind] for kind in kinds}
    assert len(one) == 1 and met["restarts"] == 4
    # Snakemake hands in a new job where SLURM gave up the old one.
    assert met["cancelled"] not in one and call.submitted() == [met["cancelled"], *one]
    was_down, other = met["nodes"]
    assert was_down != other


def test_what_was_done_to_a_training_changes_no_weight(long_run, alone):
    killed, whole = weights(long_run[0]), alone("long")
    assert len(pd.read_csv(long_run[0] / f"models/pretrain/{VARIANT}/history.csv")) == STEPS
    assert whole.keys() == killed.keys()
    assert all(torch.equal(whole[name], killed[name]) for name in whole)
    assert not list((long_run[0] / "state" / "pretrain_lvm").glob("*/checkpoint*.pt"))


def test_two_processes_on_one_node_or_two_give_what_one_gives(
    cluster, first_run, long_run, alone, tmp_path
):
    """One that computes its steps in two parts; both jobs fit on the cluster side by side."""
    target = WEIGHTS.format(variant=VARIANT)
    with contextlib.ExitStack() as stack:
        calls = {}
        for nodes in (1, 2):
            folder = tmp_path / str(nodes)
            prepared(first_run, folder, "two")
            config = overlay(folder, "two", gpus=2, nodes=nodes, pretrain=SHORT)
            call = Call(cluster, folder, *config, "--", f"results/two/{target}")
            calls[nodes] = stack.enter_context(call)
        for nodes, call in calls.items():
            about = job_of(cluster, call.succeed(), "pretrain_lvm")
            assert about["NumNodes"] == str(nodes)
            assert any("gpu:" in about.get(key, "") for key in ("TresPerJob", "TresPerNode"))
    one = alone("short")
    for nodes in (1, 2):
        two = weights(tmp_path / str(nodes) / "results" / "two")
        assert two.keys() == one.keys()
        for name in one:
            torch.testing.assert_close(two[name], one[name], rtol=1e-4, atol=1e-5)


def test_a_job_over_its_memory_is_handed_in_again_with_more(cluster, first_run, tmp_path):
    run = prepared(first_run, tmp_path, "small")
    config = overlay(tmp_path, "small", pretrain=SHORT, resources={"train_mem_mb": 500})
    target = f"results/small/{WEIGHTS.format(variant=VARIANT)}"
    with Call(cluster, tmp_path, *config, "--", target) as call:
        call.succeed()
    about = [cluster.about(job) for job in call.submitted()]
    assert len(about) in (2, 3) and {job["JobState"] for job in about[:-1]} <= {
        "OUT_OF_MEMORY", "FAILED", "CANCELLED",
    }  # fmt: skip
    assert [job["MinMemoryNode"] for job in about] == ["500M", "1000M", "1500M"][: len(about)]
    logs = (tmp_path / ".snakemake" / "slurm_logs").rglob("*.log")
    assert "memory limit" in "".join(path.read_text(errors="replace") for path in logs)
    assert weights(run)


def test_a_partition_that_is_not_there_is_named(cluster, first_run, tmp_path):
    prepared(first_run, tmp_path, "other")
    config = overlay(tmp_path, "other", pretrain=LONG)
    target = f"results/other/{WEIGHTS.format(variant=VARIANT)}"
    arguments = ["--default-resources", "slurm_partition=nowhere", "--retries", "0"]
    with Call(cluster, tmp_path, *arguments, *config, "--", target) as call:
        assert call.process.wait(PATIENCE_S) != 0
    assert "invalid partition specified: nowhere" in call.text
