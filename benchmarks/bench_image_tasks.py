"""What lifts the image tasks above methods without a network: one training per way to do it.

python benchmarks/bench_image_tasks.py RESULTS_DIR --work FOLDER --config CONFIG --name NAME:
RESULTS_DIR is that of a run of CONFIG with crops and splits, and with a pretrained LVM unless
--weights names one. FOLDER keeps checkpoints: a call that was killed goes on, and a variant that
the results hold is not trained again. One half of the validation galaxies tunes the classical
methods, the other half judges; the test split is not read. Writes
benchmarks/results/image_tasks.json under NAME. A training of 600 steps takes 5 to 20 minutes of
one core.
"""

import argparse
import json
import sys
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT / "scripts"))

from galaxy_lvm.core.config import load_config, part_of  # noqa: E402
from galaxy_lvm.core.config.tasks import MultitaskRun, TaskSections  # noqa: E402
from galaxy_lvm.core.seeds import derive_seed  # noqa: E402
from galaxy_lvm.core.state import atomic_path  # noqa: E402
from galaxy_lvm.multitask.baselines import (  # noqa: E402
    reconstruction_baselines,
    restoration_baselines,
)
from galaxy_lvm.multitask.feed import MultitaskFeed  # noqa: E402
from galaxy_lvm.multitask.heads import TASKS, MultitaskModel, restored_images  # noqa: E402
from galaxy_lvm.multitask.schedule import TaskSchedule  # noqa: E402
from galaxy_lvm.multitask.tasks import (  # noqa: E402
    reconstruction_test_sets,
    restoration_test_set,
)
from galaxy_lvm.multitask.train import (  # noqa: E402
    read_training_images,
    starting_model,
)
from galaxy_lvm.report.class_scores import classification_metrics  # noqa: E402
from galaxy_lvm.report.metrics import mean_psnr  # noqa: E402
from galaxy_lvm.survey.crop_store import CropStore  # noqa: E402
from galaxy_lvm.survey.splits_table import Splits  # noqa: E402
from galaxy_lvm.training.accelerator import make_accelerator  # noqa: E402
from galaxy_lvm.training.loop import TrainingLoop  # noqa: E402
from galaxy_lvm.training.predict import class_probabilities  # noqa: E402

RESULTS = Path(__file__).parent / "results" / "image_tasks.json"
IMAGES = ("restoration", "reconstruction")
BEFORE = {"image_output": "correction", "image_loss": "mse", "fine_layers": 1}
PSNR = {"image_loss": "psnr"}


@dataclass(frozen=True)
class Variant:
    """One way to train the image tasks."""

    multitask: dict[str, Any]
    """Keys of the config's section `multitask` that differ from before."""
    tasks: tuple[str, ...] = TASKS
    """Tasks that share the steps equally; every one has as many as with all three."""
    optim: dict[str, Any] = field(default_factory=dict)
    """Keys of `multitask.optim` that differ from the config."""
    strategy: str = "multi_uniform"


MIXTURE, GUIDED = {"image_output": "mixture", **PSNR}, {"image_output": "guided", **PSNR}

VARIANTS = {
    "before": Variant({}),
    "psnr loss": Variant(PSNR),
    "filling": Variant({"image_output": "filling"}),
    "filling, psnr loss": Variant({"image_output": "filling", **PSNR}),
    "guided, psnr loss": Variant(GUIDED),
    "mixture": Variant({"image_output": "mixture"}),
    "mixture, psnr loss": Variant(MIXTURE),
    "guided, psnr loss, 3 fine layers": Variant({**GUIDED, "fine_layers": 3}),
    "mixture, psnr loss, 3 fine layers": Variant({**MIXTURE, "fine_layers": 3}),
    "image tasks alone, before": Variant({}, IMAGES),
    "image tasks alone, mixture, psnr loss": Variant(MIXTURE, IMAGES),
    "frozen encoder, mixture, psnr loss": Variant(MIXTURE, strategy="pre_train"),
}


def judged_galaxies(run: Path, n: int) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Return images for tuning, images for judging, labelled images for judging, their labels."""
    splits = Splits(run / "data/galaxies/splits.parquet")
    galaxies = splits.of("val")
    order = np.random.default_rng(derive_seed(1, "bench_image_tasks")).permutation(len(galaxies))
    half = len(order) // 2
    tuning, judging = galaxies.take(order[:half]), galaxies.take(order[half:])
    labelled = judging.labelled()
    with CropStore(run / "data/galaxies/crops.h5") as crops:
        pictures = (crops.of(part.take(np.arange(min(n, len(part))))) for part in (tuning, judging))
        return *pictures, crops.of(labelled), labelled.labels


def classical_scores(run: Path, settings: MultitaskRun, n: int) -> dict[str, dict[str, float]]:
    """Return PSNR in dB by method and task."""
    tuning, judging, *_ = judged_galaxies(run, n)
    ids = [str(i) for i in range(len(judging))]
    limits = settings.baselines
    blur = restoration_baselines(tuning, judging, ids, settings.restoration, limits, seed=1)
    mask = settings.reconstruction
    found: dict[str, dict[str, float]] = {}
    for one in [*blur, *reconstruction_baselines(tuning, judging, ids, mask, limits, seed=1)]:
        if not one.condition:
            score = round(one.scores["psnr"], 3)
            found.setdefault(one.model, {})[f"psnr_{one.task}_db"] = score
    return found


def score(model: MultitaskModel, run: Path, settings: MultitaskRun, n: int) -> dict[str, float]:
    """Return PSNR in dB of both image tasks, and macro F1, of the galaxies that judge."""
    _, judging, images, labels = judged_galaxies(run, n)
    sharp, blurred, _ = restoration_test_set(judging, settings.restoration, 1)
    whole, masked, *_ = reconstruction_test_sets(judging, settings.reconstruction, 1)[""]
    autocast = make_accelerator(settings.multitask.optim.precision).autocast
    restored = restored_images(model, "restoration", blurred, autocast=autocast)
    filled = restored_images(model, "reconstruction", masked, autocast=autocast)
    side, n_classes = settings.classification.view_side_pix, int(labels.max()) + 1
    shares = class_probabilities(model, images, side, n_orientations=2, autocast=autocast)
    f1 = classification_metrics(labels, shares.argmax(axis=1), n_classes)["f1"]
    return {
        "psnr_restoration_db": round(mean_psnr(sharp, restored), 3),
        "psnr_reconstruction_db": round(mean_psnr(whole, filled), 3),
        "f1": round(f1, 4),
    }


def settings_of(variant: Variant, config: dict, steps: int, seed: int) -> MultitaskRun:
    """Return what a training reads."""
    sections = part_of(TaskSections, config)
    own = sections["multitask"]
    n_steps = steps // len(TASKS) * len(variant.tasks)
    optim = {**own["optim"], **variant.optim, "steps": n_steps, "checkpoint_seconds": 300}
    multitask = {**own, **BEFORE, **variant.multitask, "optim": optim}
    return MultitaskRun.model_validate(
        {**sections, "multitask": multitask, "strategy": variant.strategy, "seed": seed}
    )


def train(
    run: Path, weights: Path, settings: MultitaskRun, tasks: tuple[str, ...], state: Path
) -> MultitaskModel:
    """Train one variant, from its checkpoint if there is one."""
    data = run / "data/galaxies"
    images, class_names = read_training_images(data / "crops.h5", data / "splits.parquet")
    seed = derive_seed(settings.seed, "multitask")
    torch.manual_seed(seed)
    model, _ = starting_model(weights, len(class_names), settings)
    schedule = TaskSchedule(TASKS, active=False, min_share=0.0)
    schedule.shares = {task: (task in tasks) / len(tasks) for task in TASKS}
    optim = settings.multitask.optim
    accelerator = make_accelerator(optim.precision)
    loop = TrainingLoop(model, optim, state, seed, accelerator, extra_state=schedule)
    feed_seed = derive_seed(settings.seed, "feed")
    feed = MultitaskFeed(images, schedule, settings, len(class_names), feed_seed)
    loop.run(feed.batch)
    loop.finish()
    loop.forget()
    return model


def save(results: dict) -> None:
    """Write the results, whole or not at all."""
    with atomic_path(RESULTS) as temporary:
        temporary.write_text(json.dumps(results, indent=1) + "\n")


def main() -> None:
    """Train, judge and write the results after every training."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("results_dir", type=Path, nargs="?")
    parser.add_argument("--work", type=Path)
    parser.add_argument("--config", type=Path, default=ROOT / "config" / "folder.yaml")
    parser.add_argument("--name", default="folder")
    parser.add_argument("--weights", type=Path)
    parser.add_argument("--steps", type=int, default=600)
    parser.add_argument("--seeds", type=int, nargs="*", default=[1])
    parser.add_argument("--images", type=int, default=160, help="galaxies that judge, at most")
    parser.add_argument("--only", nargs="*", choices=list(VARIANTS))
    given = parser.parse_args()
    if given.results_dir is None or given.work is None:
        print("not run: needs RESULTS_DIR and --work, which the project does not contain")
        return
    torch.set_num_threads(1)
    pattern = "models/pretrain/*/lvm.safetensors"
    weights = given.weights or next(iter(sorted(given.results_dir.glob(pattern))))
    config = load_config(given.config)
    kept = json.loads(RESULTS.read_text()) if RESULTS.exists() else {}
    mine = kept.setdefault(given.name, {"steps": given.steps, "classical": {}, "variants": {}})
    todo = [(name, seed) for seed in given.seeds for name in given.only or VARIANTS]
    for name, seed in todo:
        variant = VARIANTS[name]
        settings = settings_of(variant, config, given.steps, seed)
        if not mine["classical"]:
            mine["classical"] = classical_scores(given.results_dir, settings, given.images)
            print(mine["classical"], flush=True)
            save(kept)
        if str(seed) in mine["variants"].get(name, {}):
            continue
        state = given.work / given.name / f"{name.replace(' ', '_')}_{seed}"
        model = train(given.results_dir, weights, settings, variant.tasks, state)
        scores = score(model, given.results_dir, settings, given.images)
        print(name, seed, scores, flush=True)
        mine["variants"].setdefault(name, {})[str(seed)] = scores
        save(kept)


if __name__ == "__main__":
    main()
