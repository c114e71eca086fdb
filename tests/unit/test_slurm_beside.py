"""The short SLURM tests at the side of the others: what their end means for `make test`."""

import os
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


def beside(tmp_path, slurm_tests, command, **environment):
    """Run the script with shell lines in the place of the SLURM tests and of the command."""
    python = tmp_path / "python"
    python.write_text(f"#!/bin/bash\necho asked: $@\n{slurm_tests}\n")
    python.chmod(0o755)
    return subprocess.run(
        ["bash", "tests/slurm/beside.sh", str(python), "bash", "-c", command], cwd=ROOT,
        capture_output=True, text=True, check=False, env={**os.environ, **environment},
    )  # fmt: skip


@pytest.mark.parametrize("slurm_tests, command, code", [(0, 0, 0), (3, 0, 3), (0, 4, 4), (3, 4, 4)])
def test_either_may_fail(tmp_path, slurm_tests, command, code):
    done = beside(tmp_path, f"exit {slurm_tests}", f"exit {command}")
    assert done.returncode == code
    assert "asked: -m pytest tests/slurm/test_in_brief.py" in done.stdout
    assert (ROOT / "tests" / "slurm" / "test_in_brief.py").exists()


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
