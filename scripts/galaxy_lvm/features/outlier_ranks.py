"""Scores of unusualness of any number of galaxies: written by shard, ranked over all shards.

A galaxy's place is the mean of its ranks in all methods, and a rank counts all galaxies. Who is
among the first in no method cannot be among the first by the mean: so the best of every method are
the candidates, and their ranks are counted exactly, file by file.
"""

import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from galaxy_lvm.core.errors import DataError, in_short
from galaxy_lvm.core.logs import log, progress
from galaxy_lvm.core.state import atomic_path
from galaxy_lvm.features.outliers import METHODS, Detectors, unusual_by_ranks
from galaxy_lvm.features.store import FeatureStore
from galaxy_lvm.survey.crop_store import CropStore
from galaxy_lvm.survey.file_errors import FILE_ERRORS
from galaxy_lvm.survey.rows import row_blocks

_BLOCK_ROWS = 8192
_READ_ROWS = 65536
_LEAST_CANDIDATES = 4096
_REMEDY = "run score_shard, or find_outliers, again"


def write_scores(
    path: str | os.PathLike,
    detectors: Detectors,
    store: FeatureStore,
    reference: np.ndarray,
    crops: CropStore,
    rows: slice,
) -> None:
    """Score some galaxies of a dataset block by block.

    Parameters
    ----------
    path
        Parquet file to write: `index` (row of the dataset's crops), `id`, `label` and a score per
        method.
    detectors
        Fitted on the reference.
    store, crops
        Vectors and crops of the whole dataset, row by row of the same galaxies.
    reference
        Rows that the detectors were fitted on, rising.
    rows
        Galaxies to score.
    """
    writer = None
    with atomic_path(path) as temporary:
        blocks = list(row_blocks(rows.stop - rows.start, _BLOCK_ROWS))
        for block in progress(blocks, desc="unusualness", unit="blocks"):
            part = slice(rows.start + block.start, rows.start + block.stop)
            numbers = np.arange(part.start, part.stop)
            scores = detectors(np.asarray(store.values[part]), np.isin(numbers, reference))
            ids, index = store.named(numbers)
            if not np.array_equal(ids, crops.column("id", part)):
                raise DataError(
                    f"{store.path}: vectors {part.start} to {part.stop} are of other galaxies than "
                    f"those rows of {crops.path}; extract the features again"
                )
            about = {"index": index, "id": ids, "label": crops.column("label", part)}
            columns = {name: pa.array(values) for name, values in about.items()}
            table = pa.table(columns | {name: scores[name].to_numpy() for name in METHODS})
            writer = writer or pq.ParquetWriter(temporary, table.schema)
            writer.write_table(table)
        if writer is None:
            raise DataError(f"{path}: no galaxy to score")
        writer.close()


def write_no_scores(path: str | os.PathLike) -> None:
    """Write the file of `write_scores` for no galaxy at all."""
    text = [(name, pa.string()) for name in ("id", "label")]
    schema = pa.schema([("index", pa.int64()), *text, *((name, pa.float64()) for name in METHODS)])
    with atomic_path(path) as temporary:
        pq.write_table(schema.empty_table(), temporary)


def most_unusual(paths: Sequence[str | os.PathLike], n: int) -> pd.DataFrame:
    """Return the `n` most unusual galaxies of all files; see `unusual_galaxies`.

    The memory that it takes depends on how much the methods differ, not on the number of galaxies.

    Parameters
    ----------
    paths
        Scores (parquet) of find_outliers or score_shard, with at least `id` and a score per method.
    n
        Length of the list.

    Raises
    ------
    DataError
        If a file is missing or damaged.
    """
    total, k = sum(_n_rows(path) for path in paths), max(_LEAST_CANDIDATES, n)
    while True:
        candidates = _best_of_every_method(paths, k)
        table = _table(paths, candidates).assign(mean_rank=_ranks(paths, candidates).mean(axis=1))
        listed = unusual_by_ranks(table, n)
        # Whoever is no candidate has a mean rank of k + 1 at least.
        if k >= total or len(listed) == n and listed["mean_rank"].iloc[-1] < k + 1:
            log.info("%d of %d galaxies were candidates", len(candidates), total)
            return listed
        k *= 8


@contextmanager
def _naming(path: str | os.PathLike) -> Iterator[None]:
    try:
        yield
    except FILE_ERRORS as error:
        raise DataError(f"{path}: missing or damaged ({in_short(error)}); {_REMEDY}") from error


def _n_rows(path: str | os.PathLike) -> int:
    with _naming(path):
        return pq.read_metadata(path).num_rows


def _blocks(
    paths: Sequence[str | os.PathLike], columns: Sequence[str] | None = METHODS
) -> Iterator[tuple[int, pd.DataFrame]]:
    """Yield the number of the first row, over all files, and a block of the table."""
    first = 0
    for path in paths:
        with _naming(path):
            file = pq.ParquetFile(path)
            for batch in file.iter_batches(_READ_ROWS, columns=columns and list(columns)):
                yield first, batch.to_pandas()
                first += len(batch)


def _best_of_every_method(paths: Sequence[str | os.PathLike], k: int) -> np.ndarray:
    """Return the rows of the k best of every method, rising."""
    best = {name: (np.empty(0), np.empty(0, np.int64)) for name in METHODS}
    for first, block in _blocks(paths):
        for name, (scores, rows) in best.items():
            values = block[name].to_numpy()
            # Whoever only equals the last of k comes later than it, and ties go by the row.
            new = (
                np.flatnonzero(values > scores[-1]) if len(scores) == k else np.arange(len(values))
            )
            scores = np.concatenate([scores, values[new]])
            rows = np.concatenate([rows, first + new])
            kept = np.lexsort((rows, -scores))[:k]
            best[name] = scores[kept], rows[kept]
    return np.unique(np.concatenate([rows for _, rows in best.values()]))


def _ranks(paths: Sequence[str | os.PathLike], candidates: np.ndarray) -> np.ndarray:
    """Return the ranks (n, methods) of rows among all, from 1; ties by the row."""
    own = _table(paths, candidates, METHODS)[list(METHODS)].to_numpy()
    ranks = np.ones(own.shape, np.int64)
    for first, block in _blocks(paths):
        for number, name in enumerate(METHODS):
            values = block[name].to_numpy()
            ordered, asked = np.sort(values), own[:, number]
            above = np.searchsorted(ordered, asked, side="right")
            equal = above - np.searchsorted(ordered, asked, side="left")
            ranks[:, number] += len(values) - above
            # Of those that are equal the earlier ones stand before it.
            ranks[:, number] += np.where(candidates >= first + len(values), equal, 0)
            inside = (candidates >= first) & (candidates < first + len(values)) & (equal > 1)
            for place in np.flatnonzero(inside):
                before = values[: candidates[place] - first]
                ranks[place, number] += int((before == asked[place]).sum())
    return ranks


def _table(
    paths: Sequence[str | os.PathLike], rows: np.ndarray, columns: Sequence[str] | None = None
) -> pd.DataFrame:
    """Return rows (rising) of the files as one table."""
    parts = []
    for first, block in _blocks(paths, columns):
        here = rows[np.searchsorted(rows, first) : np.searchsorted(rows, first + len(block))]
        if len(here):
            parts.append(block.iloc[here - first])
    return pd.concat(parts, ignore_index=True)
