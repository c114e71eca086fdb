"""Draw figure 10, write its table and judge what the paper says of the loop."""

from galaxy_lvm.core.config.handed import section
from galaxy_lvm.core.config.hitl import Sizes
from galaxy_lvm.core.logs import job_log, log
from galaxy_lvm.core.tables import save_table
from galaxy_lvm.hitl.claims import claims_table
from galaxy_lvm.hitl.figures import draw_comparison
from galaxy_lvm.hitl.scored import read_scored
from galaxy_lvm.hitl.tables import asked_galaxies, comparison_html, comparison_table
from galaxy_lvm.report.results import paper_values, read_results, write_table
from galaxy_lvm.report.style import save


def main(
    metrics: list[str],
    scored: list[str],
    paper_csv: str,
    sizes: Sizes,
    figure: str,
    table: str,
    claims: str,
) -> None:
    """Draw the figure as PDF and PNG; write the table (CSV and HTML) and the claims (CSV).

    Parameters
    ----------
    metrics
        Long-format CSVs with the experiments hitl (of all networks) and alpha.
    scored
        Scores of single test galaxies, of the same rankers (parquet).
    paper_csv
        The paper's printed values.
    sizes
        Training sets of the config's section `hitl.comparison`.
    figure, table, claims
        Files to write, ending in .pdf, .csv (an HTML page lies beside it) and .csv.
    """
    results = read_results(metrics)
    target = results.loc[results["experiment"] == "hitl", "task"].iloc[0]
    comparison = comparison_table(results, paper_values(paper_csv, "fig10"))
    asked = asked_galaxies(results)
    save(draw_comparison(comparison, target, asked), figure)
    judged = claims_table(results, read_scored(scored), sizes)
    write_table(table, comparison, comparison_html(comparison, judged, target, asked))
    save_table(claims, judged)
    for row in judged.itertuples():
        log.info("%s: %s, %s", row.claim, row.verdict, row.detail)


if __name__ == "__main__":
    with job_log(snakemake.log[0]):  # noqa: F821
        main(
            metrics=[snakemake.input.hitl, snakemake.input.resnet18],  # noqa: F821
            scored=list(snakemake.input.scored),  # noqa: F821
            paper_csv=snakemake.input.paper,  # noqa: F821
            sizes=section(Sizes, snakemake.params.sizes, "hitl.comparison"),  # noqa: F821
            figure=snakemake.output.figure,  # noqa: F821
            table=snakemake.output.table,  # noqa: F821
            claims=snakemake.output.claims,  # noqa: F821
        )
