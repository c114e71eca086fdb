"""The classes of a finished run for images that it never saw."""

from pathlib import Path

import numpy as np

from galaxy_lvm.core.config.fewshot import Features
from galaxy_lvm.core.config.tasks import MultitaskRun
from galaxy_lvm.core.errors import DataError
from galaxy_lvm.core.logs import log
from galaxy_lvm.features.encoder import N_ORIENTATIONS, ImageEncoder
from galaxy_lvm.features.images import Reading
from galaxy_lvm.multitask.train import load_multitask
from galaxy_lvm.training.predict import class_probabilities


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
        loaded = [load_multitask(path) for path in paths]
        classes = {tuple(card["classes"]) for _, card in loaded}
        if len(classes) > 1:
            raise DataError(f"{paths[0]} and others of {strategy}: different classes {classes}")
        self.names: tuple[str, ...] = classes.pop()
        self.models = [model for model, _ in loaded]
        settings = MultitaskRun.model_validate(loaded[0][1]["settings"])
        self.side_pix = settings.classification.view_side_pix
        how = Features(view_side_pix=self.side_pix, n_orientations=N_ORIENTATIONS, batch_size=64)
        self.encoder = ImageEncoder(self.models[0].encoder, how, reading, paths[0])
        log.info("%d trainings of %s: %s", len(paths), strategy, ", ".join(map(str, paths)))

    def probabilities(self, crops: np.ndarray) -> np.ndarray:
        """Return class probabilities (n, n_classes) of crops (n, side, side, 3) uint8."""
        if not len(crops):
            return np.empty((0, len(self.names)), np.float32)
        found = [
            class_probabilities(model, crops, self.side_pix, N_ORIENTATIONS)
            for model in self.models
        ]
        return np.mean(found, axis=0)
