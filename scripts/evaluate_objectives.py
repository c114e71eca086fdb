"""Compare what pretraining objectives teach the encoder: frozen features, logistic regression."""

from pathlib import Path

import numpy as np
import torch
from galaxy_lvm.core.config.fewshot import Features
from galaxy_lvm.core.gpus import own_gpus
from galaxy_lvm.core.logs import job_log, progress
from galaxy_lvm.core.seeds import derive_seed
from galaxy_lvm.features.extract import FeatureExtractor
from galaxy_lvm.features.probe import probes
from galaxy_lvm.lvm.model import LVM, LVMConfig
from galaxy_lvm.lvm.norms import calibrate
from galaxy_lvm.lvm.weights import load_lvm, read_card
from galaxy_lvm.report.class_scores import classification_metrics
from galaxy_lvm.report.metrics import bootstrap_interval
from galaxy_lvm.report.results import long_rows, write_results
from galaxy_lvm.survey.crop_store import CropStore
from galaxy_lvm.survey.splits_table import Splits
from galaxy_lvm.training.augment import resize, to_float
from galaxy_lvm.training.backbones import PooledLVM
from galaxy_lvm.training.objectives_table import UNTRAINED

N_CALIBRATION = 512


def main(
    crops: str,
    splits: str,
    weights: list[str],
    metrics: str,
    view_side_pix: int,
    seed: int,
    threads: int = 1,
) -> None:
    """Write the metrics of every objective, and of an encoder that has learned nothing.

    Parameters
    ----------
    crops, splits
        Labelled dataset.
    weights
        Weights of the LVMs; the folder's name is the model's name.
    metrics
        Long-format CSV to write.
    view_side_pix
        Side to which crops are resized for the encoder.
    seed, threads
        The run's seed; CPU threads.
    """
    torch.set_num_threads(threads)
    table = Splits(splits)
    galaxies = table.all_labelled()
    some = table.draw("train", N_CALIBRATION, seed, "calibration")
    with CropStore(crops) as store:
        images = {split: store.of(those) for split, those in galaxies.items()}
        untrained = _untrained(load_lvm(weights[0]).config, store.of(some), view_side_pix, seed)
    rows = []
    models = {UNTRAINED: untrained} | {Path(path).parent.name: load_lvm(path) for path in weights}
    how = Features(view_side_pix=view_side_pix, n_orientations=1, batch_size=64)
    for name, lvm in progress(models.items(), desc="frozen features", unit="models"):
        extractor = FeatureExtractor(PooledLVM(lvm.encoder), how)
        features = {split: extractor(crops_of) for split, crops_of in images.items()}
        labels = {split: those.labels for split, those in galaxies.items()}
        scores = _probe(features, labels, seed)
        rows += long_rows("objectives", "classification", name, "frozen features", seed, scores)
    for path in weights:
        card = read_card(path)
        # Weights from elsewhere need not say what they cost.
        names = {"seconds": "pretrain_seconds", "final_loss": "final_loss"}
        cost = {name: card[key] for key, name in names.items() if key in card}
        rows += long_rows("objectives", "pretraining", Path(path).parent.name, "", seed, cost)
    write_results(metrics, rows)


def _untrained(config: LVMConfig, images: np.ndarray, view_side_pix: int, seed: int) -> LVM:
    """Return an LVM with random weights; its running statistics are those of the images."""
    torch.manual_seed(derive_seed(seed, "pretrain"))
    lvm = LVM(config)
    calibrate(lvm.encoder, [resize(to_float(images), view_side_pix)])
    return lvm


def _probe(features: dict, labels: dict, seed: int) -> dict[str, float]:
    """Fit on train, choose the regularisation on val, score on test."""
    n_classes = 1 + max(int(values.max()) for values in labels.values())
    fits = []
    for model in probes(features["train"], labels["train"]):
        chosen = model.predict(features["val"])
        fits.append((classification_metrics(labels["val"], chosen, n_classes)["f1"], model))
    f1_val, best = max(fits, key=lambda fit: fit[0])
    predicted = best.predict(features["test"])
    scores = classification_metrics(labels["test"], predicted, n_classes)
    low, high = bootstrap_interval((labels["test"], predicted), "f1", seed)
    return {**scores, "f1_low95": low, "f1_high95": high, "f1_val": f1_val}


if __name__ == "__main__":
    gpus = own_gpus(snakemake.resources.get("gpu", 0))  # noqa: F821
    with job_log(snakemake.log[0]), gpus:  # noqa: F821
        main(
            crops=snakemake.input.crops,  # noqa: F821
            splits=snakemake.input.splits,  # noqa: F821
            weights=list(snakemake.input.weights),  # noqa: F821
            metrics=snakemake.output.metrics,  # noqa: F821
            view_side_pix=snakemake.params.view_side_pix,  # noqa: F821
            seed=snakemake.params.seed,  # noqa: F821
            threads=snakemake.threads,  # noqa: F821
        )
