"""Ridge regressions on a matrix of inputs and on Nystroem maps of it, decomposed once."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from sklearn.kernel_approximation import Nystroem

from galaxy_lvm.core.seeds import derive_seed

_STRENGTHS = tuple(10.0**k for k in range(-2, 5))
_KERNEL_STRENGTHS = tuple(10.0**k for k in range(-4, 2))
_KERNEL_WIDTHS = (0.03, 0.1, 0.3)
_KERNEL_CENTRES = 500


@dataclass(frozen=True)
class Regression:
    """A regression that was fitted: maps inputs (n, m) to scaled values (n,)."""

    kernel: Nystroem | None
    """Map of the inputs; None for the inputs themselves."""
    weights: np.ndarray
    offset: float
    choice: str
    """What was chosen, for the log."""

    def __call__(self, inputs: np.ndarray) -> np.ndarray:
        """Return scaled values (n,) of inputs (n, m)."""
        return mapped(self.kernel, inputs) @ self.weights + self.offset


def mapped(kernel: Nystroem | None, inputs: np.ndarray) -> np.ndarray:
    """Return the inputs (n, m), or their map (n, number of centres)."""
    return inputs if kernel is None else kernel.transform(inputs)


@dataclass(frozen=True)
class _Kind:
    """One kind of regression on some rows: all that does not depend on what is predicted."""

    name: str
    kernel: Nystroem | None
    strengths: Sequence[float]
    middle: np.ndarray
    values: np.ndarray
    vectors: np.ndarray

    @classmethod
    def of(
        cls, name: str, kernel: Nystroem | None, strengths: Sequence[float], train: np.ndarray
    ) -> "_Kind":
        known = mapped(kernel, train).astype(np.float64)
        middle = known.mean(axis=0)
        centred = known - middle
        return cls(name, kernel, strengths, middle, *np.linalg.eigh(centred.T @ centred))

    def path(
        self, train: np.ndarray, target: np.ndarray
    ) -> Iterator[tuple[float, np.ndarray, float]]:
        """Yield (strength, weights, offset) for every strength."""
        centred = mapped(self.kernel, train).astype(np.float64) - self.middle
        mean = target.mean()
        projected = self.vectors.T @ (centred.T @ (target - mean))
        for strength in self.strengths:
            weights = self.vectors @ (projected / (np.maximum(self.values, 0) + strength))
            yield strength, weights, mean - self.middle @ weights


class Regressions:
    """Ridge regressions on inputs, and on Nystroem maps of them with a Gaussian kernel.

    The maps (Williams and Seeger 2001) and the decompositions of one set of training galaxies are
    kept: most parameters of a catalogue are known for the same galaxies, and a decomposition takes
    longer than all else.

    Parameters
    ----------
    inputs
        (n, m).
    seed
        Seed of the kernel's centres.
    """

    def __init__(self, inputs: np.ndarray, seed: int) -> None:
        self.inputs, self._seed = inputs, seed
        self._train: np.ndarray | None = None
        self._kinds: list[_Kind] = []

    def kinds(self, train: np.ndarray) -> list[_Kind]:
        """Return every kind of regression, decomposed on the galaxies `train`, bool (n,)."""
        if self._train is None or not np.array_equal(train, self._train):
            known = self.inputs[train]
            self._kinds = [_Kind.of("linear", None, _STRENGTHS, known)]
            for width in _KERNEL_WIDTHS:
                kernel = Nystroem(
                    gamma=width / known.shape[1],
                    n_components=min(_KERNEL_CENTRES, len(known)),
                    random_state=derive_seed(self._seed, "nystroem") % 2**32,
                ).fit(known)
                name = f"Gaussian kernel {width:g}/D"
                self._kinds.append(_Kind.of(name, kernel, _KERNEL_STRENGTHS, known))
            self._train = train.copy()
        return self._kinds
