"""Draw parameters, predicted and true, and table how well they are predicted."""

from galaxy_lvm.core.logs import job_log
from galaxy_lvm.core.tables import load_table
from galaxy_lvm.features.parameter_figures import draw_parameters
from galaxy_lvm.features.tables import parameters_html, parameters_table
from galaxy_lvm.report.results import read_results, write_table
from galaxy_lvm.report.style import save


def main(metrics: str, predictions: str, parameters: list[dict], figure: str, table: str) -> None:
    """Draw the figure as PDF and PNG; write the table (CSV, an HTML page beside it).

    Parameters
    ----------
    metrics, predictions
        Scores (CSV) and predicted values (parquet) of estimate_parameters.
    parameters
        The config's list `extensions.parameters`.
    figure, table
        Files to write, ending in .pdf and .csv.
    """
    scales = {entry["column"]: entry.get("scale", "linear") for entry in parameters}
    scores = parameters_table(read_results(metrics), scales)
    write_table(table, scores, parameters_html(scores))
    save(draw_parameters(scores, load_table(predictions)), figure)


if __name__ == "__main__":
    with job_log(snakemake.log[0]):  # noqa: F821
        main(
            metrics=snakemake.input.metrics,  # noqa: F821
            predictions=snakemake.input.predictions,  # noqa: F821
            parameters=snakemake.params.parameters,  # noqa: F821
            figure=snakemake.output.figure,  # noqa: F821
            table=snakemake.output.table,  # noqa: F821
        )
