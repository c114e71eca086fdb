"""Few-shot classification: networks, heads on frozen features and HOG, under one protocol.

Every model gets the same nested training sets. What is chosen (number of steps, learning rate,
regularisation) is chosen by the cross-entropy of validation galaxies, of which there are no more
per class than training galaxies; the test split is looked at once, at the end (paper IV.A).
"""

import itertools
import os
import shutil
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

import numpy as np
import pandas as pd

from galaxy_lvm.core.config.fewshot import FewShotSections
from galaxy_lvm.core.logs import log, progress
from galaxy_lvm.core.state import atomic_path
from galaxy_lvm.core.tables import save_table
from galaxy_lvm.features.store import FeatureStore
from galaxy_lvm.fewshot.scores import EXPERIMENT, TASK, condition_of, few_shot_scores
from galaxy_lvm.fewshot.subsets import draw_subset, usable_sizes
from galaxy_lvm.fewshot.trainers import HeadTrainer, HogTrainer
from galaxy_lvm.report.results import long_rows, write_results
from galaxy_lvm.survey.splits_table import Galaxies, Splits
from galaxy_lvm.training.job import NetworkFiles
from galaxy_lvm.training.model_specs import ModelSpec
from galaxy_lvm.training.network import Fit, NetworkTrainer
from galaxy_lvm.training.network_settings import protocol_of


def train_few_shot(
    spec: ModelSpec,
    files: NetworkFiles,
    features_path: str | os.PathLike | None,
    lvm_path: str | os.PathLike | None,
    settings: FewShotSections,
    seeds: Sequence[int],
    metrics_path: str | os.PathLike,
    predictions_path: str | os.PathLike,
) -> None:
    """Train one model on every training set, score it on the test split, write the results.

    Every finished training is kept in the state folder: a run that was killed goes on with the
    next one.

    Parameters
    ----------
    spec
        The model.
    files
        The dataset, and where the unfinished lies.
    features_path
        Features of a frozen encoder; None for other models.
    lvm_path
        The run's LVM, for the models that need it.
    settings
        Sizes and protocol.
    seeds
        Repetitions to do here.
    metrics_path, predictions_path
        Long table (CSV) and class probabilities of every test galaxy (parquet) to write.
    """
    table = Splits(files.splits)
    splits, class_names = table.all_labelled(), table.class_names
    sizes, skipped = usable_sizes(splits["train"].labels, class_names, settings.fewshot.sizes)
    for size, reason in skipped.items():
        log.warning("%d per class left out, too few training galaxies: %s", size, reason)
    # The seeds are in the key: jobs for other seeds run beside this one, and each removes its own.
    about = [asdict(spec), settings.model_dump(), [int(seed) for seed in seeds]]
    folder = files.state(about, [features_path, lvm_path, spec.weights_file])
    trainer = _trainer(spec, files.crops, features_path, lvm_path, settings, splits, class_names)
    rows, tables = [], []
    tasks = list(itertools.product(sizes, seeds))
    for size, seed in progress(tasks, desc=spec.label, unit="trainings"):
        fit = _kept_fit(trainer, splits, size, seed, folder)
        scores = few_shot_scores(splits["test"].labels, fit.shares)
        log.info("%s, %d per class, seed %d: accuracy %.3f, validation loss %.3f, %s",
                 spec.label, size, seed, scores["accuracy"], fit.loss_val, fit.chosen)  # fmt: skip
        scores |= {"loss_val": fit.loss_val} | {f"chosen_{k}": v for k, v in fit.chosen.items()}
        rows += long_rows(EXPERIMENT, TASK, spec.label, condition_of(size), seed, scores)
        tables.append(_predictions(splits["test"], fit.shares, class_names, spec, size, seed))
    save_table(predictions_path, pd.concat(tables, ignore_index=True))
    write_results(metrics_path, rows)
    shutil.rmtree(folder)


def _kept_fit(
    trainer: "NetworkTrainer | HeadTrainer | HogTrainer",
    splits: dict[str, Galaxies],
    size: int,
    seed: int,
    folder: Path,
) -> Fit:
    """Return the fit of one size and seed, from the folder if it was made before."""
    path = folder / f"n{size}_seed{seed}.npz"
    fit = _load_fit(path)
    if fit is None:
        subset, judges = (draw_subset(splits[name], size, seed) for name in ("train", "val"))
        fit = trainer.fit(subset, judges, seed, path.with_suffix(""))
        _save_fit(path, fit)
    return fit


def _trainer(
    spec: ModelSpec,
    crops_path: str | os.PathLike,
    features_path: str | os.PathLike | None,
    lvm_path: str | os.PathLike | None,
    settings: FewShotSections,
    splits: dict[str, Galaxies],
    class_names: Sequence[str],
) -> "NetworkTrainer | HeadTrainer | HogTrainer":
    if not spec.is_network:
        return HogTrainer(crops_path, settings.fewshot.logistic_c, splits["test"])
    if spec.frozen:
        store = FeatureStore.open(features_path)
        return HeadTrainer(store, settings.fewshot, splits, len(class_names))
    protocol, test = protocol_of(settings), splits["test"]
    return NetworkTrainer(spec, crops_path, lvm_path, protocol, test, len(class_names))


def _save_fit(path: Path, fit: Fit) -> None:
    with atomic_path(path) as temporary:
        names = np.array(list(fit.chosen), dtype=str)
        values = np.array(list(fit.chosen.values()), dtype=float)
        np.savez(temporary, shares=fit.shares, loss_val=fit.loss_val, names=names, values=values)


def _load_fit(path: Path) -> Fit | None:
    if not path.exists():
        return None
    with np.load(path) as kept:
        chosen = dict(zip(kept["names"].tolist(), kept["values"].tolist(), strict=True))
        return Fit(kept["shares"], float(kept["loss_val"]), chosen)


def _predictions(
    test: Galaxies,
    shares: np.ndarray,
    class_names: Sequence[str],
    spec: ModelSpec,
    size: int,
    seed: int,
) -> pd.DataFrame:
    columns = {f"p_{name}": shares[:, i] for i, name in enumerate(class_names)}
    head = {"id": test.ids, "label": test.labels, "model": spec.label}
    return pd.DataFrame({**head, "n_per_class": size, "seed": seed, **columns})
