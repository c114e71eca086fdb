"""Networks trained on all labelled galaxies, to stand beside the LVM in Table 1."""

import os
import time
from dataclasses import asdict
from typing import Any

from galaxy_lvm.core.logs import log
from galaxy_lvm.core.state import state_folder
from galaxy_lvm.report.metrics import classification_scores, right_or_wrong
from galaxy_lvm.report.results import (
    long_rows,
    per_galaxy_rows,
    write_per_galaxy,
    write_results,
)
from galaxy_lvm.survey.splits_table import Splits
from galaxy_lvm.training.model_specs import ModelSpec
from galaxy_lvm.training.network import NetworkTrainer
from galaxy_lvm.training.network_settings import FewShotSettings, without_rates

TASK = "classification"


def reference_settings(sections: dict[str, Any]) -> FewShotSettings:
    """Return the protocol of the config's section `reference`.

    What does not belong to a network is the LVM's: the random views, the side and the smoothing of
    labels are those of `classification`, the views of a test galaxy those of `multitask`. Blending
    of galaxies (`mixup_alpha`) is the LVM's alone.
    """
    own, lvm, views = (sections[name] for name in ("reference", "classification", "multitask"))
    return FewShotSettings(
        batch_size=own["batch_size"],
        min_epochs=own["min_epochs"],
        validate_every_fraction=own["validate_every_fraction"],
        learning_rates=tuple(own["learning_rates"]),
        finetune_learning_rates=tuple(own["finetune_learning_rates"]),
        dropout=own["dropout"],
        optim=without_rates(own["optim"]),
        label_smoothing=lvm["label_smoothing"],
        views=lvm["views"],
        view_side_pix=lvm["view_side_pix"],
        n_orientations=views["n_orientations"],
        zooms=tuple(views["zooms"]),
    )


def train_reference(
    spec: ModelSpec,
    splits_path: str | os.PathLike,
    crops_path: str | os.PathLike,
    settings: FewShotSettings,
    seed: int,
    state_root: str | os.PathLike,
    recipe_version: int,
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
    splits_path, crops_path
        Labelled dataset.
    settings
        From `reference_settings`.
    seed
        The run's seed.
    state_root
        Folder for checkpoints.
    recipe_version
        Of the rule; what other versions left unfinished is not taken up.
    metrics_path, per_galaxy_path
        Long table (CSV), and whether each test galaxy is right (parquet), to write.
    """
    start = time.monotonic()
    table = Splits(splits_path)
    splits, n_classes = table.all_labelled(), len(table.class_names)
    sources = [splits_path, crops_path, spec.weights_file]
    folder = state_folder(
        state_root, recipe_version, [asdict(spec), asdict(settings), seed], sources
    )
    test = splits["test"]
    trainer = NetworkTrainer(spec, crops_path, None, settings, test, n_classes)
    fit = trainer.fit(splits["train"], splits["val"], seed, folder)
    predicted = fit.shares.argmax(axis=1)
    scores = classification_scores(test.labels, predicted, n_classes, seed)
    log.info("%s, %d galaxies: accuracy %.3f, %s, %.0f s", spec.label, len(splits["train"]),
             scores["accuracy"], fit.chosen, time.monotonic() - start)  # fmt: skip
    scores |= {"loss_val": fit.loss_val} | {f"chosen_{k}": v for k, v in fit.chosen.items()}
    right = right_or_wrong(test.labels, predicted)
    write_results(metrics_path, long_rows("multitask", TASK, spec.label, "", seed, scores))
    rows = per_galaxy_rows(TASK, spec.label, "", seed, list(test.ids), right)
    write_per_galaxy(per_galaxy_path, [rows])
