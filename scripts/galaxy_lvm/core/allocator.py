"""Memory that a training frees and asks for again in its next step, kept by the process.

The C library hands large pieces back to the system as soon as they are free; the next step asks
for them again, and the system clears every page anew. Kept, a step of `lvm_tiny` on a CPU takes 5
to 9 per cent less time (`benchmarks/bench_step.py`), and the peak of the memory is the same.
"""

import ctypes
import platform
from functools import cache

# Of glibc's <malloc.h>. Pieces up to 32 MB, the most that it takes for this, lie in the process'
# own heap, whose free end is kept; larger ones go back to the system as before.
_SETTINGS = {
    "M_MMAP_THRESHOLD": (-3, 2**25),
    "M_TRIM_THRESHOLD": (-1, 2**31 - 1),
    "M_TOP_PAD": (-2, 2**26),
}


@cache
def keep_freed_memory() -> bool:
    """Let this process keep what it frees; return whether it does.

    Other C libraries than glibc have no such settings: then nothing is changed.
    """
    if platform.libc_ver()[0] != "glibc":
        return False
    mallopt = ctypes.CDLL(None).mallopt
    return all([mallopt(number, value) == 1 for number, value in _SETTINGS.values()])
