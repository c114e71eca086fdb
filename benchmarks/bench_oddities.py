"""Which score of unusualness finds oddities put into real galaxies, by encoder and stage.

python benchmarks/bench_oddities.py RESULTS_DIR: RESULTS_DIR is that of a run of config/release.yaml
with crops and splits of `galaxies`. Galaxies of the training split are what is usual; each of the
seven kinds of oddities is put into 60 galaxies of the split that judges, `val` unless --split says
otherwise, and looked for in lists of which one per cent is odd. Beside the scores of the workflow
stands the distance from the mean in units of the scatter in the statistics of each stage's maps.
Writes benchmarks/results/oddities.json.
"""

import argparse
import json
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT / "scripts"))

from galaxy_lvm.core.config.extensions import Outliers  # noqa: E402
from galaxy_lvm.core.config.fewshot import Features  # noqa: E402
from galaxy_lvm.core.encoder_files import weights_file  # noqa: E402
from galaxy_lvm.features.extract import FeatureExtractor  # noqa: E402
from galaxy_lvm.features.oddities import ODDITIES, inject  # noqa: E402
from galaxy_lvm.features.outlier_detectors import OutlierDetectors  # noqa: E402
from galaxy_lvm.features.outliers import METHODS, list_recall  # noqa: E402
from galaxy_lvm.features.space import FeatureSpace  # noqa: E402
from galaxy_lvm.lvm.weights import git_commit, load_encoder_of, lvm_shape  # noqa: E402
from galaxy_lvm.survey.crop_store import CropStore  # noqa: E402
from galaxy_lvm.survey.splits_table import Splits  # noqa: E402
from galaxy_lvm.training.backbones import PooledLVM  # noqa: E402
from sklearn.covariance import LedoitWolf  # noqa: E402

RESULTS = Path(__file__).parent / "results" / "oddities.json"
N_PER_KIND, SHARES, SEED = 60, (0.01, 0.05, 0.1), 1
Score = Callable[[np.ndarray], np.ndarray]


def scores_of(reference: np.ndarray, dims: list[int], n_fine: int) -> dict[str, Score]:
    """Return the workflow's scores, and one for each stage of a vector of `stages`."""
    detect = OutlierDetectors(reference, Outliers(), SEED, n_fine)
    scores: dict[str, Score] = {
        name: lambda values, name=name: detect(values)[name].to_numpy() for name in METHODS
    }
    space, ends = FeatureSpace(reference), np.cumsum([0, *(2 * dim for dim in dims)])
    for number, (first, last) in enumerate(zip(ends[:-1], ends[1:], strict=True), start=1):
        scatter = LedoitWolf().fit(space(reference)[:, first:last])
        scores[f"stage {number}"] = lambda values, of=(scatter, first, last): of[0].mahalanobis(
            space(values)[:, of[1] : of[2]]
        )
    return scores


def recalls(plain: np.ndarray, odd: np.ndarray) -> dict[str, float]:
    """Return the shares found at the top of the list."""
    found = list_recall(plain, odd, SHARES, np.random.default_rng(SEED))
    return {name: round(value, 4) for name, value in found.items()}


def main() -> None:
    """Encode, inject, score; write and print a row per score."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("results_dir", type=Path, nargs="?")
    parser.add_argument("--encoder", default="released")
    parser.add_argument("--split", choices=("val", "test"), default="val")
    parser.add_argument("--orientations", type=int, default=2)
    arguments = parser.parse_args()
    if arguments.results_dir is None:
        print("not run: needs RESULTS_DIR, which the project does not contain")
        return
    torch.set_num_threads(1)
    path = weights_file(arguments.encoder)
    how = Features(n_orientations=arguments.orientations, batch_size=64)
    extract = FeatureExtractor(PooledLVM(load_encoder_of(path)), how)
    data = arguments.results_dir / "data/galaxies"
    splits = Splits(data / "splits.parquet")
    judges = splits.labelled(arguments.split)
    with CropStore(data / "crops.h5") as store:
        reference, crops = extract(store.of(splits.labelled("train"))), store.of(judges)
    plain, rng, odd = extract(crops), np.random.default_rng(SEED), {}
    for kind in ODDITIES:
        rows = rng.permutation(len(crops))[:N_PER_KIND]
        odd[kind] = extract(inject(crops[rows], list(judges.ids[rows]), kind, SEED))
    shape, rows = lvm_shape(path), []
    for name, score in scores_of(reference, shape.dims, shape.n_fine).items():
        usual, unusual = score(plain), {kind: score(values) for kind, values in odd.items()}
        kinds = {kind: recalls(usual, found)["recall_at_5pct"] for kind, found in unusual.items()}
        together = recalls(usual, np.concatenate(list(unusual.values())))
        rows.append({"score": name, **together, "recall_at_5pct_by_kind": kinds})
        print(rows[-1], flush=True)
    about = {"what": "recall of oddities put into real galaxies", "split": arguments.split}
    about |= {"encoder": arguments.encoder, "n_plain": len(plain), "commit": git_commit()}
    RESULTS.write_text(json.dumps({**about, "rows": rows}, indent=1) + "\n")


if __name__ == "__main__":
    main()
