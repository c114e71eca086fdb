"""Scores of one multitask training on the test split: rows of Tables 1 to 4."""

import os
from dataclasses import dataclass

import numpy as np
import pandas as pd

from galaxy_lvm.core.config.tasks import MultitaskRun
from galaxy_lvm.multitask.heads import restored_images
from galaxy_lvm.multitask.tasks import (
    image_galaxies,
    image_test_sets,
    noise_free_images,
)
from galaxy_lvm.multitask.train import load_multitask
from galaxy_lvm.report.class_scores import classification_scores, second_scores
from galaxy_lvm.report.image_scores import image_metrics, image_scores, noise_free_scores
from galaxy_lvm.report.metrics import right_or_wrong
from galaxy_lvm.report.results import long_rows, per_galaxy_rows
from galaxy_lvm.survey.crop_store import CropStore
from galaxy_lvm.survey.splits_table import Galaxies, Splits
from galaxy_lvm.training.accelerator import make_accelerator
from galaxy_lvm.training.predict import class_probabilities

EXPERIMENT = "multitask"


@dataclass(frozen=True)
class TestSplit:
    """What every training is scored on, read once."""

    labelled: Galaxies
    """Labelled test galaxies."""
    images: np.ndarray
    """Their crops, uint8 (n, H, W, 3)."""
    drawn: Galaxies
    """Those of the image tasks."""
    drawn_images: np.ndarray
    """Their crops."""
    class_names: tuple[str, ...]
    """Names in the order of the class numbers."""
    noise_free: np.ndarray | None = None
    """The drawn ones without noise, float32 in [0, 1]; None for real galaxies."""

    @classmethod
    def read(
        cls,
        crops: str | os.PathLike,
        splits: str | os.PathLike,
        n_images: int,
        seed: int,
        noise_free: str | os.PathLike | None = None,
    ) -> "TestSplit":
        """Read the test split; `n_images` galaxies serve the image tasks, drawn by `seed`."""
        table = Splits(splits)
        labelled = table.labelled("test")
        drawn = image_galaxies(table, "test", n_images, seed)
        clean = noise_free_images(noise_free, drawn)
        with CropStore(crops) as store:
            images, drawn_images = store.of(labelled), store.of(drawn)
        return cls(labelled, images, drawn, drawn_images, table.class_names, clean)


@dataclass
class Scores:
    """Scores of one training."""

    rows: list[dict]
    """Rows of the long table; `seed` is the training's."""
    galaxies: list[pd.DataFrame]
    """Scores of single galaxies (`per_galaxy_rows`)."""
    probabilities: pd.DataFrame
    """`p_<class>`, `id`, `label`, `model` and `seed` of every labelled test galaxy."""


def evaluate_multitask(
    weights: str | os.PathLike,
    test: TestSplit,
    n_orientations: int,
    zooms: list[float],
    seed: int,
) -> Scores:
    """Score one training on the test split.

    Parameters
    ----------
    weights
        Weights of the training.
    test
        The test split.
    n_orientations, zooms
        Views over which class probabilities are averaged; see `class_probabilities`.
    seed
        The run's seed: every training meets the same degraded images, resampled alike.
    """
    model, card = load_multitask(weights)
    settings = MultitaskRun.model_validate(card["settings"])
    name, known = settings.strategy, test.labelled
    # In the precision of the training: twice as fast where that is bfloat16.
    accelerator = make_accelerator(settings.multitask.optim.precision)
    model = model.to(accelerator.device)
    how = {"device": accelerator.device, "autocast": accelerator.autocast}
    side_pix = settings.classification.view_side_pix
    shares = class_probabilities(model, test.images, side_pix, n_orientations, zooms, **how)
    table = pd.DataFrame(shares, columns=[f"p_{c}" for c in test.class_names])
    found = Scores([], [], table.assign(id=known.ids, label=known.labels, model=name))
    found.probabilities["seed"] = settings.seed

    def add(task: str, condition: str, ids, scores: dict, single: pd.DataFrame) -> None:
        found.rows += long_rows(EXPERIMENT, task, name, condition, settings.seed, scores)
        of_galaxies = per_galaxy_rows(task, name, condition, settings.seed, ids, single)
        found.galaxies.append(of_galaxies)

    predicted = shares.argmax(axis=1)
    n_classes = len(test.class_names)
    scores = classification_scores(known.labels, predicted, n_classes, seed)
    scores |= second_scores(known.second_labels, predicted, n_classes, seed)
    add("classification", "", known.ids, scores, right_or_wrong(known.labels, predicted))
    sets = image_test_sets(test.drawn_images, settings.restoration, settings.reconstruction, seed)
    for task, condition, reference, degraded in sets:
        made = restored_images(model, task, degraded, **how)
        result = image_metrics(reference, made)
        scores = image_scores(result, seed)
        if task == "restoration":
            scores |= noise_free_scores(test.noise_free, made, seed)
        add(task, condition, test.drawn.ids, scores, result)
    return found
