"""Time the rule crop_shard from one file of float cutouts to one of crops, disk included.

Run as `python benchmarks/bench_pack.py` (6 GB of disk while it runs; 28 GB for 100,000 galaxies);
writes benchmarks/results/pack.json. Two sizes, each in a process of its own, show whether memory
grows.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

os.environ.setdefault("OMP_NUM_THREADS", "1")
ROOT = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(ROOT / "scripts"), str(ROOT / "benchmarks")]

import h5py  # noqa: E402
import numpy as np  # noqa: E402
from bench_crops import cutouts  # noqa: E402
from galaxy_lvm.core.config.survey import Crop  # noqa: E402
from galaxy_lvm.core.peak_memory import peak_memory_bytes  # noqa: E402
from galaxy_lvm.survey.crop_files import crop_store  # noqa: E402

SIDE_PIX = 152
BLOCK = 500


def write_shard(path: Path, count: int) -> None:
    """Write `count` cutouts as ssl-legacysurvey has them: float32, chunked by image, columns."""
    kinds = cutouts(BLOCK, SIDE_PIX)
    shape = (3, SIDE_PIX, SIDE_PIX)
    with h5py.File(path, "w") as file:
        images = file.create_dataset("images", (count, *shape), np.float32, chunks=(1, *shape))
        for start in range(0, count, BLOCK):
            here = min(BLOCK, count - start)
            images[start : start + here] = kinds[:here]
        for name in ("ra", "dec", "flux_r", "z_spec"):
            file[name] = np.linspace(0, 90, count)
        file["inds"] = np.arange(count)


def crop(path: Path) -> dict[str, float]:
    """Crop a shard; return its speed and the process's peak of memory."""
    wall, cpu = time.perf_counter(), time.process_time()
    with tempfile.TemporaryDirectory(dir=path.parent) as folder:
        crops = Path(folder) / "crops.h5"
        crop_store(path, crops, Path(folder) / "rejected.csv", Crop(), "000")
        os.sync()
        with h5py.File(crops) as file:
            count = len(file["images"])
    wall, cpu = time.perf_counter() - wall, time.process_time() - cpu
    return {
        "galaxies": count,
        "crops_per_s": round(count / wall, 1),
        "crops_per_cpu_s": round(count / cpu, 1),
        "peak_memory_mb": round(peak_memory_bytes() / 2**20),
    }


def main(count: int, scratch: str | None) -> None:
    """Measure and write the results."""
    results = {}
    for name, size in (("tenth", count // 10), ("whole", count)):
        with tempfile.TemporaryDirectory(dir=scratch) as folder:
            path = Path(folder) / "shard.h5"
            write_shard(path, size)
            os.sync()
            command = [sys.executable, __file__, "--crop", str(path)]
            said = subprocess.run(command, capture_output=True, text=True, check=True).stdout
            results[name] = json.loads(said.splitlines()[-1])
    results |= {"cores": 1, "load": round(os.getloadavg()[0], 1)}
    path = ROOT / "benchmarks" / "results" / "pack.json"
    path.write_text(json.dumps(results, indent=2) + "\n")
    print(path.read_text())


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--galaxies", type=int, default=20_000)
    parser.add_argument("--scratch", help="folder for the files; the system's by default")
    parser.add_argument("--crop", type=Path, help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.crop:
        print(json.dumps(crop(given.crop)))
    else:
        main(given.galaxies, given.scratch)
