"""Draw what alpha does, from the sweep over it."""

from galaxy_lvm.core.logs import job_log
from galaxy_lvm.hitl.figures import draw_alpha
from galaxy_lvm.hitl.tables import asked_galaxies
from galaxy_lvm.report.results import read_results
from galaxy_lvm.report.style import save


def main(metrics: str, figure: str) -> None:
    """Draw it as PDF and PNG.

    Parameters
    ----------
    metrics
        Long-format CSV with the experiment alpha.
    figure
        File ending in .pdf to write.
    """
    results = read_results([metrics])
    save(draw_alpha(results, asked_galaxies(results)), figure)


if __name__ == "__main__":
    with job_log(snakemake.log[0]):  # noqa: F821
        main(metrics=snakemake.input.hitl, figure=snakemake.output.figure)  # noqa: F821
