"""Rate of the simulated survey: cutouts per second on one and two processes.

Run `python benchmarks/bench_mock.py`; the medians go to `benchmarks/results/mock.json`.
"""

import argparse
import json
import os
import platform
import statistics
import sys
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "scripts"))

from galaxy_lvm.core.config.survey import Mock  # noqa: E402
from galaxy_lvm.simulation.survey import simulate_chunks  # noqa: E402

RESULTS = Path(__file__).parent / "results" / "mock.json"


def rate(n_galaxies: int, cores: int, seed: int) -> tuple[float, float]:
    """Return cutouts per second, with the start of the workers and after it."""
    settings = Mock(n_galaxies=n_galaxies)
    start = time.perf_counter()
    first_done, n_first, n_done = start, 0, 0
    for images, _ in simulate_chunks(settings, seed, cores):
        n_done += len(images)
        if n_first == 0:
            first_done, n_first = time.perf_counter(), n_done
    end = time.perf_counter()
    return n_done / (end - start), (n_done - n_first) / (end - first_done)


def main() -> None:
    """Measure and write the medians."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--galaxies", type=int, default=960)
    parser.add_argument("--repeats", type=int, default=3)
    arguments = parser.parse_args()
    results: dict[str, object] = {"n_galaxies": arguments.galaxies, "repeats": arguments.repeats}
    results["machine"] = f"{platform.machine()}, {os.cpu_count()} cores"
    results["load_average_before"] = round(os.getloadavg()[0], 2)
    # Processor time does not count what other programs take of the cores meanwhile.
    start = time.process_time()
    rate(arguments.galaxies, 1, 0)
    cpu_s = (time.process_time() - start) / arguments.galaxies
    results["cpu_ms_per_cutout"] = round(1000 * cpu_s, 1)
    for cores in (1, 2):
        runs = [rate(arguments.galaxies, cores, seed) for seed in range(arguments.repeats)]
        overall, steady = (statistics.median(values) for values in zip(*runs, strict=True))
        results[f"cutouts_per_s_{cores}_process"] = round(overall, 1)
        results[f"cutouts_per_s_{cores}_process_after_start"] = round(steady, 1)
    ratio = results["cutouts_per_s_2_process_after_start"]
    results["ratio_2_to_1_after_start"] = round(
        ratio / results["cutouts_per_s_1_process_after_start"], 2
    )
    RESULTS.parent.mkdir(exist_ok=True)
    RESULTS.write_text(json.dumps(results, indent=2) + "\n")
    print(json.dumps(results, indent=2))


if __name__ == "__main__":
    main()
