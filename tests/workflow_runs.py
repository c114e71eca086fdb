"""Snakemake on the project's Snakefile, in a folder of its own."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]


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
