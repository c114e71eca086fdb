"""The most memory that this process has held."""

import re
from pathlib import Path


def peak_memory_mb() -> int:
    """Return the peak in MiB, from Linux's own count of this process.

    Not `ru_maxrss`, which in a child begins with what it was forked from.
    """
    status = Path("/proc/self/status").read_text()
    return round(int(re.search(r"VmHWM:\s+(\d+) kB", status)[1]) / 1024)
