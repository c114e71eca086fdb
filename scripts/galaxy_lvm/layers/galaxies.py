"""The task that an LVM's encoder is scored at: classes of galaxies, by a head on its features."""

from dataclasses import dataclass

import numpy as np
from torch import nn

from galaxy_lvm.core.config.fewshot import Features
from galaxy_lvm.core.errors import DataError
from galaxy_lvm.features.extract import FeatureExtractor
from galaxy_lvm.features.probe import probes
from galaxy_lvm.layers.decompose import Score
from galaxy_lvm.training.backbones import PooledLVM


@dataclass(frozen=True)
class LabelledCrops:
    """Crops (n, H, W, 3) uint8 of galaxies, and the numbers (n,) of their classes."""

    crops: np.ndarray
    labels: np.ndarray


class GalaxyTask:
    """A logistic regression on the features of a whole encoder.

    It stays as it is when matrices of the encoder are cut, as the last layer of a network does.

    Parameters
    ----------
    encoder
        Of an LVM, whole.
    train, val
        Galaxies to learn from, and to choose the regularisation by.
    settings
        Size and batches of the crops.

    Raises
    ------
    DataError
        If the training galaxies are of one class.
    """

    def __init__(
        self, encoder: nn.Module, train: LabelledCrops, val: LabelledCrops, settings: Features
    ) -> None:
        self._settings = settings
        counts = np.bincount(train.labels)
        if np.count_nonzero(counts) < 2:
            raise DataError(
                "the training galaxies are of one class; layers are scored by two or more"
            )
        self._commonest = int(counts.argmax())
        of_train, of_val = (self.features(encoder, each.crops) for each in (train, val))
        heads = probes(of_train, train.labels)
        self._head = max(heads, key=lambda head: head.score(of_val, val.labels))

    def features(self, encoder: nn.Module, crops: np.ndarray) -> np.ndarray:
        """Return the vectors (n, D) of crops."""
        return FeatureExtractor(PooledLVM(encoder), self._settings)(crops)

    def skill_of(self, asked: LabelledCrops) -> Score:
        """Return the score: 1 minus the share of errors over that of the commonest class.

        Raises
        ------
        DataError
            If all of the galaxies are of that class.
        """
        usual = float(np.mean(asked.labels != self._commonest))
        if not usual:
            raise DataError(
                f"all {len(asked.labels)} galaxies that are asked are of the commonest class; "
                "raise layers.n_galaxies"
            )

        def score(encoder: nn.Module) -> float:
            called = self._head.predict(self.features(encoder, asked.crops))
            return float(1 - np.mean(called != asked.labels) / usual)

        return score
