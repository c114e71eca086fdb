"""The peak that a process tells is its own."""

import os
import subprocess
import sys
from pathlib import Path

SCRIPTS = Path(__file__).parents[2] / "scripts"
ASK = "from galaxy_lvm.core.peak_memory import peak_memory_bytes as peak; print(peak())"


def test_a_child_does_not_begin_with_the_peak_of_what_started_it():
    """As it does by `ru_maxrss`, where Snakemake or a benchmark is the larger of the two."""
    code = f"""
import subprocess, sys
large = bytearray(200_000_000)
large[::4096] = bytes(1) * len(large[::4096])
{ASK}
subprocess.run([sys.executable, "-c", {ASK!r}], check=True)
"""
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True,
        env={**os.environ, "PYTHONPATH": str(SCRIPTS)},
    )  # fmt: skip
    parent, child = sorted(map(int, done.stdout.split()), reverse=True)
    assert parent > 200_000_000 > child
