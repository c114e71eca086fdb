"""Draw how well two kinds of spectra are aligned; table it, and judge it against the floors."""

from collections.abc import Sequence

import pandas as pd
from galaxy_lvm.align.claims import claims_table
from galaxy_lvm.align.figures import draw_alignment
from galaxy_lvm.align.tables import alignment_html, alignment_table
from galaxy_lvm.core.logs import job_log
from galaxy_lvm.core.tables import load_table, save_table
from galaxy_lvm.report.results import read_results, write_table
from galaxy_lvm.report.style import save


def main(
    metrics: Sequence[str],
    ranks: Sequence[str],
    errors: Sequence[str],
    profiles: Sequence[str],
    anomalies: Sequence[str],
    experiments: Sequence[str],
    figure: str,
    table: str,
    claims: str,
    seed: int,
) -> None:
    """Draw the figure as PDF and PNG; write the table (CSV, an HTML page beside it) and verdicts.

    Parameters
    ----------
    metrics
        Of search_across and translate_spectra.
    ranks, errors, profiles, anomalies
        Their predictions, one file an experiment.
    experiments
        Names, in the order of the files.
    figure, table, claims
        Files to write, ending in .pdf, .csv and .csv.
    seed
        The run's seed, of the bootstrap.
    """

    def all_of(paths: Sequence[str]) -> pd.DataFrame:
        parts = [
            load_table(path).assign(experiment=name)
            for name, path in zip(experiments, paths, strict=True)
        ]
        return pd.concat(parts, ignore_index=True)

    results, found, missed = read_results(list(metrics)), all_of(ranks), all_of(errors)
    verdicts = claims_table(found, missed, seed)
    rows = alignment_table(results)
    save_table(claims, verdicts)
    write_table(table, rows, alignment_html(rows, verdicts))
    save(draw_alignment(found, all_of(profiles), all_of(anomalies)), figure)


if __name__ == "__main__":
    with job_log(snakemake.log[0]):  # noqa: F821
        main(
            metrics=snakemake.input.metrics,  # noqa: F821
            ranks=snakemake.input.ranks,  # noqa: F821
            errors=snakemake.input.errors,  # noqa: F821
            profiles=snakemake.input.profiles,  # noqa: F821
            anomalies=snakemake.input.anomalies,  # noqa: F821
            experiments=snakemake.params.experiments,  # noqa: F821
            figure=snakemake.output.figure,  # noqa: F821
            table=snakemake.output.table,  # noqa: F821
            claims=snakemake.output.claims,  # noqa: F821
            seed=snakemake.params.seed,  # noqa: F821
        )
