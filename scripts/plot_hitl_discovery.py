"""Draw the searches in a pool by selection rule, and table them beside the paper's precision."""

from galaxy_lvm.core.logs import job_log
from galaxy_lvm.core.tables import load_table, save_table
from galaxy_lvm.hitl.figures import draw_searches
from galaxy_lvm.hitl.tables import discovery_table
from galaxy_lvm.report.results import paper_values, read_results
from galaxy_lvm.report.style import save


def main(metrics: str, targets: str, paper_csv: str, figure: str, table: str) -> None:
    """Draw the figure as PDF and PNG; write the table.

    Parameters
    ----------
    metrics
        Long-format CSV with the experiment discovery.
    targets
        Targets in their order (CSV).
    paper_csv
        The paper's printed values.
    figure, table
        Files to write, ending in .pdf and .csv.
    """
    results = read_results([metrics])
    asked = load_table(targets, numbers=("n_positive", "n_pool"))
    asked = asked[asked["searched"].astype(str) == "True"]
    pools = {row.target: (int(row.n_positive), int(row.n_pool)) for row in asked.itertuples()}
    save(draw_searches(results, list(pools), pools), figure)
    save_table(table, discovery_table(results, paper_values(paper_csv, "sec5c")))


if __name__ == "__main__":
    with job_log(snakemake.log[0]):  # noqa: F821
        main(
            metrics=snakemake.input.discovery,  # noqa: F821
            targets=snakemake.input.targets,  # noqa: F821
            paper_csv=snakemake.input.paper,  # noqa: F821
            figure=snakemake.output.figure,  # noqa: F821
            table=snakemake.output.table,  # noqa: F821
        )
