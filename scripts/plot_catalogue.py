"""Draw how reliable a catalogue's probabilities are, and its most and least certain galaxies."""

import numpy as np
from galaxy_lvm.core.logs import job_log
from galaxy_lvm.core.tables import load_table
from galaxy_lvm.multitask.catalogue_figures import choose_gallery, draw_calibration, draw_gallery
from galaxy_lvm.report.style import SHEET_DPI, save
from galaxy_lvm.survey.crop_store import read_crops


def main(
    catalogue: str, predictions: str, crops: str, reliability: str, gallery: str, n_shown: int
) -> None:
    """Draw both figures as PDF and PNG.

    Parameters
    ----------
    catalogue
        Parquet file of the catalogue.
    predictions
        Probabilities of test galaxies, raw and calibrated (parquet).
    crops
        Crops of the catalogue's dataset.
    reliability, gallery
        Files to write, ending in .pdf.
    n_shown
        Galaxies of a row of the gallery.
    """
    save(draw_calibration(load_table(predictions)), reliability)
    chosen = choose_gallery(catalogue, n_shown)
    images = read_crops(crops, np.concatenate(chosen.rows))
    save(draw_gallery(chosen, catalogue, images, n_shown), gallery, png_dpi=SHEET_DPI)


if __name__ == "__main__":
    with job_log(snakemake.log[0]):  # noqa: F821
        main(
            catalogue=snakemake.input.catalogue,  # noqa: F821
            predictions=snakemake.input.predictions,  # noqa: F821
            crops=snakemake.input.crops,  # noqa: F821
            reliability=snakemake.output.reliability,  # noqa: F821
            gallery=snakemake.output.gallery,  # noqa: F821
            n_shown=snakemake.params.n_shown,  # noqa: F821
        )
