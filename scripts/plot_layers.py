"""Draw singular values and the score against the kept rank; table what rank is enough."""

from galaxy_lvm.core.logs import job_log
from galaxy_lvm.core.tables import load_table
from galaxy_lvm.layers.figures import draw_layers
from galaxy_lvm.layers.tables import layers_html, layers_table
from galaxy_lvm.report.results import read_results, write_table
from galaxy_lvm.report.style import save


def main(
    metrics: str,
    singular_values: str,
    directions: str,
    figure: str,
    table: str,
    enough: float,
    capacity: str | None = None,
) -> None:
    """Draw the figure as PDF and PNG; write the table (CSV, an HTML page beside it).

    Parameters
    ----------
    metrics, singular_values, directions
        Of decompose_layers.
    figure, table
        Files to write, ending in .pdf and .csv.
    enough
        Share of the score that was asked for: the config's `layers.enough`.
    capacity
        Of score_capacity; None where nothing was trained for it.
    """
    results, spectrum = read_results(metrics), load_table(singular_values)
    kinds = spectrum[["layer", "kind"]].drop_duplicates()
    rows = layers_table(results, kinds)
    few_stars = read_results(capacity) if capacity else None
    write_table(table, rows, layers_html(rows, results, enough, few_stars))
    save(draw_layers(results, spectrum, load_table(directions)), figure)


if __name__ == "__main__":
    with job_log(snakemake.log[0]):  # noqa: F821
        main(
            metrics=snakemake.input.metrics,  # noqa: F821
            singular_values=snakemake.input.singular_values,  # noqa: F821
            directions=snakemake.input.directions,  # noqa: F821
            figure=snakemake.output.figure,  # noqa: F821
            table=snakemake.output.table,  # noqa: F821
            enough=snakemake.params.enough,  # noqa: F821
            capacity=snakemake.input.get("capacity") or None,  # noqa: F821
        )
