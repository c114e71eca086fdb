"""A map of the feature space in two dimensions, and what it keeps of it."""

import numpy as np
from sklearn.manifold import TSNE, trustworthiness
from sklearn.neighbors import NearestNeighbors

from galaxy_lvm.core.errors import DataError
from galaxy_lvm.core.seeds import derive_seed
from galaxy_lvm.features.space import FeatureSpace
from galaxy_lvm.survey.rows import sample_rows

MIN_GALAXIES = 10
_NEIGHBOURS = 10
# Trustworthiness compares all pairs.
_MOST_JUDGED = 3000


def embed(values: np.ndarray, perplexity: float, n_components: int, seed: int) -> np.ndarray:
    """Lay feature vectors out on a plane by t-SNE (van der Maaten and Hinton 2008).

    The layout starts from the first two principal components, so that distances between groups
    mean more than after a random start (Kobak and Berens 2019).

    Parameters
    ----------
    values
        (n, D), `MIN_GALAXIES` rows at least.
    perplexity
        About how many neighbours a galaxy is kept together with; lowered to n / 4 where needed.
    n_components
        Principal components of standardised vectors that distances are taken from.
    seed
        The run's seed.

    Returns
    -------
    numpy.ndarray
        float32 (n, 2), without a unit.

    Raises
    ------
    DataError
        If there are too few galaxies.
    """
    if len(values) < MIN_GALAXIES:
        raise DataError(f"{len(values)} galaxies are too few for a map, {MIN_GALAXIES} are needed")
    layout = TSNE(
        perplexity=min(perplexity, len(values) / 4),
        init="pca",
        learning_rate="auto",
        random_state=derive_seed(seed, "map") % 2**32,
    )
    return layout.fit_transform(FeatureSpace(values, n_components)(values)).astype(np.float32)


def map_scores(
    values: np.ndarray, places: np.ndarray, labels: np.ndarray, seed: int
) -> dict[str, float]:
    """Return what a map keeps.

    Parameters
    ----------
    values, places
        Feature vectors (n, D) and places on the map (n, 2).
    labels
        (n,), '' for none.
    seed
        The run's seed.

    Returns
    -------
    dict
        `trustworthiness`: 1 where the ten neighbours on the map are neighbours among the
        features, 0.5 for a random map (Venna and Kaski 2001), on at most 3000 of the galaxies.
        `same_class`: mean share of the ten neighbours on the map with the galaxy's class, and
        `same_class_features`, the same among the features; only where there are labels.
    """
    k = min(_NEIGHBOURS, (len(values) - 1) // 2)
    rows = sample_rows(len(values), _MOST_JUDGED, derive_seed(seed, "trustworthiness"))
    values, places, labels = values[rows], places[rows], labels[rows]
    vectors = FeatureSpace(values)(values)
    scores = {"trustworthiness": float(trustworthiness(vectors, places, n_neighbors=k))}
    known = labels != ""
    if known.sum() > k:
        for name, space in (("same_class", places), ("same_class_features", vectors)):
            found = NearestNeighbors(n_neighbors=k).fit(space[known]).kneighbors()[1]
            scores[name] = float((labels[known][found] == labels[known][:, None]).mean())
    return scores
