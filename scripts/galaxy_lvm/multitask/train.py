"""One multitask training from pretrained weights to saved weights (paper III, figure 3)."""

import logging
import os
from typing import Any

from galaxy_lvm.core.cards import read_card_of
from galaxy_lvm.core.config.tasks import MultitaskRun
from galaxy_lvm.core.seeds import derive_seed
from galaxy_lvm.lvm.model import LVM, LVMConfig
from galaxy_lvm.lvm.norms import follow_clean_images
from galaxy_lvm.lvm.weights import load_into, load_lvm, save_weights, shape_from_card
from galaxy_lvm.multitask.baselines import classical_errors
from galaxy_lvm.multitask.classical import BlurredSet
from galaxy_lvm.multitask.feed import (
    MultitaskFeed,
    TaskImages,
    ValidationMonitor,
    ValidationSets,
    validate,
)
from galaxy_lvm.multitask.heads import TASKS, MultitaskModel
from galaxy_lvm.multitask.schedule import FROM_SCRATCH, TaskSchedule
from galaxy_lvm.multitask.tasks import (
    image_galaxies,
    reconstruction_test_sets,
    restoration_test_set,
)
from galaxy_lvm.survey.crop_store import CropStore
from galaxy_lvm.survey.splits_table import Splits
from galaxy_lvm.training.job import JobFiles, TrainingJob
from galaxy_lvm.training.loop import TrainingLoop

log = logging.getLogger("galaxy_lvm")


def build_model(lvm: LVM, n_classes: int, settings: MultitaskRun) -> MultitaskModel:
    """Return the model of figure 3 on the encoder of `lvm`."""
    # Statistics that stay would be those of random weights where nothing was pretrained.
    if settings.multitask.masked_statistics == "clean" or settings.strategy == FROM_SCRATCH:
        follow_clean_images(lvm.encoder)
    return MultitaskModel(
        lvm,
        n_classes,
        hidden_dim=settings.classification.hidden_dim,
        dropout=settings.classification.dropout,
        skip_connections=settings.multitask.skip_connections,
        image_output=settings.multitask.image_output,
        image_loss=settings.multitask.image_loss,
        fine_layers=settings.multitask.fine_layers,
        frozen_encoder=settings.strategy == "pre_train",
        label_smoothing=settings.classification.label_smoothing,
    )


def train_multitask(
    crops_path: str | os.PathLike,
    splits_path: str | os.PathLike,
    lvm_path: str | os.PathLike,
    settings: MultitaskRun,
    files: JobFiles,
) -> None:
    """Train all tasks with one strategy; go on where an earlier run was killed.

    Parameters
    ----------
    crops_path, splits_path
        Crops and splits of the labelled dataset.
    lvm_path
        Pretrained weights; from_scratch takes only the shape of the LVM from them.
    settings
        What to train and how.
    files
        What to write (the history holds the validations: scores, lags, shares), and where the
        unfinished lies.
    """
    optim = settings.multitask.optim
    # One seed for all strategies: equal starts.
    job = TrainingJob(optim, derive_seed(settings.seed, "multitask"), files)
    train, class_names = read_training_images(crops_path, splits_path)
    model, lvm = starting_model(lvm_path, len(class_names), settings)
    model.to(job.device)
    sets = validation_sets(crops_path, splits_path, settings)
    active = settings.strategy == "multi_active"
    schedule = TaskSchedule(TASKS, active, settings.multitask.min_share)
    monitor = ValidationMonitor(
        schedule,
        lambda: _score(job.loop, model, sets, settings, len(class_names)),
        settings.multitask.validate_every_steps,
        len(class_names),
        settings.multitask.lag,
    )
    about = settings.model_dump()
    job.prepare(model, about, [crops_path, splits_path, lvm_path], monitor)
    seed = derive_seed(settings.seed, "feed")
    feed = MultitaskFeed(train, schedule, settings, len(class_names), seed, **job.place)
    log.info("%s: %d galaxies, %d steps", settings.strategy, len(train.labels), optim.steps)
    job.run(feed.batch, settings.strategy, monitor.after_step)
    card = {
        "architecture": vars(lvm.config),
        "classes": list(class_names),
        "settings": about,
        "pretrained": str(lvm_path),
        "steps_per_task": schedule.counts,
        "validation": monitor.records[-1] if monitor.records else None,
    }
    job.write(save_weights, model, card, monitor.records)


def starting_model(
    lvm_path: str | os.PathLike, n_classes: int, settings: MultitaskRun
) -> tuple[MultitaskModel, LVM]:
    """Return the model that a training starts from, and the LVM that it is built on."""
    lvm = load_lvm(lvm_path)
    if settings.strategy == FROM_SCRATCH:
        lvm = LVM(lvm.config)
    lvm = with_drop_path(lvm, settings.multitask.drop_path)
    return build_model(lvm, n_classes, settings), lvm


def load_multitask(path: str | os.PathLike) -> tuple[MultitaskModel, dict[str, Any]]:
    """Return a trained multitask model and its card.

    Raises
    ------
    DataError
        If the file or its card is missing or damaged, or holds another network.
    """
    card = read_card_of(path, ("settings", "architecture", "classes"))
    settings = MultitaskRun.model_validate(card["settings"])
    lvm = LVM(shape_from_card(path, LVMConfig, card["architecture"]))
    model = build_model(lvm, len(card["classes"]), settings)
    load_into(model, path)
    return model.eval(), card


def read_training_images(
    crops_path: str | os.PathLike, splits_path: str | os.PathLike
) -> tuple[TaskImages, tuple[str, ...]]:
    """Return the training split, also galaxies without label, and the names of the classes."""
    splits = Splits(splits_path)
    galaxies = splits.of("train")
    with CropStore(crops_path) as crops:
        return TaskImages(crops.of(galaxies), galaxies.labels), splits.class_names


def validation_sets(
    crops_path: str | os.PathLike, splits_path: str | os.PathLike, settings: MultitaskRun
) -> ValidationSets:
    """Return the validation split's galaxies and degraded images; nothing here is of the test."""
    splits, n_images = Splits(splits_path), settings.multitask.n_validation_images
    labelled = splits.labelled("val")
    with CropStore(crops_path) as crops:
        images = crops.of(labelled)
        some = crops.of(image_galaxies(splits, "val", n_images, settings.seed))
    blur = settings.restoration
    reference, blurred, table = restoration_test_set(some, blur, settings.seed, "val")
    how, seed = settings.reconstruction, settings.seed
    whole, masked, mask, _ = reconstruction_test_sets(some, how, seed, "val")[""]
    classical: dict[str, float] = {}
    if settings.multitask.lag == "classical" and settings.strategy == "multi_active":
        known = BlurredSet.from_table(blurred, table, blur)
        errors = (reference, known), (whole, masked, mask)
        classical = classical_errors(*errors, settings.baselines)
    return ValidationSets(
        TaskImages(images, labelled.labels), (reference, blurred), (whole, masked), classical
    )


def _score(
    loop: TrainingLoop,
    model: MultitaskModel,
    sets: ValidationSets,
    settings: MultitaskRun,
    n_classes: int,
) -> dict[str, float]:
    """Validate the weights that would be kept, then go back to the ones in training."""
    with loop.averaged_weights():
        return validate(
            model,
            sets,
            settings.classification.view_side_pix,
            n_classes,
            device=loop.accelerator.device,
            autocast=loop.accelerator.autocast,
        )


def with_drop_path(lvm: LVM, rate: float) -> LVM:
    """Return the same LVM with another stochastic-depth rate (it has no weights)."""
    config = LVMConfig(**{**vars(lvm.config), "drop_path": rate})
    other = LVM(config)
    other.load_state_dict(lvm.state_dict())
    return other
