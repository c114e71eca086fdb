"""Time and memory of one round of the human in the loop against the size of the pool.

A round: fit the ranker on 200 labels, score the whole pool, suggest 10 galaxies, with 768 features
as the paper's LVM has. Pools of up to 201,319 galaxies (the paper's) are memory maps on disk and
go through a `Session` with its label store; larger ones make their features on the fly, block by
block, so that no disk is needed. Every pool is measured in a process of its own, on one thread
unless OMP_NUM_THREADS says otherwise: a second one only helps where no other job wants it. Run
`python benchmarks/bench_hitl.py`; the medians go to `benchmarks/results/hitl.json`.
"""

import argparse
import json
import os
import platform
import statistics
import subprocess
import sys
import tempfile
import time
from dataclasses import replace
from pathlib import Path

os.environ.setdefault("OMP_NUM_THREADS", "1")  # read when numpy is imported
sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "scripts"))

import numpy as np  # noqa: E402
from galaxy_lvm.core.peak_memory import peak_memory_bytes  # noqa: E402
from galaxy_lvm.hitl.pools import Pool
from galaxy_lvm.hitl.ranker import Ranker, Whitening
from galaxy_lvm.hitl.selection import PoolState, rule_of
from galaxy_lvm.hitl.session import Session
from galaxy_lvm.hitl.settings import SessionSettings

RESULTS = Path(__file__).parent / "results" / "hitl.json"
DIM, N_LABELS, K = 768, 200, 10
PAPER_POOL = 201_319
TILE = 8192


class MadeFeatures:
    """Features (N, 768) that are made when asked for: rows of a tile, shifted by their number."""

    def __init__(self, n_rows: int) -> None:
        self.shape = (n_rows, DIM)
        self._tile = np.random.default_rng(0).standard_normal((TILE, DIM), dtype=np.float32)

    def __getitem__(self, key: slice | np.ndarray) -> np.ndarray:
        rows = np.arange(*key.indices(self.shape[0])) if isinstance(key, slice) else np.asarray(key)
        made = self._tile[rows % TILE]
        made[:, 0] += (rows // TILE % 97).astype(np.float32) * np.float32(0.01)
        return made


def mapped(n_rows: int, folder: str) -> np.ndarray:
    """Return a memory map with the same features."""
    path, source = Path(folder) / "features.npy", MadeFeatures(n_rows)
    values = np.lib.format.open_memmap(path, "w+", np.float32, source.shape)
    for first in range(0, n_rows, TILE):
        values[first : first + TILE] = source[first : min(first + TILE, n_rows)]
    values.flush()
    del values
    return np.load(path, mmap_mode="r")


def session_rounds(n_rows: int, repeats: int, folder: str) -> list[float]:
    """Return the seconds of rounds of a session: labels stored, fit, scores, suggestion."""
    pool = Pool([f"g{i}" for i in range(n_rows)], mapped(n_rows, folder))
    session = Session(pool, Path(folder) / "labels.sqlite", SessionSettings(rule="alpha"))
    rng = np.random.default_rng(1)
    rows = rng.permutation(n_rows)[:N_LABELS]
    values = np.where(rng.random(N_LABELS) < 0.3, "positive", "negative").tolist()
    session.label(pool.ids_of(rows), values)
    session.suggest(K)  # the map of the features is measured once a session, not once a round
    seconds = []
    for _ in range(repeats):
        asked = session.suggest(K)
        start = time.perf_counter()
        session.label(asked, ["negative"] * K)
        session.suggest(K)
        seconds.append(time.perf_counter() - start)
    return seconds


def made_rounds(n_rows: int, repeats: int) -> tuple[list[float], list[float]]:
    """Return the seconds of rounds without a session, and of making the features alone."""
    features, rng = MadeFeatures(n_rows), np.random.default_rng(1)
    rows = rng.integers(n_rows, size=N_LABELS)
    labels, free = rng.random(N_LABELS) < 0.3, np.ones(n_rows, dtype=bool)
    free[rows] = False
    whitening, settings = Whitening.of(features, 128), SessionSettings()
    state = PoolState(np.empty(0), free, rows, features.__getitem__, rng, 3, 7)
    seconds, making = [], []
    for _ in range(repeats):
        start = time.perf_counter()
        scores = Ranker(whitening, settings.ranker).fit(features[rows], labels).score(features)
        rule_of("alpha")(replace(state, scores=scores), K)
        seconds.append(time.perf_counter() - start)
        start = time.perf_counter()
        for first in range(0, n_rows, 4096):
            features[first : first + 4096]
        making.append(time.perf_counter() - start)
    return seconds, making


def measure(n_rows: int, repeats: int) -> dict[str, float]:
    """Return the medians of one pool size."""
    found: dict[str, float] = {"n_galaxies": n_rows}
    if n_rows <= PAPER_POOL:
        with tempfile.TemporaryDirectory() as folder:
            found["round_s"] = round(statistics.median(session_rounds(n_rows, repeats, folder)), 3)
    else:
        rounds, making = made_rounds(n_rows, repeats)
        found["round_s"] = round(statistics.median(rounds), 3)
        found["of_which_making_features_s"] = round(statistics.median(making), 3)
    return {**found, "peak_memory_mb": round(peak_memory_bytes() / 2**20)}


def main() -> None:
    """Measure every size in a process of its own and write the medians."""
    parser = argparse.ArgumentParser(description=__doc__)
    sizes = [2000, 20_000, PAPER_POOL, 1_000_000, 10_000_000]
    parser.add_argument("--sizes", type=int, nargs="+", default=sizes)
    parser.add_argument("--one", type=int, help="measure this size and print it")
    parser.add_argument("--repeats", type=int, default=5)
    arguments = parser.parse_args()
    if arguments.one:
        print(json.dumps(measure(arguments.one, arguments.repeats)))
        return
    results: dict[str, object] = {
        "machine": f"{platform.machine()}, {os.cpu_count()} cores, "
        f"{os.environ['OMP_NUM_THREADS']} threads",
        "load_average_before": round(os.getloadavg()[0], 2),
        "n_features": DIM,
        "n_labels": N_LABELS,
    }
    pools = []
    for size in arguments.sizes:
        repeats = arguments.repeats if size < 1_000_000 else 1 + (size < 5_000_000)
        command = [sys.executable, __file__, "--one", str(size), "--repeats", str(repeats)]
        output = subprocess.run(command, capture_output=True, text=True, check=True).stdout
        pools.append(json.loads(output))
        print(pools[-1], flush=True)
    results["pools"] = pools
    RESULTS.parent.mkdir(exist_ok=True)
    RESULTS.write_text(json.dumps(results, indent=2) + "\n")


if __name__ == "__main__":
    main()
