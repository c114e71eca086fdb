"""Networks trained on all labelled galaxies, to stand beside the LVM in Table 1."""

import os
import time
from dataclasses import asdict

from galaxy_lvm.core.logs import log
from galaxy_lvm.report.metrics import classification_scores, right_or_wrong, second_scores
from galaxy_lvm.report.results import (
    long_rows,
    per_galaxy_rows,
    write_per_galaxy,
    write_results,
)
from galaxy_lvm.survey.splits_table import Splits
from galaxy_lvm.training.job import NetworkFiles
from galaxy_lvm.training.model_specs import ModelSpec
from galaxy_lvm.training.network import NetworkTrainer
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

    The learning rate and the step to keep are chosen on the validation split. A run that was killed
    goes on from its last checkpoint.

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
