"""The short SLURM tests at the side of the others: what their end means for `make test`."""

import os
import subprocess
from pathlib import Path
from threading import Timer
from types import SimpleNamespace

import pytest
import slurm_calls
from workflow_runs import FINISHED, SHARED_RUN, shared_run, tell_ended

ROOT = Path(__file__).parents[2]


def beside(tmp_path, slurm_tests, command, **environment):
    """Run the script with shell lines in the place of the SLURM tests and of the command."""
    python = tmp_path / "python"
    python.write_text(f"#!/bin/bash\necho asked: $@\n{slurm_tests}\n")
    python.chmod(0o755)
    return subprocess.run(
        ["bash", "tests/slurm/beside.sh", str(python), "bash", "-c", command], cwd=ROOT,
        capture_output=True, text=True, check=False,
        env={**os.environ, "TMPDIR": str(tmp_path), **environment},
    )  # fmt: skip


@pytest.mark.parametrize("slurm_tests, command, code", [(0, 0, 0), (3, 0, 3), (0, 4, 4), (3, 4, 4)])
def test_either_may_fail(tmp_path, slurm_tests, command, code):
    done = beside(tmp_path, f"exit {slurm_tests}", f"exit {command}")
    assert done.returncode == code
    files = ["tests/slurm/test_shared_run.py", "tests/slurm/test_in_brief.py"]
    assert f"asked: -m pytest {' '.join(files)}" in done.stdout
    assert all((ROOT / file).exists() for file in files)


def test_tests_that_do_not_end_are_stopped_and_told_not_failed(tmp_path):
    done = beside(tmp_path, "exec sleep 3600", "exit 0", LEAST_S="0", GRACE_S="0")
    assert done.returncode == 0 and "DID NOT END" in done.stderr
    done = beside(tmp_path, "exec sleep 3600", "exit 4", LEAST_S="0", GRACE_S="0")
    assert done.returncode == 4


@pytest.mark.parametrize(
    "told, code",
    [
        ("tests/slurm/test_in_brief.py .F", 15),
        ("FAILED tests/slurm/x", 15),
        ("tests/slurm/x.py .s", 0),
    ],
)
def test_what_had_failed_before_the_end_stays_a_failure(tmp_path, told, code):
    stub = f"echo '{told}'; trap 'exit 15' TERM; while true; do sleep 0.1; done"
    done = beside(tmp_path, stub, "sleep 1", LEAST_S="0", GRACE_S="0")
    assert "DID NOT END" in done.stderr and done.returncode == code


@pytest.fixture
def made(tmp_path, monkeypatch):
    """The folder of a run that this process makes."""
    monkeypatch.setenv(SHARED_RUN, str(tmp_path))
    (tmp_path / "made_by").write_text(str(os.getpid()))
    return tmp_path


def test_the_run_through_slurm_is_waited_for_and_looked_at(made):
    later = Timer(1.5, tell_ended, [made, FINISHED])
    later.start()
    assert shared_run() == made


def test_without_a_finished_run_through_slurm_there_is_none(made, monkeypatch):
    maker = subprocess.Popen(["true"])
    maker.wait()
    (made / "made_by").write_text(str(maker.pid))
    assert shared_run() is None
    tell_ended(made, "failed")
    assert shared_run() is None
    monkeypatch.delenv(SHARED_RUN)
    assert shared_run() is None


def test_the_run_is_known_by_who_makes_it_and_gone_in_the_end(tmp_path):
    stub = f"echo $$ >{tmp_path}/itself; sleep 1"
    done = beside(tmp_path, stub, 'echo $SHARED_RUN; cat "$SHARED_RUN/made_by"')
    folder, maker = done.stdout.split("\n")[:2]
    assert maker == (tmp_path / "itself").read_text().strip() and not Path(folder).exists()
    done = beside(tmp_path, "exit 0", "echo $SHARED_RUN; exit 4")
    kept = Path(done.stdout.split("\n")[0])
    assert kept.is_dir() and f"stays in {kept}" in done.stderr


class Queue:
    """A cluster with so many looks at a queue that holds a job."""

    def __init__(self, looks):
        self.looks = looks

    def jobs(self):
        self.looks -= 1
        return ["1"] if self.looks >= 0 else []

    def ask(self, *command):
        return "the queue"


class Waiting(slurm_calls.Call):
    """A Snakemake that never ends, or has."""

    def __init__(self, folder, looks, code=None):
        self.cluster, self.folder, self.log = Queue(looks), folder, folder / "log"
        self.log.write_text("waiting")
        self.process = SimpleNamespace(poll=lambda: code)


def test_a_snakemake_that_waits_for_no_job_fails_and_a_slow_one_does_not(tmp_path, monkeypatch):
    monkeypatch.setattr(slurm_calls, "EMPTY_S", 0.5)
    assert Waiting(tmp_path, looks=10**9).has_ended(1, pause_s=0.1) is False
    assert Waiting(tmp_path, looks=0, code=0).has_ended(1, pause_s=0.1) is True
    with pytest.raises(pytest.fail.Exception, match="no job in the queue for 0.5 s"):
        Waiting(tmp_path, looks=3).has_ended(600, pause_s=0.1)
