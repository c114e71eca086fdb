"""Time `make demo` from a fresh clone, with the CPU's kernels as they are and with AVX-512 off.

Run as `python benchmarks/bench_demo.py as_they_are without_avx512 [--scratch FOLDER] [--keep
FOLDER] [--cores 2]`, on a machine that does nothing else; it takes the demo's time for each of the
two and writes benchmarks/results/demo_times.json; without a name nothing is run. The environment is
that of the interpreter: its installation is not timed. Kept of each run: minutes by the clock and
of CPU, seconds until the first picture, peak memory of all processes together, disk beside the
environment, size of the report, and the seconds of the rules that take longest.
"""

import argparse
import json
import os
import resource
import shutil
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter
from pathlib import Path

import psutil
from collect_run import seconds

ROOT = Path(__file__).resolve().parents[1]
OUTPUT = ROOT / "benchmarks" / "results" / "demo_times.json"
KERNELS = {
    "as_they_are": {},
    "without_avx512": {"ATEN_CPU_CAPABILITY": "avx2", "ONEDNN_MAX_CPU_ISA": "AVX2"},
}
WATCH_S = 1.0
N_RULES = 12


class PeakMemory(threading.Thread):
    """Watch a process and all that it started: the largest sum of their proportional set sizes."""

    def __init__(self, pid: int) -> None:
        super().__init__(daemon=True)
        self.process, self.peak_mb, self.done = psutil.Process(pid), 0.0, threading.Event()

    def run(self) -> None:
        """Look again every second; pages that processes share count once."""
        while not self.done.wait(WATCH_S):
            total = 0
            for process in [self.process, *self.process.children(recursive=True)]:
                try:
                    total += process.memory_full_info().pss
                except (psutil.NoSuchProcess, psutil.ZombieProcess):
                    continue  # it ended between the list and the question
            self.peak_mb = max(self.peak_mb, total / 1e6)


def fresh_clone(folder: Path) -> Path:
    """Clone the commit that is checked out; what is not committed does not take part."""
    subprocess.run(["git", "clone", "-q", str(ROOT), str(folder)], check=True)
    commit = ["git", "-C", str(ROOT), "rev-parse", "HEAD"]
    head = subprocess.run(commit, check=True, capture_output=True, text=True).stdout.strip()
    subprocess.run(["git", "-C", str(folder), "checkout", "-q", head], check=True)
    return folder


def capability(environment: dict[str, str]) -> str:
    """Return the kernels that PyTorch takes: AVX512, AVX2 or DEFAULT."""
    code = "import torch; print(torch.backends.cpu.get_cpu_capability())"
    command = [sys.executable, "-c", code]
    found = subprocess.run(command, env=environment, check=True, capture_output=True, text=True)
    return found.stdout.strip()


def disk_mb(folder: Path) -> float:
    """Return the size of a folder's files, git's own left out."""
    files = [path for path in folder.rglob("*") if ".git" not in path.relative_to(folder).parts]
    return sum(path.lstat().st_size for path in files if not path.is_dir()) / 1e6


def slowest(run: Path) -> dict[str, float]:
    """Return the rules that took longest, all their jobs together, in seconds by the clock."""
    total: Counter[str] = Counter()
    for job, took in seconds(run)[1].items():
        total[job.split("/")[0]] += took
    return {rule: round(took, 1) for rule, took in total.most_common(N_RULES)}


def measure(clone: Path, cores: int, switches: dict[str, str]) -> dict:
    """Run the demo to its report; return what it took."""
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    environment = {**os.environ, **switches, "PATH": path, "PYTHON": sys.executable,
                   "CORES": str(cores)}  # fmt: skip
    environment.pop("PYTHONPATH", None)
    kernels, load = capability(environment), os.getloadavg()[0]
    before, start = resource.getrusage(resource.RUSAGE_CHILDREN), time.time()
    command = ["bash", "scripts/run_to_report.sh", "demo"]
    process = subprocess.Popen(command, cwd=clone, env=environment)
    memory = PeakMemory(process.pid)
    memory.start()
    status = process.wait()
    memory.done.set()
    minutes = (time.time() - start) / 60
    if status:
        raise SystemExit(f"make demo ended with {status} in {clone}; nothing is written")
    after, run = resource.getrusage(resource.RUSAGE_CHILDREN), clone / "results" / "demo"
    cpu_s = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    first = min(picture.stat().st_mtime for picture in (run / "figures").glob("*.png"))
    return {
        "kernels": kernels, "cores": cores, "load_before": round(load, 2),
        "minutes": round(minutes, 2), "cpu_minutes": round(cpu_s / 60, 2),
        "first_picture_s": round(first - start, 1), "peak_memory_mb": round(memory.peak_mb),
        "disk_mb": round(disk_mb(clone)),
        "report_mb": round((run / "report.html").stat().st_size / 1e6, 1),
        "slowest_rules_s": slowest(run),
    }  # fmt: skip


def main() -> None:
    """Measure both and write them, the first as soon as it is there."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("kernels", nargs="*", choices=[[], *KERNELS], metavar="KERNELS")
    parser.add_argument("--scratch", type=Path, help="folder for the clones; a temporary one")
    parser.add_argument("--keep", type=Path, help="folder for the results; otherwise they go")
    parser.add_argument("--cores", type=int, default=2)
    given = parser.parse_args()
    if not given.kernels:
        print(f"not run: a demo each takes long; name {' or '.join(KERNELS)}")
        return
    found = json.loads(OUTPUT.read_text()) if OUTPUT.exists() else {}
    with tempfile.TemporaryDirectory(dir=given.scratch) as scratch:
        for name in given.kernels:
            clone = fresh_clone(Path(scratch) / name)
            found[name] = measure(clone, given.cores, KERNELS[name])
            OUTPUT.write_text(json.dumps(found, indent=2) + "\n", encoding="utf-8")
            print(name, json.dumps(found[name]))
            if given.keep:
                kept = given.keep / name / "demo"
                shutil.copytree(clone / "results" / "demo", kept, dirs_exist_ok=True)


if __name__ == "__main__":
    main()
