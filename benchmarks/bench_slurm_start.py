"""From sbatch to the first step of a pretraining with two processes, by phases, on a real SLURM.

Run as `python benchmarks/bench_slurm_start.py` where the SLURM tests run (`make test-slurm`);
writes `sbatch` of benchmarks/results/start.json. Network and data are those of config/test.yaml:
what the paper's size adds (bench_start.py: pool, network, key) is not in it. By the clock, which
others on the machine slow down, and of CPU; SLURM gives its own times in whole seconds.
"""

import argparse
import json
import os
import sys
import tempfile
from datetime import datetime
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT / "tests"))

import slurm_calls  # noqa: E402
from slurm_cluster import Cluster, NoCluster, missing  # noqa: E402

# Every Python of the job says when it began, when it wrote its first checkpoint, when it ended.
WITNESS = """
import atexit, json, os, sys, time
def tell(what, began=time.time(), replace=os.replace):
    line = {"what": what, "began": began, "now": time.time(), "cpu_s": time.process_time(),
            "argv": " ".join(sys.orig_argv)}
    with open(os.environ["WITNESS"], "a") as file:
        file.write(json.dumps(line) + chr(10))
def replace_and_tell(source, goal, replace=os.replace, **options):
    replace(source, goal, **options)
    if str(goal).endswith("checkpoint.pt"):
        os.replace = replace
        tell("first step")
if "SLURM_JOB_ID" in os.environ:
    os.replace = replace_and_tell
    atexit.register(tell, "end")
"""
SETTINGS = {
    "gpus": 2,
    "mock": {"n_galaxies": 60},
    "pretrain": {"compare": [], "optim": {"steps": 3, **slurm_calls.EVERY_STEP}},
}


def phases(about: dict[str, str], witnesses: list[dict]) -> dict[str, dict[str, float]]:
    """Return seconds of each phase of a job by what SLURM knows of it and its processes said."""

    def ended(part: str) -> list[dict]:
        """Return the processes with this in their command, in the order of their beginnings."""
        those = [w for w in witnesses if w["what"] == "end" and part in w["argv"]]
        return sorted(those, key=lambda w: w["began"])

    outer, inner = ended("-m snakemake")
    script = ended(".pretrain_lvm.py")[0]
    first_step = next(w for w in witnesses if w["what"] == "first step")
    submitted, begun = (
        datetime.fromisoformat(about[key]).timestamp() for key in ("SubmitTime", "StartTime")
    )
    marks = [
        ("sbatch to slurmd", submitted, begun, 0.0),
        ("slurmd to Python", begun, outer["began"], 0.0),
        ("Snakemake of the job", outer["began"], inner["began"], outer["cpu_s"]),
        ("Snakemake of the step", inner["began"], script["began"], inner["cpu_s"]),
        ("script until its processes", script["began"], first_step["began"], script["cpu_s"]),
        ("a process until its first step", first_step["began"], first_step["now"],
         first_step["cpu_s"]),
    ]  # fmt: skip
    found = {
        name: {"wall_s": round(end - start, 1), "cpu_s": round(cpu, 2)}
        for name, start, end, cpu in marks
    }
    total = {key: round(sum(f[key] for f in found.values()), 1) for key in ("wall_s", "cpu_s")}
    return {**found, "all": total}


def measure(folder: Path) -> dict[str, dict[str, float]]:
    """Hand in one pretraining on a cluster of two nodes; return its phases."""
    (folder / "witness").mkdir()
    (folder / "witness" / "sitecustomize.py").write_text(WITNESS)
    told = folder / "told.jsonl"
    os.environ |= {"PYTHONPATH": str(folder / "witness"), "WITNESS": str(told)}
    config = slurm_calls.overlay(folder / "run", "start", **SETTINGS)
    pool, weights = (
        f"results/start/{p}" for p in ("data/pretraining_pool.parquet", slurm_calls.WEIGHTS)
    )
    with slurm_calls.Call(None, folder / "run", *config, "--", pool) as call:
        call.succeed()
    with Cluster(folder / "cluster", gpus=2) as cluster:
        with slurm_calls.Call(cluster, folder / "run", *config, "--", weights) as call:
            about = call.succeed().job_of("pretrain_lvm")
    return phases(about, [json.loads(line) for line in told.read_text().splitlines()])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.parse_args()
    if reason := missing():
        print(f"not measured: {reason}")
        return
    with tempfile.TemporaryDirectory() as folder:
        try:
            found = measure(Path(folder))
        except NoCluster as error:
            print(f"not measured: {error}")
            return
    found = {"load": round(os.getloadavg()[0], 1), **found}
    print(json.dumps(found, indent=1))
    path = ROOT / "benchmarks" / "results" / "start.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), "sbatch": found}, indent=1) + "\n")


if __name__ == "__main__":
    main()
