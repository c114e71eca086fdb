"""What `lvm_base` costs: forward, training step, memory, share of peak; the paper's run in hours.

python benchmarks/bench_lvm.py measures every combination of batch, precision, compilation and
recomputation in a process of its own, on a GPU where there is one (wall clock; --batches 32 64 128
256 --compile), else on one CPU core (the process's own clock, so that other work on the machine
matters little). Peak is a matrix product of the same precision measured in the same process, not a
data sheet. Operations are counted by torch (convolutions and matrix products; recomputed ones are
not counted twice). Writes benchmarks/results/lvm.json.

The hours are an estimate: galaxies x epochs x operations of one galaxy / (GPUs x rate of one). On a
GPU the rate is the one measured; on a CPU it is the data sheet's peak times an assumed share.
"""

import argparse
import datetime
import itertools
import json
import multiprocessing
import os
import sys
import time
from pathlib import Path

import numpy as np
import torch
from torch.utils.flop_counter import FlopCounterMode

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT / "scripts"))

from galaxy_lvm.core.config.training import Lvm, Pretraining  # noqa: E402
from galaxy_lvm.core.peak_memory import peak_memory_bytes  # noqa: E402
from galaxy_lvm.lvm.model import LVM, build_config  # noqa: E402
from galaxy_lvm.lvm.swin import recompute_layers  # noqa: E402
from galaxy_lvm.lvm.weights import git_commit  # noqa: E402
from galaxy_lvm.training.loop import TrainingLoop  # noqa: E402
from galaxy_lvm.training.objectives import build_objective  # noqa: E402

RESULTS = Path(__file__).parent / "results" / "lvm.json"
SIDE_PIX = 128
# Dense bfloat16 of an A100 (NVIDIA's data sheet).
A100_FLOP_PER_S = 312e12
# The paper: 445 000 steps of 512 in 196 hours on eight A100.
PAPERS_CROPS_PER_S_AND_GPU = 445_000 * 512 / (196 * 3600) / 8
DTYPES = {"float32": torch.float32, "bfloat16": torch.bfloat16}


def seconds(work: callable, device: str, repeats: int) -> float:
    """Return the median time of a call: wall clock on a GPU, this process's own on a CPU."""
    clock, took = (time.perf_counter if device == "cuda" else time.process_time), []
    for _ in range(repeats):
        start = clock()
        work()
        if device == "cuda":
            torch.cuda.synchronize()
        took.append(clock() - start)
    return float(np.median(took))


def product_rate(device: str, dtype: torch.dtype, repeats: int) -> float:
    """Return operations per second of square matrix products."""
    side = 8192 if device == "cuda" else 1024
    first, second = torch.randn(2, side, side, device=device, dtype=dtype)
    first @ second
    return 2 * side**3 / seconds(lambda: first @ second, device, 2 * repeats)


def peak_gb(device: str) -> float:
    """Return the most memory so far: of the GPU, or of this process."""
    if device == "cuda":
        return torch.cuda.max_memory_allocated() / 1e9
    return peak_memory_bytes() / 1e9


def measure(case: dict[str, object], device: str, repeats: int) -> dict[str, object]:
    """Return times, memory and shares of one case."""
    torch.set_num_threads(1)
    torch.manual_seed(1)
    n, precision = case["batch"], case["precision"]
    optim = {"precision": precision, "compile": case["compile"]}
    settings = Pretraining(
        objective="reconstruct", batch_size=n, view_side_pix=SIDE_PIX, optim=optim
    )
    lvm = LVM(build_config(Lvm(preset="lvm_base")))
    if case["recompute"]:
        recompute_layers(lvm)
    loop = TrainingLoop(build_objective(lvm, settings), settings.optim, "/nonexistent", 1)
    batch = {"views": [torch.rand(n, 3, SIDE_PIX, SIDE_PIX, device=device)], "seed": 1}

    def forward() -> None:
        with torch.no_grad(), loop.accelerator.autocast():
            loop._wrapped(**batch)

    def step() -> None:
        loop._update(0, batch)

    operations = count(case, loop, batch)
    forward()
    forward_s = seconds(forward, device, repeats)
    step()
    step_s = seconds(step, device, repeats)
    rate = product_rate(device, DTYPES[precision], repeats)
    return {
        **case,
        "gflop_per_galaxy": round(operations / n / 1e9, 2),
        "forward_s": round(forward_s, 4),
        "step_s": round(step_s, 4),
        "galaxies_per_s": round(n / step_s, 2),
        "peak_memory_gb": round(peak_gb(device), 2),
        "product_gflop_per_s": round(rate / 1e9, 1),
        "share_of_product_rate": round(operations / step_s / rate, 3),
    }


def count(case: dict[str, object], loop: TrainingLoop, batch: dict[str, object]) -> int:
    """Return the operations of a step; what is compiled or computed again is counted without."""
    if case["compile"] or case["recompute"]:
        return round(case["batch"] * case["flop_per_galaxy"])
    with FlopCounterMode(display=False) as counter:
        loop._update(0, batch)
    return counter.get_total_flops()


def in_own_process(case: dict[str, object], device: str, repeats: int) -> dict[str, object]:
    """Measure a case where nothing was allocated before."""
    with multiprocessing.get_context("spawn").Pool(1) as pool:
        return pool.apply(measure, (case, device, repeats))


def estimate(rows: list[dict], device: str, options: argparse.Namespace) -> dict[str, object]:
    """Return the hours of a pretraining, and what was assumed."""
    flop = rows[0]["gflop_per_galaxy"] * 1e9
    if device == "cuda":
        rate = max(row["galaxies_per_s"] for row in rows)
        assumed = f"the fastest row's galaxies/s on every GPU, x {options.scaling} for exchange"
    else:
        rate = options.share * A100_FLOP_PER_S / flop
        assumed = (
            f"{options.share} of an A100's 312 TFLOP/s (bfloat16) is reached, not measured; "
            f"x {options.scaling} for exchange"
        )
    galaxies = options.galaxies * options.epochs
    hours = {n: galaxies / (n * rate * options.scaling) / 3600 for n in options.gpus}
    return {
        "galaxies": options.galaxies,
        "epochs": options.epochs,
        "assumed": assumed,
        "galaxies_per_s_and_gpu": round(rate * options.scaling, 1),
        "hours_by_gpus": {str(n): round(value, 1) for n, value in hours.items()},
        # What the paper's hours say, were its network ours: one view of 128 pixels a galaxy.
        "papers_share_of_a100": round(PAPERS_CROPS_PER_S_AND_GPU * flop / A100_FLOP_PER_S, 4),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--batches", type=int, nargs="+", default=[2, 4])
    parser.add_argument("--precisions", nargs="+", choices=DTYPES, default=list(DTYPES))
    parser.add_argument("--compile", action="store_true", help="compiled cases as well")
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--galaxies", type=float, default=76e6)
    parser.add_argument("--epochs", type=float, default=3.0, help="the paper's steps: 3.0 of 76 M")
    parser.add_argument("--gpus", type=int, nargs="+", default=[1, 8, 16, 64])
    parser.add_argument("--share", type=float, default=0.3, help="of the data sheet, on a CPU")
    parser.add_argument("--scaling", type=float, default=0.9, help="of the rate of GPUs alone")
    options = parser.parse_args()
    device = "cuda" if torch.cuda.is_available() else "cpu"
    compiled = (False, True) if options.compile else (False,)
    rows: list[dict] = []
    for precision, batch, compile_, recompute in itertools.product(
        options.precisions, options.batches, compiled, (False, True)
    ):
        case = {
            "batch": batch, "precision": precision, "compile": compile_, "recompute": recompute
        }  # fmt: skip
        if rows:
            case["flop_per_galaxy"] = rows[0]["gflop_per_galaxy"] * 1e9
        rows.append(in_own_process(case, device, options.repeats))
        rows[-1].pop("flop_per_galaxy", None)
        print(json.dumps(rows[-1]), flush=True)
    about = {
        "date": datetime.date.today().isoformat(),
        "commit": git_commit(),
        "torch": torch.__version__,
        "device": torch.cuda.get_device_name() if device == "cuda" else "one CPU core",
        "cpu_kernels": torch.backends.cpu.get_cpu_capability(),
        "load": round(os.getloadavg()[0], 1),
        "estimate": estimate(rows, device, options),
        "rows": rows,
    }
    print(json.dumps(about["estimate"], indent=1))
    RESULTS.write_text(json.dumps(about, indent=1) + "\n")


if __name__ == "__main__":
    main()
