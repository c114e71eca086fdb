"""Feature vectors of a dataset in several files: those of its shards, one behind the other."""

import os
from collections.abc import Iterator, Sequence

import numpy as np

from galaxy_lvm.core.errors import DataError
from galaxy_lvm.core.logs import log
from galaxy_lvm.core.state import atomic_path
from galaxy_lvm.features.store import FeatureStore, write_ids
from galaxy_lvm.survey.crop_store import CropStore

# Vectors that are copied at a time: 64 MB at D = 1024, whatever a shard's size.
_BLOCK = 16384


def gather_features(
    path: str | os.PathLike,
    shards: Sequence[str | os.PathLike],
    crops: str | os.PathLike,
) -> None:
    """Write the features of all shards as one file; vectors are copied block by block.

    Parameters
    ----------
    path
        `.npy` float32 (N, D) to write, with its ids (`.parquet`) beside it. `index` counts the
        crops of the whole dataset.
    shards
        Features of every shard, in the order of the index.
    crops
        Index of the dataset's crops.

    Raises
    ------
    DataError
        If shards are missing, damaged, of other crops or of another encoder; all are looked at
        before, and named.
    """
    edges = _checked(shards, crops)
    # Those that were left out have no rows, and nothing of them is read.
    used = [(s, a) for s, a, b in zip(shards, edges, edges[1:], strict=False) if b > a]
    dim = FeatureStore.open(used[0][0]).dim
    write_ids(path, _ids(used))
    with atomic_path(path) as temporary:
        shape = (int(edges[-1]), dim)
        joined = np.lib.format.open_memmap(temporary, "w+", dtype=np.float32, shape=shape)
        for shard, first in used:
            values = FeatureStore.open(shard).values
            for start in range(0, len(values), _BLOCK):
                block = values[start : start + _BLOCK]
                joined[first + start : first + start + len(block)] = block
        joined.flush()
    log.info("%d vectors of %d shards", edges[-1], len(shards))


def _checked(shards: Sequence[str | os.PathLike], crops: str | os.PathLike) -> np.ndarray:
    """Return where each shard starts, and the end, int64 (n + 1,); refuse what does not fit."""
    with CropStore(crops) as store:
        counts = store.shard_rows
        if len(counts) != len(shards):
            raise DataError(f"{crops}: lists {len(counts)} shards, features are of {len(shards)}")
        edges = np.concatenate([[0], np.cumsum(counts)])
        problems, dims = [], {}
        for number, shard in enumerate(shards):
            if not counts[number]:
                continue
            try:
                found = FeatureStore.open(shard)
                _check_ids(found, store.column("id", slice(*edges[number : number + 2])))
            except DataError as error:
                problems.append(str(error))
                continue
            dims.setdefault(found.dim, shard)
    if len(dims) > 1:
        lengths = ", ".join(f"D = {dim} in {shard}" for dim, shard in dims.items())
        problems.append(f"vectors of several encoders ({lengths}); extract all of them again")
    if problems:
        raise DataError(f"features of {len(shards)} shards: {'; '.join(problems)}")
    return edges


def _check_ids(found: FeatureStore, ids: np.ndarray) -> None:
    if not np.array_equal(found.ids, ids):
        raise DataError(
            f"{found.path}: its {len(found)} vectors are not of the shard's {len(ids)} crops; run "
            "extract_shard again"
        )


def _ids(
    shards: Sequence[tuple[str | os.PathLike, int]],
) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    for shard, first in shards:
        found = FeatureStore.open(shard)
        yield found.index + first, found.ids
