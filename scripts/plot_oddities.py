"""Draw oddities put into test galaxies, with the best place that a method gives them."""

from galaxy_lvm.core.logs import job_log
from galaxy_lvm.core.tables import load_table
from galaxy_lvm.features.oddities import inject
from galaxy_lvm.features.outlier_figures import draw_oddities
from galaxy_lvm.features.outliers import METHODS
from galaxy_lvm.report.style import SHEET_DPI, save
from galaxy_lvm.survey.crop_store import read_crops

EXAMPLES_PER_KIND = 8


def main(oddities: str, crops: str, figure: str, seed: int) -> None:
    """Draw the first oddities of every kind, as PDF and PNG.

    Parameters
    ----------
    oddities
        Table of find_outliers (parquet).
    crops
        Crops of the labelled dataset.
    figure
        File to write, ending in .pdf.
    seed
        The run's seed; oddities are made again from it.
    """
    odd = load_table(oddities)
    rows, notes, names = [], [], []
    for kind, part in odd.groupby("kind", sort=False):
        part = part.head(EXAMPLES_PER_KIND)
        rows.append(inject(read_crops(crops, part["index"]), part["id"], kind, seed))
        above = part[[f"share_above_{method}" for method in METHODS]].min(axis=1)
        notes.append([f"first {max(100 * share, 0.1):.1f} %" for share in above])
        names.append(str(kind))
    save(draw_oddities(rows, notes, names), figure, png_dpi=SHEET_DPI)


if __name__ == "__main__":
    with job_log(snakemake.log[0]):  # noqa: F821
        main(
            oddities=snakemake.input.oddities,  # noqa: F821
            crops=snakemake.input.crops,  # noqa: F821
            figure=snakemake.output.figure,  # noqa: F821
            seed=snakemake.params.seed,  # noqa: F821
        )
