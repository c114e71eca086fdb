"""Draw and list the test galaxies whose label the networks contradict."""

from galaxy_lvm.core.logs import job_log
from galaxy_lvm.core.tables import load_table, save_table
from galaxy_lvm.multitask.disagreement_figure import N_SHOWN, draw_disagreements
from galaxy_lvm.multitask.disagreements import class_columns, label_disagreements
from galaxy_lvm.report.style import SHEET_DPI, save
from galaxy_lvm.survey.crop_store import CropStore


def main(predictions: str, crops: str, figure: str, table: str) -> None:
    """Draw the first of them as PDF and PNG; write the list.

    Parameters
    ----------
    predictions
        Class probabilities of test galaxies (parquet).
    crops
        Crops of the labelled dataset.
    figure, table
        Files to write, ending in .pdf and .csv.
    """
    shares = load_table(predictions)
    doubtful = label_disagreements(shares, class_columns(shares))
    save_table(table, doubtful)
    with CropStore(crops) as store:
        images = store.by_id(doubtful["id"].head(N_SHOWN).tolist())
    save(draw_disagreements(images, doubtful), figure, png_dpi=SHEET_DPI)


if __name__ == "__main__":
    with job_log(snakemake.log[0]):  # noqa: F821
        main(
            predictions=snakemake.input.predictions,  # noqa: F821
            crops=snakemake.input.crops,  # noqa: F821
            figure=snakemake.output.figure,  # noqa: F821
            table=snakemake.output.table,  # noqa: F821
        )
