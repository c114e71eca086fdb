"""Draw a contact sheet of a data set's cutouts, and cutouts beside their adaptive crops."""

import numpy as np
from galaxy_lvm.core.config.sky_survey import Stretch
from galaxy_lvm.core.logs import job_log
from galaxy_lvm.core.seeds import derive_seed
from galaxy_lvm.report.style import SHEET_DPI, save
from galaxy_lvm.survey.colour import to_rgb
from galaxy_lvm.survey.contact_sheet import contact_sheet
from galaxy_lvm.survey.crop_pairs import crop_pairs
from galaxy_lvm.survey.crop_store import CropStore
from galaxy_lvm.survey.splits_table import Splits
from galaxy_lvm.survey.store import CutoutStore


def main(
    cutouts: str,
    crops: str,
    splits: str,
    contact_sheet_pdf: str,
    crop_figure_pdf: str,
    seed: int = 1,
    n_per_class: int = 8,
    n_pairs: int = 24,
) -> None:
    """Draw both figures, each as PDF and PNG.

    Parameters
    ----------
    cutouts, crops, splits
        Files of one data set.
    contact_sheet_pdf, crop_figure_pdf
        Figures to write; the PNG lies beside the PDF.
    seed
        The run's seed; it chooses the galaxies, evenly over the classes.
    n_per_class
        Galaxies of each class on the contact sheet.
    n_pairs
        Galaxies in the figure of the crops.
    """
    table = Splits(splits)
    with CropStore(crops) as cropped, CutoutStore(cutouts) as store:
        save(
            contact_sheet(store, n_per_class, derive_seed(seed, "sheet"), cropped.stretch),
            contact_sheet_pdf,
            png_dpi=SHEET_DPI,
        )
        chosen = table.draw(None, n_pairs, seed, "crop pairs", even=True)
        labels = table.label_texts(chosen)
        order = np.lexsort((chosen.ids, labels))
        chosen, labels = chosen.take(order), [labels[i] for i in order]
        places = cropped.column("cutout_index")[chosen.index]
        frames = [_frame(store, row, cropped.stretch) for row in places]
        columns = [cropped.column(name)[chosen.index] for name in ("box", "flag")]
        figure = crop_pairs(frames, *columns, cropped.of(chosen), labels, north_up=not store.rgb)
        save(figure, crop_figure_pdf, png_dpi=SHEET_DPI)


def _frame(store: CutoutStore, row: int, stretch: Stretch) -> np.ndarray:
    image = store.images[row]
    return image if store.rgb else to_rgb(image[None], stretch)[0]


if __name__ == "__main__":
    with job_log(snakemake.log[0]):  # noqa: F821
        main(
            cutouts=snakemake.input.cutouts,  # noqa: F821
            crops=snakemake.input.crops,  # noqa: F821
            splits=snakemake.input.splits,  # noqa: F821
            contact_sheet_pdf=snakemake.output.contact_sheet,  # noqa: F821
            crop_figure_pdf=snakemake.output.crop_figure,  # noqa: F821
            seed=snakemake.params.seed,  # noqa: F821
        )
