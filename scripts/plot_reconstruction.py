"""Draw figure 4 (filled-in images by patch size and hidden share) and restored examples."""

from collections.abc import Sequence

import numpy as np
import torch
from galaxy_lvm.data.degrade import patch_mask
from galaxy_lvm.data.tasks import as_float, load_split, restoration_test_set
from galaxy_lvm.errors import ConfigError
from galaxy_lvm.evaluation.neural import restored_images
from galaxy_lvm.models.classical import (
    BaselineSettings,
    BlurredSet,
    tune_richardson_lucy,
    tune_wiener,
)
from galaxy_lvm.models.heads import MultitaskModel
from galaxy_lvm.plots.labels import STRATEGY_NAMES
from galaxy_lvm.plots.reconstruction import (
    MaskedExample,
    RestoredExample,
    draw_reconstruction,
    draw_restoration,
)
from galaxy_lvm.plots.style import save
from galaxy_lvm.training.multitask_run import MultitaskSettings, load_multitask
from galaxy_lvm.workflow import derive_seed, job_log

GALAXIES_PER_PATCH_SIZE = 2
HIDDEN_SHARES = (0.1, 0.3, 0.5, 0.7)


def main(
    crops: str,
    splits: str,
    weights: str,
    figure: str,
    restoration_figure: str,
    seed: int = 1,
    threads: int = 1,
    shares: Sequence[float] = HIDDEN_SHARES,
    n_restored: int = 4,
    baselines: dict | None = None,
) -> None:
    """Draw both figures, each as PDF and PNG, for galaxies of the test split.

    Parameters
    ----------
    crops, splits
        Labelled dataset.
    weights
        Weights of a trained strategy.
    figure, restoration_figure
        Figures to write, ending in .pdf.
    seed, threads
        The run's seed; CPU threads.
    shares
        Hidden shares of figure 4, in (0, 1).
    n_restored
        Galaxies in the second figure.
    baselines
        The config's section `baselines`: what Richardson-Lucy may choose from.
    """
    if not all(0 < share < 1 for share in shares):
        raise ConfigError(f"hidden shares {list(shares)}: expected shares between 0 and 1")
    torch.set_num_threads(threads)
    model, card = load_multitask(weights)
    settings = MultitaskSettings(**card["settings"])
    images, labels, _, names = load_split(crops, splits, "test")
    n_needed = GALAXIES_PER_PATCH_SIZE * len(settings.mask.patch_sizes_pix)
    chosen = choose(labels, max(n_needed, n_restored), derive_seed(seed, "figure 4"))
    texts = [names[labels[i]] if labels[i] >= 0 else "" for i in chosen]
    originals = as_float(images[chosen])
    examples = masked_examples(model, settings, originals, texts, shares, seed)
    save(draw_reconstruction(examples), figure)
    val = load_split(crops, splits, "val")[0]
    limits = BaselineSettings(**baselines or {})
    restored = restored_examples(
        model, settings, images[chosen[:n_restored]], texts, val[: limits.n_image_val], limits, seed
    )
    save(draw_restoration(restored), restoration_figure)


def choose(labels: np.ndarray, count: int, seed: int) -> np.ndarray:
    """Return `count` positions, taking the classes in turn; they repeat where there are fewer."""
    order = np.random.default_rng(seed).permutation(len(labels))
    turn = np.zeros(len(labels), dtype=int)
    for label in np.unique(labels):
        members = order[labels[order] == label]
        turn[members] = np.arange(len(members))
    ranked = order[np.lexsort((labels[order], turn[order]))]
    return np.resize(ranked, count)


def masked_examples(
    model: MultitaskModel,
    settings: MultitaskSettings,
    originals: np.ndarray,
    labels: list[str],
    shares: Sequence[float],
    seed: int,
) -> list[MaskedExample]:
    """Hide every share of the first galaxies with every patch size and have it filled in."""
    cells = [
        (patch, number * GALAXIES_PER_PATCH_SIZE + i, share)
        for number, patch in enumerate(settings.mask.patch_sizes_pix)
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
    settings: MultitaskSettings,
    images: np.ndarray,
    labels: list[str],
    val: np.ndarray,
    limits: BaselineSettings,
    seed: int,
) -> list[RestoredExample]:
    """Blur galaxies; restore them by the network and by Richardson-Lucy, tuned on validation."""
    reference, blurred, table = restoration_test_set(val, settings.blur, settings.seed, "val")
    known = BlurredSet.from_table(blurred, table, settings.blur)
    offset = tune_wiener(reference, known, limits).chosen["sky_offset"]
    classical = tune_richardson_lucy(reference, known, limits, offset)
    reference, blurred, table = restoration_test_set(images, settings.blur, seed, "test")
    columns = {
        "Blurred, noisy": blurred,
        "Richardson-Lucy": classical.apply(BlurredSet.from_table(blurred, table, settings.blur)),
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


if __name__ == "__main__":
    with job_log(snakemake.log[0]):  # noqa: F821
        main(
            crops=snakemake.input.crops,  # noqa: F821
            splits=snakemake.input.splits,  # noqa: F821
            weights=snakemake.input.weights,  # noqa: F821
            figure=snakemake.output.figure,  # noqa: F821
            restoration_figure=snakemake.output.restoration_figure,  # noqa: F821
            seed=snakemake.params.seed,  # noqa: F821
            threads=snakemake.threads,  # noqa: F821
            baselines=snakemake.params.baselines,  # noqa: F821
        )
