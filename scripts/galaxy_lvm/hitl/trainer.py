"""What a session learns with: a ranker on the principal components of a pool's features.

It knows rows alone, no ids and no store: the labelling page runs it in a process of its own.
"""

import threading
from typing import BinaryIO, Protocol

import numpy as np

from galaxy_lvm.core.config.hitl import RankerSettings
from galaxy_lvm.core.errors import DataError
from galaxy_lvm.hitl.ranker import BLOCK_ROWS, Features, Ranker, Whitened, Whitening


class Trains(Protocol):
    """What a `Learner` asks of that which trains."""

    whitening: Whitening
    usable: np.ndarray
    components: Features
    is_warm: bool

    def fit(self, rows: np.ndarray, labels: np.ndarray, weights: np.ndarray) -> None:
        """Train anew, on some galaxies of the pool."""

    def scores(self) -> np.ndarray:
        """Return what the ranker says of the pool (N,), NaN where features are not finite."""

    def score_of(self, features: Features) -> np.ndarray:
        """Return what the ranker that was trained last says of other galaxies (M,)."""

    def close(self) -> None:
        """Hand back what it holds."""


class Trainer:
    """Train a ranker on rows of a pool, and score all of it; threads may share one.

    Parameters
    ----------
    features
        Of the pool (N, D).
    settings
        Of the ranker.
    seed
        Of its first weights.
    whitening
        Of the features where it is known already; measured otherwise.
    """

    def __init__(
        self,
        features: Features,
        settings: RankerSettings,
        seed: int,
        whitening: Whitening | None = None,
    ) -> None:
        self.features, self.settings, self.seed = features, settings, seed
        self._whitening, self._usable = whitening, None
        self._kept: np.ndarray | None = None
        self._ranker: Ranker | None = None
        self._lock = threading.RLock()

    @property
    def whitening(self) -> Whitening:
        """The map of the features that the ranker looks through."""
        with self._lock:
            if self._whitening is None:
                self._whitening = Whitening.of(self.features, self.settings.n_components)
            return self._whitening

    @property
    def usable(self) -> np.ndarray:
        """Whether the features of each galaxy are finite (N,); read once."""
        if self._usable is None:
            usable = np.empty(self.features.shape[0], dtype=bool)
            for first in range(0, len(usable), BLOCK_ROWS):
                part = slice(first, first + BLOCK_ROWS)
                usable[part] = np.isfinite(self.features[part]).all(axis=1)
            self._usable = usable
        return self._usable

    @property
    def is_warm(self) -> bool:
        """Whether all that never changes was read, so that `usable` need not be waited for."""
        return self._usable is not None and self._whitening is not None

    @property
    def components(self) -> Features:
        """The features through the whitening (N, K): those that are kept, or made when read."""
        return Whitened(self.features, self.whitening) if self._kept is None else self._kept

    def keep_components(self, file: BinaryIO) -> None:
        """Write the components of the whole pool into a file, and read them from there on.

        Whoever trains again and again over one pool reads a fraction of it so, and computes less.

        Parameters
        ----------
        file
            Open for writing and reading, empty; on disk.
        """
        whitening, n_rows = self.whitening, self.features.shape[0]
        usable = np.empty(n_rows, dtype=bool)
        for first in range(0, n_rows, BLOCK_ROWS):
            block = np.asarray(self.features[first : first + BLOCK_ROWS])
            usable[first : first + len(block)] = np.isfinite(block).all(axis=1)
            file.write(whitening.apply(block).tobytes())
        file.flush()
        self._usable = usable
        self._kept = components_in(file, n_rows, whitening)

    def fit(self, rows: np.ndarray, labels: np.ndarray, weights: np.ndarray) -> None:
        """Train anew.

        Parameters
        ----------
        rows
            Galaxies of the pool to learn from (n,).
        labels
            1 for positives, 0 for negatives (n,).
        weights
            Of each (n,).
        """
        with self._lock:
            ranker = Ranker(self.whitening, self.settings, self.seed)
            self._ranker = ranker.fit_components(self.components[rows], labels, weights)

    def scores(self) -> np.ndarray:
        """Return the probability of being a positive (N,), float32; NaN without finite features.

        Raises
        ------
        DataError
            If none was trained yet.
        """
        with self._lock:
            scores = self._trained().score_components(self.components)
            if self._usable is None:
                self._usable = np.isfinite(scores)
            return scores

    def score_of(self, features: Features) -> np.ndarray:
        """Return what the ranker that was trained last says of other galaxies (M,).

        Raises
        ------
        DataError
            If none was trained yet.
        """
        with self._lock:
            return self._trained().score(features)

    def close(self) -> None:
        """Do nothing: it holds no more than its arrays."""

    def _trained(self) -> Ranker:
        if self._ranker is None:
            raise DataError("the ranker was not trained yet; label galaxies and call fit first")
        return self._ranker


def components_in(file: BinaryIO, n_rows: int, whitening: Whitening) -> np.ndarray:
    """Return what `Trainer.keep_components` wrote into a file, mapped (N, K)."""
    shape = (n_rows, whitening.projection.shape[1])
    return np.memmap(file, np.float32, "r", shape=shape)
