"""Crops from shuffled files on disk to a step's batch: how many a second, by processes that read.

Run as `python benchmarks/bench_feed.py [--crops 20000]`; writes benchmarks/results/feed.json. Rates
are given a second of wall clock, which others on the machine slow down, and a second of CPU time.
The files were written just before: they lie in the system's memory, as far as it has room.

Beside them stands what eight GPUs would take: at the paper's pace, and were 30 % of an A100's peak
reached, which is assumed and not measured. On GPUs the views are drawn there, not on these cores.
"""

import argparse
import json
import multiprocessing
import os
import sys
import tempfile
import time
from pathlib import Path

os.environ.setdefault("OMP_NUM_THREADS", "1")
ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT / "scripts"))

import h5py  # noqa: E402
import numpy as np  # noqa: E402
import torch  # noqa: E402
from galaxy_lvm.core.config.training import Pretraining  # noqa: E402
from galaxy_lvm.core.peak_memory import peak_memory_bytes  # noqa: E402
from galaxy_lvm.training import feed  # noqa: E402
from galaxy_lvm.training.pretrain import PretrainFeed  # noqa: E402

SIDE_PIX, BATCH, N_FILES = 128, 512, 4
# The paper's pretraining: 445 000 steps of 512 in 196 hours on eight A100 GPUs.
PAPERS_CROPS_PER_S = 445_000 * 512 / (196 * 3600)
# Dense bfloat16 of an A100 (NVIDIA data sheet); a step of lvm_base a galaxy (bench_lvm.py counts).
GPUS, SHARE, SCALING, A100_FLOP_PER_S, STEP_FLOP = 8, 0.3, 0.9, 312e12, 47.3e9


def write_files(folder: Path, n_crops: int) -> list[Path]:
    paths = [folder / f"crops_{number}.h5" for number in range(N_FILES)]
    rng = np.random.default_rng(0)
    for path in paths:
        with h5py.File(path, "w") as file:
            shape = (n_crops // N_FILES, SIDE_PIX, SIDE_PIX, 3)
            images = file.create_dataset("images", shape, "u1", chunks=(1, *shape[1:]))
            for start in range(0, len(images), BATCH):
                part = images[start : start + BATCH].shape
                images[start : start + BATCH] = rng.integers(0, 255, part, dtype=np.uint8)
    return paths


def feed_of(paths: list[Path], rank: int, world_size: int) -> PretrainFeed:
    feed.IN_MEMORY_BYTES = 0  # as at the paper's size, where nothing fits
    crops = feed.JoinedCrops([(path, None) for path in paths])
    settings = Pretraining(batch_size=BATCH, view_side_pix=SIDE_PIX)
    return PretrainFeed(crops, settings, 1, 1, rank, world_size)


def work(paths, what, n_steps, rank, world_size, start, answers) -> None:
    """Read, or make the views of, this process's share of every step."""
    torch.set_num_threads(1)
    made = feed_of(paths, rank, world_size)
    make = made._read if what == "read" else made.batch
    make(0)
    start.wait()
    cpu = time.process_time()
    for step in range(1, n_steps + 1):
        make(step)
    peak_gb = peak_memory_bytes() / 1e9
    answers.put((time.process_time() - cpu, peak_gb))


def measure(paths: list[Path], what: str, n_steps: int, n_processes: int) -> dict[str, float]:
    context = multiprocessing.get_context("spawn")
    start, answers = context.Barrier(n_processes + 1), context.Queue()
    processes = [
        context.Process(target=work, args=(paths, what, n_steps, k, n_processes, start, answers))
        for k in range(n_processes)
    ]
    for process in processes:
        process.start()
    start.wait()
    began = time.perf_counter()
    cpu, peak_gb = zip(*(answers.get() for _ in processes), strict=True)
    wall, crops = time.perf_counter() - began, n_steps * BATCH
    for process in processes:
        process.join()
    return {
        "crops_per_s": round(crops / wall),
        "crops_per_cpu_s": round(crops / sum(cpu)),
        "largest_process_gb": round(max(peak_gb), 2),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--crops", type=int, default=20_000, help="crops on disk, 49 kB each")
    parser.add_argument("--steps", type=int, default=20, help="steps of 512 crops to time")
    options = parser.parse_args()
    result = {
        "crops_on_disk": options.crops,
        "eight_gpus_crops_per_s": {
            "the paper's pace": round(PAPERS_CROPS_PER_S),
            f"{SHARE} of an A100's peak, {SCALING} of it with eight (assumed)": round(
                GPUS * SHARE * SCALING * A100_FLOP_PER_S / STEP_FLOP
            ),
        },
        "cores": os.cpu_count(),
    }
    with tempfile.TemporaryDirectory() as folder:
        paths = write_files(Path(folder), options.crops)
        for what, steps in (("read", options.steps), ("views", max(1, options.steps // 8))):
            for n_processes in (1, 2):
                result["load_before"] = round(os.getloadavg()[0], 1)
                found = measure(paths, what, steps, n_processes)
                result[f"{what}, {n_processes} processes"] = found
                print(what, n_processes, found, flush=True)
    path = ROOT / "benchmarks" / "results" / "feed.json"
    path.write_text(json.dumps(result, indent=1) + "\n")


if __name__ == "__main__":
    main()
