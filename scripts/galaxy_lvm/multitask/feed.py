"""Multitask training: what a step is fed, how the validation score steers the shares (III.A)."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from galaxy_lvm.core.config.tasks import MultitaskRun
from galaxy_lvm.core.seeds import derive_seed
from galaxy_lvm.multitask.degrade import blur_images, mask_images
from galaxy_lvm.multitask.heads import TASKS, MultitaskModel, restored_images
from galaxy_lvm.multitask.schedule import TaskSchedule, task_lags
from galaxy_lvm.report.class_scores import classification_metrics
from galaxy_lvm.training.augment import random_patches, random_views, to_float
from galaxy_lvm.training.feed import Sampler, local_share
from galaxy_lvm.training.launch import told_by_main_process
from galaxy_lvm.training.predict import class_probabilities


@dataclass(frozen=True)
class TaskImages:
    """Images of one split, in memory."""

    images: np.ndarray
    """Crops (N, H, W, 3) uint8."""
    labels: np.ndarray
    """Class numbers (N,), -1 where a galaxy has no label."""


class MultitaskFeed:
    """Makes the batch of a step: the schedule picks the task, seeds pick the rest.

    Parameters
    ----------
    train
        Training split. Classification uses its labelled galaxies, the image tasks all of them.
    schedule
        Deals out the steps.
    settings
        Views of the classification task, degradations of the image tasks, batch sizes.
    n_classes
        Number of classes.
    seed
        Seed of everything drawn.
    rank, world_size
        This process among all.
    """

    def __init__(
        self,
        train: TaskImages,
        schedule: TaskSchedule,
        settings: MultitaskRun,
        n_classes: int,
        seed: int,
        rank: int = 0,
        world_size: int = 1,
    ) -> None:
        self.train, self.schedule, self.settings = train, schedule, settings
        self.n_classes, self.seed = n_classes, seed
        self.rank, self.world_size = rank, world_size
        self.labelled = np.flatnonzero(train.labels >= 0)
        sizes = {task: len(train.images) for task in TASKS} | {"classification": len(self.labelled)}
        batch_sizes = settings.multitask.batch_sizes
        self.samplers = {
            task: Sampler(sizes[task], batch_sizes[task], derive_seed(seed, "sampler", task))
            for task in TASKS
        }

    def batch(self, step: int, device: torch.device | str = "cpu") -> dict[str, Any]:
        """Return the arguments of `MultitaskModel.forward` for this step.

        Images are made on the CPU, whatever the device: the degradations are NumPy's.
        """
        task, count = self.schedule.next_task()
        positions = local_share(self.samplers[task].positions(count), self.rank, self.world_size)
        seed = derive_seed(self.seed, task, count, self.rank)
        if task == "classification":
            return {"task": task, **self._classification(self.labelled[positions], seed)}
        return {"task": task, **self._image_task(task, positions, seed)}

    def _classification(self, rows: np.ndarray, seed: int) -> dict[str, Tensor]:
        generator = torch.Generator().manual_seed(seed)
        how = self.settings.classification
        crops = to_float(self.train.images[rows])
        images = random_views(crops, how.views, how.view_side_pix, generator)
        labels = torch.from_numpy(self.train.labels[rows])
        if how.mixup_alpha == 0:
            return {"images": images, "target": labels}
        share = np.random.default_rng(seed).beta(how.mixup_alpha, how.mixup_alpha)
        one_hot = functional.one_hot(labels, self.n_classes).float()
        return {
            "images": share * images + (1 - share) * images.flip(0),
            "target": share * one_hot + (1 - share) * one_hot.flip(0),
        }

    def _image_task(self, task: str, rows: np.ndarray, seed: int) -> dict[str, Tensor]:
        generator = torch.Generator().manual_seed(seed)
        crops = to_float(self.train.images[rows])
        target, _ = random_patches(crops, self.settings.multitask.patch_side_pix, generator)
        array = target.permute(0, 2, 3, 1).numpy()
        if task == "restoration":
            degraded, _ = blur_images(array, self.settings.restoration, seed)
        else:
            degraded, _, _ = mask_images(array, self.settings.reconstruction, seed)
        return {"images": to_float(degraded), "target": target}


@dataclass(frozen=True)
class ValidationSets:
    """What the tasks are judged on while they train."""

    classification: TaskImages
    """Labelled validation galaxies."""
    restoration: tuple[np.ndarray, np.ndarray]
    """Reference and blurred images (N, H, W, 3), float32 in [0, 1]."""
    reconstruction: tuple[np.ndarray, np.ndarray]
    """Reference and masked images (N, H, W, 3), float32 in [0, 1]."""
    classical: Mapping[str, float] = field(default_factory=dict)
    """`mse_classical_{task}` of the image tasks (`classical_errors`); empty if nobody asks."""


def validate(
    model: MultitaskModel, sets: ValidationSets, side_pix: int, n_classes: int, **kwargs
) -> dict[str, float]:
    """Return the validation scores: accuracy, macro F1, and per image task MSE and input MSE."""
    labels = sets.classification.labels
    shares = class_probabilities(
        model, sets.classification.images, side_pix, n_orientations=1, **kwargs
    )
    scores = classification_metrics(labels, shares.argmax(axis=1), n_classes)
    result = {"accuracy": scores["accuracy"], "f1": scores["f1"]}
    for task in ("restoration", "reconstruction"):
        reference, degraded = getattr(sets, task)
        output = restored_images(model, task, degraded, **kwargs)
        result[f"mse_{task}"] = float(np.mean((output - reference) ** 2))
        result[f"mse_input_{task}"] = float(np.mean((degraded - reference) ** 2))
    return result | dict(sets.classical)


class ValidationMonitor:
    """Validates every so many steps, updates the shares and keeps the record of both.

    Where several processes train, the main one judges and the others are told: scores that differ
    in the last digit would give them other shares, and a step other tasks.

    Parameters
    ----------
    schedule
        Schedule to steer; one that is not active keeps equal shares.
    score
        Function without arguments that returns the validation scores.
    every_steps
        Steps between validations.
    n_classes
        Number of classes.
    lag
        What a score lags behind: `paper`, `input` or `classical`; see `task_lags`.
    """

    def __init__(
        self,
        schedule: TaskSchedule,
        score: Callable[[], dict[str, float]],
        every_steps: int,
        n_classes: int,
        lag: str = "input",
    ) -> None:
        self.schedule, self.score, self.lag = schedule, score, lag
        self.every_steps, self.n_classes = every_steps, n_classes
        self.records: list[dict[str, float]] = []

    def after_step(self, step: int) -> None:
        """Validate where it is due; to be called behind every update."""
        if (step + 1) % self.every_steps:
            return
        scores = told_by_main_process(self.score)
        lags = task_lags(scores, self.n_classes, self.lag)
        self.schedule.update(lags)
        self.records.append(
            {
                "step": step + 1,
                **scores,
                **{f"lag_{task}": value for task, value in lags.items()},
                **{f"share_{task}": value for task, value in self.schedule.shares.items()},
            }
        )

    def state_dict(self) -> dict[str, Any]:
        """Return what a checkpoint has to keep, the schedule's state with it."""
        return {"schedule": self.schedule.state_dict(), "records": self.records}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Go on from a checkpoint."""
        self.schedule.load_state_dict(state["schedule"])
        self.records = list(state["records"])
