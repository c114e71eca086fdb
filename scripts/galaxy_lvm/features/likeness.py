"""How far a galaxy lies from those that a model learned from."""

import numpy as np
from sklearn.neighbors import NearestNeighbors

from galaxy_lvm.core.errors import DataError
from galaxy_lvm.features.space import FeatureSpace


def mean_nearest_distance(
    nearest: NearestNeighbors, values: np.ndarray, k: int, in_reference: np.ndarray | None = None
) -> np.ndarray:
    """Return mean distances (n,) of vectors (n, D) to the `k` nearest that were fitted.

    `in_reference` says, bool (n,), which of them were fitted themselves: their nearest is
    themselves and does not count. None: none of them.
    """
    own = np.zeros(len(values), bool) if in_reference is None else in_reference
    distance = nearest.kneighbors(values, n_neighbors=k + 1)[0]
    return np.where(own, distance[:, 1:].mean(axis=1), distance[:, :k].mean(axis=1))


class TrainingDistance:
    """Mean distance to the nearest galaxies of a training set, in standardised components.

    Parameters
    ----------
    reference
        (n, D): features of training galaxies, more than `n_neighbours`.
    n_neighbours
        How many of the nearest are averaged over.
    n_components
        Principal components that are kept, at most.

    Raises
    ------
    DataError
        If there are too few training galaxies.
    """

    def __init__(self, reference: np.ndarray, n_neighbours: int, n_components: int) -> None:
        if len(reference) <= n_neighbours:
            raise DataError(
                f"{len(reference)} training galaxies to compare with, catalogue.n_neighbours = "
                f"{n_neighbours} needs more; lower it or use more galaxies"
            )
        self.n_neighbours = n_neighbours
        self._space = FeatureSpace(reference, n_components)
        self._nearest = NearestNeighbors(algorithm="brute").fit(self._mapped(reference))

    def _mapped(self, values: np.ndarray) -> np.ndarray:
        # In double precision: else distances depend on who else is asked about.
        return self._space(values).astype(np.float64)

    def __call__(self, values: np.ndarray, in_reference: np.ndarray | None = None) -> np.ndarray:
        """Return distances (k,) of vectors (k, D), at least 0.

        Parameters
        ----------
        values
            Feature vectors.
        in_reference
            bool (k,): which of them are training galaxies, whose nearest is themselves and does
            not count; None: none of them.
        """
        vectors = self._mapped(values)
        return mean_nearest_distance(self._nearest, vectors, self.n_neighbours, in_reference)


def threshold_at(distances: np.ndarray, share: float) -> float:
    """Return the distance that at most a `share` of `distances` (n,) exceeds."""
    # A little beyond the galaxy that it is of: rounding must not decide on that one.
    return float(np.quantile(distances, 1 - share, method="higher")) * (1 + 1e-6)
