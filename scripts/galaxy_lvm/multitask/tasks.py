"""The evaluation sets that every model is scored on: the same galaxies, the same degradations."""

import os
from collections.abc import Iterator

import numpy as np
import pandas as pd

from galaxy_lvm.core.config.tasks import Blur, Mask
from galaxy_lvm.core.errors import DataError
from galaxy_lvm.core.seeds import derive_seed
from galaxy_lvm.multitask.degrade import (
    LARGEST_8_BIT_VALUE,
    blur_images,
    mask_images,
)
from galaxy_lvm.survey.crop_store import CropStore
from galaxy_lvm.survey.splits_table import Galaxies, Splits


def image_galaxies(splits: Splits, split: str, n: int, seed: int) -> Galaxies:
    """Return the galaxies of a split that the image tasks are tuned or scored on.

    Strategies, baselines and figures all ask here, and so meet the same ones in the same order,
    which decides the degradation of each.
    """
    return splits.draw(split, n, seed, "image tasks")


def as_float(images: np.ndarray) -> np.ndarray:
    """Return 8-bit images as float32 in [0, 1]."""
    if images.dtype != np.uint8:
        raise DataError(f"images are {images.dtype}, expected uint8")
    return images.astype(np.float32) / np.float32(LARGEST_8_BIT_VALUE)


def restoration_test_set(
    images: np.ndarray, recipe: Blur, seed: int, split: str = "test"
) -> tuple[np.ndarray, np.ndarray, pd.DataFrame]:
    """Return the restoration task's reference images, blurred images and their degradations.

    Parameters
    ----------
    images
        uint8 (N, H, W, 3): the crops of `image_galaxies`.
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
    images: np.ndarray, recipe: Mask, seed: int, split: str = "test"
) -> dict[str, tuple[np.ndarray, np.ndarray, np.ndarray, pd.DataFrame]]:
    """Return the reconstruction task's sets: all patch sizes mixed, and one set per patch size.

    Parameters
    ----------
    images
        uint8 (N, side, side, 3): the crops of `image_galaxies`.
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
        one_size = recipe.model_copy(update={"patch_sizes_pix": (patch,)})
        result = mask_images(reference, one_size, derive_seed(seed, "mask", split, patch))
        sets[f"patch={patch}"] = (reference, *result)
    return sets


def image_test_sets(
    images: np.ndarray, blur: Blur, mask: Mask, seed: int
) -> Iterator[tuple[str, str, np.ndarray, np.ndarray]]:
    """Yield task, condition, reference and degraded images of every set of the test split."""
    reference, blurred, _ = restoration_test_set(images, blur, seed)
    yield "restoration", "", reference, blurred
    for condition, (reference, masked, *_) in reconstruction_test_sets(images, mask, seed).items():
        yield "reconstruction", condition, reference, masked


def noise_free_images(path: str | os.PathLike | None, galaxies: Galaxies) -> np.ndarray | None:
    """Return the noise-free crops of simulated galaxies as float32 in [0, 1].

    Parameters
    ----------
    path
        File of the rule render_noise_free; None where the galaxies are real, and the result too.
    galaxies
        The test galaxies of the image tasks.
    """
    if path is None:
        return None
    with CropStore(path) as store:
        found = store.by_id(galaxies.ids.tolist())
    return as_float(np.stack(list(found.values())))
