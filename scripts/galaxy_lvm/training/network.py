"""Training a network on labelled crops: from scratch, or from pretrained weights."""

import os
import shutil
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from galaxy_lvm.core.seeds import derive_seed
from galaxy_lvm.report.metrics import cross_entropy
from galaxy_lvm.survey.splits_table import Galaxies
from galaxy_lvm.training.accelerator import make_accelerator
from galaxy_lvm.training.augment import random_orientations, random_views, resize, to_float
from galaxy_lvm.training.backbones import build_encoder, feature_dim
from galaxy_lvm.training.feed import CropImages, Sampler
from galaxy_lvm.training.loop import TrainingLoop
from galaxy_lvm.training.model_specs import ModelSpec
from galaxy_lvm.training.network_settings import NetworkProtocol
from galaxy_lvm.training.predict import class_probabilities, predict_in_batches


@dataclass(frozen=True)
class Fit:
    """What came of one training.

    Attributes
    ----------
    shares
        Class probabilities of the test galaxies (n, number of classes).
    loss_val
        Cross-entropy of the validation galaxies, what the choices were made by.
    chosen
        What was chosen, as numbers.
    """

    shares: np.ndarray
    loss_val: float
    chosen: dict[str, float]


class Classifier(nn.Module):
    """An encoder and one fully connected layer; the module that `TrainingLoop` updates.

    Parameters
    ----------
    encoder
        Maps images (B, 3, side, side) to (B, D).
    dim, n_classes
        D and the number of classes.
    dropout
        Share of the features left out in training.
    standardise
        Bring the features to mean 0 and variance 1 first. Those of a pretrained encoder may differ
        between galaxies by much less than the first updates move all of them together.
    label_smoothing
        Share of a label that is spread over all classes.
    """

    def __init__(
        self,
        encoder: nn.Module,
        dim: int,
        n_classes: int,
        dropout: float,
        standardise: bool,
        label_smoothing: float = 0.0,
    ) -> None:
        super().__init__()
        self.encoder, self.label_smoothing = encoder, label_smoothing
        scale = nn.BatchNorm1d(dim, affine=False) if standardise else nn.Identity()
        self.head = nn.Sequential(scale, nn.Dropout(dropout), nn.Linear(dim, n_classes))

    def forward(self, images: Tensor, target: Tensor) -> dict[str, Tensor]:
        """Return the cross-entropy of images (B, 3, H, W) with class numbers (B,)."""
        scores = self.classify(images)
        loss = functional.cross_entropy(scores, target, label_smoothing=self.label_smoothing)
        return {"loss": loss}

    def classify(self, images: Tensor) -> Tensor:
        """Return class scores (B, n_classes) before the softmax."""
        return self.head(self.encoder(images)).float()


class BestWeights:
    """The weights of the best validation so far; travels with the checkpoint."""

    def __init__(self) -> None:
        self.loss, self.step, self.weights = float("inf"), -1, None

    def offer(self, loss: float, step: int, module: nn.Module) -> None:
        """Keep the module's weights if this validation is the best."""
        if loss < self.loss:
            self.loss, self.step = loss, step
            self.weights = {k: v.detach().clone() for k, v in module.state_dict().items()}

    def state_dict(self) -> dict[str, Any]:
        """Return all that is kept."""
        return {"loss": self.loss, "step": self.step, "weights": self.weights}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Take over what `state_dict` returned."""
        self.loss, self.step, self.weights = state["loss"], state["step"], state["weights"]


class NetworkTrainer:
    """Trains a network, or fine-tunes a pretrained one, on images.

    Parameters
    ----------
    spec, lvm_path
        The network and the weights it starts from; see `build_encoder`.
    crops_path
        Crops file.
    settings
        The protocol.
    test
        Galaxies to predict.
    n_classes
        Number of classes.
    alter
        What is done to the images of a step (B, 3, H, W) before they are turned, with the step's
        generator; None leaves them.
    """

    def __init__(
        self,
        spec: ModelSpec,
        crops_path: str | os.PathLike,
        lvm_path: str | os.PathLike | None,
        settings: NetworkProtocol,
        test: Galaxies,
        n_classes: int,
        alter: Callable[[Tensor, torch.Generator], Tensor] | None = None,
    ) -> None:
        self.alter = alter
        self.spec, self.crops_path, self.lvm_path = spec, crops_path, lvm_path
        self.settings, self.n_classes = settings, n_classes
        self.test_crops = CropImages(crops_path, test.index)
        how = settings.training
        tuned = how.finetune_learning_rates if spec.pretrained else how.learning_rates
        self.rates = spec.learning_rates or tuned
        self.accelerator = make_accelerator(how.optim.precision)

    def fit(self, train: Galaxies, val: Galaxies, seed: int, state_dir: Path) -> Fit:
        """Train with every learning rate, keep the one with the best validation."""
        crops = {k: CropImages(self.crops_path, g.index) for k, g in (("t", train), ("v", val))}
        best, best_rate, best_module = BestWeights(), 0.0, None
        for rate in self.rates:
            module, found = self._train(rate, train, val, crops, seed, state_dir / f"{rate:g}")
            if found.loss < best.loss:
                best, best_rate, best_module = found, rate, module
        best_module.load_state_dict(best.weights)
        views = self.settings.n_orientations, self.settings.zooms
        shares = self._shares(best_module, self.test_crops, *views)
        if state_dir.exists():  # a short training never came to a checkpoint
            shutil.rmtree(state_dir)
        chosen = {"steps": float(best.step), "learning_rate": best_rate}
        return Fit(shares, best.loss, chosen)

    def _train(
        self,
        rate: float,
        train: Galaxies,
        val: Galaxies,
        crops: dict[str, CropImages],
        seed: int,
        state_dir: Path,
    ) -> tuple[Classifier, BestWeights]:
        settings, device = self.settings, self.accelerator.device
        seed = derive_seed(seed, "fewshot", self.spec.model)
        module = self._build(seed)
        optim = settings.optim(rate, len(train), self.spec.pretrained)
        interval = max(1, round(settings.training.validate_every_fraction * optim.steps))
        best, n_batch = BestWeights(), min(settings.training.batch_size, len(train))
        loop = TrainingLoop(module, optim, state_dir, seed, self.accelerator, best)
        sampler = Sampler(len(train), n_batch, seed)

        def batch(step: int) -> dict[str, Tensor]:
            positions = sampler.positions(step)
            images = to_float(crops["t"].take(positions), device)
            generator = torch.Generator().manual_seed(derive_seed(seed, "views", step))
            target = torch.as_tensor(train.labels[positions], device=device)
            return {"images": self._views(images, generator), "target": target}

        def validate(step: int) -> None:
            if (step + 1) % interval == 0 or step + 1 == optim.steps:
                with loop.averaged_weights():
                    loss = cross_entropy(self._shares(module, crops["v"]), val.labels)
                    best.offer(loss, step + 1, module)

        if self.spec.pretrained and loop.step == 0:
            vectors = self._start_head(module, crops, train, val)
            best.offer(cross_entropy(self._classified(module, vectors), val.labels), 0, module)
        loop.run(batch, validate, desc=f"{self.spec.label}, {len(train)} galaxies")
        if rate != self.rates[-1]:
            loop.save()  # a run that is killed while the next rate trains keeps this one
        self.accelerator.free_memory()  # it would hold on to every network it has prepared
        return module, best

    def _views(self, images: Tensor, generator: torch.Generator) -> Tensor:
        """Return what the network sees of images (B, 3, H, W) in a step."""
        side = self.settings.view_side_pix
        if self.alter is not None:
            images = self.alter(images, generator)
        if self.settings.views is None:
            return resize(random_orientations(images, generator), side)
        return random_views(images, self.settings.views, side, generator)

    def _build(self, seed: int) -> Classifier:
        """Return the network with its starting weights."""
        settings = self.settings
        torch.manual_seed(seed)
        encoder = build_encoder(self.spec, settings.view_side_pix, self.lvm_path)
        module = Classifier(
            encoder,
            feature_dim(encoder, settings.view_side_pix),
            self.n_classes,
            settings.training.dropout,
            self.spec.pretrained,
            settings.label_smoothing,
        )
        return module.to(memory_format=torch.channels_last) if settings.channels_last else module

    def _start_head(
        self, module: Classifier, crops: dict[str, CropImages], train: Galaxies, val: Galaxies
    ) -> np.ndarray:
        """Let the new layer start from the best one on the features as they are; return val's.

        A random layer would first spoil them (Kumar et al. 2022). Training then has to do better.
        """
        from sklearn.linear_model import LogisticRegression  # networks from scratch need none
        from sklearn.preprocessing import StandardScaler

        x, x_val = (self._vectors(module.eval().encoder, crops[k]) for k in "tv")
        scaler = StandardScaler().fit(x)
        layers = [
            LogisticRegression(C=c, max_iter=1000).fit(scaler.transform(x), train.labels)
            for c in self.settings.logistic_c
        ]
        scaled = scaler.transform(x_val)
        layer = min(layers, key=lambda m: cross_entropy(m.predict_proba(scaled), val.labels))
        weight, bias = layer.coef_, layer.intercept_
        if len(weight) == 1:  # two classes share one row of weights
            weight, bias = np.stack([-weight[0], weight[0]]) / 2, np.array([-bias[0], bias[0]]) / 2
        scale, _, linear = module.head
        with torch.no_grad():
            for target, values in (
                (scale.running_mean, scaler.mean_),
                (scale.running_var, scaler.var_),
                (linear.weight, weight),
                (linear.bias, bias),
            ):
                target.copy_(torch.as_tensor(values))
        return x_val

    def _classified(self, module: Classifier, vectors: np.ndarray) -> np.ndarray:
        """Return class probabilities (N, n_classes) of images whose vectors are known."""
        with torch.no_grad(), self.accelerator.autocast():
            scores = module.eval().head(torch.as_tensor(vectors, device=self.accelerator.device))
        return scores.float().softmax(dim=1).cpu().numpy()

    def _vectors(self, encoder: nn.Module, crops: CropImages) -> np.ndarray:
        def encode(images: Tensor) -> Tensor:
            return encoder(resize(images, self.settings.view_side_pix))

        return predict_in_batches(encode, crops, **self._where())

    def _shares(
        self,
        module: Classifier,
        crops: CropImages,
        n_orientations: int = 1,
        zooms: Sequence[float] = (1.0,),
    ) -> np.ndarray:
        """Return class probabilities (N, n_classes), averaged over views."""
        side = self.settings.view_side_pix
        return class_probabilities(module, crops, side, n_orientations, zooms, **self._where())

    def _where(self) -> dict[str, Any]:
        return {"device": self.accelerator.device, "autocast": self.accelerator.autocast}
