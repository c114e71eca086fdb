"""The classes of trained networks for images that they never saw."""

import os
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from galaxy_lvm.core.config.fewshot import Features
from galaxy_lvm.core.config.tasks import MultitaskRun
from galaxy_lvm.core.errors import DataError
from galaxy_lvm.core.logs import log
from galaxy_lvm.features.encoder import N_ORIENTATIONS, ImageEncoder
from galaxy_lvm.features.images import Reading
from galaxy_lvm.multitask.train import load_multitask
from galaxy_lvm.training.feed import CropImages
from galaxy_lvm.training.loop import make_accelerator
from galaxy_lvm.training.predict import class_probabilities


class TrainedClassifier:
    """A multitask model, asked for class probabilities.

    Parameters
    ----------
    weights
        Of the training.
    n_orientations, zooms
        Views of each galaxy that probabilities are averaged over.
    """

    def __init__(
        self, weights: str | os.PathLike, n_orientations: int, zooms: Sequence[float]
    ) -> None:
        model, card = load_multitask(weights)
        trained = MultitaskRun.model_validate(card["settings"])
        accelerator = make_accelerator(trained.multitask.optim.precision)
        self.model = model.to(accelerator.device)
        self.class_names: tuple[str, ...] = tuple(card["classes"])
        self.strategy = trained.strategy
        self.side_pix = trained.classification.view_side_pix
        self._views = self.side_pix, n_orientations, list(zooms)
        self._how = {"device": accelerator.device, "autocast": accelerator.autocast}

    def __call__(self, images: np.ndarray | CropImages) -> np.ndarray:
        """Return probabilities (N, n_classes) of crops (N, H, W, 3) uint8, as the model has it."""
        return class_probabilities(self.model, images, *self._views, **self._how)


class RunClassifier:
    """The networks of one strategy of a run; their probabilities are averaged.

    Parameters
    ----------
    run
        Folder of the run.
    strategy
        One of its multitask trainings, for instance `multi_active`.
    reading
        How images are read and cut.

    Attributes
    ----------
    names
        Classes in the order of the probabilities.
    encoder
        The first network's encoder, which makes the feature vectors.

    Raises
    ------
    DataError
        If the run has no such training, or its trainings know different classes.
    """

    def __init__(self, run: Path, strategy: str, reading: Reading) -> None:
        paths = sorted(run.glob(f"models/multitask/{strategy}_*.safetensors"))
        if not paths:
            there = {p.stem.rpartition("_")[0] for p in run.glob("models/multitask/*.safetensors")}
            raise DataError(
                f"{run}: no training {strategy!r} (models/multitask/{strategy}_*.safetensors); "
                f"it has {', '.join(sorted(there)) or 'none; let the run finish'}"
            )
        self._trained = [TrainedClassifier(path, N_ORIENTATIONS, [1.0]) for path in paths]
        classes = {trained.class_names for trained in self._trained}
        if len(classes) > 1:
            raise DataError(f"{paths[0]} and others of {strategy}: different classes {classes}")
        self.names: tuple[str, ...] = classes.pop()
        first = self._trained[0]
        how = Features(view_side_pix=first.side_pix, n_orientations=N_ORIENTATIONS, batch_size=64)
        self.encoder = ImageEncoder(first.model.encoder, how, reading, paths[0])
        log.info("%d trainings of %s: %s", len(paths), strategy, ", ".join(map(str, paths)))

    def probabilities(self, crops: np.ndarray) -> np.ndarray:
        """Return class probabilities (n, n_classes) of crops (n, side, side, 3) uint8."""
        if not len(crops):
            return np.empty((0, len(self.names)), np.float32)
        return np.mean([trained(crops) for trained in self._trained], axis=0)
