"""Jobs on one machine that each get GPUs of their own; no GPU is needed to see it."""

import fcntl
import multiprocessing
import os
import time
from pathlib import Path

import pytest
from galaxy_lvm.core.errors import ConfigError
from galaxy_lvm.core.gpus import own_gpus

PATIENCE_S = 300
ROOT = Path(__file__).parents[2]
SCRIPTS = sorted(ROOT.glob("scripts/*.py"))


@pytest.fixture(autouse=True)
def no_slurm(monkeypatch):
    monkeypatch.delenv("SLURM_JOB_ID", raising=False)
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "given")


def four():
    return ["0", "1", "2", "3"]


def hold(locks, n_gpus, told, end):
    """A job: tell which GPUs it sees, keep them until it is told."""
    with own_gpus(n_gpus, four, locks):
        told.put(os.environ["CUDA_VISIBLE_DEVICES"])
        end.wait()


def is_locked(path):
    with path.open("a") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return True
    return False


def wait_until(condition):
    end = time.monotonic() + PATIENCE_S
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.02)


@pytest.fixture
def job(tmp_path):
    """Start jobs; return process, what it sees, and what ends it."""
    context, started = multiprocessing.get_context("spawn"), []

    def start(n_gpus):
        told, end = context.Queue(), context.Event()
        process = context.Process(target=hold, args=(tmp_path, n_gpus, told, end), daemon=True)
        process.start()
        started.append(process)
        return process, told, end

    yield start
    for process in started:
        process.kill()
        process.join(PATIENCE_S)


def test_jobs_side_by_side_see_gpus_of_their_own(job):
    seen = [told.get(timeout=PATIENCE_S) for _, told, _ in (job(1), job(1), job(2))]
    assert sorted(",".join(seen).split(",")) == four()


def test_a_job_waits_until_enough_gpus_are_free(job, tmp_path):
    _, told, end = job(3)
    assert told.get(timeout=PATIENCE_S) == "0,1,2"
    _, late, _ = job(2)
    wait_until(lambda: is_locked(tmp_path / "queue.lock"))
    assert late.empty()  # one is free, and two are asked for
    end.set()
    # The three are let go one by one: whichever it meets first.
    seen = late.get(timeout=PATIENCE_S).split(",")
    assert len(seen) == 2 and seen == [name for name in four() if name in seen]


def test_gpus_keep_the_machines_order_whenever_they_became_free(job, tmp_path):
    """A job's ranks find the same devices in every run, whatever the other jobs did."""
    with (tmp_path / "0.lock").open("a") as other:
        fcntl.flock(other, fcntl.LOCK_EX)
        _, told, _ = job(4)
        wait_until(lambda: is_locked(tmp_path / "3.lock"))
    assert told.get(timeout=PATIENCE_S) == "0,1,2,3"


def test_a_killed_job_leaves_its_gpus_to_the_next(job, tmp_path):
    process, told, _ = job(4)
    told.get(timeout=PATIENCE_S)
    process.kill()
    with own_gpus(4, four, tmp_path):
        assert os.environ["CUDA_VISIBLE_DEVICES"] == "0,1,2,3"
    assert os.environ["CUDA_VISIBLE_DEVICES"] == "given"


def test_more_gpus_than_the_machine_has_are_refused_with_the_key(tmp_path):
    with pytest.raises(ConfigError, match=r"gpus: 5 .* shows 4 .*--config gpus=4"):
        with own_gpus(5, four, tmp_path):
            pass


@pytest.mark.parametrize("n_gpus, found, slurm", [(0, four, ""), (1, list, ""), (1, four, "17")])
def test_nothing_is_done_without_gpus_and_within_slurm(tmp_path, monkeypatch, n_gpus, found, slurm):
    if slurm:
        monkeypatch.setenv("SLURM_JOB_ID", slurm)
    with own_gpus(n_gpus, found, tmp_path):
        assert os.environ["CUDA_VISIBLE_DEVICES"] == "given"
    assert not list(tmp_path.iterdir())


def test_every_job_that_asks_for_a_gpu_keeps_it():
    """The scripts of rules with a `gpu`."""
    text = "\n".join(path.read_text() for path in ROOT.glob("rules/*.smk"))
    asking = {
        rule.split(":", 1)[0].strip()
        for rule in text.split("\nrule ")[1:]
        if "gpu=" in rule or "**PRETRAIN_PLACE" in rule
    }
    keeping = {path.stem for path in SCRIPTS if "own_gpus(snakemake.resources" in path.read_text()}
    assert len(asking) >= 10 and keeping == asking


def test_every_rule_with_gpus_says_on_how_many_nodes():
    """SLURM spreads `--gpus` over nodes where nothing is said, and a job starts on one."""
    rules = "\n".join(path.read_text() for path in ROOT.glob("rules/*.smk")).split("\nrule ")[1:]
    asking = [rule for rule in rules if "        gpu=" in rule]
    assert len(asking) >= 10
    assert [rule.split(":", 1)[0] for rule in asking if "        nodes=" not in rule] == []
