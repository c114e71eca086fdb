"""Learning from few labels without training a network: a head on frozen features, HOG."""

import os
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from torch import nn
from torch.nn import functional

from galaxy_lvm.core.config.fewshot import NetworkChoices
from galaxy_lvm.core.seeds import derive_seed
from galaxy_lvm.features.store import FeatureStore
from galaxy_lvm.multitask.classical import hog_features
from galaxy_lvm.multitask.heads import ClassifierHead
from galaxy_lvm.report.metrics import cross_entropy
from galaxy_lvm.survey.splits_table import Galaxies
from galaxy_lvm.training.feed import CropImages
from galaxy_lvm.training.network import BestWeights, Fit
from galaxy_lvm.training.optimizers import AdamW

HEAD_VALIDATE_EVERY = 5


class HeadTrainer:
    """Trains a fully connected head on frozen features (paper IV.A).

    Parameters
    ----------
    store
        Features of all galaxies.
    settings
        What the head may choose from.
    splits
        Training and test galaxies.
    n_classes
        Number of classes.

    Raises
    ------
    DataError
        If a galaxy has no features.
    """

    def __init__(
        self,
        store: FeatureStore,
        settings: NetworkChoices,
        splits: dict[str, Galaxies],
        n_classes: int,
    ) -> None:
        self.store, self.settings, self.n_classes = store, settings.head, n_classes
        self.strengths, self.decays = settings.logistic_c, settings.head.weight_decays
        # The scale of the features needs no label: all training galaxies may tell it.
        train = store.take(splits["train"].ids)
        self.mean, self.scale = train.mean(axis=0), train.std(axis=0) + 1e-6
        self.test = self._scaled(splits["test"])

    def _scaled(self, galaxies: Galaxies) -> np.ndarray:
        return (self.store.take(galaxies.ids) - self.mean) / self.scale

    def fit(self, train: Galaxies, val: Galaxies, seed: int, state_dir: Path) -> Fit:
        """Train every candidate head; keep the one with the best validation."""
        x, x_val = self._scaled(train), self._scaled(val)
        fits = [
            *_logistic_fits((x, train.labels), (x_val, val.labels), self.test, self.strengths),
            *(self._hidden_fit(x, train, x_val, val, decay, seed) for decay in self.decays),
        ]
        return min(fits, key=lambda fit: fit.loss_val)

    def _hidden_fit(
        self,
        x: np.ndarray,
        train: Galaxies,
        x_val: np.ndarray,
        val: Galaxies,
        decay: float,
        seed: int,
    ) -> Fit:
        """Train a head with a hidden layer; keep the step with the best validation."""
        settings = self.settings
        torch.manual_seed(derive_seed(seed, "fewshot", "head"))
        head = ClassifierHead(x.shape[1], settings.hidden_dim, self.n_classes, settings.dropout)
        optimizer = AdamW(head.parameters(), settings.learning_rate, weight_decay=decay, fused=True)
        inputs, target, best = torch.as_tensor(x), torch.as_tensor(train.labels), BestWeights()
        for step in range(1, settings.steps + 1):
            head.train()
            optimizer.zero_grad(set_to_none=True)
            functional.cross_entropy(head(inputs), target).backward()
            optimizer.step()
            if step % HEAD_VALIDATE_EVERY == 0 or step == settings.steps:
                best.offer(cross_entropy(_softmax(head, x_val), val.labels), step, head)
        head.load_state_dict(best.weights)
        chosen = {"steps": best.step, "hidden_dim": settings.hidden_dim, "weight_decay": decay}
        return Fit(_softmax(head, self.test), best.loss, chosen)


class HogTrainer:
    """Fits logistic regressions to histograms of oriented gradients.

    Parameters
    ----------
    crops_path
        Crops file.
    strengths
        Inverse regularisation strengths to choose from.
    test
        Galaxies to predict.
    """

    def __init__(
        self, crops_path: str | os.PathLike, strengths: Sequence[float], test: Galaxies
    ) -> None:
        self.crops_path, self.strengths = crops_path, strengths
        self._known: dict[int, np.ndarray] = {}
        self.test = self._features(test)

    def _features(self, galaxies: Galaxies) -> np.ndarray:
        new = np.array([row for row in galaxies.index.tolist() if row not in self._known], int)
        if len(new):
            crops = CropImages(self.crops_path, new).take(np.arange(len(new)))
            self._known |= dict(zip(new.tolist(), hog_features(crops), strict=True))
        return np.stack([self._known[row] for row in galaxies.index.tolist()])

    def fit(self, train: Galaxies, val: Galaxies, seed: int, state_dir: Path) -> Fit:
        """Fit with every strength; keep the one with the best validation."""
        from sklearn.preprocessing import StandardScaler  # 1.3 CPU seconds, not for networks

        scaler = StandardScaler().fit(self._features(train))
        x, x_val, x_test = (
            scaler.transform(values)
            for values in (self._features(train), self._features(val), self.test)
        )
        fits = _logistic_fits((x, train.labels), (x_val, val.labels), x_test, self.strengths)
        return min(fits, key=lambda fit: fit.loss_val)


def _logistic_fits(
    train: tuple[np.ndarray, np.ndarray],
    val: tuple[np.ndarray, np.ndarray],
    test: np.ndarray,
    strengths: Sequence[float],
) -> list[Fit]:
    """Fit a single fully connected layer with each inverse strength of its L2 penalty."""
    from sklearn.linear_model import LogisticRegression

    fits = []
    for strength in strengths:
        model = LogisticRegression(C=strength, max_iter=1000).fit(*train)
        loss = cross_entropy(model.predict_proba(val[0]), val[1])
        chosen = {"hidden_dim": 0, "logistic_c": strength}
        fits.append(Fit(model.predict_proba(test), loss, chosen))
    return fits


def _softmax(head: nn.Module, x: np.ndarray) -> np.ndarray:
    head.eval()
    with torch.inference_mode():
        return head(torch.as_tensor(x)).softmax(dim=1).numpy()
