"""Time and memory of the similarity search and of the list of outliers by shard.

Run as `python benchmarks/bench_search.py` (5 minutes of one core, 6 GB of disk while it runs);
writes benchmarks/results/search.json. Ten million made-up vectors in ten shards, each shard in a
process of its own as the rules run it. The vectors are drawn around centres, so that they have
neighbours; what an index finds among real features is in the table of a run.
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

import numpy as np  # noqa: E402
import pyarrow as pa  # noqa: E402
import pyarrow.parquet as pq  # noqa: E402
from galaxy_lvm.core.config.extensions import Outliers, Similarity  # noqa: E402
from galaxy_lvm.core.peak_memory import peak_memory_bytes  # noqa: E402
from galaxy_lvm.features.outlier_detectors import OutlierDetectors  # noqa: E402
from galaxy_lvm.features.outlier_ranks import most_unusual  # noqa: E402
from galaxy_lvm.features.outliers import METHODS  # noqa: E402
from galaxy_lvm.features.similarity import SimilaritySearch, neighbour_recall  # noqa: E402
from galaxy_lvm.features.similarity_parts import Found, search_part, together  # noqa: E402
from galaxy_lvm.features.store import FeatureStore, write_ids  # noqa: E402

DIM, CENTRES, BLOCK = 128, 2000, 100_000
QUERIES, K, SEED = 50, 11, 1
SCORED = 8192
SETTINGS = Similarity()


def write_vectors(path: Path, count: int) -> None:
    """Write features of `count` made-up galaxies, block by block."""
    rng = np.random.default_rng(SEED)
    centres = rng.standard_normal((CENTRES, DIM), np.float32)
    values = np.lib.format.open_memmap(path, "w+", np.float32, (count, DIM))
    starts = range(0, count, BLOCK)
    for start in starts:
        n = min(BLOCK, count - start)
        block = rng.standard_normal((n, DIM), np.float32)
        values[start : start + n] = 0.5 * block + centres[rng.integers(0, CENTRES, n)]
    values.flush()
    numbers = (np.arange(start, min(start + BLOCK, count)) for start in starts)
    write_ids(path, ((rows, [f"g{row}" for row in rows]) for rows in numbers))


def shard(folder: Path, number: int, size: int) -> dict[str, float]:
    """Build the index of a shard and search it, as the rule search_shard does."""
    store, start = FeatureStore.open(folder / "lvm.npy"), time.process_time()
    rows = slice(number * size, min((number + 1) * size, len(store)))
    search = SimilaritySearch(store, SETTINGS, SEED, rows)
    index = search.build_index(folder / "state", 1, 1, folder / "centres.faiss")
    built = time.process_time() - start
    queries = store.rows[slice(0, QUERIES)]
    found = search_part(search, index.stat().st_size, queries[:2], queries, K)
    found.save(folder / f"{number}.npz")
    return {"build_cpu_s": built, "exact_s": found.exact_seconds, "index_s": found.index_seconds}


def train(folder: Path, _number: int, size: int) -> dict[str, float]:
    """Find the centres, as the rule train_index does."""
    start = time.process_time()
    search = SimilaritySearch(FeatureStore.open(folder / "lvm.npy"), SETTINGS, SEED)
    search.train(folder / "centres.faiss", size)
    return {"train_cpu_s": time.process_time() - start}


def rank(folder: Path, _number: int, size: int) -> dict[str, float]:
    """List the most unusual of made-up scores, and time real scores of a few vectors."""
    store, rng = FeatureStore.open(folder / "lvm.npy"), np.random.default_rng(SEED)
    paths = []
    for first in range(0, len(store), size):
        paths.append(folder / f"scores_{first}.parquet")
        n = min(size, len(store) - first)
        common = rng.standard_normal(n)
        columns = {name: common + 0.5 * rng.standard_normal(n) for name in METHODS}
        columns["id"] = pa.array([f"g{row}" for row in range(first, first + n)])
        pq.write_table(pa.table(columns), paths[-1], row_group_size=8192)
    del columns, common
    start = time.process_time()
    most_unusual(paths, 100)
    listed = time.process_time() - start
    detectors = OutlierDetectors(store.rows[slice(0, Outliers().n_reference)], Outliers(), SEED)
    start = time.process_time()
    detectors(store.rows[slice(len(store) - SCORED, len(store))])
    return {"list_cpu_s": listed, "scores_per_cpu_s": SCORED / (time.process_time() - start)}


STEPS = {"train": train, "shard": shard, "rank": rank}


def in_own_process(step: str, folder: Path, number: int, size: int) -> dict[str, float]:
    """Run a step and return what it measured, with its peak of memory."""
    command = [sys.executable, __file__, "--step", step, str(folder), str(number), str(size)]
    said = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    return json.loads(said.splitlines()[-1])


def main(count: int, n_shards: int, scratch: str | None) -> None:
    """Measure and write the results."""
    size = -(-count // n_shards)
    with tempfile.TemporaryDirectory(dir=scratch) as name:
        folder = Path(name)
        write_vectors(folder / "lvm.npy", count)
        trained = in_own_process("train", folder, 0, size)
        shards = [in_own_process("shard", folder, number, size) for number in range(n_shards)]
        start = time.process_time()
        found = together([Found.load(folder / f"{number}.npz") for number in range(n_shards)], K)
        merged = time.process_time() - start
        recall = neighbour_recall(found.exact[0], found.index[0]).mean()
        ranked = in_own_process("rank", folder, 0, size)
    results = {
        "galaxies": count,
        "dimensions": DIM,
        "shards": n_shards,
        "train": trained,
        "each_shard": {key: round(np.mean([s[key] for s in shards]), 2) for key in shards[0]},
        "merge_cpu_s": round(merged, 3),
        "index_bytes_per_galaxy": round(found.index_bytes / count, 1),
        "exact_s_per_query": round(found.exact_seconds / QUERIES, 3),
        "index_s_per_query": round(found.index_seconds / QUERIES, 4),
        "recall": round(float(recall), 3),
        "outliers": ranked,
        "cores": 1,
        "load": round(os.getloadavg()[0], 1),
    }
    path = ROOT / "benchmarks" / "results" / "search.json"
    path.write_text(json.dumps(results, indent=2) + "\n")
    print(path.read_text())


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--galaxies", type=int, default=10_000_000)
    parser.add_argument("--shards", type=int, default=10)
    parser.add_argument("--scratch", help="folder for the files; the system's by default")
    parser.add_argument("--step", nargs=4, help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.step:
        step, folder, number, size = given.step
        measured = STEPS[step](Path(folder), int(number), int(size))
        found = {key: round(value, 2) for key, value in measured.items()}
        print(json.dumps(found | {"peak_mb": round(peak_memory_bytes() / 2**20)}))
    else:
        main(given.galaxies, given.shards, given.scratch)
