"""What the LVM may be pretrained on: galaxies of several datasets, none with a judging label.

Galaxies in the fields of lenses are not looked for (docs/deviations.md, strong lenses).
"""

import logging
import os
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from galaxy_lvm.core.errors import DataError, in_short
from galaxy_lvm.core.state import atomic_path
from galaxy_lvm.survey.crop_store import CropStore
from galaxy_lvm.survey.duplicates import copies_across, copies_by_position, shared_positions
from galaxy_lvm.survey.file_errors import FILE_ERRORS
from galaxy_lvm.survey.pool_copies import kept_copies
from galaxy_lvm.survey.row_choice import Rows, shortened
from galaxy_lvm.survey.splits_table import Splits
from galaxy_lvm.survey.store import CutoutStore

log = logging.getLogger("galaxy_lvm.pool")

JUDGES = ("val", "test")

_NEEDED = ("dataset", "index", "copy_of")
_TYPES = {"dataset": pa.string(), "index": pa.int64(), "id": pa.string(), "copy_of": pa.string()}
_SCHEMA = pa.schema(_TYPES)
_BLOCK, _SKY_BLOCK = 65_536, 1_000_000


@dataclass(frozen=True)
class PoolFiles:
    """The files of a dataset that a pool of galaxies is gathered from."""

    crops: str | os.PathLike
    """Crops file."""
    cutouts: str | os.PathLike
    """Cutout store that the crops were cut from; its positions are used where it has them."""
    splits: str | os.PathLike | None = None
    """Splits of a dataset with labels."""


class _Dataset:
    """Crops, positions and splits of one dataset."""

    def __init__(self, files: PoolFiles) -> None:
        self.crops = CropStore(files.crops)
        with CutoutStore(files.cutouts) as store:
            ra, dec = store.positions(self.crops.column("cutout_index"))
        foreign = shared_positions(self.crops, ra, dec)
        self.sky = np.where(foreign[:, None], np.nan, np.column_stack([ra, dec]))
        self.splits = None if files.splits is None else Splits(files.splits)

    def rows_to_learn(self) -> np.ndarray:
        """Return the rows of the training split, or all of a dataset without labels."""
        if self.splits is None:
            return np.arange(len(self.crops))
        return self.splits.pretraining_rows()

    def names_of(self, rows: np.ndarray) -> np.ndarray:
        """Return the identifiers of rows; of a dataset without labels they follow each other."""
        if self.splits is None:
            return self.crops.column("id", slice(rows[0], rows[-1] + 1))
        return self.crops.ids[rows]

    @cached_property
    def rows_to_judge(self) -> np.ndarray:
        """The rows that models are chosen or scored by."""
        if self.splits is None:
            return np.empty(0, np.int64)
        judges = self.splits.table["split"].isin(JUDGES)
        return self.splits.table["index"].to_numpy(np.int64)[judges]

    @cached_property
    def judging_crops(self) -> np.ndarray:
        """The crops of `rows_to_judge`, read once for all datasets of a pool."""
        return self.crops.take(self.rows_to_judge)


def gather_pool(
    path: str | os.PathLike,
    files: Mapping[str, PoolFiles],
    names: Sequence[str],
    radius_arcsec: float,
    state_root: str | os.PathLike | None = None,
    cores: int = 1,
) -> None:
    """Choose the galaxies to pretrain on; names and rows are written block by block.

    Parameters
    ----------
    path
        Parquet to write: `dataset, index` (row in its crops file), `id, copy_of`: "" for a galaxy
        to pretrain on, else `dataset:id` of the validation or test galaxy that it is a copy of. A
        dataset with labels gives its training split, whose copies lie on its own side already.
    files
        Of all datasets that are pretrained on or have labels, by name.
    names
        Datasets to pretrain on.
    radius_arcsec
        Positions closer than this are one galaxy; 0 looks at pixels alone.
    state_root
        Folder of what a job that was killed had compared, see `kept_copies`; it is removed when the
        pool is written. None keeps nothing.
    cores
        Number of processes that compare crops; changes no result.

    Raises
    ------
    DataError
        If fewer than two galaxies remain.
    """
    datasets = {name: _Dataset(those) for name, those in files.items()}
    n_kept = 0
    with atomic_path(path) as temporary, pq.ParquetWriter(temporary, _SCHEMA) as writer:
        for name in names:
            copies: dict[int, str] = {}
            for other, judge in datasets.items():
                if other != name and len(judge.rows_to_judge):
                    pixels = _copies_by_pixels(datasets[name], judge, state_root, cores)
                    copies |= _copies(datasets[name], judge, other, radius_arcsec, pixels)
            n_all, n_copies = _write(writer, name, datasets[name], copies)
            log.info("%s: %d galaxies to pretrain on, %d left out as copies of validation or test "
                     "galaxies", name, n_all - n_copies, n_copies)  # fmt: skip
            n_kept += n_all - n_copies
        for dataset in datasets.values():
            dataset.crops.close()
        if n_kept < 2:
            raise DataError(
                f"fewer than two galaxies of {', '.join(names)} to pretrain on; give "
                "pretrain_datasets one with more"
            )
    if state_root is not None:
        shutil.rmtree(state_root, ignore_errors=True)


def _write(
    writer: pq.ParquetWriter, name: str, dataset: _Dataset, copies: Mapping[int, str]
) -> tuple[int, int]:
    """Write a dataset's lines; return their number, and that of the copies among them."""
    rows, n_copies = dataset.rows_to_learn(), 0
    for start in range(0, len(rows), _BLOCK):
        part = rows[start : start + _BLOCK]
        copy_of = [copies.get(row, "") for row in part.tolist()]
        n_copies += sum(map(bool, copy_of))
        columns = [[name] * len(part), part, dataset.names_of(part), copy_of]
        writer.write_table(pa.table(columns, schema=_SCHEMA))
    return len(rows), n_copies


def _copies_by_pixels(
    pool: _Dataset, judge: _Dataset, state_root: str | os.PathLike | None, cores: int
) -> np.ndarray:
    """Return the pairs (n, 2), number of a judging galaxy and row of its copy in the pool."""
    if state_root is None:
        return copies_across(judge.judging_crops, pool.crops)
    return kept_copies(judge.judging_crops, pool.crops, state_root, cores)


def _copies(
    pool: _Dataset, judge: _Dataset, name: str, radius_arcsec: float, pixels: np.ndarray
) -> dict[int, str]:
    """Return `name:id` of the judging galaxy by the row of its copy in the pool."""
    rows = judge.rows_to_judge
    pairs = [pixels]
    for start in range(0, len(pool.sky), _SKY_BLOCK) if radius_arcsec > 0 else ():
        sky = np.concatenate([judge.sky[rows], pool.sky[start : start + _SKY_BLOCK]])
        near = np.sort(copies_by_position(*sky.T, radius_arcsec), axis=1)
        near = near[(near[:, 0] < len(rows)) & (near[:, 1] >= len(rows))]
        pairs.append(near + [0, start - len(rows)])
    ids = judge.crops.ids[rows]
    return {int(j): f"{name}:{ids[i]}" for i, j in np.concatenate(pairs)}


def rows_by_dataset(path: str | os.PathLike) -> dict[str, Rows]:
    """Return the rows to pretrain on of each dataset of a pool's table, in its order.

    Raises
    ------
    DataError
        If the file is missing or damaged, or a column is missing.
    """
    again = "run gather_pool again"
    try:
        names = pq.read_schema(path).names
        if missing := [name for name in _NEEDED if name not in names]:
            raise DataError(f"{path}: no column {missing}; {again}")
        # Texts that repeat are told apart by number: 76 million rows take seconds.
        file = pq.ParquetFile(path, read_dictionary=["dataset", "copy_of"])
        found: dict[str, list[range | np.ndarray]] = {}
        for batch in file.iter_batches(_BLOCK, columns=list(_NEEDED)):
            used = batch.filter(pc.equal(batch["copy_of"], ""))
            rows, codes = used["index"].to_numpy(), used["dataset"].indices.to_numpy()
            for code in pd.unique(codes):  # in their order
                name = used["dataset"].dictionary[int(code)].as_py()
                found.setdefault(name, []).append(shortened(rows[codes == code]))
    except FILE_ERRORS as error:
        raise DataError(f"{path}: missing or damaged ({in_short(error)}); {again}") from error
    return {name: Rows(parts) for name, parts in found.items()}
