"""Draw and table estimates of real galaxies or stars; judge what more data add."""

from galaxy_lvm.core.logs import job_log
from galaxy_lvm.core.tables import load_table, save_table
from galaxy_lvm.joint.claims import claims_table
from galaxy_lvm.joint.real_views import QUESTIONS, TARGET_NAMES, draw_real, real_html
from galaxy_lvm.joint.tables import joint_table
from galaxy_lvm.report.results import read_results, write_table
from galaxy_lvm.report.style import save


def main(
    metrics: str,
    predictions: str,
    catalogue: str,
    figure: str,
    table: str,
    claims: str,
    seed: int,
) -> None:
    """Draw the figure as PDF and PNG; write the table (CSV, an HTML page beside it) and verdicts.

    Parameters
    ----------
    metrics, predictions
        Of estimate_real.
    catalogue
        photometry, or stars.
    figure, table, claims
        Files to write, ending in .pdf, .csv and .csv.
    seed
        The run's seed, of the bootstrap.
    """
    found = load_table(predictions)
    rows = joint_table(read_results(metrics), found, seed)
    unit = "stars" if catalogue == "stars" else "galaxies"
    verdicts = claims_table(found, QUESTIONS[catalogue], TARGET_NAMES, unit)
    save_table(claims, verdicts)
    write_table(table, rows, real_html(rows, verdicts, unit))
    save(draw_real(rows, found), figure)


if __name__ == "__main__":
    with job_log(snakemake.log[0]):  # noqa: F821
        main(
            metrics=snakemake.input.metrics,  # noqa: F821
            predictions=snakemake.input.predictions,  # noqa: F821
            catalogue=snakemake.wildcards.catalogue,  # noqa: F821
            figure=snakemake.output.figure,  # noqa: F821
            table=snakemake.output.table,  # noqa: F821
            claims=snakemake.output.claims,  # noqa: F821
            seed=snakemake.params.seed,  # noqa: F821
        )
