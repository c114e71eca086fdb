"""Draw figure 9: the labelling page and the notebook's widget on the run's galaxies."""

from pathlib import Path

import numpy as np
from galaxy_lvm.core.config.handed import section
from galaxy_lvm.core.config.hitl import Place
from galaxy_lvm.core.errors import DataError
from galaxy_lvm.core.logs import job_log, log
from galaxy_lvm.report.style import save
from galaxy_lvm.ui.picture import draw_interfaces, interfaces
from galaxy_lvm.ui.workplace import a_target
from PIL import Image


def main(features: str, data: str, settings: Place, run: str, kept: str, figure: str) -> None:
    """Draw it as PDF and PNG.

    Parameters
    ----------
    features
        Of the LVM (`.npy`).
    data
        Folder of the dataset's crops, splits and cutouts.
    settings
        Of the config's section `hitl`.
    run
        Name of the run, as the notebook's cell says it.
    kept
        Picture of the page to show, with the reason, where none can be made.
    figure
        File ending in .pdf to write.
    """
    try:
        page, widget = interfaces(a_target(Path(features), Path(data), settings), run)
        pictures = [("(a) the page", page), ("(b) in a notebook", widget)]
    except DataError as error:
        log.warning("%s: the picture that is kept with the project is shown", error)
        with Image.open(kept) as image:
            shown = np.asarray(image.convert("RGB"))
        pictures = [(f"{error}.\nKept with the project, of other simulated galaxies:", shown)]
    save(draw_interfaces(pictures), figure)


if __name__ == "__main__":
    with job_log(snakemake.log[0]):  # noqa: F821
        main(
            features=snakemake.input.features,  # noqa: F821
            data=str(Path(snakemake.input.crops).parent),  # noqa: F821
            settings=section(Place, snakemake.params.settings, "hitl"),  # noqa: F821
            run=snakemake.params.run,  # noqa: F821
            kept=snakemake.input.kept,  # noqa: F821
            figure=snakemake.output.figure,  # noqa: F821
        )
