"""Time random views on one core against bilinear sampling of the whole crop, and beside a step.

Run as `python benchmarks/bench_views.py`; writes benchmarks/results/views.json. Views of 32 pixels
of crops of 128 are reduced first, or they would hold waves that no such view can show.
"""

import json
import os
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

os.environ.setdefault("OMP_NUM_THREADS", "1")
ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT / "scripts"))

import torch  # noqa: E402
from galaxy_lvm.core.config.training import Lvm, Optim, Views  # noqa: E402
from galaxy_lvm.lvm.model import LVM, build_config  # noqa: E402
from galaxy_lvm.training.augment import random_views  # noqa: E402
from galaxy_lvm.training.loop import TrainingLoop  # noqa: E402
from galaxy_lvm.training.objectives import Contrastive  # noqa: E402
from torch.nn import functional  # noqa: E402

SIDE_PIX, VIEW_PIX, BATCH, REPEATS = 128, 32, 64, 7


def milliseconds(work: Callable[[], object]) -> float:
    """Return the median time of `work`, after one call that is not counted."""
    work()
    seconds = []
    for _ in range(REPEATS):
        start = time.perf_counter()
        work()
        seconds.append(time.perf_counter() - start)
    return 1000 * statistics.median(seconds)


def sampled_only(images: torch.Tensor) -> torch.Tensor:
    """Return what sampling every second pixel and averaging pairs costs: the form that aliases."""
    fine = 2 * VIEW_PIX
    theta = torch.eye(2, 3).expand(len(images), 2, 3)
    grid = functional.affine_grid(theta, (len(images), 3, fine, fine), align_corners=False)
    sampled = functional.grid_sample(
        images, grid, mode="bilinear", padding_mode="reflection", align_corners=False
    )
    return functional.avg_pool2d(sampled, 2)


def main() -> None:
    """Measure and write the results."""
    torch.set_num_threads(1)
    images = torch.rand(BATCH, 3, SIDE_PIX, SIDE_PIX)
    recipe = Views()
    fine = (2 * VIEW_PIX, 2 * VIEW_PIX)

    def views() -> list[torch.Tensor]:
        generators = [torch.Generator().manual_seed(k) for k in (0, 1)]
        return [random_views(images, recipe, VIEW_PIX, generator) for generator in generators]

    # From crops that need no reduction the same code costs what it did before.
    small = functional.interpolate(images, size=fine, mode="bilinear", antialias=True)
    reduce_ms = 2 * milliseconds(
        lambda: functional.interpolate(images, size=fine, mode="bilinear", antialias=True)
    )
    with tempfile.TemporaryDirectory() as state:
        lvm = LVM(build_config(Lvm(preset="lvm_tiny")))
        settings = Optim(steps=1 + REPEATS, precision="float32")
        loop = TrainingLoop(Contrastive(lvm, 0.2), settings, state, seed=1)
        made = {"views": views(), "seed": 0}
        step_ms = milliseconds(lambda: loop._update(0, made))
    views_ms = milliseconds(views)
    result = {
        "views_ms": round(views_ms, 1),
        "sampled_only_ms": round(2 * milliseconds(lambda: sampled_only(images)), 1),
        "from_reduced_crops_ms": round(2 * milliseconds(lambda: sampled_only(small)), 1),
        "reduction_ms": round(reduce_ms, 1),
        "step_ms": round(step_ms, 1),
        "step_with_views_over_without_reduction": round(
            (step_ms + views_ms) / (step_ms + views_ms - reduce_ms), 3
        ),
        "batch": BATCH,
        "cores": 1,
        "repeats": REPEATS,
    }
    path = ROOT / "benchmarks" / "results" / "views.json"
    path.write_text(json.dumps(result, indent=2) + "\n", encoding="utf-8")
    print(path.read_text(encoding="utf-8"))


if __name__ == "__main__":
    main()
