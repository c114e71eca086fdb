"""The evaluation sets that every model is scored on: the same galaxies, the same degradations."""

import os
from dataclasses import replace
from pathlib import Path

import h5py
import numpy as np
import pandas as pd

from galaxy_lvm.core.errors import DataError
from galaxy_lvm.core.seeds import derive_seed
from galaxy_lvm.multitask.degrade import (
    LARGEST_8_BIT_VALUE,
    BlurRecipe,
    MaskRecipe,
    blur_images,
    mask_images,
)
from galaxy_lvm.survey.classes import class_order
from galaxy_lvm.survey.store import take_rows

SPLITS = ("train", "val", "test")


def load_split(
    crops_path: str | os.PathLike, splits_path: str | os.PathLike, split: str
) -> tuple[np.ndarray, np.ndarray, list[str], tuple[str, ...]]:
    """Read the galaxies of one split, in the order of the splits table.

    Parameters
    ----------
    crops_path
        HDF5 file with `images` uint8 (N, side, side, 3).
    splits_path
        Parquet table with `index` (row of the crops), `id`, `split`, `label`.
    split
        train, val or test.

    Returns
    -------
    images
        uint8 (n, side, side, 3).
    labels
        int64 (n,): position in the class names, -1 where a galaxy has no label.
    ids
        Identifier of every galaxy.
    class_names
        Classes of the whole table, not only of this split; see `class_order`.

    Raises
    ------
    DataError
        If the split has no galaxy or the two files do not belong together.
    """
    if split not in SPLITS:
        raise DataError(f"split {split!r} is none of {SPLITS}")
    table = pd.read_parquet(splits_path)
    missing = {"index", "id", "split", "label"} - set(table)
    if missing:
        raise DataError(f"{splits_path}: no column {sorted(missing)}; run make_splits again")
    names = class_order(table["label"])
    numbers = {name: number for number, name in enumerate(names)}
    chosen = table[table["split"] == split]
    if chosen.empty:
        raise DataError(f"{splits_path}: no galaxy in split {split!r}; give it a larger share")
    images = _read_rows(crops_path, chosen["index"].to_numpy(), splits_path)
    labels = chosen["label"].map(numbers).fillna(-1).to_numpy(dtype=np.int64)
    return images, labels, chosen["id"].astype(str).tolist(), names


def _read_rows(
    crops_path: str | os.PathLike, index: np.ndarray, splits_path: str | os.PathLike
) -> np.ndarray:
    with h5py.File(crops_path, "r") as file:
        stored = file["images"]
        if index.min() < 0 or index.max() >= len(stored):
            raise DataError(
                f"{Path(splits_path)}: row {index.max()} of {Path(crops_path)}, which has "
                f"{len(stored)} crops; the two are not of the same run"
            )
        return take_rows(stored, index)


def as_float(images: np.ndarray) -> np.ndarray:
    """Return 8-bit images as float32 in [0, 1]."""
    if images.dtype != np.uint8:
        raise DataError(f"images are {images.dtype}, expected uint8")
    return images.astype(np.float32) / np.float32(LARGEST_8_BIT_VALUE)


def restoration_test_set(
    images: np.ndarray, recipe: BlurRecipe, seed: int, split: str = "test"
) -> tuple[np.ndarray, np.ndarray, pd.DataFrame]:
    """Return the restoration task's reference images, blurred images and their degradations.

    Parameters
    ----------
    images
        uint8 (N, H, W, 3): the first galaxies of the split, in its order.
    recipe
        Degradation.
    seed
        The run's seed.
    split
        Name of the split; every split has degradations of its own.

    Returns
    -------
    reference, blurred
        float32 (N, H, W, 3) in [0, 1].
    table
        `fwhm_pix` and `noise_sigma` of every image.
    """
    reference = as_float(images)
    blurred, table = blur_images(reference, recipe, derive_seed(seed, "blur", split))
    return reference, blurred, table


def reconstruction_test_sets(
    images: np.ndarray, recipe: MaskRecipe, seed: int, split: str = "test"
) -> dict[str, tuple[np.ndarray, np.ndarray, np.ndarray, pd.DataFrame]]:
    """Return the reconstruction task's sets: all patch sizes mixed, and one set per patch size.

    Parameters
    ----------
    images
        uint8 (N, side, side, 3): the first galaxies of the split, in its order.
    recipe
        Degradation.
    seed
        The run's seed.
    split
        Name of the split.

    Returns
    -------
    dict
        Condition -> (reference, masked, mask, table). Condition "" is Table 3's set, in which the
        patch size is drawn per image; "patch=8" and so on are Table 4's.
    """
    reference = as_float(images)
    mixed = mask_images(reference, recipe, derive_seed(seed, "mask", split))
    sets = {"": (reference, *mixed)}
    for patch in recipe.patch_sizes_pix:
        one_size = replace(recipe, patch_sizes_pix=(patch,))
        result = mask_images(reference, one_size, derive_seed(seed, "mask", split, patch))
        sets[f"patch={patch}"] = (reference, *result)
    return sets
