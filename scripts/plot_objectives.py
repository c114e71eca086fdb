"""Draw and table what the pretraining objectives taught."""

from galaxy_lvm.core.logs import job_log
from galaxy_lvm.core.tables import load_table
from galaxy_lvm.multitask.training_figures import draw_objectives
from galaxy_lvm.report.results import read_results, write_table
from galaxy_lvm.report.style import save
from galaxy_lvm.training.objectives_table import objectives_html, objectives_summary


def main(histories: dict[str, str], objectives: str, in_use: str, figure: str, table: str) -> None:
    """Draw the figure as PDF and PNG; write the table (CSV, an HTML page beside it).

    Parameters
    ----------
    histories
        Losses of every pretraining variant (CSV).
    objectives
        Metrics of the objectives (CSV).
    in_use
        Pretraining variant that the tasks start from.
    figure, table
        Files to write, ending in .pdf and .csv.
    """
    summary = objectives_summary(read_results(objectives), in_use)
    losses = {name: load_table(path, numbers=("*",)) for name, path in histories.items()}
    save(draw_objectives(summary, losses, in_use), figure)
    write_table(table, summary.reset_index(), objectives_html(summary))


if __name__ == "__main__":
    with job_log(snakemake.log[0]):  # noqa: F821
        names, paths = snakemake.params.variants, snakemake.input.variants  # noqa: F821
        main(
            histories=dict(zip(names, paths, strict=True)),
            objectives=snakemake.input.objectives,  # noqa: F821
            in_use=snakemake.params.in_use,  # noqa: F821
            figure=snakemake.output.figure,  # noqa: F821
            table=snakemake.output.table,  # noqa: F821
        )
