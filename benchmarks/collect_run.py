"""Keep what a finished run measured: scores with intervals, verdicts, seconds of every job.

    python benchmarks/collect_run.py results/demo benchmarks/results/demo.json --what "..." \
        --minutes 19.2

The minutes are those of the whole run, from the first job to the report: Snakemake's own
measurements are per job. Runs on real galaxies are kept the same way.
"""

import argparse
import csv
import json
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "scripts"))

import pandas as pd  # noqa: E402
from galaxy_lvm.core.tables import load_table
from galaxy_lvm.report.results import read_results  # noqa: E402

KEPT = ("accuracy", "f1", "psnr", "ssim")


def scores(run: Path) -> dict:
    """Return the scores of Tables 1 to 3: task -> model -> metric, with ends of intervals."""
    metrics = run / "metrics"
    files = [metrics / "baselines.csv", metrics / "multitask.csv"]
    table = read_results(files + sorted(metrics.glob("reference/*.csv")))
    table = table[(table["experiment"] == "multitask") & (table["condition"] == "")]
    table = table[table["metric"].str.split("_").str[0].isin(KEPT)]
    found: dict = {}
    for row in table.itertuples():
        if not row.metric.endswith("_val"):
            models = found.setdefault(row.task, {})
            models.setdefault(row.model, {})[row.metric] = round(row.value, 4)
    return found


def claims(run: Path) -> dict:
    """Return claim -> verdict and differences."""
    tables = [load_table(path) for path in sorted((run / "tables").glob("*claims.csv"))]
    rows = pd.concat(tables).fillna("")
    return {row.claim: [row.verdict, row.detail] for row in rows.itertuples()}


def seconds(run: Path) -> tuple[dict, dict]:
    """Return CPU and wall seconds by job."""
    folder, cpu, wall = run / "benchmarks", {}, {}
    for path in sorted(p for p in folder.rglob("*") if p.is_file()):
        row = next(csv.DictReader(path.read_text().splitlines(), delimiter="\t"))
        name = str(path.relative_to(folder)).removesuffix(".tsv")
        cpu[name], wall[name] = round(float(row["cpu_time"]), 1), round(float(row["s"]), 1)
    return cpu, wall


def main() -> None:
    """Collect and write."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("run", type=Path, nargs="?")
    parser.add_argument("output", type=Path, nargs="?")
    parser.add_argument("--what", default="")
    parser.add_argument("--minutes", type=float)
    arguments = parser.parse_args()
    if arguments.run is None or arguments.output is None:
        print("not run: needs the folder of a finished run and a file to write")
        return
    cpu, wall = seconds(arguments.run)
    results = {
        "what": arguments.what,
        "wall_minutes": arguments.minutes,
        "sum_cpu_s": round(sum(cpu.values())),
        "sum_wall_s": round(sum(wall.values())),
        "test": scores(arguments.run),
        "claims": claims(arguments.run),
        "cpu_s": cpu,
        "wall_s": wall,
    }
    arguments.output.write_text(json.dumps(results, indent=1) + "\n")


if __name__ == "__main__":
    main()
