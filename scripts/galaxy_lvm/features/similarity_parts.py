"""A search of one shard, or of all galaxies, and several searches put together."""

import os
import time
import zipfile
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np

from galaxy_lvm.core.errors import DataError
from galaxy_lvm.core.logs import log
from galaxy_lvm.core.state import atomic_path
from galaxy_lvm.features.similarity import SimilaritySearch
from galaxy_lvm.survey.file_errors import FILE_ERRORS

Nearest = tuple[np.ndarray, np.ndarray]
"""Rows int64 (n, k) of the nearest of n queries, -1 for none, and their distances (n, k)."""


@dataclass(frozen=True)
class Found:
    """What a search of some galaxies found.

    Attributes
    ----------
    wanted
        For the galaxies that were asked for.
    exact, index
        For test galaxies, by comparing with every vector and by the index.
    exact_seconds, index_seconds
        What these two took.
    index_bytes, n_galaxies
        Size of the index; galaxies that were searched.
    """

    wanted: Nearest
    exact: Nearest
    index: Nearest
    exact_seconds: float
    index_seconds: float
    index_bytes: int
    n_galaxies: int

    @classmethod
    def nothing(cls, n_wanted: int, n_test: int) -> "Found":
        """Return what a search among no galaxies finds for so many queries."""
        nearest = [(np.empty((n, 0), np.int64), np.empty((n, 0), np.float32))
                   for n in (n_wanted, n_test, n_test)]  # fmt: skip
        return cls(*nearest, 0.0, 0.0, 0, 0)

    def save(self, path: str | os.PathLike) -> None:
        """Write it as .npz."""
        with atomic_path(path) as temporary:
            np.savez(temporary, **{key: np.array(v) for key, v in self._flat().items()})

    def _flat(self) -> dict[str, object]:
        flat = {}
        for key, value in asdict(self).items():
            if isinstance(value, tuple):
                flat |= {f"{key}_rows": value[0], f"{key}_distances": value[1]}
            else:
                flat[key] = value
        return flat

    @classmethod
    def load(cls, path: str | os.PathLike) -> "Found":
        """Read what `save` wrote.

        Raises
        ------
        DataError
            If the file is missing or damaged.
        """
        if not Path(path).exists():
            raise DataError(f"{path}: missing; run search_shard again")
        try:
            with np.load(path) as file:
                flat = dict(file)
            pairs = {
                key: (flat.pop(f"{key}_rows"), flat.pop(f"{key}_distances"))
                for key in ("wanted", "exact", "index")
            }
            return cls(**pairs, **{key: value.item() for key, value in flat.items()})
        except (*FILE_ERRORS, zipfile.BadZipFile) as error:
            raise DataError(f"{path}: damaged ({error}); run search_shard again") from error


def search_part(
    search: SimilaritySearch, index_bytes: int, wanted: np.ndarray, test: np.ndarray, k: int
) -> Found:
    """Search the galaxies of a search, whose index is built.

    Parameters
    ----------
    search
        In all galaxies or one shard; above `exact_up_to` galaxies, those of all shards, the index
        answers `wanted`.
    index_bytes
        Size of its file.
    wanted, test
        Vectors (n, D) of what is asked for, and of test galaxies.
    k
        Neighbours.
    """
    n_all, by_index = len(search.store), len(search.store) > search.settings.exact_up_to
    log.info("%s search among %d galaxies", "index" if by_index else "exact", n_all)
    exact, exact_seconds = _timed(search.exact, test, k)
    index, index_seconds = _timed(search.approximate, test, k)
    find = search.approximate if by_index else search.exact
    return Found(
        wanted=find(wanted, k),
        exact=exact,
        index=index,
        exact_seconds=exact_seconds,
        index_seconds=index_seconds,
        index_bytes=index_bytes,
        n_galaxies=len(search),
    )


def _timed(
    search: Callable[[np.ndarray, int], Nearest], values: np.ndarray, k: int
) -> tuple[Nearest, float]:
    start = time.perf_counter()
    return search(values, k), time.perf_counter() - start


def together(parts: Sequence[Found], k: int) -> Found:
    """Return what several shards found as one: the k nearest of all, times and sizes summed."""
    nearest = {
        key: nearest_of([getattr(part, key) for part in parts], k)
        for key in ("wanted", "exact", "index")
    }
    sums = {
        key: sum(getattr(part, key) for part in parts)
        for key in ("exact_seconds", "index_seconds", "index_bytes", "n_galaxies")
    }
    return Found(**nearest, **sums)


def nearest_of(parts: Sequence[Nearest], k: int) -> Nearest:
    """Return the k nearest of several searches for the same queries; ties by the row."""
    rows = np.hstack([part[0] for part in parts])
    distances = np.hstack([part[1] for part in parts])
    order = np.lexsort((rows, distances), axis=1)[:, :k]
    return np.take_along_axis(rows, order, axis=1), np.take_along_axis(distances, order, axis=1)
