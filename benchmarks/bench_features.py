"""Time feature extraction with lvm_tiny, feeding included, against the reader alone.

Run as `python benchmarks/bench_features.py`; writes benchmarks/results/features.json. Crops are
random bytes in a file with the layout of the rule crop_cutouts; the weights are untrained, which
costs the same. Reader and network are timed in turns, so that a busy machine slows both.
"""

import json
import os
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

# One thread computes and one reads: on two cores that is the workflow's own setting.
THREADS = 1
os.environ.setdefault("OMP_NUM_THREADS", str(THREADS))
ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT / "scripts"))

import h5py  # noqa: E402
import numpy as np  # noqa: E402
import torch  # noqa: E402
from galaxy_lvm.core.config.fewshot import Features  # noqa: E402
from galaxy_lvm.core.config.training import Lvm  # noqa: E402
from galaxy_lvm.features.extract import (  # noqa: E402
    FeatureExtractor,
)
from galaxy_lvm.lvm.model import LVM, build_config  # noqa: E402
from galaxy_lvm.survey.crop_store import CropStore  # noqa: E402
from galaxy_lvm.training.backbones import PooledLVM  # noqa: E402

N_CROPS, SIDE_PIX, REPEATS = 2048, 128, 5


def write_crops(path: Path) -> None:
    """Write random crops, one chunk each."""
    rng = np.random.default_rng(1)
    with h5py.File(path, "w") as file:
        shape = (SIDE_PIX, SIDE_PIX, 3)
        images = file.create_dataset(
            "images", (N_CROPS, *shape), np.uint8, chunks=(1, *shape), maxshape=(None, *shape)
        )
        for row in range(N_CROPS):
            images[row] = rng.integers(0, 255, shape, dtype=np.uint8)


def seconds(work: Callable[[], object]) -> float:
    """Return how long a call takes."""
    start = time.perf_counter()
    work()
    return time.perf_counter() - start


def main() -> None:
    """Measure and write the results."""
    torch.set_num_threads(THREADS)
    settings = Features(n_orientations=1)
    extractor = FeatureExtractor(
        PooledLVM(LVM(build_config(Lvm(preset="lvm_tiny"))).encoder), settings
    )
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "crops.h5"
        write_crops(path)
        size = settings.block_crops
        with CropStore(path) as crops:
            held = crops[:size]

            def read() -> None:
                for _ in crops.blocks(size):
                    pass

            def extract() -> None:
                for block in crops.blocks(size):
                    extractor(block)

            extractor(held)
            works = {"reader": read, "network": lambda: extractor(held), "all": extract}
            times = {name: [] for name in works}
            for _ in range(REPEATS):
                for name, work in works.items():
                    times[name].append(seconds(work))
    median = {name: statistics.median(values) for name, values in times.items()}
    reader, network = N_CROPS / median["reader"], len(held) / median["network"]
    results = {
        "with_feeding_crops_per_s": round(N_CROPS / median["all"], 1),
        "network_crops_per_s": round(network, 1),
        "reader_crops_per_s": round(reader, 1),
        "reader_to_network": round(reader / network, 1),
        "view_side_pix": settings.view_side_pix,
        "precision": extractor.accelerator.mixed_precision,
        "network_threads": THREADS,
        "reader_threads": 1,
        "repeats": REPEATS,
        "torch": torch.__version__,
    }
    path = ROOT / "benchmarks" / "results" / "features.json"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(results, indent=2) + "\n")
    print(path.read_text())


if __name__ == "__main__":
    main()
