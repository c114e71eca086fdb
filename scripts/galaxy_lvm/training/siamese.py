"""Pretraining by two views of one galaxy beyond the plain contrast: averaged targets, VICReg."""

import copy

import torch
from accelerate import PartialState
from accelerate.utils import gather
from torch import Tensor, nn
from torch.nn import functional

from galaxy_lvm.lvm.model import LVM

# Weights of the three terms, as Bardes, Ponce & LeCun (2022) chose them.
_INVARIANCE, _VARIANCE, _COVARIANCE = 25.0, 25.0, 1.0
_EPSILON = 1e-4  # under the root of a variance that may be 0


def projector(in_dim: int, hidden_dim: int, out_dim: int) -> nn.Sequential:
    """Return a perceptron of two layers, in between normalised over the batch."""
    return nn.Sequential(
        nn.Linear(in_dim, hidden_dim),
        nn.BatchNorm1d(hidden_dim),
        nn.ReLU(),
        nn.Linear(hidden_dim, out_dim),
    )


class AveragedTarget(nn.Module):
    """A copy of networks whose weights are the running average of theirs; it has no gradient.

    Its running statistics are its own. It is part of the module that is trained, so that it
    travels with the checkpoint.

    Parameters
    ----------
    networks
        Applied one behind the other.
    decay
        Weight of the past in an update, in [0, 1).
    """

    def __init__(self, networks: nn.Sequential, decay: float) -> None:
        super().__init__()
        self.networks = copy.deepcopy(networks).requires_grad_(False)
        self.decay = decay

    @torch.no_grad()
    def follow(self, networks: nn.Sequential) -> None:
        """Move the average towards the weights of `networks`."""
        for mine, theirs in zip(self.networks.parameters(), networks.parameters(), strict=True):
            mine.lerp_(theirs.detach(), 1 - self.decay)

    @torch.no_grad()
    def forward(self, images: Tensor) -> Tensor:
        """Map (B, 3, H, W) to unit vectors (B, P) in float32."""
        return functional.normalize(self.networks(images).float(), dim=1)


class VectorOf(nn.Module):
    """The feature vector of an encoder as a layer of a `Sequential`."""

    def __init__(self, encoder: nn.Module) -> None:
        super().__init__()
        self.encoder = encoder

    def forward(self, images: Tensor) -> Tensor:
        """Map (B, 3, H, W) to (B, D)."""
        return self.encoder.pooled(images)


class _Predicted(nn.Module):
    """Two views go through the network and a predictor, and through the averaged target."""

    n_views = 2

    def __init__(self, lvm: LVM, decay: float, projection_dim: int) -> None:
        super().__init__()
        self.lvm = lvm
        hidden = lvm.config.dims[-1]
        self.projector = projector(lvm.encoder.feature_dim, hidden, projection_dim)
        self.predictor = projector(projection_dim, hidden, projection_dim)
        self.target = AveragedTarget(self._online(), decay)

    def _online(self) -> nn.Sequential:
        return nn.Sequential(VectorOf(self.lvm.encoder), self.projector)

    def _vectors(self, views: list[Tensor]) -> tuple[Tensor, Tensor]:
        """Return predictions and targets, unit vectors (2 B, P) each; first view first."""
        if self.training:
            # In front of the step, so that it needs no hook behind the optimiser's.
            self.target.follow(self._online())
        images = torch.cat(views)
        projected = self.projector(self.lvm.encoder.pooled(images))
        predicted = functional.normalize(self.predictor(projected).float(), dim=1)
        return predicted, self.target(images)


class Momentum(_Predicted):
    """Tell the averaged network's vector of the other view from those of other galaxies.

    MoCo v3 (Chen, Xie & He 2021); with a queue, vectors of earlier steps are told apart from as
    well, as in the first MoCo (He et al. 2020). Trains the encoder only.

    Parameters
    ----------
    lvm
        Model whose encoder is trained.
    temperature
        Softmax temperature on cosine similarities, > 0.
    decay
        Weight of the past in the average.
    queue_size
        Vectors kept of earlier steps; 0 for none.
    projection_dim
        Length of the vectors that are compared.
    """

    def __init__(
        self, lvm: LVM, temperature: float, decay: float, queue_size: int, projection_dim: int = 128
    ) -> None:
        super().__init__(lvm, decay, projection_dim)
        self.temperature = temperature
        start = functional.normalize(torch.randn(queue_size, projection_dim), dim=1)
        self.register_buffer("queue", start)
        self.register_buffer("oldest", torch.zeros((), dtype=torch.int64))

    def forward(self, views: list[Tensor], seed: int) -> dict[str, Tensor]:
        """Return the loss of two views (B, 3, H, W) each of the same galaxies."""
        predicted, targets = self._vectors(views)
        first, second = targets.chunk(2)
        # Of all processes: what a galaxy is told apart from does not depend on their number.
        keys = [gather(second), gather(first)]
        found = [
            key_loss(mine, key, self.queue, self.temperature, self._place(len(mine)))
            for mine, key in zip(predicted.chunk(2), keys, strict=True)
        ]
        if self.training and len(self.queue):
            self._enqueue(keys[1])
        loss, matched = (sum(values) / 2 for values in zip(*found, strict=True))
        return {"loss": loss, "matched": matched}

    @staticmethod
    def _place(n_local: int) -> int:
        return n_local * PartialState().process_index

    @torch.no_grad()
    def _enqueue(self, vectors: Tensor) -> None:
        vectors = vectors[-len(self.queue) :]
        places = (self.oldest + torch.arange(len(vectors), device=vectors.device)) % len(self.queue)
        self.queue[places] = vectors
        self.oldest.copy_((self.oldest + len(vectors)) % len(self.queue))


def key_loss(
    queries: Tensor, keys: Tensor, others: Tensor, temperature: float, first: int = 0
) -> tuple[Tensor, Tensor]:
    """Return the loss of finding each query's key, and the share found.

    Parameters
    ----------
    queries
        Unit vectors (B, P).
    keys
        Unit vectors (N, P), N >= B; that of query i is row `first` + i.
    others
        Unit vectors (Q, P) that belong to no query.
    temperature
        Softmax temperature.
    first
        Row of the first query's key.
    """
    logits = queries @ torch.cat([keys, others]).T / temperature
    own = first + torch.arange(len(queries), device=logits.device)
    return functional.cross_entropy(logits, own), (logits.argmax(1) == own).float().mean()


class Byol(_Predicted):
    """Predict the averaged network's vector of the other view, without others (Grill et al. 2020).

    Trains the encoder only.

    Parameters
    ----------
    lvm
        Model whose encoder is trained.
    decay
        Weight of the past in the average.
    projection_dim
        Length of the vectors that are compared.
    """

    def __init__(self, lvm: LVM, decay: float, projection_dim: int = 128) -> None:
        super().__init__(lvm, decay, projection_dim)

    def forward(self, views: list[Tensor], seed: int) -> dict[str, Tensor]:
        """Return the loss of two views, 0 (equal directions) to 4 (opposite ones)."""
        predicted, targets = self._vectors(views)
        other = targets.roll(len(targets) // 2, 0)
        return {"loss": direction_loss(predicted, other), "deviation": deviation(targets)}


def direction_loss(first: Tensor, second: Tensor) -> Tensor:
    """Return the mean squared distance of unit vectors (B, P), 0 to 4."""
    return 2 - 2 * (first * second).sum(dim=1).mean()


def deviation(vectors: Tensor) -> Tensor:
    """Return the mean standard deviation of unit vectors (B, P) times root P.

    About 1 where they spread over all directions, 0 where all have become one.
    """
    return vectors.std(dim=0).mean() * vectors.shape[1] ** 0.5


class Vicreg(nn.Module):
    """Equal vectors for two views, every number varying and none twice (Bardes et al. 2022).

    Trains the encoder only.

    Parameters
    ----------
    lvm
        Model whose encoder is trained.
    projection_dim
        Length of the vectors that are compared.
    """

    n_views = 2

    def __init__(self, lvm: LVM, projection_dim: int = 512) -> None:
        super().__init__()
        self.lvm = lvm
        self.projector = projector(lvm.encoder.feature_dim, projection_dim, projection_dim)

    def forward(self, views: list[Tensor], seed: int) -> dict[str, Tensor]:
        """Return the loss of two views (B, 3, H, W) each of the same galaxies."""
        vectors = self.projector(self.lvm.encoder.pooled(torch.cat(views))).float()
        return vicreg(*vectors.chunk(2))


def vicreg(first: Tensor, second: Tensor) -> dict[str, Tensor]:
    """Return the loss of two views' vectors (B, P) and its three terms.

    `invariance` is their mean squared difference; `variance` how far standard deviations over the
    batch stay below 1; `covariance` the sum of squared covariances over P. All are 0 at best.
    """
    invariance = functional.mse_loss(first, second)
    variance = sum(_below_one(x) for x in (first, second)) / 2
    covariance = _covariance(first) + _covariance(second)
    loss = _INVARIANCE * invariance + _VARIANCE * variance + _COVARIANCE * covariance
    terms = {"invariance": invariance, "variance": variance, "covariance": covariance}
    return {"loss": loss, **terms}


def _below_one(vectors: Tensor) -> Tensor:
    return functional.relu(1 - (vectors.var(dim=0) + _EPSILON).sqrt()).mean()


def _covariance(vectors: Tensor) -> Tensor:
    centred = vectors - vectors.mean(dim=0)
    matrix = centred.T @ centred / (len(vectors) - 1)
    return (matrix.square().sum() - matrix.diagonal().square().sum()) / vectors.shape[1]
