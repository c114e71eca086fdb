"""Draw confusion and calibration of the classifiers on test galaxies."""

from galaxy_lvm.core.logs import job_log
from galaxy_lvm.core.tables import load_table
from galaxy_lvm.multitask.disagreements import class_columns
from galaxy_lvm.multitask.training_figures import draw_classification
from galaxy_lvm.report.style import save


def main(predictions: str, figure: str) -> None:
    """Draw it as PDF and PNG.

    Parameters
    ----------
    predictions
        Class probabilities of test galaxies (parquet).
    figure
        File to write, ending in .pdf.
    """
    shares = load_table(predictions)
    save(draw_classification(shares, class_columns(shares)), figure)


if __name__ == "__main__":
    with job_log(snakemake.log[0]):  # noqa: F821
        main(
            predictions=snakemake.input.predictions,  # noqa: F821
            figure=snakemake.output.figure,  # noqa: F821
        )
