"""Device, processes and precision of a training or an extraction."""

import contextlib
from typing import Any

import torch
from accelerate import Accelerator
from accelerate.state import AcceleratorState
from accelerate.utils import DistributedDataParallelKwargs

from galaxy_lvm.core.allocator import keep_freed_memory


class _Accelerator(Accelerator):
    """An Accelerator that keeps its own precision where another is made after it."""

    def autocast(self, *_: Any) -> contextlib.AbstractContextManager:
        """Compute in bfloat16 within, where this one does."""
        if not self.native_amp:
            return contextlib.nullcontext()
        return torch.autocast(self.device.type, torch.bfloat16)


def make_accelerator(precision: str = "auto") -> Accelerator:
    """Return an Accelerator for the device at hand and the wished precision.

    One process may have several of different precisions, one behind the other or in turn.
    """
    if precision == "auto":
        precision = "bfloat16" if _computes_in_bfloat16() else "float32"
    mixed = "bf16" if precision == "bfloat16" else "no"
    known = AcceleratorState._shared_state
    if known.get("_mixed_precision", mixed) != mixed:
        # Accelerate keeps one precision a process and refuses another; who is who stays known.
        AcceleratorState._reset_state()
    accelerator = _Accelerator(
        mixed_precision=mixed,
        # A multitask step leaves the other tasks' heads without gradient. Buffers are averaged
        # behind every step (`_average_buffers`), not overwritten by those of the main process.
        kwargs_handlers=[
            DistributedDataParallelKwargs(find_unused_parameters=True, broadcast_buffers=False)
        ],
    )
    if accelerator.device.type == "cpu":
        keep_freed_memory()
    return accelerator


def precision_of(accelerator: Accelerator) -> str:
    """Return what `auto` came to: float32 or bfloat16."""
    return "bfloat16" if accelerator.mixed_precision == "bf16" else "float32"


def _computes_in_bfloat16() -> bool:
    if torch.cuda.is_available():
        return torch.cuda.is_bf16_supported()
    # Without AVX-512 BF16 a CPU emulates it, several times slower than float32; older torch cannot
    # tell. What the CPU has may have been switched off (ATEN_CPU_CAPABILITY=avx2).
    capabilities = getattr(torch.cpu, "get_capabilities", dict)()
    allowed = torch.backends.cpu.get_cpu_capability() == "AVX512"
    return allowed and bool(capabilities.get("avx512_bf16", False))
