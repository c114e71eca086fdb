"""The workflow through a real SLURM: what is asked of it, and what it does to a training.

One file, so that one worker has the cluster to itself. No test waits for a fixed time, and none
races with a training: those that something is done to wait for it (`slurm_calls.Hold`).
"""

import contextlib
import re

import pandas as pd
import pytest
import torch
from slurm_calls import (
    EVERY_STEP,
    VARIANT,
    WEIGHTS,
    Call,
    Hold,
    continued_from,
    interrupt,
    overlay,
    preempt,
    weights,
    with_data_of,
)
from slurm_cluster import NODES, PATIENCE_S, wait_until

pytestmark = pytest.mark.workflow

# Two pretrainings at once, of the four of the tests' config.
FEW = {"gpus": 1, "pretrain": {"compare": ["masked_noskips"]}}


@pytest.fixture(scope="module")
def first_run(cluster, tmp_path_factory):
    """From simulated galaxies to the table of objectives, every job through SLURM."""
    folder = tmp_path_factory.mktemp("workflow")
    with Call(cluster, folder, *overlay(folder, "test", **FEW), "--", "objectives") as call:
        yield call.succeed()


@pytest.fixture(scope="module")
def data(first_run):
    """The folder of the first run, whose data every training below reads."""
    return first_run.folder / "results" / "test"


def test_heavy_rules_are_jobs_and_light_ones_are_not(cluster, first_run, data):
    assert pd.read_csv(data / "metrics" / "objectives.csv")["value"].notna().all()
    states = [cluster.about(job) for job in first_run.submitted()]
    assert {about["JobState"] for about in states} == {"COMPLETED"}
    rules = {re.match(r"rule_([a-z_]+?)(_wildcards|$)", about["Comment"])[1] for about in states}
    assert {"simulate_survey", "crop_cutouts", "pretrain_lvm", "evaluate_objectives"} <= rules
    assert not [rule for rule in rules if rule.startswith(("plot_", "draw_", "make_tables"))]


def test_requests_for_gpus_memory_and_time_arrive(first_run):
    about = first_run.job_of("pretrain_lvm")
    assert about["TresPerJob"] in ("gres:gpu:1", "gres/gpu:1") and about["NumNodes"] == "1"
    assert "TresPerNode" not in about  # a profile's `gres` would ask a second time
    assert about["MinMemoryNode"] == "6000M" and about["TimeLimit"] == "04:00:00"
    assert about["NumCPUs"] == "1"
    other = first_run.job_of("crop_cutouts")
    assert not [key for key in other if key.startswith("TresPer")]


# Each of six jobs makes three or four steps until something is done to it, the last the rest.
STEPS = 40
SHORT = {"optim": {"steps": 6}, "compare": []}
LONG = {"optim": {"steps": STEPS, **EVERY_STEP}, "compare": []}


@pytest.fixture(scope="module")
def alone(data, tmp_path_factory):
    """What nothing happens to: trainings in one process, beside SLURM, while others are killed.

    Yields a function that waits for one of them and returns its weights.
    """
    folder = tmp_path_factory.mktemp("alone")
    trainings = {"long": LONG, "short": {**SHORT, "accumulate": 2}}
    with contextlib.ExitStack() as stack:
        calls = {}
        for name, settings in trainings.items():
            run = with_data_of(data, folder / name, name)
            config = overlay(folder / name, name, pretrain=settings)
            call = Call(None, folder / name, *config, "--", f"results/{name}/{WEIGHTS}")
            calls[name] = (stack.enter_context(call), run)

        def finished(name):
            call, run = calls[name]
            call.succeed()
            return weights(run)

        yield finished


@pytest.fixture(scope="module")
def long_run(cluster, data, alone, tmp_path_factory):
    """A training that six kinds of kill were done to, and what became of its jobs."""
    folder = tmp_path_factory.mktemp("killed")
    run, met = with_data_of(data, folder, "long"), {}
    arguments = [*overlay(folder, "long", pretrain=LONG), "--", f"results/long/{WEIGHTS}"]
    hold = Hold(folder / "hold")
    with Call(cluster, folder, *arguments, hold=hold) as call:
        met["ctrl-c state"] = interrupt(cluster, call, hold.next(call))
    with Call(cluster, folder, "--rerun-incomplete", *arguments, hold=hold) as call:
        # First, while Snakemake still asks often what became of its jobs.
        met["cancelled"] = hold.next(call)
        cluster.ask("scancel", met["cancelled"])
        met["retried"] = job = hold.next(call)
        cluster.ask("scontrol", "requeue", job)
        met["requeued"] = hold.next(call)
        preempt(cluster)
        met["preempted"] = hold.next(call)
        cluster.ask("scancel", "--signal=USR1", job)
        met["ahead of the time limit"] = hold.next(call)
        node = cluster.about(job)["NodeList"]
        cluster.ask("scontrol", "update", f"NodeName={node}", "State=DOWN", "Reason=test")
        met["node down"] = hold.next(call)
        met["nodes"] = (node, cluster.about(job)["NodeList"])
        cluster.ask("scontrol", "update", f"NodeName={node}", "State=RESUME")
        met["restarts"] = int(cluster.about(job)["Restarts"])
        hold.let_go()
        call.succeed()
    wait_until(lambda: cluster.nodes_up() == len(NODES), "the node that was down")
    return run, met, call


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
    assert continued_from(long_run[0]) >= 6 * 3  # three steps of each of six jobs
    killed, whole = weights(long_run[0]), alone("long")
    assert len(pd.read_csv(long_run[0] / f"models/pretrain/{VARIANT}/history.csv")) == STEPS
    assert whole.keys() == killed.keys()
    assert all(torch.equal(whole[name], killed[name]) for name in whole)
    assert not list((long_run[0] / "state" / "pretrain_lvm").glob("*/checkpoint*.pt"))


def test_a_time_limit_that_is_met_costs_a_job_but_no_weight(
    cluster, data, long_run, alone, tmp_path
):
    """With the profile's warning SLURM has the job again; without it Snakemake hands in another."""
    limits_min = {"warned": 8, "unwarned": 4}  # the warning comes 180 to 240 s ahead
    options = {"warned": [], "unwarned": ["--default-resources", "slurm_partition=batch"]}
    with contextlib.ExitStack() as stack:
        calls = {}
        for name, minutes in limits_min.items():
            folder = tmp_path / name
            run = with_data_of(data, folder, name)
            limit = {"resources": {"pretrain_runtime_min": minutes}}
            config = overlay(folder, name, pretrain=LONG, **limit)
            arguments = [*options[name], *config, "--", f"results/{name}/{WEIGHTS}"]
            hold = Hold(folder / "hold")
            call = stack.enter_context(Call(cluster, folder, *arguments, hold=hold))
            calls[name] = (call, hold, run, [hold.next(call)])
        for call, hold, run, jobs in calls.values():
            jobs.append(hold.next(call, 2 * PATIENCE_S))
            hold.let_go()
            call.succeed()
            assert continued_from(run) >= 3
            ended = weights(run)
            assert all(torch.equal(ended[key], value) for key, value in alone("long").items())
    [*_, warned], [*_, unwarned] = calls.values()
    assert len(set(warned)) == 1 and cluster.about(warned[0])["Restarts"] == "1"
    assert len(set(unwarned)) == 2 and cluster.about(unwarned[0])["JobState"] == "TIMEOUT"


def test_two_processes_on_one_node_or_two_give_what_one_gives(
    cluster, data, long_run, alone, tmp_path
):
    """One that computes its steps in two parts; both jobs fit on the cluster side by side."""
    with contextlib.ExitStack() as stack:
        calls = {}
        for nodes in (1, 2):
            folder = tmp_path / str(nodes)
            with_data_of(data, folder, "two")
            config = overlay(folder, "two", gpus=2, nodes=nodes, pretrain=SHORT)
            call = Call(cluster, folder, *config, "--", f"results/two/{WEIGHTS}")
            calls[nodes] = stack.enter_context(call)
        for nodes, call in calls.items():
            about = call.succeed().job_of("pretrain_lvm")
            assert about["NumNodes"] == str(nodes)
            assert any("gpu:" in about.get(key, "") for key in ("TresPerJob", "TresPerNode"))
    one = alone("short")
    for nodes in (1, 2):
        two = weights(tmp_path / str(nodes) / "results" / "two")
        assert two.keys() == one.keys()
        for name in one:
            torch.testing.assert_close(two[name], one[name], rtol=1e-4, atol=1e-5)


def test_a_job_over_its_memory_is_handed_in_again_with_more(cluster, data, tmp_path):
    run = with_data_of(data, tmp_path, "small")
    config = overlay(tmp_path, "small", pretrain=SHORT, resources={"train_mem_mb": 500})
    with Call(cluster, tmp_path, *config, "--", f"results/small/{WEIGHTS}") as call:
        call.succeed()
    about = [cluster.about(job) for job in call.submitted()]
    assert len(about) in (2, 3) and {job["JobState"] for job in about[:-1]} <= {
        "OUT_OF_MEMORY", "FAILED", "CANCELLED",
    }  # fmt: skip
    assert [job["MinMemoryNode"] for job in about] == ["500M", "1000M", "1500M"][: len(about)]
    logs = (tmp_path / ".snakemake" / "slurm_logs").rglob("*.log")
    assert "memory limit" in "".join(path.read_text(errors="replace") for path in logs)
    assert weights(run)


def test_a_partition_that_is_not_there_is_named(cluster, data, tmp_path):
    with_data_of(data, tmp_path, "other")
    config = overlay(tmp_path, "other", pretrain=SHORT)
    arguments = ["--default-resources", "slurm_partition=nowhere", "--retries", "0"]
    with Call(cluster, tmp_path, *arguments, *config, "--", f"results/other/{WEIGHTS}") as call:
        assert call.process.wait(PATIENCE_S) != 0
    assert "invalid partition specified: nowhere" in call.text
