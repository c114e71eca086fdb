"""Labelled galaxies of the splits table, as every trainer on labels reads them."""

import os
from dataclasses import dataclass

import numpy as np
import pandas as pd

from galaxy_lvm.core.errors import DataError
from galaxy_lvm.survey.classes import class_order


@dataclass(frozen=True)
class Labelled:
    """The labelled galaxies of one split.

    Attributes
    ----------
    index
        Rows in the crops file, int64 (n,).
    ids
        Identifiers (n,), text.
    labels
        Class numbers (n,), int64.
    """

    index: np.ndarray
    ids: np.ndarray
    labels: np.ndarray

    def __len__(self) -> int:
        return len(self.labels)

    def take(self, positions: np.ndarray) -> "Labelled":
        """Return the galaxies at `positions`, in that order."""
        return Labelled(self.index[positions], self.ids[positions], self.labels[positions])


def read_labelled(
    splits_path: str | os.PathLike,
) -> tuple[dict[str, Labelled], tuple[str, ...]]:
    """Read the labelled galaxies of a splits table.

    Returns
    -------
    splits
        `train`, `val` and `test`.
    class_names
        Classes of the whole table; see `class_order`.

    Raises
    ------
    DataError
        If a split has no labelled galaxy.
    """
    table = pd.read_parquet(splits_path)
    names = class_order(table["label"])
    numbers = {name: number for number, name in enumerate(names)}
    table = table[table["label"].isin(names)]
    splits = {}
    for split in ("train", "val", "test"):
        part = table[table["split"] == split]
        if part.empty:
            raise DataError(f"{splits_path}: no labelled galaxy in split {split!r}")
        splits[split] = Labelled(
            part["index"].to_numpy(np.int64),
            part["id"].astype(str).to_numpy(object),
            part["label"].map(numbers).to_numpy(np.int64),
        )
    return splits, names
