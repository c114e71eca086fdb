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
from galaxy_lvm.multitask.calibration import fit_temperature, tempered
from galaxy_lvm.multitask.train import load_multitask
from galaxy_lvm.survey.crop_store import CropStore
from galaxy_lvm.survey.splits_table import Splits
from galaxy_lvm.training.accelerator import make_accelerator
from galaxy_lvm.training.feed import CropImages
from galaxy_lvm.training.predict import class_probabilities

# Validation galaxies that a temperature is set on, at most: more hardly change one number.
N_CALIBRATION = 1000
_SEED = 1


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
    """The networks of one strategy of a run; their probabilities are averaged and calibrated.

    One temperature is set on the run's labelled validation galaxies, where their crops are there.

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
    temperature
        Of the probabilities; 1 leaves them as the networks give them.
    n_calibration
        Validation galaxies that it was set on; 0 where the run has none that can be asked.

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
        self.temperature, self.n_calibration = self._calibrate(run)

    def probabilities(self, crops: np.ndarray) -> np.ndarray:
        """Return class probabilities (n, n_classes) of crops (n, side, side, 3) uint8."""
        if not len(crops):
            return np.empty((0, len(self.names)), np.float32)
        return tempered(self._mean(crops), self.temperature)

    def _mean(self, crops: np.ndarray) -> np.ndarray:
        return np.mean([trained(crops) for trained in self._trained], axis=0)

    def _calibrate(self, run: Path) -> tuple[float, int]:
        """Return the temperature, and the validation galaxies that it was set on."""
        found = [path for path in sorted(run.glob("data/*/splits.parquet")) if self._is_of(path)]
        if len(found) != 1:
            log.warning(
                "%s: probabilities are not calibrated: %d datasets with crops and splits of the "
                "classes %s (data/*/splits.parquet, crops.h5), one is needed",
                run, len(found), ", ".join(self.names),
            )  # fmt: skip
            return 1.0, 0
        judges = Splits(found[0]).draw("val", N_CALIBRATION, _SEED, "calibration").labelled()
        with CropStore(found[0].with_name("crops.h5")) as store:
            temperature = fit_temperature(judges.labels, self._mean(store.of(judges)))
        log.info("temperature %.3f, set on %d validation galaxies", temperature, len(judges))
        return temperature, len(judges)

    def _is_of(self, splits: Path) -> bool:
        """Return whether a dataset can tell how far the networks' probabilities can be trusted."""
        if not splits.with_name("crops.h5").exists():
            return False
        known = Splits(splits)
        judges = (known.table["split"] == "val") & (known.table["label"] != "")
        return tuple(known.class_names) == self.names and bool(judges.any())
