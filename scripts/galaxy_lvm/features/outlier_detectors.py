"""Scores of how unlike the usual ones a vector, or an image, is."""

import cv2
import numpy as np
import pandas as pd
from sklearn.covariance import LedoitWolf
from sklearn.ensemble import IsolationForest
from sklearn.neighbors import NearestNeighbors

from galaxy_lvm.core.config.extensions import Outliers
from galaxy_lvm.core.errors import DataError
from galaxy_lvm.core.seeds import derive_seed
from galaxy_lvm.features.likeness import mean_nearest_distance
from galaxy_lvm.features.outliers import METHODS
from galaxy_lvm.features.space import FeatureSpace

_THUMBNAIL_SIDE_PIX = 20
_PIXEL_COMPONENTS = 128
_TREE_GALAXIES = 256  # per tree (Liu et al. 2008)


class OutlierDetectors:
    """Scores of unusualness, larger for more unusual vectors.

    Four methods: `isolation_forest` on whitened principal components (Liu et al. 2008), `knn`,
    the mean distance to the nearest reference vectors after standardisation, and `knn_whitened`,
    the same on whitened components, to which faint directions count as much as strong ones;
    `mahalanobis_fine`, the distance from the mean in units of the scatter (covariance shrunk as
    Ledoit & Wolf 2004) of the finest maps' statistics. The deeper a map, the more it was trained to
    overlook what an image has besides its galaxy: trails, stars, edges, lost bands.

    Parameters
    ----------
    reference
        (n, D): what is usual, `n_neighbours` + 1 rows at least.
    settings
        How.
    seed
        The run's seed.
    n_fine
        How many numbers, the first of a vector, come from the finest maps (`LVMConfig.n_fine`);
        None takes the whole vector.

    Raises
    ------
    DataError
        If the reference is too small.
    """

    def __init__(
        self, reference: np.ndarray, settings: Outliers, seed: int, n_fine: int | None = None
    ) -> None:
        if len(reference) <= settings.n_neighbours:
            raise DataError(
                f"{len(reference)} galaxies to compare with, extensions.outliers.n_neighbours = "
                f"{settings.n_neighbours} needs more; lower it or use more galaxies"
            )
        self.settings = settings
        self.plain = FeatureSpace(reference)
        self.whitened = FeatureSpace(reference, settings.n_components, whiten=True)
        white = self.whitened(reference)
        self.forest = IsolationForest(
            n_estimators=settings.n_trees,
            max_samples=min(_TREE_GALAXIES, len(reference)),
            random_state=derive_seed(seed, "isolation_forest") % 2**32,
        ).fit(white)
        self.n_fine = n_fine
        self.scatter = LedoitWolf().fit(self._fine(reference))
        self.neighbours = {
            "knn": NearestNeighbors(algorithm="brute").fit(self.plain(reference)),
            "knn_whitened": NearestNeighbors(algorithm="brute").fit(white),
        }

    def _fine(self, values: np.ndarray) -> np.ndarray:
        return self.plain(values)[:, : self.n_fine].astype(np.float64)

    def __call__(self, values: np.ndarray, in_reference: np.ndarray | None = None) -> pd.DataFrame:
        """Return one column per method for vectors (n, D).

        Parameters
        ----------
        values
            (n, D).
        in_reference
            bool (n,): which of them belong to the reference; their distance to themselves does
            not count. None: none of them.
        """
        white = self.whitened(values)
        scores = {"isolation_forest": -self.forest.score_samples(white)}
        k = self.settings.n_neighbours
        for name, vectors in (("knn", self.plain(values)), ("knn_whitened", white)):
            nearest = self.neighbours[name]
            scores[name] = mean_nearest_distance(nearest, vectors, k, in_reference)
        scores["mahalanobis_fine"] = np.sqrt(self.scatter.mahalanobis(self._fine(values)))
        return pd.DataFrame(scores)[list(METHODS)]


class PixelResidual:
    """How badly principal components of reduced images describe an image: a baseline.

    Parameters
    ----------
    crops
        uint8 (n, H, W, 3), the usual ones.
    """

    def __init__(self, crops: np.ndarray) -> None:
        self.space = FeatureSpace(_thumbnails(crops), _PIXEL_COMPONENTS)

    def __call__(self, crops: np.ndarray) -> np.ndarray:
        """Return the norm of what the components leave of standardised images, (n,)."""
        pixels = self.space.standardise(_thumbnails(crops)) - self.space.centre
        explained = np.square(pixels @ self.space.components).sum(axis=1)
        return np.sqrt(np.maximum(np.square(pixels).sum(axis=1) - explained, 0))


def _thumbnails(crops: np.ndarray) -> np.ndarray:
    side = (_THUMBNAIL_SIDE_PIX, _THUMBNAIL_SIDE_PIX)
    small = [cv2.resize(crop, side, interpolation=cv2.INTER_AREA) for crop in crops]
    return np.stack(small).reshape(len(crops), -1).astype(np.float32)
