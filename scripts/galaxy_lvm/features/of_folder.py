"""Similar and unusual galaxies among image files with vectors."""

import difflib
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd

from galaxy_lvm.core.config.extensions import Outliers, Similarity
from galaxy_lvm.core.errors import DataError
from galaxy_lvm.core.seeds import derive_seed
from galaxy_lvm.features.embed_files import EmbeddedFiles
from galaxy_lvm.features.encoder import ImageEncoder
from galaxy_lvm.features.images import FileImages
from galaxy_lvm.features.outlier_detectors import OutlierDetectors
from galaxy_lvm.features.outlier_trials import score_in_blocks
from galaxy_lvm.features.outliers import METHODS, unusual_galaxies
from galaxy_lvm.features.similarity import SimilaritySearch, drop_self
from galaxy_lvm.features.similarity_trials import neighbour_table
from galaxy_lvm.survey.image_files import file_problem, kind_of, same_file
from galaxy_lvm.survey.rows import sample_rows

# Draws samples of large sets; the results of one folder are the same every time.
SEED = 1
_LEAST_FOR_OUTLIERS = 10
_IMAGES_PER_COMPONENT = 6


def query_images(source: FileImages, queries: Sequence[str]) -> dict[str, Path | None]:
    """Return what is to be searched for: id -> None for an image of the source, else its file.

    Parameters
    ----------
    source
        The images that are searched.
    queries
        Ids of the source, or paths of image files, also of some that lie elsewhere.

    Raises
    ------
    DataError
        If a query is neither, or a file of another kind than the source's; nearest ids are named.
    """
    by_file = {same_file(path): name for name, path in source.paths.items()}
    found: dict[str, Path | None] = {}
    for query in queries:
        path = Path(query)
        if query in source.paths:
            found[query] = None
        elif same_file(path) in by_file:
            found[by_file[same_file(path)]] = None
        elif problem := file_problem(path):
            near = difflib.get_close_matches(query, list(source.paths), n=3)
            hint = f"; nearest ids: {', '.join(near)}" if near else ""
            raise DataError(f"{query}: neither the id of an image nor a file ({problem}){hint}")
        elif (kind_of(path) == "image") != source.rgb or kind_of(path) is None:
            wanted = "JPEG or PNG" if source.rgb else "FITS"
            raise DataError(f"{query}: a query has to be a {wanted} file as the images are")
        else:
            found[query] = path
    return found


def query_crops(source: FileImages, queries: dict[str, Path | None]) -> dict[str, np.ndarray]:
    """Return the crop, uint8 (side, side, 3), of every query, before the images are read.

    Parameters
    ----------
    source
        The images that are searched.
    queries
        From `query_images`.

    Raises
    ------
    DataError
        If a query cannot be read, or there is nothing to compare it with.
    """
    _refuse_few(len(source))
    crops = {}
    for name, path in queries.items():
        # In the frame of the images that are searched, or it would be another picture.
        files = {name: path or source.paths[name]}
        (chunk,) = FileImages(files, [], source.only([]).reading).chunks()
        if chunk.skipped:
            raise DataError(f"{name}: cannot be searched for: {chunk.skipped[0]['reason']}")
        crops[name] = chunk.images[0]
    return crops


def _refuse_few(n: int) -> None:
    if n < 2:
        raise DataError(f"{n} image could be read; to be compared, images have to be two at least")


def similar_images(
    encoder: ImageEncoder,
    embedded: EmbeddedFiles,
    queries: dict[str, Path | None],
    crops: dict[str, np.ndarray],
    n_neighbours: int,
) -> pd.DataFrame:
    """Find the images most similar to given ones, by exact search.

    Parameters
    ----------
    encoder, embedded
        What made the vectors, and the vectors.
    queries, crops
        From `query_images` and `query_crops`.
    n_neighbours
        Similar images per query; fewer where there are no more.

    Returns
    -------
    DataFrame
        `neighbour_table`: one row per query and neighbour.

    Raises
    ------
    DataError
        If fewer than two images could be read.
    """
    store = embedded.store
    _refuse_few(len(store))
    own = [name for name, path in queries.items() if path is None]
    values = dict(zip(own, store.take(own), strict=True))
    for name, path in queries.items():
        if path is not None:
            values[name] = encoder.vectors(crops[name][None])[0]
    search = SimilaritySearch(store, Similarity(n_neighbours=n_neighbours), SEED)
    rows, distances = search.exact(np.stack([values[n] for n in queries]), n_neighbours + 1)
    places = np.array([store.rows_of([n])[0] if p is None else -1 for n, p in queries.items()])
    k = min(n_neighbours, rows.shape[1] - bool((places >= 0).all()))
    asked = pd.DataFrame({"id": list(queries), "index": places, "label": ""})
    return neighbour_table(asked, *drop_self(rows, distances, places, k), store, None)


def refuse_few_for_outliers(n: int) -> None:
    """Raise a DataError where n images are too few to say what is usual."""
    if n < _LEAST_FOR_OUTLIERS:
        raise DataError(
            f"{n} image{'s' * (n != 1)} could be read; what is unusual among them needs "
            f"{_LEAST_FOR_OUTLIERS} at least"
        )


def unusual_images(embedded: EmbeddedFiles, n_fine: int | None = None) -> pd.DataFrame:
    """Rank all images by how unlike the others they are.

    Parameters
    ----------
    embedded
        The images' vectors.
    n_fine
        As `OutlierDetectors`.

    Returns
    -------
    DataFrame
        `place` (1 is the most unusual), `id`, a score per method and `mean_rank`.

    Raises
    ------
    DataError
        If there are too few images to say what is usual.
    """
    store = embedded.store
    refuse_few_for_outliers(len(store))
    # Along as many whitened components as there are images, all are equally far from each other.
    settings = Outliers()
    most = max(2, min(settings.n_components, len(store) // _IMAGES_PER_COMPONENT))
    settings = settings.model_copy(update={"n_components": most})
    reference = np.zeros(len(store), bool)
    chosen = sample_rows(len(store), settings.n_reference, derive_seed(SEED, "reference"))
    reference[chosen] = True
    detectors = OutlierDetectors(np.asarray(store.values[chosen]), settings, SEED, n_fine)
    scores = score_in_blocks(detectors, store.values, reference)
    table = unusual_galaxies(scores.assign(id=store.ids, label=""), len(store))
    return table[["place", "id", *METHODS, "mean_rank", "label"]]


def files_of(table: pd.DataFrame, embedded: EmbeddedFiles) -> list[str]:
    """Return the file of every row of a table with a column `id`."""
    return embedded.table.set_index("id")["file"].loc[table["id"]].tolist()
