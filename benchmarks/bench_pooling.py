"""What the feature vector keeps of the encoder's maps, trained with and read with each pooling.

python benchmarks/bench_pooling.py RESULTS_DIR --work FOLDER: RESULTS_DIR is that of a run of
config/folder.yaml with crops and splits; FOLDER keeps what is trained, so that a killed call goes
on. The encoder is pretrained with each pooling in the contrastive loss, from one seed and for as
many steps, and read with each. Galaxies of the training split are learned from, those of the
validation split judge; the test split is not read. Writes benchmarks/results/pooling.json.
"""

import argparse
import json
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT / "scripts"))

from galaxy_lvm.core.config import part_of, resolve, section  # noqa: E402
from galaxy_lvm.core.config.fewshot import Features  # noqa: E402
from galaxy_lvm.core.config.training import Lvm, Pretraining  # noqa: E402
from galaxy_lvm.features.extract import FeatureExtractor  # noqa: E402
from galaxy_lvm.fewshot.subsets import draw_subset  # noqa: E402
from galaxy_lvm.lvm.model import LVM  # noqa: E402
from galaxy_lvm.lvm.weights import git_commit, load_lvm, read_card  # noqa: E402
from galaxy_lvm.report.metrics import classification_metrics  # noqa: E402
from galaxy_lvm.survey.crop_store import CropStore  # noqa: E402
from galaxy_lvm.survey.splits_table import Galaxies, Splits  # noqa: E402
from galaxy_lvm.training.backbones import PooledLVM  # noqa: E402
from galaxy_lvm.training.job import JobFiles  # noqa: E402
from galaxy_lvm.training.pretrain import pretrain  # noqa: E402
from sklearn.linear_model import LogisticRegression  # noqa: E402
from sklearn.pipeline import make_pipeline  # noqa: E402
from sklearn.preprocessing import StandardScaler  # noqa: E402

RESULTS = Path(__file__).parent / "results" / "pooling.json"
TRAINED_WITH = ("mean", "stages", "mean_std", "attention")
READ_WITH = ("mean", "mean_std", "stages")  # attention's weights are those of its training
SIZES, N_SUBSETS = (10, 50, 200), 5
STRENGTHS = (0.0003, 0.003, 0.03, 0.3)


def trained(run: Path, work: Path, pooling: str, config: dict, steps: int) -> Path:
    """Pretrain with one pooling in the loss, unless that is done; return the weights."""
    weights = work / f"{pooling}_{steps}.safetensors"
    if weights.exists():
        return weights
    settings = section(Pretraining, part_of(Pretraining, config["pretrain"]))
    optim = settings.optim.model_copy(update={"steps": steps})
    pretrain(
        parts=[
            (
                run / "data/galaxies/crops.h5",
                Splits(run / "data/galaxies/splits.parquet").pretraining_rows(),
            )
        ],
        shape=section(Lvm, {**config["lvm"], "pooling": pooling}),
        settings=settings.model_copy(update={"optim": optim}),
        seed=1,
        files=JobFiles(work / "state", 1, weights, weights.with_suffix(".csv")),
    )
    return weights


def read_with(lvm: LVM, pooling: str) -> LVM:
    """Return the same weights with another pooling; both without weights of their own."""
    other = LVM(replace(lvm.config, pooling=pooling))
    other.load_state_dict(lvm.state_dict())
    return other


def scores_of(lvm: LVM, run: Path) -> dict[str, float]:
    """Return validation scores of logistic regressions on all labels and on few."""
    splits = Splits(run / "data/galaxies/splits.parquet")
    galaxies = {split: splits.labelled(split) for split in ("train", "val")}
    extractor = FeatureExtractor(PooledLVM(lvm.encoder), Features(n_orientations=4))
    with CropStore(run / "data/galaxies/crops.h5") as store:
        features = {split: extractor(store.of(those)) for split, those in galaxies.items()}
    row_of = {index: row for row, index in enumerate(galaxies["train"].index)}

    def score(chosen: Galaxies) -> tuple[float, float]:
        inside = features["train"][[row_of[index] for index in chosen.index]]
        found = []
        for strength in STRENGTHS:
            model = make_pipeline(StandardScaler(), LogisticRegression(C=strength, max_iter=500))
            guess = model.fit(inside, chosen.labels).predict(features["val"])
            values = classification_metrics(galaxies["val"].labels, guess, len(splits.class_names))
            found.append((values["accuracy"], values["f1"]))
        return max(found, key=lambda pair: pair[1])

    accuracy, f1 = score(galaxies["train"])
    result = {"accuracy": accuracy, "f1": f1}
    for size in SIZES:
        drawn = [score(draw_subset(galaxies["train"], size, seed))[0] for seed in range(N_SUBSETS)]
        result[f"accuracy_{size}_per_class"] = float(np.mean(drawn))
    return {name: round(float(value), 4) for name, value in result.items()}


def main() -> None:
    """Pretrain, read, score; write the results after every training."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("results_dir", type=Path, nargs="?")
    parser.add_argument("--work", type=Path)
    parser.add_argument("--config", type=Path, default=ROOT / "config" / "folder.yaml")
    parser.add_argument("--steps", type=int, default=1200)
    arguments = parser.parse_args()
    if arguments.results_dir is None or arguments.work is None:
        print("not run: needs RESULTS_DIR and --work, which the project does not contain")
        return
    torch.set_num_threads(1)
    arguments.work.mkdir(parents=True, exist_ok=True)
    # The images are read from RESULTS_DIR; the folder they came from has to be named all the same.
    config, rows = resolve({"base": str(arguments.config), "data_dir": "."}), []
    for pooling in TRAINED_WITH:
        chosen = arguments.results_dir, arguments.work, pooling, config, arguments.steps
        weights = trained(*chosen)
        lvm = load_lvm(weights)
        readers = (pooling,) if pooling == "attention" else READ_WITH
        for reader in readers:
            values = scores_of(read_with(lvm, reader), arguments.results_dir)
            seconds = read_card(weights)["seconds"]
            rows.append({"trained_with": pooling, "read_with": reader, **values})
            print(rows[-1], f"{seconds:.0f} s", flush=True)
        what = "validation scores of frozen features of real galaxies, logistic regression"
        about = {"what": what, "commit": git_commit(), "steps": arguments.steps}
        RESULTS.write_text(json.dumps({**about, "rows": rows}, indent=1) + "\n")


if __name__ == "__main__":
    main()
