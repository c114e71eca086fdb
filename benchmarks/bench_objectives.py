"""Objectives of pretraining and their settings, compared at equal time on validation galaxies.

python benchmarks/bench_objectives.py RESULTS_DIR --work FOLDER: RESULTS_DIR is that of a run of
config/release.yaml with crops, splits and pool; FOLDER keeps what is trained, so that a
killed call goes on. Every variant differs from the base in the keys named, and trains for as many
steps as fit into the same seconds of one core's own clock (measured once on a few steps, so that
other work on the machine matters little). Frozen features, read at 64 pixels in one orientation,
are scored by `frozen_scores`: labels of the training split, judged by the validation split; the
test split is not read. The better one is that of the higher mean over the accuracies at 10, 50, 200
a class and all.
Writes benchmarks/results/objectives.json.
"""

import argparse
import json
import sys
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT / "scripts"))

from frozen_scores import FrozenScores  # noqa: E402
from galaxy_lvm.core.config import part_of, resolve, section  # noqa: E402
from galaxy_lvm.core.config.fewshot import Features  # noqa: E402
from galaxy_lvm.core.config.training import Lvm, LvmShape, Pretraining  # noqa: E402
from galaxy_lvm.features.extract import extract_features  # noqa: E402
from galaxy_lvm.lvm.model import LVM, build_config  # noqa: E402
from galaxy_lvm.lvm.weights import git_commit, load_lvm, read_card  # noqa: E402
from galaxy_lvm.survey.pool import rows_by_dataset  # noqa: E402
from galaxy_lvm.training.backbones import PooledLVM, build_encoder  # noqa: E402
from galaxy_lvm.training.job import JobFiles  # noqa: E402
from galaxy_lvm.training.loop import TrainingLoop  # noqa: E402
from galaxy_lvm.training.model_specs import model_specs  # noqa: E402
from galaxy_lvm.training.objectives import build_objective  # noqa: E402
from galaxy_lvm.training.pretrain import pretrain  # noqa: E402

RESULTS = Path(__file__).parent / "results" / "objectives.json"
MILD = {"brightness": 0.2, "colour": 0.1, "contrast": 0.15}
# Name, what differs in `pretrain`, pooling in the loss. All are read with `stages`.
VARIANTS: dict[str, tuple[dict[str, Any], str]] = {
    "contrastive (base)": ({}, "stages"),
    "mean pooling in the loss": ({}, "mean"),
    "distilled": ({"objective": "distilled", "teacher": {"n_components": 64}}, "stages"),
    "distilled alone": (
        {"objective": "distilled", "teacher": {"n_components": 64, "contrast_weight": 0.0}},
        "stages",
    ),
    "momentum": ({"objective": "momentum"}, "stages"),
    "byol": ({"objective": "byol"}, "stages"),
    "vicreg": ({"objective": "vicreg"}, "stages"),
    "hybrid": ({"objective": "hybrid"}, "stages"),
    "mild levels": ({"views": MILD}, "stages"),
    "smaller crops": ({"views": {"zoom_min": 1.0, "zoom_max": 2.5, "shift": 0.15}}, "stages"),
    "temperature 0.1": ({"temperature": 0.1}, "stages"),
    "batch 256": ({"batch_size": 256}, "stages"),
    "views of 64 pixels": ({"view_side_pix": 64}, "stages"),
    "mean_std pooling in the loss": ({}, "mean_std"),
    "queue of 4096": ({"objective": "momentum", "queue_size": 4096}, "stages"),
    "blur": ({"views": {"blur_fwhm_max_pix": 2.0}}, "stages"),
    "strong levels": ({"views": {"brightness": 0.6, "colour": 0.4, "contrast": 0.6}}, "stages"),
}
SIDE_PIX, N_TIMED = 64, 6


def settings_of(base: dict[str, Any], changes: dict[str, Any], steps: int) -> Pretraining:
    """Return the base's settings with changes, one section deep, and a number of steps."""
    merged = dict(base)
    for key, value in changes.items():
        merged[key] = {**merged[key], **value} if isinstance(value, dict) else value
    return section(Pretraining, {**merged, "optim": {**merged["optim"], "steps": steps}})


def seconds_per_step(settings: Pretraining, shape: LvmShape) -> float:
    """Return the core's own seconds of a step on noise, views not included."""
    torch.manual_seed(0)
    lvm = LVM(build_config(shape))
    n_targets = settings.teacher.n_components if settings.objective == "distilled" else 0
    module = build_objective(lvm, settings, n_targets)
    loop = TrainingLoop(module, settings.optim, "/nonexistent", 1)
    side, n = settings.view_side_pix, settings.batch_size
    batch = {"views": [torch.rand(n, 3, side, side) for _ in range(module.n_views)], "seed": 1}
    if n_targets:
        batch["targets"] = torch.randn(n, n_targets)
    spent = []
    for number in range(N_TIMED):
        start = time.process_time()
        loop._update(number, batch)
        spent.append(time.process_time() - start)
    return float(np.median(spent[1:]))


def steps_of(work: Path, name: str, base: dict, shape: LvmShape, seconds: float) -> int:
    """Return how many steps fit into the time; measured once, then kept beside the weights."""
    path = work / "steps.json"
    kept = json.loads(path.read_text()) if path.exists() else {}
    if name not in kept:
        settings = settings_of(base, VARIANTS[name][0], 1000)
        kept[name] = max(1, round(seconds / seconds_per_step(settings, shape)))
        path.write_text(json.dumps(kept, indent=1))
    return kept[name]


def teacher_paths(run: Path, work: Path, base: dict[str, Any], names: list[str]) -> list[Path]:
    """Extract the teacher's features of every dataset, unless that is done."""
    teacher = section(Pretraining, base).teacher
    keys = {"model", "weights", "view_side_pix", "pooling"}
    spec = model_specs([{"frozen": True, **teacher.model_dump(include=keys)}])[0]
    how = Features(
        n_orientations=teacher.n_orientations, view_side_pix=teacher.view_side_pix, batch_size=64
    )
    for name in names:
        path = work / f"teacher_{name}.npy"
        if not path.exists():
            extract_features(
                run / f"data/{name}/crops.h5", spec, None, path, work / "state", 1, how
            )
    return [work / f"teacher_{name}.npy" for name in names]


def trained(run: Path, work: Path, config: dict[str, Any], name: str, seconds: float) -> Path:
    """Pretrain a variant, unless that is done; return the weights."""
    weights = work / f"{name.replace(' ', '_')}.safetensors"
    if weights.exists():
        return weights
    base, (changes, pooling) = part_of(Pretraining, config["pretrain"]), VARIANTS[name]
    shape = section(Lvm, {**config["lvm"], "pooling": pooling})
    settings = settings_of(base, changes, steps_of(work, name, base, shape, seconds))
    rows = rows_by_dataset(run / "data/pretraining_pool.parquet")
    distils = settings.objective == "distilled"
    pretrain(
        parts=[(run / f"data/{one}/crops.h5", those) for one, those in rows.items()],
        shape=shape,
        settings=settings,
        seed=1,
        files=JobFiles(work / "state", 1, weights, weights.with_suffix(".csv")),
        teacher_paths=teacher_paths(run, work, base, list(rows)) if distils else (),
    )
    return weights


def read_with_stages(lvm: LVM) -> LVM:
    """Return the same weights read with mean and deviation of every stage."""
    other = LVM(replace(lvm.config, pooling="stages"))
    other.load_state_dict(lvm.state_dict())
    return other


def row_of(scores: FrozenScores, name: str, encoder: torch.nn.Module, side: int) -> dict[str, Any]:
    """Return a row of the results."""
    values = scores(scores.features(encoder, side))
    few = [value for key, value in values.items() if key.startswith("accuracy")]
    return {"variant": name, "mean_accuracy": round(float(np.mean(few)), 4), **values}


def references(scores: FrozenScores, config: dict[str, Any]) -> list[dict[str, Any]]:
    """Return rows of what the variants have to beat: no training, and the teacher."""
    torch.manual_seed(0)
    untrained = LVM(build_config(section(Lvm, {**config["lvm"], "pooling": "stages"})))
    teacher = config["pretrain"]["teacher"]
    keys = ("model", "weights", "view_side_pix", "pooling")
    spec = model_specs([{"frozen": True, **{key: teacher[key] for key in keys}}])[0]
    side = teacher["view_side_pix"]
    return [
        row_of(scores, "untrained", PooledLVM(untrained.encoder), SIDE_PIX),
        row_of(scores, "the teacher itself", build_encoder(spec, side), side),
    ]


def main() -> None:
    """Pretrain, read, score; write the results after every training."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("results_dir", type=Path, nargs="?")
    parser.add_argument("--work", type=Path)
    parser.add_argument("--config", type=Path, default=ROOT / "config" / "release.yaml")
    parser.add_argument("--seconds", type=float, default=75.0, help="of the core, a variant")
    parser.add_argument("--variants", nargs="*", default=list(VARIANTS))
    arguments = parser.parse_args()
    if arguments.results_dir is None or arguments.work is None:
        print("not run: needs RESULTS_DIR and --work, which the project does not contain")
        return
    torch.set_num_threads(1)
    arguments.work.mkdir(parents=True, exist_ok=True)
    config = resolve({"base": str(arguments.config)})
    # The base of the comparison: small views alone, NT-Xent.
    base = {"objective": "contrastive", "final_view_side_pix": None}
    config["pretrain"] = {**config["pretrain"], **base}
    scores = FrozenScores(arguments.results_dir, n_orientations=1)
    kept = arguments.work / "references.json"
    if not kept.exists():
        kept.write_text(json.dumps(references(scores, config)))
    rows = json.loads(kept.read_text())
    for name in arguments.variants:
        path = arguments.work / f"scores of {name}.json"
        if not path.exists():
            weights = trained(
                arguments.results_dir, arguments.work, config, name, arguments.seconds
            )
            encoder = PooledLVM(read_with_stages(load_lvm(weights)).encoder)
            card = read_card(weights)
            cost = {"steps": card["pretrain"]["optim"]["steps"], "wall_s": card["seconds"]}
            path.write_text(json.dumps({**row_of(scores, name, encoder, SIDE_PIX), **cost}))
        rows.append(json.loads(path.read_text()))
        print(rows[-1], flush=True)
        what = "validation scores of frozen features of real galaxies, equal time a variant"
        about = {"what": what, "commit": git_commit(), "seconds": arguments.seconds}
        RESULTS.write_text(json.dumps({**about, "rows": rows}, indent=1) + "\n")


if __name__ == "__main__":
    main()
