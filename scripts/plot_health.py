"""Draw what became of a dataset's galaxies on the way to the splits, and what they are like."""

from galaxy_lvm.core.logs import job_log
from galaxy_lvm.core.seeds import derive_seed
from galaxy_lvm.core.tables import save_table
from galaxy_lvm.report.style import save
from galaxy_lvm.survey.health import measure_health
from galaxy_lvm.survey.health_figure import health_figure


def main(
    cutouts: str,
    crops: str,
    splits: str,
    rejected: str,
    figure: str,
    table: str,
    seed: int = 1,
    n_sampled: int = 2000,
) -> None:
    """Draw the figure, as PDF and PNG, and write its counts.

    Parameters
    ----------
    cutouts, crops, splits, rejected
        Files of one dataset.
    figure, table
        PDF and CSV to write; the PNG lies beside the PDF.
    seed
        The run's seed; it chooses the galaxies whose pixels are looked at.
    n_sampled
        How many those are at most.
    """
    sample = derive_seed(seed, "health")
    health = measure_health(cutouts, crops, splits, rejected, n_sampled, sample)
    save(health_figure(health), figure)
    save_table(table, health.counts)


if __name__ == "__main__":
    with job_log(snakemake.log[0]):  # noqa: F821
        main(
            cutouts=snakemake.input.cutouts,  # noqa: F821
            crops=snakemake.input.crops,  # noqa: F821
            splits=snakemake.input.splits,  # noqa: F821
            rejected=snakemake.input.rejected,  # noqa: F821
            figure=snakemake.output.figure,  # noqa: F821
            table=snakemake.output.table,  # noqa: F821
            seed=snakemake.params.seed,  # noqa: F821
        )
