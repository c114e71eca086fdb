"""Draw errors against the number of training stars; table the laws that they follow."""

from galaxy_lvm.core.logs import job_log
from galaxy_lvm.report.results import read_results, write_table
from galaxy_lvm.report.style import save
from galaxy_lvm.spectra.scaling_figure import draw_scaling, scaling_html, scaling_table


def main(metrics: str, figure: str, table: str) -> None:
    """Draw the figure as PDF and PNG; write the table (CSV, an HTML page beside it).

    Parameters
    ----------
    metrics
        Of score_scaling.
    figure, table
        Files to write, ending in .pdf and .csv.
    """
    results = read_results(metrics)
    rows = scaling_table(results)
    write_table(table, rows, scaling_html(rows))
    save(draw_scaling(results), figure)


if __name__ == "__main__":
    with job_log(snakemake.log[0]):  # noqa: F821
        main(
            metrics=snakemake.input.metrics,  # noqa: F821
            figure=snakemake.output.figure,  # noqa: F821
            table=snakemake.output.table,  # noqa: F821
        )
