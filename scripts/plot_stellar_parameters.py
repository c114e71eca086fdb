"""Draw stellar parameters, predicted against true, and table how well every method does."""

from galaxy_lvm.core.logs import job_log
from galaxy_lvm.core.tables import load_table, save_table
from galaxy_lvm.report.results import read_results, write_table
from galaxy_lvm.report.style import save
from galaxy_lvm.spectra.claims import claims_table
from galaxy_lvm.spectra.figures import draw_parameters
from galaxy_lvm.spectra.tables import parameters_html, parameters_table


def main(metrics: str, predictions: str, figure: str, table: str, claims: str) -> None:
    """Draw the figure as PDF and PNG; write the table (CSV, an HTML page beside it) and verdicts.

    Parameters
    ----------
    metrics, predictions
        Of estimate_stellar_parameters.
    figure, table, claims
        Files to write, ending in .pdf, .csv and .csv.
    """
    scores, estimates = parameters_table(read_results(metrics)), load_table(predictions)
    verdicts = claims_table(estimates)
    save_table(claims, verdicts)
    write_table(table, scores, parameters_html(scores, verdicts))
    save(draw_parameters(scores, estimates), figure)


if __name__ == "__main__":
    with job_log(snakemake.log[0]):  # noqa: F821
        main(
            metrics=snakemake.input.metrics,  # noqa: F821
            predictions=snakemake.input.predictions,  # noqa: F821
            figure=snakemake.output.figure,  # noqa: F821
            table=snakemake.output.table,  # noqa: F821
            claims=snakemake.output.claims,  # noqa: F821
        )
