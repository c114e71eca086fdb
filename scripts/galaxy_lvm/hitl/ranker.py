"""The downstream network of the loop: one hidden layer on fixed features (paper V.A).

NumPy alone: at most a few hundred labels are fitted at once, where a framework's overhead would
cost more than the arithmetic, and the web page need not load one.
"""

from dataclasses import dataclass
from typing import Protocol

import numpy as np

from galaxy_lvm.core.config.hitl import RankerSettings
from galaxy_lvm.core.errors import DataError

BLOCK_ROWS = 4096
# Enough rows for mean and covariance to within about a per cent.
SAMPLE_ROWS = 20_000
_SMALLEST_VARIANCE = 1e-7
_ADAM_BETAS = (0.9, 0.999)
_TINY = 1e-8


class Features(Protocol):
    """What is read of a pool's features: its shape, blocks and single rows (memory map, array)."""

    @property
    def shape(self) -> tuple[int, int]:
        """Numbers of galaxies and of features (N, D)."""

    def __getitem__(self, key: slice | np.ndarray) -> np.ndarray:
        """Return rows (n, D)."""


@dataclass(frozen=True)
class Whitening:
    """A linear map (D, K) of a pool's features to their principal components.

    Half whitening: a component is divided by the square root of its scatter. Left as they are, the
    few components with the largest scatter drown the rest; with all scatters made equal, noise
    gets the same say as what the encoder has learned.

    Attributes
    ----------
    mean
        Mean feature vector (D,), float32.
    projection
        (D, K), float32; the columns are scaled so that the mean square of a component is 1.
    """

    mean: np.ndarray
    projection: np.ndarray

    @classmethod
    def of(cls, features: Features, n_components: int) -> "Whitening":
        """Fit it on evenly spaced rows; rows with a value that is not finite are left out.

        Parameters
        ----------
        features
            (N, D).
        n_components
            Largest number of components; fewer are kept where the pool has no more.

        Raises
        ------
        DataError
            If fewer than two rows are finite, or all are the same.
        """
        n_rows = features.shape[0]
        rows = np.unique(np.linspace(0, n_rows - 1, min(n_rows, SAMPLE_ROWS)).astype(np.int64))
        sample = np.asarray(features[rows], dtype=np.float32)
        sample = sample[np.isfinite(sample).all(axis=1)]
        if len(sample) < 2:
            raise DataError(
                f"{len(sample)} of {len(rows)} galaxies of the pool have finite features; extract "
                "the features again"
            )
        mean = sample.mean(axis=0, dtype=np.float64).astype(np.float32)
        sample -= mean
        variance, axes = np.linalg.eigh(sample.T.astype(np.float64) @ sample / len(sample))
        variance, axes = variance[::-1][:n_components], axes[:, ::-1][:, :n_components]
        kept = variance > _SMALLEST_VARIANCE * variance[0]
        if variance[0] <= 0:
            raise DataError("all galaxies of the pool have the same features; extract them again")
        factor = variance[kept] ** -0.25
        factor /= np.sqrt(np.mean(variance[kept] * factor**2))
        # The sign of an axis is arbitrary; fixed here, so that the same pool gives the same map.
        signs = np.sign(axes[np.abs(axes).argmax(axis=0), np.arange(axes.shape[1])])
        return cls(mean, (axes * signs)[:, kept].astype(np.float32) * factor.astype(np.float32))

    def apply(self, features: np.ndarray) -> np.ndarray:
        """Return components (n, K) of features (n, D), float32."""
        with np.errstate(invalid="ignore"):  # what is not finite stays so, and is left out later
            return (np.asarray(features, dtype=np.float32) - self.mean) @ self.projection


@dataclass(frozen=True)
class Whitened:
    """Features through a whitening, made when they are read."""

    features: Features
    whitening: Whitening

    @property
    def shape(self) -> tuple[int, int]:
        """Number of rows and of components."""
        return self.features.shape[0], self.whitening.projection.shape[1]

    def __getitem__(self, key: slice | np.ndarray) -> np.ndarray:
        return self.whitening.apply(self.features[key])


class Ranker:
    """An MLP with one hidden layer that tells positives from negatives.

    Parameters
    ----------
    whitening
        Of the pool.
    settings
        Width and training.
    seed
        Of the first weights. The same labels and seed give the same network: nothing but the
        labels has to be kept to continue.
    """

    def __init__(
        self, whitening: Whitening, settings: RankerSettings | None = None, seed: int = 0
    ) -> None:
        self.whitening, self.settings = whitening, settings or RankerSettings()
        rng = np.random.default_rng(seed)
        dim, hidden = whitening.projection.shape[1], self.settings.hidden_dim
        self._first = rng.standard_normal((dim, hidden), dtype=np.float32) * np.sqrt(2 / dim)
        self._first = self._first.astype(np.float32)
        self._weights: tuple[np.ndarray, ...] | None = None

    @property
    def n_weights(self) -> int:
        """Number of trainable weights."""
        return self._first.size + 2 * self._first.shape[1] + 1

    def fit(
        self, features: np.ndarray, labels: np.ndarray, weights: np.ndarray | None = None
    ) -> "Ranker":
        """Train from the first weights on, with all labels in every step.

        Parameters
        ----------
        features
            (n, D).
        labels
            (n,): 1 or True for positives, 0 for negatives.
        weights
            (n,) relative weight of every label; all alike where None.

        Raises
        ------
        DataError
            If a class has no label or a feature is not finite.
        """
        return self.fit_components(self.whitening.apply(features), labels, weights)

    def fit_components(
        self, x: np.ndarray, labels: np.ndarray, weights: np.ndarray | None = None
    ) -> "Ranker":
        """Train as `fit` does, on features (n, K) that went through the whitening."""
        y = np.asarray(labels, dtype=np.float32)
        if not (y == 1).any() or not (y == 0).any():
            raise DataError(
                f"{int((y == 1).sum())} positives and {int((y == 0).sum())} negatives: the ranker "
                "needs at least one of each"
            )
        if not np.isfinite(x).all():
            raise DataError("labelled galaxies with features that are not finite; leave them out")
        self._weights = self._train(x, y, self._label_weights(y, weights))
        return self

    def score(self, features: Features) -> np.ndarray:
        """Return the probability of being a positive (N,), float32; NaN where features are not.

        The features are read in blocks: memory does not grow with the pool.

        Raises
        ------
        DataError
            If the ranker was not trained.
        """
        return self.score_components(Whitened(features, self.whitening))

    def score_components(self, components: Features) -> np.ndarray:
        """Score as `score` does, features (N, K) that went through the whitening."""
        if self._weights is None:
            raise DataError("the ranker was not trained yet; label galaxies and call fit first")
        first, bias, second, offset = self._weights
        n_rows = components.shape[0]
        logits = np.empty(n_rows, dtype=np.float32)
        hidden = np.empty((min(BLOCK_ROWS, n_rows), first.shape[1]), dtype=np.float32)
        for start in range(0, n_rows, BLOCK_ROWS):
            block = components[start : start + BLOCK_ROWS]
            part = np.matmul(block, first, out=hidden[: len(block)])
            part += bias
            np.maximum(part, 0, out=part)
            logits[start : start + len(block)] = part @ second
        logits[~np.isfinite(logits)] = np.nan
        return _sigmoid(logits + offset)

    def _label_weights(self, y: np.ndarray, weights: np.ndarray | None) -> np.ndarray:
        """Return weights (n,) whose sum is 1."""
        share = np.ones_like(y) if weights is None else np.asarray(weights, dtype=np.float32).copy()
        for value in (0, 1):
            share[y == value] *= share[y == value].sum() ** -self.settings.balance
        return share / share.sum()

    def _train(self, x: np.ndarray, y: np.ndarray, share: np.ndarray) -> tuple[np.ndarray, ...]:
        """Return first layer, its bias, second layer and its offset after all Adam steps."""
        # The second layer starts from 0, so that the network has no opinion before it has labels.
        hidden_dim = self._first.shape[1]
        parts = [self._first.copy()]
        parts += [np.zeros(n, np.float32) for n in (hidden_dim, hidden_dim, 1)]
        moments = [(np.zeros_like(part), np.zeros_like(part)) for part in parts]
        for step in range(1, self.settings.steps + 1):
            hidden = np.maximum(x @ parts[0] + parts[1], 0)
            error = share * (_sigmoid(hidden @ parts[2] + parts[3]) - y)
            back = np.outer(error, parts[2]) * (hidden > 0)
            gradients = (x.T @ back, back.sum(axis=0), hidden.T @ error, error.sum(keepdims=True))
            for part, gradient, moment in zip(parts, gradients, moments, strict=True):
                self._adam(part, gradient, moment, step)
        return tuple(parts)

    def _adam(
        self, part: np.ndarray, gradient: np.ndarray, moment: tuple[np.ndarray, ...], step: int
    ) -> None:
        first, second = moment
        (one, two), rate = _ADAM_BETAS, self.settings.learning_rate
        first += (1 - one) * (gradient - first)
        second += (1 - two) * (np.square(gradient) - second)
        change = np.sqrt(second / (1 - two**step)) + _TINY
        np.divide(first, change, out=change)
        part -= rate * self.settings.weight_decay * part
        part -= rate / (1 - one**step) * change


def _sigmoid(x: np.ndarray) -> np.ndarray:
    # Through tanh: exp would overflow for large negative logits.
    return 0.5 * (1 + np.tanh(0.5 * x))
