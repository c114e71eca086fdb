"""Draw figure 4 (filled-in images by patch size and hidden share) and restored examples."""

from collections.abc import Sequence

import numpy as np
import torch
from galaxy_lvm.core.config.tasks import MultitaskRun
from galaxy_lvm.core.errors import ConfigError
from galaxy_lvm.core.logs import job_log
from galaxy_lvm.multitask.baselines import chosen_for_lucy
from galaxy_lvm.multitask.examples import (
    GALAXIES_PER_PATCH_SIZE,
    masked_examples,
    restored_examples,
)
from galaxy_lvm.multitask.reconstruction_figure import draw_reconstruction, draw_restoration
from galaxy_lvm.multitask.tasks import as_float, image_galaxies
from galaxy_lvm.multitask.train import load_multitask
from galaxy_lvm.report.results import read_results
from galaxy_lvm.report.style import SHEET_DPI, save
from galaxy_lvm.survey.crop_store import CropStore
from galaxy_lvm.survey.splits_table import Splits

HIDDEN_SHARES = (0.1, 0.3, 0.5, 0.7)


def main(
    crops: str,
    splits: str,
    weights: str,
    baselines: str,
    figure: str,
    restoration_figure: str,
    n_image_val: int,
    seed: int = 1,
    threads: int = 1,
    shares: Sequence[float] = HIDDEN_SHARES,
    n_restored: int = 4,
) -> None:
    """Draw both figures, each as PDF and PNG, for galaxies of the test split.

    Parameters
    ----------
    crops, splits
        Labelled dataset.
    weights
        Weights of a trained strategy.
    baselines
        Long table of the classical methods, with what Richardson-Lucy was tuned to.
    figure, restoration_figure
        Figures to write, ending in .pdf.
    n_image_val
        Validation galaxies that it was tuned on.
    seed, threads
        The run's seed; CPU threads.
    shares
        Hidden shares of figure 4, in (0, 1).
    n_restored
        Galaxies in the second figure.
    """
    if not all(0 < share < 1 for share in shares):
        raise ConfigError(f"hidden shares {list(shares)}: expected shares between 0 and 1")
    torch.set_num_threads(threads)
    model, card = load_multitask(weights)
    settings = MultitaskRun.model_validate(card["settings"])
    table = Splits(splits)
    n_needed = GALAXIES_PER_PATCH_SIZE * len(settings.reconstruction.patch_sizes_pix)
    drawn = table.draw("test", max(n_needed, n_restored), seed, "figure 4", even=True)
    chosen = drawn.take(np.resize(np.arange(len(drawn)), max(n_needed, n_restored)))
    texts = table.label_texts(chosen)
    with CropStore(crops) as store:
        images = store.of(chosen)
        val = store.of(image_galaxies(table, "val", n_image_val, seed))
    examples = masked_examples(model, settings, as_float(images), texts, shares, seed)
    save(draw_reconstruction(examples), figure, png_dpi=SHEET_DPI)
    chosen = chosen_for_lucy(read_results(baselines))
    restored = restored_examples(model, settings, images[:n_restored], texts, val, chosen, seed)
    save(draw_restoration(restored), restoration_figure)


if __name__ == "__main__":
    with job_log(snakemake.log[0]):  # noqa: F821
        main(
            crops=snakemake.input.crops,  # noqa: F821
            splits=snakemake.input.splits,  # noqa: F821
            weights=snakemake.input.weights,  # noqa: F821
            baselines=snakemake.input.baselines,  # noqa: F821
            figure=snakemake.output.figure,  # noqa: F821
            restoration_figure=snakemake.output.restoration_figure,  # noqa: F821
            n_image_val=snakemake.params.n_image_val,  # noqa: F821
            seed=snakemake.params.seed,  # noqa: F821
            threads=snakemake.threads,  # noqa: F821
        )
