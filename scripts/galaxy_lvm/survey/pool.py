"""What the LVM may be pretrained on: galaxies of several datasets, none that it is judged by."""

import logging
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
import pandas as pd

from galaxy_lvm.core.errors import DataError
from galaxy_lvm.core.tables import load_table
from galaxy_lvm.survey.crop_store import CropStore
from galaxy_lvm.survey.duplicates import copies_across, copies_by_position, shared_positions
from galaxy_lvm.survey.splits_table import Splits
from galaxy_lvm.survey.store import CutoutStore

log = logging.getLogger("galaxy_lvm.pool")

JUDGES = ("val", "test")


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
    files: Mapping[str, PoolFiles], names: Sequence[str], radius_arcsec: float
) -> pd.DataFrame:
    """Choose the galaxies to pretrain on.

    Parameters
    ----------
    files
        Of all datasets that are pretrained on or have labels, by name.
    names
        Datasets to pretrain on.
    radius_arcsec
        Positions closer than this are one galaxy; 0 looks at pixels alone.

    Returns
    -------
    pandas.DataFrame
        `dataset, index` (row in its crops file), `id, copy_of`: "" for a galaxy to pretrain on,
        else `dataset:id` of the validation or test galaxy that it is a copy of. A dataset with
        labels gives its training split, whose copies lie on its own side already.

    Raises
    ------
    DataError
        If fewer than two galaxies remain.
    """
    datasets = {name: _Dataset(those) for name, those in files.items()}
    parts = []
    for name in names:
        rows = datasets[name].rows_to_learn()
        part = pd.DataFrame({"dataset": name, "index": rows, "id": datasets[name].crops.ids[rows]})
        copies = pd.Series("", index=range(len(datasets[name].crops)))
        for other, judge in datasets.items():
            if other != name and len(judge.rows_to_judge):
                copies.update(_copies(datasets[name], judge, other, radius_arcsec))
        part["copy_of"] = copies[rows].to_numpy()
        n_copies = int((part["copy_of"] != "").sum())
        log.info("%s: %d galaxies to pretrain on, %d left out as copies of validation or test "
                 "galaxies", name, len(part) - n_copies, n_copies)  # fmt: skip
        parts.append(part)
    for dataset in datasets.values():
        dataset.crops.close()
    pool = pd.concat(parts, ignore_index=True)
    if (pool["copy_of"] == "").sum() < 2:
        raise DataError(
            f"fewer than two galaxies of {', '.join(names)} to pretrain on; give "
            "pretrain_datasets one with more"
        )
    return pool


def _copies(pool: _Dataset, judge: _Dataset, name: str, radius_arcsec: float) -> pd.Series:
    """Return `name:id` of the judging galaxy by the row of its copy in the pool."""
    rows = judge.rows_to_judge
    pairs = copies_across(judge.judging_crops, pool.crops)
    if radius_arcsec > 0:
        sky = np.concatenate([judge.sky[rows], pool.sky])
        near = np.sort(copies_by_position(*sky.T, radius_arcsec), axis=1)
        near = near[(near[:, 0] < len(rows)) & (near[:, 1] >= len(rows))]
        pairs = np.concatenate([pairs, near - [0, len(rows)]])
    ids = judge.crops.ids[rows]
    return pd.Series({int(j): f"{name}:{ids[i]}" for i, j in pairs}, dtype=object)


def rows_by_dataset(path: str | os.PathLike) -> dict[str, np.ndarray]:
    """Return the rows to pretrain on of each dataset of a pool's table, in its order.

    Raises
    ------
    DataError
        If a column is missing.
    """
    pool = load_table(Path(path))
    missing = [name for name in ("dataset", "index", "copy_of") if name not in pool]
    if missing:
        raise DataError(f"{path}: no column {missing}; run gather_pool again")
    used = pool[pool["copy_of"] == ""]
    groups = used.groupby("dataset", sort=False)["index"]
    return {str(name): rows.to_numpy(np.int64) for name, rows in groups}
