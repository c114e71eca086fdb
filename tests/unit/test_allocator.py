"""Memory that is freed and asked for again."""

import platform
import subprocess
import sys
from pathlib import Path

import pytest

# Sixteen pieces of 6 MB are asked for, written to and freed, again and again; what the system had
# to give anew is told by the process' minor page faults, 4 KB each.
PIECES = """
import resource, sys
import numpy as np
from galaxy_lvm.core.allocator import keep_freed_memory

def step():
    pieces = [np.empty(6 * 2**20, np.uint8) for _ in range(16)]
    for piece in pieces:
        piece[::4096] = 1

if sys.argv[1] == "keep":
    assert keep_freed_memory() and keep_freed_memory()
for _ in range(3):
    step()
before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
for _ in range(10):
    step()
print(resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before)
"""


def faults(mode):
    command = [sys.executable, "-c", PIECES, mode]
    folder = Path(__file__).parents[2] / "scripts"
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=True)
    return int(done.stdout)


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="glibc's settings")
def test_memory_that_is_freed_in_a_step_need_not_be_given_anew_in_the_next():
    assert faults("plain") > 1000  # else this says nothing of the settings
    assert faults("keep") < 100


def test_another_c_library_is_left_alone(monkeypatch):
    from galaxy_lvm.core import allocator

    monkeypatch.setattr(platform, "libc_ver", lambda: ("", ""))
    allocator.keep_freed_memory.cache_clear()
    assert not allocator.keep_freed_memory()
    allocator.keep_freed_memory.cache_clear()
