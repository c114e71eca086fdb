"""Feature vectors made comparable: standardised, reduced, whitened; fitted on a sample."""

import numpy as np

from galaxy_lvm.core.errors import DataError

_SMALLEST_VARIANCE = 1e-6  # of a component that is kept, relative to the first


class FeatureSpace:
    """A map from feature vectors to vectors whose distances mean something.

    Every dimension is brought to mean 0 and variance 1 first: a few dimensions with large values
    would otherwise decide alone.

    Parameters
    ----------
    sample
        (n, D): what mean, variance and principal components are taken from, 2 rows at least.
    n_components
        Principal components to keep, at most those in which the sample varies; None keeps all
        dimensions.
    whiten
        Give every component the same variance.
    unit
        Scale every vector to length 1 before the components are taken: Euclidean distances d then
        are cosine distances d^2 / 2.

    Raises
    ------
    DataError
        If the sample has fewer than two rows or values that are not finite.
    """

    def __init__(
        self,
        sample: np.ndarray,
        n_components: int | None = None,
        whiten: bool = False,
        unit: bool = False,
    ) -> None:
        if len(sample) < 2 or not np.isfinite(sample).all():
            raise DataError(
                f"a feature space needs two finite vectors at least, got {sample.shape}; "
                "extract the features again or use more galaxies"
            )
        self.unit = unit
        self.mean = sample.mean(axis=0, dtype=np.float64).astype(np.float32)
        scale = sample.std(axis=0, dtype=np.float64).astype(np.float32)
        self.scale = np.where(scale > 0, scale, np.float32(1))  # a constant says nothing, not inf
        self.components = None
        if n_components is not None:
            self._fit_components(self.standardise(sample), n_components, whiten)

    def _fit_components(self, sample: np.ndarray, n_components: int, whiten: bool) -> None:
        self.centre = sample.mean(axis=0)
        centred = sample - self.centre
        variance, directions = np.linalg.eigh(
            (centred.T @ centred).astype(np.float64) / max(1, len(sample) - 1)
        )
        order = np.argsort(variance)[::-1][: min(n_components, len(sample) - 1)]
        # Directions in which the sample does not vary would be blown up by whitening.
        order = order[variance[order] > _SMALLEST_VARIANCE * variance[order[0]]]
        weight = 1 / np.sqrt(variance[order]) if whiten else 1.0
        self.components = (directions[:, order] * weight).astype(np.float32)

    def standardise(self, values: np.ndarray) -> np.ndarray:
        """Return (n, D) float32 before principal components are taken."""
        values = (np.asarray(values, dtype=np.float32) - self.mean) / self.scale
        if self.unit:
            values /= np.maximum(np.linalg.norm(values, axis=1, keepdims=True), 1e-12)
        return values

    def __call__(self, values: np.ndarray) -> np.ndarray:
        """Map (n, D) to (n, dim) float32."""
        values = self.standardise(values)
        return values if self.components is None else (values - self.centre) @ self.components
