"""The three ways to learn from few labels: a network, a head on frozen features, HOG."""

import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from sklearn.linear_model import LogisticRegression
from sklearn.preprocessing import StandardScaler
from torch import Tensor, nn
from torch.nn import functional

from galaxy_lvm.data.features import FeatureStore
from galaxy_lvm.data.fewshot import Labelled
from galaxy_lvm.models.backbones import build_encoder, feature_dim
from galaxy_lvm.models.classical import hog_features
from galaxy_lvm.models.heads import ClassifierHead
from galaxy_lvm.models.model_specs import ModelSpec
from galaxy_lvm.training.augment import ViewRecipe, dihedral, random_views, resize, to_float
from galaxy_lvm.training.feed import CropImages, Sampler
from galaxy_lvm.training.fewshot_settings import FewShotSettings
from galaxy_lvm.training.loop import OptimSettings, TrainingLoop, make_accelerator
from galaxy_lvm.workflow import derive_seed

HEAD_VALIDATE_EVERY = 5


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
    """

    def __init__(
        self, encoder: nn.Module, dim: int, n_classes: int, dropout: float, standardise: bool
    ) -> None:
        super().__init__()
        self.encoder = encoder
        scale = nn.BatchNorm1d(dim, affine=False) if standardise else nn.Identity()
        self.head = nn.Sequential(scale, nn.Dropout(dropout), nn.Linear(dim, n_classes))

    def forward(self, images: Tensor, target: Tensor) -> dict[str, Tensor]:
        """Return the cross-entropy of images (B, 3, H, W) with class numbers (B,)."""
        return {"loss": functional.cross_entropy(self.scores(images), target)}

    def scores(self, images: Tensor) -> Tensor:
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
    """

    def __init__(
        self,
        spec: ModelSpec,
        crops_path: str | os.PathLike,
        lvm_path: str | os.PathLike | None,
        settings: FewShotSettings,
        test: Labelled,
        n_classes: int,
    ) -> None:
        self.spec, self.crops_path, self.lvm_path = spec, crops_path, lvm_path
        self.settings, self.n_classes = settings, n_classes
        self.recipe = ViewRecipe(side_pix=settings.view_side_pix, **settings.views)
        self.test_crops = CropImages(crops_path, test.index)
        tuned = settings.finetune_learning_rates if spec.pretrained else settings.learning_rates
        self.rates = spec.learning_rates or tuned
        precision = settings.optim.get("precision", "auto")
        self.accelerator = make_accelerator(precision)

    def fit(self, train: Labelled, val: Labelled, seed: int, state_dir: Path) -> Fit:
        """Train with every learning rate, keep the one with the best validation."""
        crops = {k: CropImages(self.crops_path, g.index) for k, g in (("t", train), ("v", val))}
        best, best_rate, best_module = BestWeights(), 0.0, None
        for rate in self.rates:
            module, found = self._train(rate, train, val, crops, seed, state_dir / f"{rate:g}")
            if found.loss < best.loss:
                best, best_rate, best_module = found, rate, module
        best_module.load_state_dict(best.weights)
        shares = self._shares(best_module, self.test_crops, self.settings.n_orientations)
        chosen = {"steps": float(best.step), "learning_rate": best_rate}
        return Fit(shares, best.loss, chosen)

    def _train(
        self,
        rate: float,
        train: Labelled,
        val: Labelled,
        crops: dict[str, CropImages],
        seed: int,
        state_dir: Path,
    ) -> tuple[Classifier, BestWeights]:
        settings, device = self.settings, self.accelerator.device
        seed = derive_seed(seed, "fewshot", self.spec.model)
        torch.manual_seed(seed)
        encoder = build_encoder(self.spec, settings.view_side_pix, self.lvm_path)
        dim = feature_dim(encoder, settings.view_side_pix)
        module = Classifier(
            encoder, dim, self.n_classes, settings.dropout, standardise=self.spec.pretrained
        )
        optim = OptimSettings(
            **{**settings.optim, "steps": settings.steps(len(train))},
            learning_rate=rate,
            head_factor=settings.finetune_head_factor if self.spec.pretrained else 1.0,
        )
        interval = max(1, round(settings.validate_every_fraction * optim.steps))
        best, n_batch = BestWeights(), min(settings.batch_size, len(train))
        loop = TrainingLoop(module, optim, state_dir, self.accelerator, best)
        sampler = Sampler(len(train), n_batch, seed)

        def batch(step: int) -> dict[str, Tensor]:
            torch.manual_seed(derive_seed(seed, "dropout", step))  # a resumed run drops the same
            positions = sampler.positions(step)
            images = to_float(crops["t"].take(positions), device)
            generator = torch.Generator().manual_seed(derive_seed(seed, "views", step))
            target = torch.as_tensor(train.labels[positions], device=device)
            return {"images": random_views(images, self.recipe, generator), "target": target}

        def validate(step: int) -> None:
            if (step + 1) % interval == 0 or step + 1 == optim.steps:
                with loop.averaged_weights():
                    loss = _cross_entropy(self._shares(module, crops["v"]), val.labels)
                    best.offer(loss, step + 1, module)

        if self.spec.pretrained and loop.step == 0:
            self._start_head(module, crops, train, val)
            best.offer(_cross_entropy(self._shares(module, crops["v"]), val.labels), 0, module)
        loop.run(batch, validate, desc=f"{self.spec.label}, {len(train)} galaxies")
        loop.forget()
        self.accelerator.free_memory()  # it would hold on to every network it has prepared
        return module, best

    def _start_head(
        self, module: Classifier, crops: dict[str, CropImages], train: Labelled, val: Labelled
    ) -> None:
        """Let the new layer start from the best one on the features as they are.

        A random layer would first spoil them (Kumar et al. 2022). Training then has to do better.
        """
        x, x_val = (self._in_batches(module.eval().encoder, crops[k]) for k in "tv")
        scaler = StandardScaler().fit(x)
        layers = [
            LogisticRegression(C=c, max_iter=1000).fit(scaler.transform(x), train.labels)
            for c in self.settings.logistic_c
        ]
        x_val = scaler.transform(x_val)
        layer = min(layers, key=lambda m: _cross_entropy(m.predict_proba(x_val), val.labels))
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

    @torch.inference_mode()
    def _in_batches(
        self, function: Callable[[Tensor], Tensor], crops: CropImages, batch_size: int = 64
    ) -> np.ndarray:
        """Apply a function of images (B, 3, side, side) to all crops; return the stacked rows."""
        parts = []
        for first in range(0, len(crops), batch_size):
            positions = np.arange(first, min(first + batch_size, len(crops)))
            images = to_float(crops.take(positions), self.accelerator.device)
            with self.accelerator.autocast():
                values = function(resize(images, self.settings.view_side_pix))
            parts.append(values.float().cpu().numpy())
        return np.concatenate(parts)

    def _shares(self, module: Classifier, crops: CropImages, n_orientations: int = 1) -> np.ndarray:
        """Return class probabilities (N, n_classes), averaged over orientations."""
        module.eval()

        def average(images: Tensor) -> Tensor:
            views = [module.scores(dihedral(images, k)) for k in range(n_orientations)]
            return torch.stack(views).softmax(dim=2).mean(dim=0)

        return self._in_batches(average, crops)


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
        settings: FewShotSettings,
        splits: dict[str, Labelled],
        n_classes: int,
    ) -> None:
        self.store, self.settings, self.n_classes = store, settings.head, n_classes
        self.strengths, self.decays = settings.logistic_c, settings.head.weight_decays
        # The scale of the features needs no label: all training galaxies may tell it.
        train = store.take(splits["train"].ids)
        self.mean, self.scale = train.mean(axis=0), train.std(axis=0) + 1e-6
        self.test = self._scaled(splits["test"])

    def _scaled(self, galaxies: Labelled) -> np.ndarray:
        return (self.store.take(galaxies.ids) - self.mean) / self.scale

    def fit(self, train: Labelled, val: Labelled, seed: int, state_dir: Path) -> Fit:
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
        train: Labelled,
        x_val: np.ndarray,
        val: Labelled,
        decay: float,
        seed: int,
    ) -> Fit:
        """Train a head with a hidden layer; keep the step with the best validation."""
        settings = self.settings
        torch.manual_seed(derive_seed(seed, "fewshot", "head"))
        head = ClassifierHead(x.shape[1], settings.hidden_dim, self.n_classes, settings.dropout)
        optimizer = torch.optim.AdamW(
            head.parameters(), settings.learning_rate, weight_decay=decay, fused=True
        )
        inputs, target, best = torch.as_tensor(x), torch.as_tensor(train.labels), BestWeights()
        for step in range(1, settings.steps + 1):
            head.train()
            optimizer.zero_grad(set_to_none=True)
            functional.cross_entropy(head(inputs), target).backward()
            optimizer.step()
            if step % HEAD_VALIDATE_EVERY == 0 or step == settings.steps:
                best.offer(_cross_entropy(_softmax(head, x_val), val.labels), step, head)
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
        self, crops_path: str | os.PathLike, strengths: Sequence[float], test: Labelled
    ) -> None:
        self.crops_path, self.strengths = crops_path, strengths
        self._known: dict[int, np.ndarray] = {}
        self.test = self._features(test)

    def _features(self, galaxies: Labelled) -> np.ndarray:
        new = np.array([row for row in galaxies.index.tolist() if row not in self._known], int)
        if len(new):
            crops = CropImages(self.crops_path, new).take(np.arange(len(new)))
            self._known |= dict(zip(new.tolist(), hog_features(crops), strict=True))
        return np.stack([self._known[row] for row in galaxies.index.tolist()])

    def fit(self, train: Labelled, val: Labelled, seed: int, state_dir: Path) -> Fit:
        """Fit with every strength; keep the one with the best validation."""
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
    fits = []
    for strength in strengths:
        model = LogisticRegression(C=strength, max_iter=1000).fit(*train)
        loss = _cross_entropy(model.predict_proba(val[0]), val[1])
        chosen = {"hidden_dim": 0, "logistic_c": strength}
        fits.append(Fit(model.predict_proba(test), loss, chosen))
    return fits


def _softmax(head: nn.Module, x: np.ndarray) -> np.ndarray:
    head.eval()
    with torch.inference_mode():
        return head(torch.as_tensor(x)).softmax(dim=1).numpy()


def _cross_entropy(shares: np.ndarray, labels: np.ndarray) -> float:
    right = shares[np.arange(len(labels)), labels].astype(float)
    return float(-np.log(np.maximum(right, 1e-12)).mean())
