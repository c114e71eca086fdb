"""Draw and list the most unusual galaxies."""

from collections.abc import Sequence

from galaxy_lvm.core.logs import job_log
from galaxy_lvm.core.tables import save_table
from galaxy_lvm.features.outlier_figures import draw_unusual
from galaxy_lvm.features.outlier_ranks import most_unusual
from galaxy_lvm.report.style import SHEET_DPI, save
from galaxy_lvm.survey.crop_store import read_crops

N_SHOWN = 32


def main(scores: Sequence[str], crops: str, n_listed: int, figure: str, table: str) -> None:
    """Draw the first of them as PDF and PNG; write the list.

    Parameters
    ----------
    scores
        Scores of find_outliers, or of score_shard for every shard (parquet).
    crops
        Crops of the same dataset.
    n_listed
        Length of the list.
    figure, table
        Files to write, ending in .pdf and .csv.
    """
    unusual = most_unusual(scores, n_listed)
    save_table(table, unusual)
    shown = unusual.head(N_SHOWN)
    save(draw_unusual(read_crops(crops, shown["index"]), shown), figure, png_dpi=SHEET_DPI)


if __name__ == "__main__":
    with job_log(snakemake.log[0]):  # noqa: F821
        main(
            scores=list(snakemake.input.scores),  # noqa: F821
            crops=snakemake.input.crops,  # noqa: F821
            n_listed=snakemake.params.n_listed,  # noqa: F821
            figure=snakemake.output.figure,  # noqa: F821
            table=snakemake.output.table,  # noqa: F821
        )
