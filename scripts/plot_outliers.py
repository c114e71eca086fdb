"""Draw and table how well oddities put into test galaxies are found."""

from galaxy_lvm.core.logs import job_log
from galaxy_lvm.features.outlier_figures import draw_outliers
from galaxy_lvm.features.tables import outliers_html, outliers_table
from galaxy_lvm.report.results import read_results, write_table
from galaxy_lvm.report.style import save


def main(metrics: str, figure: str, table: str) -> None:
    """Draw the figure as PDF and PNG; write the table (CSV, an HTML page beside it).

    Parameters
    ----------
    metrics
        Scores of find_outliers (CSV).
    figure, table
        Files to write, ending in .pdf and .csv.
    """
    scores = outliers_table(read_results(metrics))
    write_table(table, scores, outliers_html(scores))
    save(draw_outliers(scores), figure)


if __name__ == "__main__":
    with job_log(snakemake.log[0]):  # noqa: F821
        main(
            metrics=snakemake.input.metrics,  # noqa: F821
            figure=snakemake.output.figure,  # noqa: F821
            table=snakemake.output.table,  # noqa: F821
        )
