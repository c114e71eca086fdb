"""Peak memory of the rules that look at a dataset's galaxies all at once, on made-up crops.

Run as `python benchmarks/bench_memory.py --steps gather_crops gather_pool` (a million galaxies in
ten shards, 1 GB of disk while it runs) and with `--steps make_splits --galaxies 100000`, which
takes half a minute per 100,000; writes benchmarks/results/memory.json. Each rule runs in a process
of its own. The crops are small: what the rules hold depends on the number of galaxies alone.
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
sys.path.insert(0, str(ROOT / "scripts"))

import h5py  # noqa: E402
import numpy as np  # noqa: E402
from galaxy_lvm.core.config.survey import Splits  # noqa: E402
from galaxy_lvm.core.peak_memory import peak_memory_bytes  # noqa: E402
from galaxy_lvm.survey.shards import write_index  # noqa: E402

SIDE_PIX, N_SHARDS, N_JUDGES, BLOCK = 16, 10, 200, 20_000
TEXT = h5py.string_dtype("utf-8")


def write_shard(folder: Path, name: str, first: int, count: int, label: str = "") -> None:
    """Write cutouts, whose pixels nobody reads here, and crops of noise."""
    rng = np.random.default_rng(first)
    ids = [f"galaxy_{row:010d}" for row in range(first, first + count)]
    with h5py.File(folder / f"{name}_cutouts.h5", "w") as file:
        shape = (3, SIDE_PIX, SIDE_PIX)
        file.create_dataset("images", (count, *shape), np.float32, chunks=(1, *shape))
        file["ra"], file["dec"] = rng.uniform(0, 360, count), rng.uniform(-60, 60, count)
        file["mag_r"], file["z_spec"] = rng.uniform(14, 22, count), rng.uniform(0, 1, count)
        file.create_dataset("id", data=ids, dtype=TEXT)
    with h5py.File(folder / f"{name}_crops.h5", "w") as file:
        shape = (SIDE_PIX, SIDE_PIX, 3)
        images = file.create_dataset("images", (count, *shape), np.uint8, chunks=(64, *shape))
        for start in range(0, count, BLOCK):
            n = min(BLOCK, count - start)
            # Galaxies differ in colour, as real ones do, and have no structure to be copies by.
            colour = rng.integers(20, 235, (n, 1, 1, 3), dtype=np.uint8)
            images[start : start + n] = colour + rng.integers(0, 16, (n, *shape), dtype=np.uint8)
        file["box"] = np.tile(np.array([0, 0, SIDE_PIX, SIDE_PIX], np.int32), (count, 1))
        file["flag"], file["cutout_index"] = np.zeros(count, np.uint8), np.arange(count)
        file.create_dataset("id", data=ids, dtype=TEXT)
        labels = [label and f"{label}_{row % 2}" for row in range(count)]
        file.create_dataset("label", data=labels, dtype=TEXT)
    (folder / f"{name}_rejected.csv").write_text("stage,id,file,row,reason\n")


def gather_crops(folder: Path) -> None:
    """Run the rule gather_crops."""
    from gather_crops import main

    names = [f"{number:03d}" for number in range(N_SHARDS)]
    crops, lost = ([str(folder / f"{n}_{w}") for n in names] for w in ("crops.h5", "rejected.csv"))
    main(str(folder / "cutouts.h5"), crops, names, lost, str(folder / "crops.h5"),
         str(folder / "rejected.csv"))  # fmt: skip


def gather_pool(folder: Path) -> None:
    """Run the rule gather_pool: a labelled dataset of a few galaxies beside the large one."""
    from gather_pool import main

    main(
        names=["pool", "judges"],
        crops=[str(folder / "crops.h5"), str(folder / "judges_crops.h5")],
        cutouts=[str(folder / "cutouts.h5"), str(folder / "judges_cutouts.h5")],
        labelled=["judges"],
        splits=[str(folder / "judges_splits.parquet")],
        pretrain_on=["pool"],
        duplicate_arcsec=3.0,
        pool=str(folder / "pool.parquet"),
    )


def make_splits(folder: Path) -> None:
    """Run the rule make_splits on the large dataset, near-duplicates included."""
    from make_splits import main

    main(
        str(folder / "cutouts.h5"), str(folder / "crops.h5"), [str(folder / "rejected.csv")],
        str(folder / "splits.parquet"), str(folder / "lost.csv"), Splits(), 1, False,
    )  # fmt: skip


STEPS = {"gather_crops": gather_crops, "gather_pool": gather_pool, "make_splits": make_splits}


def prepare(folder: Path, count: int) -> None:
    """Write the dataset in shards, and a small one with labels and its splits."""
    from make_splits import main

    each = count // N_SHARDS
    names = [f"{number:03d}" for number in range(N_SHARDS)]
    for number, name in enumerate(names):
        write_shard(folder, name, number * each, each)
    write_index(folder / "cutouts.h5", [folder / f"{n}_cutouts.h5" for n in names], names, "")
    write_shard(folder, "judges", count, N_JUDGES, "class")
    main(
        str(folder / "judges_cutouts.h5"), str(folder / "judges_crops.h5"), [],
        str(folder / "judges_splits.parquet"), str(folder / "judges_lost.csv"), Splits(), 1,
    )  # fmt: skip


def main(count: int, scratch: str | None, steps: list[str]) -> None:
    """Measure and write the results."""
    path = ROOT / "benchmarks" / "results" / "memory.json"
    results = json.loads(path.read_text()) if path.exists() else {}
    with tempfile.TemporaryDirectory(dir=scratch) as folder:
        prepare(Path(folder), count)
        # Each rule reads what those before it wrote.
        last = max(list(STEPS).index(step) for step in steps)
        for step in list(STEPS)[: last + 1]:
            command = [sys.executable, __file__, "--step", step, folder]
            said = subprocess.run(command, capture_output=True, text=True, check=True).stdout
            if step in steps:
                results[step] = {"galaxies": count, **json.loads(said.splitlines()[-1])}
    path.write_text(json.dumps(results, indent=2) + "\n")
    print(path.read_text())


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--galaxies", type=int, default=1_000_000)
    parser.add_argument("--scratch", help="folder for the files; the system's by default")
    parser.add_argument("--steps", nargs="+", default=list(STEPS), choices=list(STEPS))
    parser.add_argument("--step", nargs=2, help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.step:
        start = time.process_time()
        STEPS[given.step[0]](Path(given.step[1]))
        cpu_s = round(time.process_time() - start, 1)
        print(json.dumps({"peak_memory_mb": round(peak_memory_bytes() / 2**20), "cpu_s": cpu_s}))
    else:
        main(given.galaxies, given.scratch, given.steps)
