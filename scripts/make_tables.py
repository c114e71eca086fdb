"""Make Tables 1 to 4 from the metrics and the paper's printed values, and judge its claims."""

from collections.abc import Sequence
from pathlib import Path

from galaxy_lvm.core.logs import job_log, log
from galaxy_lvm.core.tables import save_table
from galaxy_lvm.multitask.claims import judge_claims
from galaxy_lvm.multitask.tables import TABLES, build_table, table_html
from galaxy_lvm.report.results import paper_values, read_per_galaxy, read_results, write_table


def main(
    metrics: Sequence[str],
    paper_csv: str,
    tables_dir: str,
    per_galaxy: Sequence[str] = (),
) -> None:
    """Write the tables (CSV and HTML) and the claims (CSV).

    Parameters
    ----------
    metrics
        Long-format CSVs: of the baselines, of the networks, of repeated seeds.
    paper_csv
        The paper's printed values.
    tables_dir
        Folder to write into: `table1_classification.csv` and `.html`, and so on, `claims.csv`.
    per_galaxy
        Scores of single galaxies (parquet), for comparisons in pairs; may be none.
    """
    folder = Path(tables_dir)
    results, galaxies = read_results(list(metrics)), read_per_galaxy(list(per_galaxy))
    for spec in TABLES:
        n_galaxies = galaxies.loc[galaxies["task"] == spec.task, "id"].nunique()
        table = build_table(spec, results, paper_values(paper_csv, spec.item))
        write_table(folder / f"{spec.stem}.csv", table, table_html(spec, table, n_galaxies))
    claims = judge_claims(results, galaxies)
    save_table(folder / "claims.csv", claims)
    for row in claims.itertuples():
        log.info("%s: %s", row.claim, row.verdict)


if __name__ == "__main__":
    with job_log(snakemake.log[0]):  # noqa: F821
        main(
            metrics=list(snakemake.input.metrics),  # noqa: F821
            paper_csv=snakemake.input.paper,  # noqa: F821
            tables_dir=str(Path(snakemake.output.claims).parent),  # noqa: F821
            per_galaxy=list(snakemake.input.get("per_galaxy", [])),  # noqa: F821
        )
