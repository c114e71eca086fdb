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


def similar_images(
    encoder: ImageEncoder,
    source: FileImages,
    embedded: EmbeddedFiles,
    queries: dict[str, Path | None],
    n_neighbours: int,
) -> tuple[pd.DataFrame, dict[str, np.ndarray]]:
    """Find the images most similar to given ones, by exact search.

    Parameters
    ----------
    encoder, source, embedded
        What made the vectors, the images, and the vectors.
    queries
        From `query_images`.
    n_neighbours
        Similar images per query; fewer where there are no more.

    Returns
    -------
    table : DataFrame
        `neighbour_table`: one row per query and neighbour.
    crops : dict
        Crop uint8 (side, side, 3) of every query.

    Raises
    ------
    DataError
        If a query could not be read; the reason is named.
    """
    reasons = {str(line["id"]): line["reason"] for line in embedded.skipped}
    for name, path in queries.items():
        if path is None and name in reasons:
            raise DataError(f"{name}: cannot be searched for: {reasons[name]}")
    values, crops = {}, {}
    own = [name for name, path in queries.items() if path is None]
    crops |= dict(zip(own, source.crops(own), strict=True)) if own else {}
    values |= dict(zip(own, embedded.store.take(own), strict=True))
    for name, path in queries.items():
        if path is not None:
            # In the frame of the images that are searched, or it would be another picture.
            elsewhere = FileImages({name: path}, [], source.reading).with_side(source.side_pix)
            crops[name] = elsewhere.crops([name])[0]
            values[name] = encoder.vectors(crops[name][None])[0]
    store = embedded.store
    search = SimilaritySearch(store, Similarity(n_neighbours=n_neighbours), SEED)
    rows, distances = search.exact(np.stack([values[n] for n in queries]), n_neighbours + 1)
    places = np.array([store.rows_of([n])[0] if p is None else -1 for n, p in queries.items()])
    k = min(n_neighbours, rows.shape[1] - bool((places >= 0).all()))
    asked = pd.DataFrame({"id": list(queries), "index": places, "label": ""})
    return neighbour_table(asked, *drop_self(rows, distances, places, k), store, None), crops


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
    if len(store) < _LEAST_FOR_OUTLIERS:
        raise DataError(
            f"{len(store)} images could be read; what is unusual among them needs "
            f"{_LEAST_FOR_OUTLIERS} at least"
        )
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
