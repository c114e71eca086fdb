"""Real lens candidates: the share found, by grade, at the threshold chosen on simulated fields.

Needs a trained detector with its run's scores (or `--score-threshold`) and a folder of candidates,
which is not part of the project:

    python benchmarks/bench_lens_candidates.py DATA_DIR --weights DETECTOR.safetensors

DATA_DIR holds `labels.csv` with id, file and grade, and one image per candidate with the candidate
in its centre. Results go to `benchmarks/results/lens_candidates.json`. Nothing is tuned here.
"""

import argparse
import json
import os
import sys
from functools import partial
from pathlib import Path

os.environ.setdefault("OMP_NUM_THREADS", "1")  # read when numpy is imported
sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "scripts"))

import numpy as np  # noqa: E402
import pandas as pd  # noqa: E402
import torch  # noqa: E402
from galaxy_lvm.core.config.lens_search import ImageReading, Tiles  # noqa: E402
from galaxy_lvm.core.tables import load_table
from galaxy_lvm.lenses.detector import load_detector  # noqa: E402
from galaxy_lvm.lenses.search import find_threshold, search_items
from galaxy_lvm.lenses.sources import Item, load_files
from galaxy_lvm.lvm.weights import read_card  # noqa: E402
from galaxy_lvm.survey.fields import BOX_COLUMNS  # noqa: E402
from galaxy_lvm.survey.pictures import image_size  # noqa: E402
from scipy.stats import binomtest  # noqa: E402
from sklearn.metrics import roc_auc_score  # noqa: E402

RESULTS = Path(__file__).parent / "results" / "lens_candidates.json"
# CFHTLS images of Space Warps: 340 pixels are about 22 arcsec (Marshall et al. 2016).
PIXEL_SCALE_ARCSEC = 22 / 340
# More et al. (2016): probable lenses, and what experts hold for something else.
PROBABLE_GRADE, UNLIKELY_GRADE = 2.0, 0.7
SEARCH_FLOOR = 0.02


def centre_distance_arcsec(found: pd.DataFrame, folder: Path) -> np.ndarray:
    """Return how far each detection's box centre is from the middle of its image."""
    sizes = {name: image_size(folder / name) for name in found["file"].unique()}
    middle = np.array([sizes[name] for name in found["file"]]).reshape(-1, 2) / 2
    x_min, y_min, x_max, y_max = (found[name].to_numpy() for name in BOX_COLUMNS)
    offset = np.stack([(x_min + x_max) / 2, (y_min + y_max) / 2], axis=1) - middle
    return np.hypot(*offset.T) * PIXEL_SCALE_ARCSEC


def share(found: np.ndarray) -> dict[str, object]:
    """Return a share with its 95 % interval (Wilson)."""
    ends = binomtest(int(found.sum()), len(found)).proportion_ci(method="wilson")
    return {
        "found": int(found.sum()),
        "of": len(found),
        "share": round(float(found.mean()), 4),
        "low95": round(ends.low, 4),
        "high95": round(ends.high, 4),
    }


def measure(folder: Path, weights: Path, threshold: float, radius_arcsec: float) -> dict:
    """Return shares by grade at a threshold, and how well the scores separate the grades."""
    listed = load_table(folder / "labels.csv")
    # Of two candidates with one image nobody says which is in its centre.
    labels = listed[~listed["file"].duplicated(keep=False)].reset_index(drop=True)
    detector = load_detector(weights).to("cuda" if torch.cuda.is_available() else "cpu")
    settings = ImageReading(pixel_scale_arcsec=PIXEL_SCALE_ARCSEC)
    items = [Item(name, "") for name in labels["file"]]
    load = partial(load_files, folder=folder, settings=settings)
    found, rejected = search_items(detector, items, load, Tiles(), SEARCH_FLOOR)
    central = found[centre_distance_arcsec(found, folder) <= radius_arcsec]
    best = labels["file"].map(central.groupby("file")["score"].max()).fillna(0.0).to_numpy()
    refused = {line["file"] for line in rejected}
    seen = ~labels["file"].isin(refused).to_numpy()
    grade = labels["grade"].to_numpy()
    groups = {
        f"grade >= {PROBABLE_GRADE:g}": seen & (grade >= PROBABLE_GRADE),
        f"{UNLIKELY_GRADE:g} < grade < {PROBABLE_GRADE:g}": seen
        & (grade > UNLIKELY_GRADE)
        & (grade < PROBABLE_GRADE),
        f"grade <= {UNLIKELY_GRADE:g}": seen & (grade <= UNLIKELY_GRADE),
    }
    ends = seen & ((grade >= PROBABLE_GRADE) | (grade <= UNLIKELY_GRADE))
    elsewhere = found.drop(central.index)
    return {
        "n_listed": len(listed),
        "n_left_out_two_in_one_image": len(listed) - len(labels),
        "n_rejected": len(rejected),
        "score_threshold": round(threshold, 4),
        "radius_arcsec": radius_arcsec,
        "found_by_grade": {name: share(best[rows] >= threshold) for name, rows in groups.items()},
        "median_best_score": {
            name: round(float(np.median(best[rows])), 4) for name, rows in groups.items()
        },
        "auc_probable_against_unlikely": round(
            float(roc_auc_score(grade[ends] >= PROBABLE_GRADE, best[ends])), 4
        ),
        "detections_elsewhere_per_image": round(
            float((elsewhere["score"] >= threshold).sum() / seen.sum()), 4
        ),
    }


def main() -> None:
    """Measure and write the results."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("data_dir", type=Path, nargs="?")
    parser.add_argument("--weights", type=Path, nargs="+", default=[])
    parser.add_argument("--metrics", type=Path, help="scores of the evaluation (lenses.csv)")
    parser.add_argument("--score-threshold", type=float)
    parser.add_argument("--radius-arcsec", type=float, default=3.0)
    parser.add_argument("--output", type=Path, default=RESULTS)
    arguments = parser.parse_args()
    if arguments.data_dir is None or not arguments.weights:
        print("not run: needs DATA_DIR and --weights, which the project does not contain")
        return
    results = {}
    for weights in arguments.weights:
        card, threshold = read_card(weights), arguments.score_threshold
        if threshold is None:
            threshold = find_threshold(weights, arguments.metrics)
        head = {"model": card["architecture"]["backbone"]}
        head |= {"n_train": card["n_train"], "seed": card["seed"]}
        measured = measure(arguments.data_dir, weights, threshold, arguments.radius_arcsec)
        results[weights.stem] = head | measured
        print(weights.stem, json.dumps(results[weights.stem], indent=2), flush=True)
    arguments.output.parent.mkdir(exist_ok=True)
    arguments.output.write_text(json.dumps(results, indent=2) + "\n")


if __name__ == "__main__":
    main()
