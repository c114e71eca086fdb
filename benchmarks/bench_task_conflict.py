"""Why a frozen encoder fills in images better: because the other moves, or for the other tasks.

Trains the image task `reconstruction` of a finished run with as many steps as it had there: on a
frozen encoder, on a moving one, and on a moving one that shares its steps with another task. The
scores are those of validation images. Masked images are normalised with statistics that stay, or
with those of clean images, which move with what classification makes of them
(`multitask.masked_statistics`). Needs a
run with pretrained weights, for instance one of `config/folder.yaml`:

    python benchmarks/bench_task_conflict.py RESULTS_DIR [--repeats 1] [--only NAME ...]

Results go to `benchmarks/results/task_conflict.json`. About 20 minutes of one core.
"""

import argparse
import json
import sys
import tempfile
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "scripts"))

import numpy as np  # noqa: E402
import torch  # noqa: E402
from galaxy_lvm.core.config.tasks import MultitaskRun  # noqa: E402
from galaxy_lvm.core.seeds import derive_seed
from galaxy_lvm.lvm.weights import load_lvm, read_card  # noqa: E402
from galaxy_lvm.multitask.feed import MultitaskFeed  # noqa: E402
from galaxy_lvm.multitask.heads import (
    TASKS,  # noqa: E402
    restored_images,  # noqa: E402
)
from galaxy_lvm.multitask.schedule import TaskSchedule  # noqa: E402
from galaxy_lvm.multitask.train import (  # noqa: E402
    build_model,
    read_training_images,
    validation_sets,
    with_drop_path,
)
from galaxy_lvm.report.metrics import mean_psnr  # noqa: E402
from galaxy_lvm.training.accelerator import make_accelerator
from galaxy_lvm.training.loop import TrainingLoop

RESULTS = Path(__file__).parent / "results" / "task_conflict.json"
TASK = "reconstruction"
BOTH = (TASK, "classification")
# Strategy, tasks, whether masked images follow the statistics of clean ones. Without classification
# those do not move: then both ways are the same.
VARIANTS = {
    "frozen encoder, alone": ("pre_train", (TASK,), False),
    "moving encoder, alone": ("multi_uniform", (TASK,), False),
    "moving encoder, with restoration": ("multi_uniform", (TASK, "restoration"), False),
    "moving encoder, with classification, statistics that stay": ("multi_uniform", BOTH, False),
    "moving encoder, with classification, statistics of clean images": (
        "multi_uniform",
        BOTH,
        True,
    ),
}


def train_and_score(
    run: Path,
    weights: Path,
    card: dict,
    variant: tuple[str, tuple[str, ...], bool],
    repeat: int,
) -> float:
    """Return the PSNR in dB of the validation images that a model filled in."""
    strategy, tasks, follow_clean = variant
    sections = card["settings"]
    statistics = {"masked_statistics": "clean" if follow_clean else "fixed"}
    sections = {**sections, "multitask": {**sections["multitask"], **statistics}}
    settings = MultitaskRun.model_validate({**sections, "strategy": strategy})
    crops, splits = (run / "data/galaxies" / name for name in ("crops.h5", "splits.parquet"))
    train, class_names = read_training_images(crops, splits)
    seed = derive_seed(settings.seed, "multitask", repeat)
    torch.manual_seed(seed)
    lvm = with_drop_path(load_lvm(weights), settings.multitask.drop_path)
    model = build_model(lvm, len(class_names), settings)
    schedule = TaskSchedule(TASKS, active=False, min_share=0.0)
    schedule.shares = {task: (task in tasks) / len(tasks) for task in TASKS}
    # Every variant gives the task as many steps as it has with equal shares.
    n_steps = settings.multitask.optim.steps // len(TASKS) * len(tasks)
    optim = settings.multitask.optim.model_copy(update={"steps": n_steps})
    with tempfile.TemporaryDirectory() as state:
        loop = TrainingLoop(model, optim, state, seed, make_accelerator(optim.precision))
        feed_seed = derive_seed(settings.seed, "feed")
        feed = MultitaskFeed(train, schedule, settings, len(class_names), feed_seed)
        loop.run(feed.batch, desc=f"{strategy}, {', '.join(tasks)}")
        loop.finish()
    reference, masked = getattr(validation_sets(crops, splits, settings), TASK)
    filled = restored_images(model, TASK, masked, autocast=loop.accelerator.autocast)
    return mean_psnr(reference, filled)


def main() -> None:
    """Measure and write the results."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("results_dir", type=Path, nargs="?")
    parser.add_argument("--repeats", type=int, default=1)
    parser.add_argument(
        "--only", nargs="*", choices=list(VARIANTS), help="leave the others as kept"
    )
    arguments = parser.parse_args()
    if arguments.results_dir is None:
        print("not run: needs RESULTS_DIR, which the project does not contain")
        return
    torch.set_num_threads(1)
    run = arguments.results_dir
    card = read_card(next(iter(sorted((run / "models/multitask").glob("*.safetensors")))))
    weights = next(iter(sorted((run / "models/pretrain").glob("contrastive_*/lvm.safetensors"))))
    found = {}
    for name, variant in VARIANTS.items():
        if arguments.only and name not in arguments.only:
            continue
        scores = [
            train_and_score(run, weights, card, variant, repeat)
            for repeat in range(arguments.repeats)
        ]
        found[name] = {"psnr_db": round(float(np.mean(scores)), 3), "trainings": len(scores)}
        print(name, found[name], flush=True)
    kept = json.loads(RESULTS.read_text())["variants"] if arguments.only else {}
    results = {
        "what": "reconstruction on validation images of real galaxies (config/folder.yaml), with "
        "equal numbers of steps of this task; see the script",
        "variants": kept | found,
    }
    RESULTS.write_text(json.dumps(results, indent=1) + "\n")


if __name__ == "__main__":
    main()
