"""Draw the lens detectors' purity and completeness, and what training fields are worth."""

from collections.abc import Sequence

from galaxy_lvm.core.logs import job_log
from galaxy_lvm.core.tables import load_table
from galaxy_lvm.lenses.curve_figures import draw_detection_curves
from galaxy_lvm.lenses.table import detector_names
from galaxy_lvm.report.results import read_results
from galaxy_lvm.report.style import save

_SCORES = ("n_*", "boxes_*", "masks_*", "max_*", "paper_*")


def main(metrics: str, curves: str, table: str, runs: Sequence[dict], figure: str) -> None:
    """Draw the figure as PDF and PNG.

    Parameters
    ----------
    metrics, curves, table
        What evaluate_detectors wrote.
    runs
        `model`, `n_train` and `seed` of every detector.
    figure
        File to write, ending in .pdf.
    """
    tables = read_results(metrics), read_results(curves), load_table(table, _SCORES)
    save(draw_detection_curves(*tables, detector_names(runs)), figure)


if __name__ == "__main__":
    with job_log(snakemake.log[0]):  # noqa: F821
        main(
            metrics=snakemake.input.metrics,  # noqa: F821
            curves=snakemake.input.curves,  # noqa: F821
            table=snakemake.input.table,  # noqa: F821
            runs=snakemake.params.runs,  # noqa: F821
            figure=snakemake.output.pdf,  # noqa: F821
        )
