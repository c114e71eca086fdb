"""Networks that learn from all labelled galaxies, to stand beside the LVM in Table 1."""

import os
import time
from dataclasses import asdict

import torch

from galaxy_lvm.core.config.fewshot import Features
from galaxy_lvm.core.logs import log
from galaxy_lvm.features.extract import FeatureExtractor
from galaxy_lvm.report.class_scores import classification_scores, second_scores
from galaxy_lvm.report.metrics import cross_entropy, right_or_wrong
from galaxy_lvm.report.results import (
    long_rows,
    per_galaxy_rows,
    write_per_galaxy,
    write_results,
)
from galaxy_lvm.survey.splits_table import Galaxies, Splits
from galaxy_lvm.training.backbones import build_encoder
from galaxy_lvm.training.feed import CropImages
from galaxy_lvm.training.job import NetworkFiles
from galaxy_lvm.training.model_specs import ModelSpec
from galaxy_lvm.training.network import Fit, NetworkTrainer
from galaxy_lvm.training.network_settings import NetworkProtocol

TASK = "classification"


def train_reference(
    spec: ModelSpec,
    files: NetworkFiles,
    settings: NetworkProtocol,
    seed: int,
    metrics_path: str | os.PathLike,
    per_galaxy_path: str | os.PathLike,
) -> None:
    """Train one network on the whole training split, score it as Table 1 scores the LVM.

    A frozen one learns by logistic regression on its vectors, whose penalty is chosen on the
    validation split. Of another, learning rate and step to keep are chosen there; a run that was
    killed goes on from its last checkpoint.

    Parameters
    ----------
    spec
        The network.
    files
        The dataset, and where the unfinished lies.
    settings
        From `reference_protocol`.
    seed
        The run's seed.
    metrics_path, per_galaxy_path
        Long table (CSV), and whether each test galaxy is right (parquet), to write.
    """
    start = time.monotonic()
    table = Splits(files.splits)
    splits, n_classes = table.all_labelled(), len(table.class_names)
    folder = files.state([asdict(spec), settings.model_dump(), seed], [spec.weights_file])
    test = splits["test"]
    if spec.frozen:
        fit = fit_on_frozen(spec, files.crops, settings, splits)
    else:
        trainer = NetworkTrainer(spec, files.crops, None, settings, test, n_classes)
        fit = trainer.fit(splits["train"], splits["val"], seed, folder)
    predicted = fit.shares.argmax(axis=1)
    scores = classification_scores(test.labels, predicted, n_classes, seed)
    scores |= second_scores(test.second_labels, predicted, n_classes, seed)
    log.info("%s, %d galaxies: accuracy %.3f, %s, %.0f s", spec.label, len(splits["train"]),
             scores["accuracy"], fit.chosen, time.monotonic() - start)  # fmt: skip
    scores |= {"loss_val": fit.loss_val} | {f"chosen_{k}": v for k, v in fit.chosen.items()}
    right = right_or_wrong(test.labels, predicted)
    write_results(metrics_path, long_rows("multitask", TASK, spec.label, "", seed, scores))
    rows = per_galaxy_rows(TASK, spec.label, "", seed, list(test.ids), right)
    write_per_galaxy(per_galaxy_path, [rows])


def fit_on_frozen(
    spec: ModelSpec,
    crops_path: str | os.PathLike,
    settings: NetworkProtocol,
    splits: dict[str, Galaxies],
) -> Fit:
    """Return a logistic regression on a frozen network's vectors, with the best validation loss.

    Parameters
    ----------
    spec
        The network.
    crops_path
        Crops of the galaxies.
    settings
        Orientations, penalties to choose from, and the side of what it sees where `spec` says none.
    splits
        `train`, `val` and `test`.
    """
    # 1.3 CPU seconds, which networks that are trained as a whole save.
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    torch.manual_seed(0)  # an encoder without weights is the same in every training
    side = spec.view_side_pix or settings.view_side_pix
    how = Features(view_side_pix=side, n_orientations=settings.n_orientations)
    extract = FeatureExtractor(build_encoder(spec, side), how)
    values = {
        split: extract(CropImages(crops_path, galaxies.index)) for split, galaxies in splits.items()
    }
    labels, fits = {split: galaxies.labels for split, galaxies in splits.items()}, []
    for strength in settings.logistic_c:
        model = make_pipeline(StandardScaler(), LogisticRegression(C=strength, max_iter=1000))
        model.fit(values["train"], labels["train"])
        loss = cross_entropy(model.predict_proba(values["val"]), labels["val"])
        fits.append(Fit(model.predict_proba(values["test"]), loss, {"logistic_c": strength}))
    return min(fits, key=lambda fit: fit.loss_val)
