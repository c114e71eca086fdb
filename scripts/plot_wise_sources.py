"""Draw WISE cutouts of every class from bright to faint, and the measured colours."""

from galaxy_lvm.core.logs import job_log
from galaxy_lvm.core.tables import load_table
from galaxy_lvm.report.style import save
from galaxy_lvm.survey.crop_store import CropStore
from galaxy_lvm.wise.source_figure import choose, draw_sources


def main(crops: str, photometry: str, figure: str) -> None:
    """Draw the figure as PDF and PNG.

    Parameters
    ----------
    crops, photometry
        Of measure_wise.
    figure
        File to write, ending in .pdf.
    """
    table = load_table(photometry)
    rows = choose(table)
    with CropStore(crops) as store:
        images = store.take(rows)
    save(draw_sources(images, table.loc[rows].reset_index(drop=True), table), figure)


if __name__ == "__main__":
    with job_log(snakemake.log[0]):  # noqa: F821
        main(
            crops=snakemake.input.crops,  # noqa: F821
            photometry=snakemake.input.photometry,  # noqa: F821
            figure=snakemake.output.figure,  # noqa: F821
        )
