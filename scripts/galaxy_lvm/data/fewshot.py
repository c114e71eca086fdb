"""Small training sets: nested, drawn by seed, and the sizes that every class can fill."""

import os
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from galaxy_lvm.data.tasks import class_order
from galaxy_lvm.errors import DataError
from galaxy_lvm.workflow import derive_seed


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


def draw_subset(galaxies: Labelled, n_per_class: int, seed: int) -> Labelled:
    """Return `n_per_class` galaxies of every class, or all of a class that has fewer.

    Subsets of one seed are nested: a larger one contains the smaller ones.
    """
    chosen = []
    for number in np.unique(galaxies.labels):
        rows = np.flatnonzero(galaxies.labels == number)
        rng = np.random.default_rng(derive_seed(seed, "fewshot", "subset", number))
        chosen.append(rng.permutation(rows)[:n_per_class])
    return galaxies.take(np.concatenate(chosen))


def usable_sizes(
    labels: np.ndarray, class_names: Sequence[str], sizes: Sequence[int]
) -> tuple[list[int], dict[int, str]]:
    """Return the sizes that every class can fill, and why the others are left out.

    Parameters
    ----------
    labels
        Class numbers of the training split (n,).
    class_names
        Names in the order of the numbers.
    sizes
        Galaxies per class asked for.

    Returns
    -------
    usable
        In rising order.
    skipped
        Size -> the classes that are too small, with their counts.

    Raises
    ------
    DataError
        If no size is left.
    """
    counts = np.bincount(labels, minlength=len(class_names))
    usable, skipped = [], {}
    for size in sorted(set(sizes)):
        small = [f"{c} ({n})" for c, n in zip(class_names, counts, strict=True) if n < size]
        if small:
            skipped[size] = ", ".join(small)
        else:
            usable.append(size)
    if not usable:
        smallest = min(skipped)
        raise DataError(
            f"no class set fills even {smallest} training galaxies per class; too small: "
            f"{skipped[smallest]}. Add galaxies or put a smaller number into fewshot.sizes"
        )
    return usable, skipped
