"""How much of the machine's matrix-product rate a pretraining step reaches.

python benchmarks/bench_step.py: operations of a step are counted (forward and backward of
convolutions and matrix products; all else costs time and counts as nothing), its seconds are those
of one core's own clock, so that other work on the machine matters little, and the rate of a float32
matrix product of 1024 x 1024 is measured between the steps of the same run. Where the time goes is
told by kind of operation. Writes benchmarks/results/step.json; --no-avx512 adds rows without it.
"""

import argparse
import json
import os
import subprocess
import sys
import time
from collections import defaultdict
from pathlib import Path

import numpy as np
import torch
from torch.utils.flop_counter import FlopCounterMode

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT / "scripts"))

from galaxy_lvm.core.config.training import Lvm, Pretraining  # noqa: E402
from galaxy_lvm.lvm.model import LVM, build_config  # noqa: E402
from galaxy_lvm.lvm.weights import git_commit  # noqa: E402
from galaxy_lvm.training.loop import TrainingLoop  # noqa: E402
from galaxy_lvm.training.objectives import build_objective  # noqa: E402
from galaxy_lvm.training.pretrain import PretrainFeed  # noqa: E402

RESULTS = Path(__file__).parent / "results" / "step.json"
SIDE = 1024
WITHOUT_AVX512 = {"ATEN_CPU_CAPABILITY": "avx2", "ONEDNN_MAX_CPU_ISA": "AVX2"}
CASES = {
    "lvm_tiny, contrastive, 64 galaxies, views of 32 pixels": ("lvm_tiny", "contrastive", 64, 32),
    "lvm_tiny, contrastive, 64 galaxies, views of 64 pixels": ("lvm_tiny", "contrastive", 64, 64),
    "lvm_base, reconstruct, 2 galaxies, 128 pixels": ("lvm_base", "reconstruct", 2, 128),
}
KINDS = {
    "convolution": ("conv",),
    "matrix product": ("mm", "addmm", "linear"),
    "norm, activation": ("norm", "gelu", "softmax", "prelu"),
    "copy, layout": ("copy", "permute", "cat", "roll", "index", "pad"),
}


class NoisyCrops:
    """Crops of noise; what is in them costs no time."""

    in_memory = True

    def __init__(self, n: int = 256) -> None:
        rng = np.random.default_rng(0)
        self.images = rng.integers(0, 255, (n, 128, 128, 3), dtype=np.uint8)

    def __len__(self) -> int:
        return len(self.images)

    def take(self, positions: np.ndarray) -> np.ndarray:
        """Return crops at positions."""
        return self.images[positions]


def product_rate() -> float:
    """Return operations per second of float32 matrix products on one core."""
    first, second = torch.randn(2, SIDE, SIDE)
    start, n = time.process_time(), 6
    for _ in range(n):
        first @ second
    return n * 2 * SIDE**3 / (time.process_time() - start)


def where_time_goes(step: callable) -> dict[str, float]:
    """Return shares of a step's time by kind of operation."""
    with torch.profiler.profile(activities=[torch.profiler.ProfilerActivity.CPU]) as profile:
        step()
    spent: dict[str, float] = defaultdict(float)
    for event in profile.key_averages():
        name = event.key.lower()
        kind = next((k for k, words in KINDS.items() if any(w in name for w in words)), "other")
        spent[kind] += event.self_cpu_time_total
    return {kind: round(value / sum(spent.values()), 3) for kind, value in spent.items()}


def measure(preset: str, objective: str, n: int, side: int, repeats: int) -> dict[str, object]:
    """Return rates and shares of one case."""
    settings = Pretraining(
        objective=objective, batch_size=n, view_side_pix=side, optim={"precision": "float32"}
    )
    torch.manual_seed(1)
    module = build_objective(LVM(build_config(Lvm(preset=preset))), settings)
    loop = TrainingLoop(module, settings.optim, "/nonexistent", 1)
    feed = PretrainFeed(NoisyCrops(), settings, module.n_views, 1)
    [batch] = feed.batch(0)
    with FlopCounterMode(display=False) as counter:
        loop._update(0, batch)
    operations = counter.get_total_flops()
    step_s, feed_s, rates = [], [], []
    for number in range(repeats):
        rates.append(product_rate())
        start = time.process_time()
        [batch] = feed.batch(number)
        middle = time.process_time()
        loop._update(number, batch)
        feed_s.append(middle - start)
        step_s.append(time.process_time() - middle)
    rate, step, feeding = (float(np.median(x)) for x in (rates, step_s, feed_s))
    return {
        "gflop_per_step": round(operations / 1e9, 1),
        "share_of_product_rate": round(operations / step / rate, 3),
        "with_feeding": round(operations / (step + feeding) / rate, 3),
        "step_s": round(step, 3),
        "feed_s": round(feeding, 3),
        "product_gflop_per_s": round(rate / 1e9, 1),
        "time": where_time_goes(lambda: loop._update(0, batch)),
    }


def main() -> None:
    """Measure every case; print and write what came out."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--repeats", type=int, default=7)
    parser.add_argument("--cases", nargs="*", default=list(CASES))
    parser.add_argument("--no-avx512", action="store_true")
    parser.add_argument("--print-only", action="store_true")
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    capability = torch.backends.cpu.get_cpu_capability()
    rows = []
    for name in arguments.cases:
        rows.append({"case": name, "cpu": capability, **measure(*CASES[name], arguments.repeats)})
        print(json.dumps(rows[-1]), flush=True)
    if arguments.no_avx512:
        command = [sys.executable, __file__, "--print-only", "--repeats", str(arguments.repeats)]
        environment = {**os.environ, **WITHOUT_AVX512}
        text = subprocess.run(command, env=environment, capture_output=True, text=True, check=True)
        rows += [json.loads(line) for line in text.stdout.splitlines()]
    if not arguments.print_only:
        RESULTS.write_text(json.dumps({"commit": git_commit(), "rows": rows}, indent=1) + "\n")


if __name__ == "__main__":
    main()
