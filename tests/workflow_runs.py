"""Snakemake on the project's Snakefile, in a folder of its own."""

import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
# Names the folder of the run that beside.sh makes through SLURM for these tests. There `made_by` is
# the process that makes it, and `ended` says FINISHED, or that it failed.
SHARED_RUN, FINISHED = "SHARED_RUN", "finished"


def command_line(directory, *arguments):
    """Return the command that runs the project's Snakefile on a folder of its own."""
    return [
        sys.executable, "-m", "snakemake", "--snakefile", str(ROOT / "Snakefile"),
        "--directory", str(directory), "--cores", "2", *arguments,
    ]  # fmt: skip


def environment():
    """Return the environment with the tools that jobs call: they lie beside the interpreter."""
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    return {**os.environ, "PATH": path}


def snakemake(directory, *arguments, check=True):
    """Run the project's Snakefile on a folder of its own."""
    result = subprocess.run(
        command_line(directory, *arguments),
        capture_output=True, text=True, env=environment(), check=False, cwd=ROOT,
    )  # fmt: skip
    text = result.stdout + result.stderr
    if check and result.returncode:
        pytest.fail(f"snakemake {' '.join(arguments)} failed\n{text[-6000:]}")
    return result.returncode, text


def tell_ended(folder, how):
    """Tell how the run through SLURM ended, in one move."""
    (folder / "ended.new").write_text(how)
    (folder / "ended.new").rename(folder / "ended")


def shared_run():
    """Wait for the run through SLURM; None where there is none, or it failed, as its test tells."""
    if SHARED_RUN not in os.environ:
        return None
    folder = Path(os.environ[SHARED_RUN])
    maker, ended = (folder / "made_by").read_text().strip(), folder / "ended"
    while not ended.exists() and Path("/proc", maker).exists():
        time.sleep(1)
    return folder if ended.exists() and ended.read_text() == FINISHED else None
