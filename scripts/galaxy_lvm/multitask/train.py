"""One multitask training from pretrained weights to saved weights (paper III, figure 3)."""

import logging
import os
import time
from dataclasses import dataclass, field
from typing import Any

import pandas as pd
import torch

from galaxy_lvm.core.errors import ConfigError
from galaxy_lvm.core.seeds import derive_seed
from galaxy_lvm.core.state import atomic_path, state_folder
from galaxy_lvm.lvm.model import LVM, LVMConfig
from galaxy_lvm.lvm.norms import follow_clean_images
from galaxy_lvm.lvm.weights import load_into, load_lvm, read_card, save_weights
from galaxy_lvm.multitask.baselines import classical_errors
from galaxy_lvm.multitask.classical import BaselineSettings, BlurredSet
from galaxy_lvm.multitask.degrade import BlurRecipe, MaskRecipe
from galaxy_lvm.multitask.feed import (
    MultitaskFeed,
    TaskImages,
    ValidationMonitor,
    ValidationSets,
    validate,
)
from galaxy_lvm.multitask.heads import IMAGE_TASKS, TASKS, MultitaskModel
from galaxy_lvm.multitask.schedule import FROM_SCRATCH, STRATEGIES, TaskSchedule
from galaxy_lvm.multitask.tasks import (
    image_galaxies,
    reconstruction_test_sets,
    restoration_test_set,
)
from galaxy_lvm.survey.crop_store import CropStore
from galaxy_lvm.survey.splits_table import Splits
from galaxy_lvm.training.augment import ViewRecipe
from galaxy_lvm.training.loop import OptimSettings, TrainingLoop, make_accelerator

log = logging.getLogger("galaxy_lvm")


@dataclass(frozen=True)
class MultitaskSettings:
    """The config's sections that a multitask training reads."""

    strategy: str
    """pre_train, multi_uniform, multi_active, or from_scratch to compare with."""
    multitask: dict[str, Any]
    """Section `multitask`."""
    classification: dict[str, Any]
    """Section `classification`."""
    restoration: dict[str, Any]
    """Section `restoration`: fields of BlurRecipe."""
    reconstruction: dict[str, Any]
    """Section `reconstruction`: fields of MaskRecipe."""
    seed: int
    """Seed of this training."""
    baselines: dict[str, Any] = field(default_factory=dict)
    """Section `baselines`: fields of BaselineSettings, for `lag: classical`."""

    def __post_init__(self) -> None:
        """Refuse an unknown strategy."""
        known = (*STRATEGIES, FROM_SCRATCH)
        if self.strategy not in known:
            raise ConfigError(f"strategy {self.strategy!r} is none of {known}")

    @property
    def blur(self) -> BlurRecipe:
        """Degradation of the restoration task."""
        return BlurRecipe(**self.restoration)

    @property
    def mask(self) -> MaskRecipe:
        """Degradation of the reconstruction task."""
        return MaskRecipe(**self.reconstruction)


def build_model(lvm: LVM, n_classes: int, settings: MultitaskSettings) -> MultitaskModel:
    """Return the model of figure 3 on the encoder of `lvm`."""
    # Statistics that stay would be those of random weights where nothing was pretrained.
    if settings.multitask["masked_statistics"] == "clean" or settings.strategy == FROM_SCRATCH:
        follow_clean_images(lvm.encoder)
    return MultitaskModel(
        lvm,
        n_classes,
        hidden_dim=settings.classification["hidden_dim"],
        dropout=settings.classification["dropout"],
        skip_connections=settings.multitask["skip_connections"],
        residual=settings.multitask["residual"],
        frozen_encoder=settings.strategy == "pre_train",
        label_smoothing=settings.classification["label_smoothing"],
    )


def train_multitask(
    crops_path: str | os.PathLike,
    splits_path: str | os.PathLike,
    lvm_path: str | os.PathLike,
    settings: MultitaskSettings,
    state_root: str | os.PathLike,
    recipe_version: int,
    weights_path: str | os.PathLike,
    history_path: str | os.PathLike,
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
    state_root
        Folder for checkpoints; one sub-folder per combination of settings.
    recipe_version
        Of the rule; what other versions left unfinished is not taken up.
    weights_path, history_path
        Weights with their card, and the validation record (CSV: scores, lags, shares).
    """
    start = time.monotonic()
    seed = derive_seed(settings.seed, "multitask")  # one seed for all strategies: equal starts
    torch.manual_seed(seed)
    optim = OptimSettings(**settings.multitask["optim"])
    accelerator = make_accelerator(optim.precision)
    train, class_names = read_training_images(crops_path, splits_path)
    lvm = load_lvm(lvm_path)
    if settings.strategy == FROM_SCRATCH:
        lvm = LVM(lvm.config)
    lvm = with_drop_path(lvm, settings.multitask["drop_path"])
    model = build_model(lvm, len(class_names), settings).to(accelerator.device)
    sets = validation_sets(crops_path, splits_path, settings)
    schedule = TaskSchedule(
        TASKS, settings.strategy == "multi_active", settings.multitask["min_share"]
    )
    loop: TrainingLoop
    monitor = ValidationMonitor(
        schedule,
        lambda: _score(loop, model, sets, settings, len(class_names)),
        settings.multitask["validate_every_steps"],
        len(class_names),
        settings.multitask["lag"],
    )
    state = state_folder(
        state_root, recipe_version, vars(settings), [crops_path, splits_path, lvm_path]
    )
    loop = TrainingLoop(model, optim, state, seed, accelerator, monitor)
    feed = make_feed(train, schedule, settings, len(class_names), loop)
    log.info("%s: %d galaxies, %d steps", settings.strategy, len(train.labels), optim.steps)
    loop.run(feed.batch, monitor.after_step, desc=settings.strategy)
    loop.finish()
    log.info("%s took %.0f s", settings.strategy, time.monotonic() - start)
    if accelerator.is_main_process:
        with atomic_path(history_path) as temporary:
            pd.DataFrame(monitor.records).to_csv(temporary, index=False)
        card = {
            "architecture": vars(lvm.config),
            "classes": list(class_names),
            "settings": vars(settings),
            "pretrained": str(lvm_path),
            "steps_per_task": schedule.counts,
            "validation": monitor.records[-1] if monitor.records else None,
            "seconds": round(time.monotonic() - start, 1),
        }
        save_weights(weights_path, model, card)
        loop.forget()


def load_multitask(path: str | os.PathLike) -> tuple[MultitaskModel, dict[str, Any]]:
    """Return a trained multitask model and its card."""
    card = read_card(path)
    settings = MultitaskSettings(**card["settings"])
    model = build_model(LVM(LVMConfig(**card["architecture"])), len(card["classes"]), settings)
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
    crops_path: str | os.PathLike, splits_path: str | os.PathLike, settings: MultitaskSettings
) -> ValidationSets:
    """Return the validation split's galaxies and degraded images; nothing here is of the test."""
    splits, n_images = Splits(splits_path), settings.multitask["n_validation_images"]
    labelled = splits.labelled("val")
    with CropStore(crops_path) as crops:
        images = crops.of(labelled)
        some = crops.of(image_galaxies(splits, "val", n_images, settings.seed))
    reference, blurred, table = restoration_test_set(some, settings.blur, settings.seed, "val")
    whole, masked, mask, _ = reconstruction_test_sets(some, settings.mask, settings.seed, "val")[""]
    classical: dict[str, float] = {}
    if settings.multitask["lag"] == "classical" and settings.strategy == "multi_active":
        known = BlurredSet.from_table(blurred, table, settings.blur)
        choices = BaselineSettings(**settings.baselines)
        classical = classical_errors((reference, known), (whole, masked, mask), choices)
    return ValidationSets(
        TaskImages(images, labelled.labels), (reference, blurred), (whole, masked), classical
    )


def _score(
    loop: TrainingLoop,
    model: MultitaskModel,
    sets: ValidationSets,
    settings: MultitaskSettings,
    n_classes: int,
) -> dict[str, float]:
    """Validate the weights that would be kept, then go back to the ones in training."""
    with loop.averaged_weights():
        return validate(
            model,
            sets,
            settings.classification["view_side_pix"],
            n_classes,
            device=loop.accelerator.device,
            autocast=loop.accelerator.autocast,
        )


def batch_sizes(multitask: dict[str, Any]) -> dict[str, int]:
    """Return the images of one step of each task, from the config's section `multitask`."""
    of_images = multitask["image_batch_size"] or multitask["batch_size"]
    return {task: of_images if task in IMAGE_TASKS else multitask["batch_size"] for task in TASKS}


def make_feed(
    train: TaskImages,
    schedule: TaskSchedule,
    settings: MultitaskSettings,
    n_classes: int,
    loop: TrainingLoop,
) -> MultitaskFeed:
    """Return what a training is fed, as the config's sections describe it."""
    views = settings.classification
    return MultitaskFeed(
        train,
        schedule,
        ViewRecipe(side_pix=views["view_side_pix"], **views["views"]),
        settings.blur,
        settings.mask,
        batch_sizes(settings.multitask),
        settings.multitask["patch_side_pix"],
        views["mixup_alpha"],
        n_classes,
        derive_seed(settings.seed, "feed"),
        loop.accelerator.process_index,
        loop.accelerator.num_processes,
    )


def with_drop_path(lvm: LVM, rate: float) -> LVM:
    """Return the same LVM with another stochastic-depth rate (it has no weights)."""
    config = LVMConfig(**{**vars(lvm.config), "drop_path": rate})
    other = LVM(config)
    other.load_state_dict(lvm.state_dict())
    return other
