"""Draw figure 7: prompts and what the loop recommends after some rounds."""

from galaxy_lvm.core.logs import job_log
from galaxy_lvm.core.tables import load_table
from galaxy_lvm.hitl.figures import draw_targets
from galaxy_lvm.report.style import save
from galaxy_lvm.survey.crop_store import CropStore


def main(recommended: str, targets: str, crops: str, figure: str) -> None:
    """Draw it as PDF and PNG.

    Parameters
    ----------
    recommended
        Its galaxies (parquet).
    targets
        Targets in their order (CSV).
    crops
        Images of the pool.
    figure
        File ending in .pdf to write.
    """
    shown = load_table(recommended)
    with CropStore(crops) as store:
        images = store.by_id(shown["id"].unique())
    save(draw_targets(shown, images, load_table(targets)["target"].tolist()), figure)


if __name__ == "__main__":
    with job_log(snakemake.log[0]):  # noqa: F821
        main(
            recommended=snakemake.input.recommended,  # noqa: F821
            targets=snakemake.input.targets,  # noqa: F821
            crops=snakemake.input.crops,  # noqa: F821
            figure=snakemake.output.figure,  # noqa: F821
        )
