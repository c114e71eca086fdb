"""Time and memory of the labelling page: first page, next page while the model is made, a group.

A server of its own, as a user starts it, on made-up runs of 20,000 and 200,000 galaxies with 768
features as the paper's LVM has, and a client on the same machine. Images are noise;
one in twenty is stored, the others are empty, so that a small disk holds them. Run
`python benchmarks/bench_page.py`; writes benchmarks/results/page.json. The goals of the page: first
page within 1 s, next page within 0.2 s (1 s with 200,000 galaxies), 1 GB of memory, and every label
of eight annotators in the store once.
"""

import argparse
import json
import os
import re
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path

os.environ.setdefault("OMP_NUM_THREADS", "1")
ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT / "scripts"))

import h5py  # noqa: E402
import httpx  # noqa: E402
import numpy as np  # noqa: E402
import pandas as pd  # noqa: E402
from galaxy_lvm.core.tables import save_table  # noqa: E402
from galaxy_lvm.features.store import ids_path, write_ids  # noqa: E402
from galaxy_lvm.hitl.store import LabelStore  # noqa: E402

RESULTS = Path(__file__).parent / "results" / "page.json"
DIM, SIDE, BLOCK = 768, 128, 4096
N_PEOPLE, GROUP_S = 8, 60.0


def make_run(folder: Path, n_galaxies: int) -> Path:
    """Write a run with features that know a rare class."""
    run = folder / f"run{n_galaxies}"
    data, features = run / "data" / "galaxies", run / "features" / "galaxies" / "lvm.npy"
    data.mkdir(parents=True)
    features.parent.mkdir(parents=True)
    rng = np.random.default_rng(0)
    ids = [f"g{number:07d}" for number in range(n_galaxies)]
    rare = rng.random(n_galaxies) < 0.02
    values = np.lib.format.open_memmap(features, "w+", np.float32, (n_galaxies, DIM))
    for first in range(0, n_galaxies, BLOCK):
        part = slice(first, min(first + BLOCK, n_galaxies))
        values[part] = rng.standard_normal((part.stop - first, DIM), dtype=np.float32)
        values[part, :4] += 2 * rare[part, None]
    values.flush()
    write_ids(features, [(np.arange(n_galaxies), ids)])
    assert ids_path(features).exists()
    labels = np.where(rare, "spiral", "other")
    table = pd.DataFrame({"index": range(n_galaxies), "id": ids, "split": "train", "label": labels})
    save_table(data / "splits.parquet", table)
    with h5py.File(data / "crops.h5", "w") as file:
        shape = (n_galaxies, SIDE, SIDE, 3)
        images = file.create_dataset("images", shape, np.uint8, chunks=(1, *shape[1:]))
        for row in range(0, n_galaxies, 20):
            images[row] = rng.integers(0, 255, shape[1:], dtype=np.uint8)
        file.create_dataset("id", data=ids, dtype=h5py.string_dtype())
        file.create_dataset("label", data=labels.tolist(), dtype=h5py.string_dtype())
        file.create_dataset("cutout_index", data=np.arange(n_galaxies))
    return run


class Server:
    """The page in a process of its own."""

    def __init__(self, run: Path, store: Path) -> None:
        command = [sys.executable, "-u", "-m", "galaxy_lvm.ui", "--run", str(run), "--target",
                   "spiral", "--store", str(store), "--port", "8797", "--no-browser"]  # fmt: skip
        environment = {**os.environ, "PYTHONPATH": str(ROOT / "scripts")}
        start = time.perf_counter()
        self.process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=environment)
        self.address = re.search(r"http://\S+", self.process.stdout.readline())[0]
        self.start_s = time.perf_counter() - start

    def memory_mb(self) -> dict[str, dict[str, int]]:
        """Return what the server and the process that trains hold: at most, own, mapped files."""
        pid = self.process.pid
        lists = Path(f"/proc/{pid}/task").glob("*/children")
        below = [child for path in lists for child in path.read_text().split()]
        # Beside the trainer, Python keeps a process that tidies up after it.
        held = [memory_mb(int(child)) for child in below]
        return {"server": memory_mb(pid), "trainer": max(held, key=lambda one: one["own_now"])}


def memory_mb(pid: int) -> dict[str, int]:
    """Return what a process holds: at most, of its own now, and pages of mapped files now."""
    text = Path(f"/proc/{pid}/status").read_text()
    names = {"VmHWM": "peak", "RssAnon": "own_now", "RssFile": "mapped_files_now"}
    return {
        name: round(int(re.search(rf"{key}:\s+(\d+)", text)[1]) / 1024)
        for key, name in names.items()
    }


class Person:
    """An annotator's browser."""

    def __init__(self, server: Server, name: str) -> None:
        base, token = server.address.split("/login?token=")
        self.client = httpx.Client(base_url=base, timeout=60, follow_redirects=True)
        page = self.client.post("/login", data={"token": token, "name": name}).text
        self.pool = re.search(r'data-pool="([^"]+)"', page)[1]
        self.client.headers["X-CSRF-Token"] = re.search(r'data-csrf="([^"]+)"', page)[1]

    def post(self, path: str, body: dict) -> dict:
        """Ask for something; what was refused ends the benchmark."""
        answer = self.client.post(path, json=body)
        answer.raise_for_status()
        return answer.json()

    def next(self, rest: str = "") -> dict:
        """Return the next round, as the page does: with its images."""
        state = self.post("/api/next", {"rest": rest})
        while state["waiting"] == "fitting":
            time.sleep(0.2)
            state = self.post("/api/next", {"rest": ""})
        for galaxy in state["galaxies"]:
            self.client.get(f"/crop/{self.pool}/{galaxy['row']}.png").raise_for_status()
        return state

    def label(self, galaxy: dict, number: int) -> str:
        """Label a galaxy, one in four positive."""
        value = "positive" if number % 4 == 0 else "negative"
        self.post("/api/label", {"id": galaxy["id"], "value": value})
        return galaxy["id"]


def rounds(person: Person, n_rounds: int) -> dict[str, object]:
    """Return the times of labels and of next pages, each asked for right after a label."""
    labels, pages, fitting = [], [], 0
    state = person.next("skip")
    for _ in range(n_rounds):
        for number, galaxy in enumerate(state["galaxies"]):
            start = time.perf_counter()
            person.label(galaxy, number)
            labels.append(time.perf_counter() - start)
        start = time.perf_counter()
        state = person.next()
        pages.append(time.perf_counter() - start)
        fitting += state["fitting"]
    return {
        "n_rounds": n_rounds,
        "next_page_s": spread(pages),
        "label_s": spread(labels),
        "pages_while_a_model_was_made": fitting,
        "model_s": state["model"]["seconds"],
    }


def spread(seconds: list[float]) -> dict[str, float]:
    """Return median, 95th percentile and largest of times."""
    values = np.percentile(seconds, [50, 95, 100])
    names = ("median", "percentile_95", "largest")
    return {name: round(float(value), 3) for name, value in zip(names, values, strict=True)}


def group(server: Server, store: Path) -> dict[str, object]:
    """Let eight annotators label for a minute; count what they were told is kept, and what is."""
    told: dict[str, list[str]] = {}
    waits: list[float] = []
    until = time.monotonic() + GROUP_S

    def work(name: str) -> None:
        person, kept = Person(server, name), told.setdefault(name, [])
        while time.monotonic() < until:
            for number, galaxy in enumerate(person.next("skip")["galaxies"]):
                start = time.perf_counter()
                kept.append(person.label(galaxy, number))
                waits.append(time.perf_counter() - start)

    threads = [threading.Thread(target=work, args=(f"p{n}",)) for n in range(N_PEOPLE)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    with LabelStore(store, read_only=True) as kept:
        history = kept.history()
    history = history[history["annotator"].isin(list(told))]
    pairs = sorted(zip(history["annotator"], history["id"], strict=True))
    return {
        "annotators": N_PEOPLE,
        "seconds": GROUP_S,
        "labels_told": sum(map(len, told.values())),
        "labels_in_store": len(history),
        "each_exactly_once": pairs == sorted((n, i) for n, ids in told.items() for i in ids),
        "galaxies_asked_of_two": int(history["id"].duplicated().sum()),
        "label_s": spread(waits),
    }


def measure(n_galaxies: int, n_rounds: int) -> dict[str, object]:
    """Return the figures of one size."""
    with tempfile.TemporaryDirectory() as folder:
        store = Path(folder) / "labels.sqlite"
        server = Server(make_run(Path(folder), n_galaxies), store)
        try:
            person = Person(server, "ann")
            person.post("/api/class", {"name": "spiral", "n": 10})
            start = time.perf_counter()
            state = person.next()
            first_round = time.perf_counter() - start
            start = time.perf_counter()
            person.client.get("/")
            person.client.get("/api/state")
            for galaxy in state["galaxies"]:
                person.client.get(f"/crop/{person.pool}/{galaxy['row']}.png")
            first_page = time.perf_counter() - start
            found = {
                "n_galaxies": n_galaxies,
                "start_s": round(server.start_s, 1),
                "first_page_s": round(first_page, 3),
                "first_model_and_round_s": round(first_round, 2),
                **rounds(person, n_rounds),
            }
            if n_galaxies <= 20_000:
                found["group"] = group(server, store)
            return {**found, "memory_mb": server.memory_mb()}
        finally:
            server.process.kill()
            server.process.wait()


def main() -> None:
    """Measure both sizes and write them."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--sizes", type=int, nargs="+", default=[20_000, 200_000])
    parser.add_argument("--rounds", type=int, default=40)
    arguments = parser.parse_args()
    found = {
        "machine": f"{os.cpu_count()} cores, without GPU",
        "load_average_before": round(os.getloadavg()[0], 2),
        "niceness": os.getpriority(os.PRIO_PROCESS, 0),
        "n_features": DIM,
    }
    found["pools"] = []
    for size in arguments.sizes:
        found["pools"].append(measure(size, arguments.rounds))
        print(json.dumps(found["pools"][-1]), flush=True)
        RESULTS.write_text(json.dumps(found, indent=2) + "\n")


if __name__ == "__main__":
    main()
