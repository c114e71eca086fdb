"""Which galaxies figure 4 shows, and what a trained network makes of them."""

from collections.abc import Mapping, Sequence

import numpy as np

from galaxy_lvm.core.config.tasks import MultitaskRun
from galaxy_lvm.core.seeds import derive_seed
from galaxy_lvm.multitask.classical import BlurredSet, known_richardson_lucy
from galaxy_lvm.multitask.degrade import patch_mask
from galaxy_lvm.multitask.heads import MultitaskModel, restored_images
from galaxy_lvm.multitask.reconstruction_figure import MaskedExample, RestoredExample
from galaxy_lvm.multitask.tasks import as_float, restoration_test_set
from galaxy_lvm.report.labels import STRATEGY_NAMES

GALAXIES_PER_PATCH_SIZE = 2


def masked_examples(
    model: MultitaskModel,
    settings: MultitaskRun,
    originals: np.ndarray,
    labels: list[str],
    shares: Sequence[float],
    seed: int,
) -> list[MaskedExample]:
    """Hide every share of the first galaxies with every patch size and have it filled in.

    Parameters
    ----------
    model, settings
        Trained model and what it was trained with.
    originals
        float32 (N, side, side, 3) in [0, 1], two galaxies for every patch size.
    labels
        Their classes, "" for none.
    shares
        Hidden shares, in (0, 1).
    seed
        The run's seed; it places the hidden squares.
    """
    cells = [
        (patch, number * GALAXIES_PER_PATCH_SIZE + i, share)
        for number, patch in enumerate(settings.reconstruction.patch_sizes_pix)
        for i in range(GALAXIES_PER_PATCH_SIZE)
        for share in shares
    ]
    masked = np.stack([originals[galaxy] for _, galaxy, _ in cells])
    for image, (patch, galaxy, share) in zip(masked, cells, strict=True):
        rng = np.random.default_rng(derive_seed(seed, "figure 4", patch, galaxy, share))
        image[patch_mask(image.shape[0], patch, share, rng)] = 0
    filled = restored_images(model, "reconstruction", masked)
    return [
        MaskedExample(patch, share, labels[galaxy], originals[galaxy], masked[k], filled[k])
        for k, (patch, galaxy, share) in enumerate(cells)
    ]


def restored_examples(
    model: MultitaskModel,
    settings: MultitaskRun,
    images: np.ndarray,
    labels: list[str],
    val: np.ndarray,
    chosen: Mapping[str, float],
    seed: int,
) -> list[RestoredExample]:
    """Blur galaxies; restore them by the network and by Richardson-Lucy as the run tuned it.

    Parameters
    ----------
    model, settings
        Trained model and what it was trained with.
    images, labels
        Test galaxies, uint8 (N, side, side, 3), and their classes.
    val
        Validation galaxies that it was tuned on, uint8 (M, side, side, 3).
    chosen
        Of `chosen_for_lucy`.
    seed
        The run's seed.
    """
    blur = settings.restoration
    classical = known_richardson_lucy(as_float(val), chosen)
    reference, blurred, table = restoration_test_set(images, blur, seed, "test")
    columns = {
        "Blurred, noisy": blurred,
        "Richardson-Lucy": classical(BlurredSet.from_table(blurred, table, blur)),
        f"LVM, {STRATEGY_NAMES[settings.strategy]}": restored_images(model, "restoration", blurred),
    }
    return [
        RestoredExample(
            labels[i],
            row.fwhm_pix,
            row.noise_sigma,
            reference[i],
            {name: column[i] for name, column in columns.items()},
        )
        for i, row in enumerate(table.itertuples())
    ]
