"""What `make test` asks of a real SLURM: requests arrive, kills cost nothing, Ctrl-C ends all.

Few jobs, because Snakemake starts twice for each; test_slurm.py has the rest (`make test-slurm`).
No test depends on how fast anything is: a training waits until all is done to it (`Hold`).
"""

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
from slurm_cluster import wait_until

pytestmark = pytest.mark.workflow
SETTINGS = {
    "gpus": 1,
    "mock": {"n_galaxies": 60},
    "pretrain": {"compare": [], "optim": {"steps": 20, **EVERY_STEP}},
}


@pytest.fixture(scope="module")
def whole(cluster, tmp_path_factory):
    """A training that nothing happens to, without SLURM, and the data that it makes first."""
    folder = tmp_path_factory.mktemp("whole")
    run = folder / "results" / "whole"
    arguments = [*overlay(folder, "whole", **SETTINGS), "--", f"results/whole/{WEIGHTS}"]
    with Call(None, folder, *arguments) as call:
        yield call, run


@pytest.fixture(scope="module")
def killed(cluster, whole, tmp_path_factory):
    """A training that is stopped by Ctrl-C, preempted and near its time limit; what was seen."""
    undisturbed, source = whole

    def has_data():
        assert undisturbed.process.poll() in (None, 0), undisturbed.report()
        return (source / "models" / "pretrain" / VARIANT).exists()  # made once the inputs are there

    wait_until(has_data, "the data of the training")
    folder, seen = tmp_path_factory.mktemp("killed"), {}
    run = with_data_of(source, folder, "killed")
    arguments = [*overlay(folder, "killed", **SETTINGS), "--", f"results/killed/{WEIGHTS}"]
    hold = Hold(folder / "hold")
    with Call(cluster, folder, *arguments, hold=hold) as call:
        job = hold.next(call)
        seen["asked"] = cluster.about(job)
        seen["interrupted"] = interrupt(cluster, call, job)
    with Call(cluster, folder, "--rerun-incomplete", *arguments, hold=hold) as call:
        jobs = [hold.next(call)]
        preempt(cluster)
        jobs.append(hold.next(call))
        cluster.ask("scancel", "--signal=USR1", jobs[-1])
        jobs.append(hold.next(call))
        hold.let_go()
        call.succeed()
    seen.update(jobs=jobs, submitted=call.submitted(), ended=cluster.about(jobs[-1]))
    return run, seen


def test_requests_for_gpus_memory_and_time_arrive(killed):
    asked = killed[1]["asked"]
    assert asked["TresPerJob"] in ("gres:gpu:1", "gres/gpu:1") and asked["NumNodes"] == "1"
    assert "TresPerNode" not in asked  # a profile's `gres` would ask a second time
    assert asked["MinMemoryNode"] == "6000M" and asked["TimeLimit"] == "04:00:00"


def test_ctrl_c_leaves_no_job_behind(killed):
    assert killed[1]["interrupted"] == "CANCELLED"


def test_slurm_brings_a_training_back(killed):
    run, seen = killed
    assert len(set(seen["jobs"])) == 1 and seen["submitted"] == seen["jobs"][:1]
    assert seen["ended"]["Restarts"] == "2" and seen["ended"]["JobState"] == "COMPLETED"
    assert continued_from(run) >= 3 * 3  # three steps of each of three jobs that were ended


def test_what_was_done_to_a_training_changes_no_weight(killed, whole):
    ended, expected = weights(killed[0]), weights(whole[0].succeed() and whole[1])
    assert ended.keys() == expected.keys()
    assert all(torch.equal(ended[name], expected[name]) for name in expected)
