"""Check on simulated lenses how well the masks of real candidates are measured."""

import numpy as np
import pandas as pd
from galaxy_lvm.core.config import section
from galaxy_lvm.core.config.lenses import ArcMask
from galaxy_lvm.core.logs import job_log
from galaxy_lvm.lenses.mask_figure import draw_lens_masks
from galaxy_lvm.lenses.mask_scores import METHOD, mask_quality, quality_rows
from galaxy_lvm.lenses.masks import NoMaskError, measure_mask
from galaxy_lvm.report.results import write_results
from galaxy_lvm.report.style import save
from galaxy_lvm.survey.fields import BOX_COLUMNS, FieldStore

EXAMPLE_SIDE_PIX = 48


def main(
    fields: str,
    metrics: str,
    figure_pdf: str,
    settings: dict,
    seed: int,
    n_examples: int = 12,
    max_lenses: int = 500,
) -> None:
    """Write the agreement of measured and true masks, and draw it.

    Parameters
    ----------
    fields
        Field store of simulated fields.
    metrics
        Long-format CSV to write.
    figure_pdf
        Figure to write; the PNG lies beside the PDF. It shows the test split.
    settings
        The config's section `lenses.candidates.mask`.
    seed
        The run's seed.
    n_examples
        Lenses that are drawn, evenly from the faintest to the brightest.
    max_lenses
        Lenses of each split at most.
    """
    store, how = FieldStore(fields), section(ArcMask, settings, "lenses.candidates.mask")
    table = mask_quality(store, how, ("val", "test"), max_lenses)
    write_results(metrics, quality_rows(table, seed))
    test = table[table["split"] == "test"]
    measured = test[test["model"] == METHOD].sort_values("arc_snr")
    chosen = np.linspace(0, len(measured) - 1, min(n_examples, len(measured))).round().astype(int)
    examples = [_example(store, row, how) for _, row in measured.iloc[chosen].iterrows()]
    save(draw_lens_masks(test, examples), figure_pdf)


def _example(store: FieldStore, row: pd.Series, how: ArcMask) -> dict[str, object]:
    """Return a lens's surroundings with both masks."""
    image, lenses = store.images([row["field"]])[0], store.lenses_in(row["field"])
    number = int(np.flatnonzero(lenses["id"] == row["id"])[0])
    true = store.masks(row["field"])[number].astype(bool)
    box = lenses.iloc[number][list(BOX_COLUMNS)].to_numpy(float)
    x, y = (box[:2] + box[2:]) / 2
    try:
        measured = measure_mask(image, x, y, how)
    except NoMaskError:
        measured = np.zeros_like(true)
    height, width = true.shape
    top = int(np.clip(y - EXAMPLE_SIDE_PIX / 2, 0, max(0, height - EXAMPLE_SIDE_PIX)))
    left = int(np.clip(x - EXAMPLE_SIDE_PIX / 2, 0, max(0, width - EXAMPLE_SIDE_PIX)))
    part = (slice(top, top + EXAMPLE_SIDE_PIX), slice(left, left + EXAMPLE_SIDE_PIX))
    example = {"image": image[part], "true": true[part], "measured": measured[part]}
    return {**example, "arc_snr": row["arc_snr"], "mask_iou": row["mask_iou"]}


if __name__ == "__main__":
    with job_log(snakemake.log[0]):  # noqa: F821
        main(
            fields=snakemake.input.fields,  # noqa: F821
            metrics=snakemake.output.metrics,  # noqa: F821
            figure_pdf=snakemake.output.figure,  # noqa: F821
            settings=snakemake.params.settings,  # noqa: F821
            seed=snakemake.params.seed,  # noqa: F821
        )
