"""What steers multi_active: three lags, several trainings each, judged on validation galaxies.

python benchmarks/bench_lag.py RESULTS_DIR --work FOLDER: RESULTS_DIR is that of a run with crops,
splits and a pretrained LVM; FOLDER keeps what is trained, so that a killed call goes on. Half of
the validation split steers the shares, the other half judges; the test split is not read. Writes
benchmarks/results/lag.json. A training of the demo takes about 3 minutes of one core.
"""

import argparse
import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import torch

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT / "scripts"))

from galaxy_lvm.core.config import load_config, part_of  # noqa: E402
from galaxy_lvm.core.config.tasks import MultitaskRun, TaskSections  # noqa: E402
from galaxy_lvm.core.seeds import derive_seed  # noqa: E402
from galaxy_lvm.core.tables import load_table, save_table  # noqa: E402
from galaxy_lvm.lvm.weights import read_card  # noqa: E402
from galaxy_lvm.multitask.heads import restored_images  # noqa: E402
from galaxy_lvm.multitask.tasks import (  # noqa: E402
    reconstruction_test_sets,
    restoration_test_set,
)
from galaxy_lvm.multitask.train import (  # noqa: E402
    load_multitask,
    train_multitask,
)
from galaxy_lvm.report.class_scores import classification_metrics  # noqa: E402
from galaxy_lvm.report.metrics import mean_psnr  # noqa: E402
from galaxy_lvm.survey.crop_store import CropStore  # noqa: E402
from galaxy_lvm.survey.splits_table import Splits  # noqa: E402
from galaxy_lvm.training.job import JobFiles  # noqa: E402
from galaxy_lvm.training.predict import class_probabilities  # noqa: E402

RESULTS = Path(__file__).parent / "results" / "lag.json"
VARIANTS = {
    "uniform": ("multi_uniform", "input"),
    "paper": ("multi_active", "paper"),
    "input": ("multi_active", "input"),
    "classical": ("multi_active", "classical"),
}


def halve_validation(run: Path, work: Path, seed: int) -> tuple[Path, Path]:
    """Write two tables of splits: one half of the validation galaxies steers, the other judges."""
    table = load_table(run / "data/galaxies/splits.parquet")
    rows = table.index[table["split"] == "val"].to_numpy()
    rows = np.random.default_rng(derive_seed(seed, "bench_lag")).permutation(rows)
    paths = []
    halves = {"steer": rows[: len(rows) // 2], "judge": rows[len(rows) // 2 :]}
    for name, half in halves.items():
        keep = (table["split"] != "val") | table.index.isin(half)
        paths.append(work / f"splits_{name}.parquet")
        save_table(paths[-1], table[keep])
    return paths[0], paths[1]


def scores_of(weights: Path, crops: Path, splits: Path, seed: int) -> dict[str, float]:
    """Return macro F1 and the two PSNR in dB of the validation galaxies that judge."""
    model, card = load_multitask(weights)
    settings = MultitaskRun.model_validate(card["settings"])
    table = Splits(splits)
    labelled, drawn = table.labelled("val"), table.of("val")
    with CropStore(crops) as store:
        images, pictures = store.of(labelled), store.of(drawn)
    shares = class_probabilities(model, images, settings.classification.view_side_pix)
    n_classes = len(table.class_names)
    sharp, blurred, _ = restoration_test_set(pictures, settings.restoration, seed, "judge")
    whole, masked, *_ = reconstruction_test_sets(pictures, settings.reconstruction, seed, "judge")[
        ""
    ]
    f1 = classification_metrics(labelled.labels, shares.argmax(axis=1), n_classes)["f1"]
    restored = restored_images(model, "restoration", blurred)
    filled = restored_images(model, "reconstruction", masked)
    return {
        "f1": round(float(f1), 4),
        "psnr_restoration_db": round(float(mean_psnr(sharp, restored)), 3),
        "psnr_reconstruction_db": round(float(mean_psnr(whole, filled)), 3),
    }


def train_and_score(run: Path, work: Path, name: str, seed: int, sections: dict) -> dict:
    """Train one variant with one seed, unless it is there, and return its scores."""
    strategy, lag = VARIANTS[name]
    steer, judge = halve_validation(run, work, seed=1)
    crops = run / "data/galaxies/crops.h5"
    weights = work / f"{name}_{seed}.safetensors"
    if not weights.exists():
        chosen = {**sections, "multitask": {**sections["multitask"], "lag": lag}}
        train_multitask(
            crops,
            steer,
            next(iter(sorted((run / "models/pretrain").glob("contrastive_*/lvm.safetensors")))),
            MultitaskRun.model_validate({"strategy": strategy, "seed": seed, **chosen}),
            JobFiles(work / "state", 1, weights, work / f"{name}_{seed}.csv"),
        )
    counts = read_card(weights)["steps_per_task"]
    return {"seed": seed, **scores_of(weights, crops, judge, seed=1), "steps": counts}


def main() -> None:
    """Train, judge and write the results after every training."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("results_dir", type=Path, nargs="?")
    parser.add_argument("--work", type=Path)
    parser.add_argument("--config", type=Path, default=ROOT / "config" / "study.yaml")
    parser.add_argument("--seeds", type=int, default=3)
    arguments = parser.parse_args()
    if arguments.results_dir is None or arguments.work is None:
        print("not run: needs RESULTS_DIR and --work, which the project does not contain")
        return
    torch.set_num_threads(1)
    arguments.work.mkdir(parents=True, exist_ok=True)
    config = load_config(arguments.config)
    sections = part_of(TaskSections, config)
    commit = subprocess.run(
        ["git", "rev-parse", "--short", "HEAD"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    ).stdout.strip()
    found: dict[str, list] = {name: [] for name in VARIANTS}
    for seed in range(1, arguments.seeds + 1):
        for name in VARIANTS:
            found[name].append(
                train_and_score(arguments.results_dir, arguments.work, name, seed, sections)
            )
            print(name, found[name][-1], flush=True)
            results = {
                "what": "multi_active by what its lags are measured by, demo; half of the "
                "validation galaxies steers, these scores are of the other half",
                "commit": commit,
                "variants": found,
            }
            RESULTS.write_text(json.dumps(results, indent=1) + "\n")


if __name__ == "__main__":
    main()
