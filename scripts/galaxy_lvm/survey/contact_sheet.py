"""Contact sheets: a grid of galaxies with small notes."""

from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from galaxy_lvm.core.config.sky_survey import Stretch
from galaxy_lvm.core.errors import DataError
from galaxy_lvm.report import style
from galaxy_lvm.report.class_looks import class_texts, drawn, fitting
from galaxy_lvm.survey.classes import CLASSES
from galaxy_lvm.survey.colour import to_rgb
from galaxy_lvm.survey.store import CutoutStore

# What a note shows of a catalogue row, where the column exists.
NOTE_FORMATS = {
    "redshift": "z {:.2f}",
    "half_light_radius_arcsec": 'r50 {:.1f}"',
}


def draw_note(axes: Axes, text: str, width_pt: float, top: bool = False) -> None:
    """Write a small note into a corner of an image that is so many points wide."""
    if text:
        axes.text(
            0.03,
            0.97 if top else 0.03,
            fitting(text, 0.92 * width_pt),
            transform=axes.transAxes,
            va="top" if top else "bottom",
            linespacing=1.1,
            in_layout=False,
            **style.ON_IMAGE,
        )


def image_grid(
    images: Sequence[np.ndarray],
    n_columns: int,
    notes: Sequence[str] | None = None,
    titles: Sequence[str] | None = None,
    row_names: Sequence[str] | None = None,
    frame_colours: Sequence[str | None] | None = None,
    width_inch: float = style.PAGE_WIDTH_INCH,
    north_up: bool = False,
) -> Figure:
    """Return a grid of colour images.

    Parameters
    ----------
    images
        uint8 (H, W, 3) each, sizes may differ; filled row by row. None leaves a place empty.
    n_columns
        Images in a row, 1 or more.
    notes
        Text inside each image, bottom left.
    titles
        Text inside each image, top left.
    row_names
        Names of the rows, left of them.
    frame_colours
        Colour of each image's frame; None for no frame.
    width_inch
        Width of the figure.
    north_up
        Draw the first row at the bottom, as in sky images.

    Raises
    ------
    DataError
        If there are no images or one of them is not uint8 RGB.
    """
    if not len(images):
        raise DataError("no images for the contact sheet")
    n_rows = -(-len(images) // n_columns)
    # Row names take some of the width.
    width_pt = 72 * (width_inch - 0.2 * (row_names is not None)) / n_columns
    fig, grid = style.figure(
        width_inch,
        width_inch * n_rows / n_columns,
        nrows=n_rows,
        ncols=n_columns,
        squeeze=False,
    )
    fig.get_layout_engine().set(w_pad=0.008, h_pad=0.008, wspace=0.0, hspace=0.0)
    for place, axes in enumerate(grid.ravel()):
        axes.set(xticks=[], yticks=[])
        axes.grid(False)
        axes.spines[:].set_visible(False)
        if place >= len(images) or images[place] is None:
            continue
        _check_rgb(images[place], place)
        axes.imshow(images[place], origin="lower" if north_up else "upper")
        if notes is not None:
            draw_note(axes, notes[place], width_pt)
        if titles is not None:
            draw_note(axes, titles[place], width_pt, top=True)
        if frame_colours is not None and frame_colours[place] is not None:
            axes.spines[:].set(visible=True, color=frame_colours[place], linewidth=1.6)
    for name, axes in zip(row_names or [], grid[:, 0], strict=False):
        axes.set_ylabel(drawn(name), labelpad=2)
    return fig


def _check_rgb(image: np.ndarray, place: int) -> None:
    if image.ndim != 3 or image.shape[2] != 3 or image.dtype != np.uint8:
        raise DataError(
            f"image {place} of the contact sheet: {image.dtype} {image.shape}, expected uint8 RGB"
        )


def catalogue_note(row: Mapping[str, object]) -> str:
    """Return one line with what `NOTE_FORMATS` knows of a catalogue row."""
    return "  ".join(form.format(row[key]) for key, form in NOTE_FORMATS.items() if key in row)


def choose_by_class(catalogue: pd.DataFrame, n_per_class: int, seed: int) -> dict[str, np.ndarray]:
    """Return rows drawn from every class that the catalogue has, in the order of the classes.

    Parameters
    ----------
    catalogue
        Table with a `label` column; labels that are no class of ours follow at the end, and
        unlabelled rows are one class where nothing is labelled.
    n_per_class
        Rows of each class at most.
    seed
        Seed of the draw.
    """
    labels = catalogue["label"] if "label" in catalogue else pd.Series([""] * len(catalogue))
    named = [name for name in labels.unique() if name]
    order = [name for name in CLASSES if name in named]
    order += sorted(set(named) - set(CLASSES))
    rng = np.random.default_rng(seed)
    chosen = {}
    for name in order or [""]:
        rows = np.flatnonzero(labels.to_numpy() == name)
        chosen[name] = np.sort(rng.permutation(rows)[:n_per_class])
    return chosen


def contact_sheet(
    store: CutoutStore, n_per_class: int = 8, seed: int = 0, stretch: Stretch | None = None
) -> Figure:
    """Return examples of every class of a store, one row a class, with notes of the catalogue.

    Parameters
    ----------
    store
        Cutouts, mapped to colours, or RGB images.
    n_per_class
        Examples of a class.
    seed
        Seed of the choice.
    stretch
        How fluxes become colours; the sky viewer's mapping of g, r, z where None.
    """
    catalogue = store.catalogue()
    images: list[np.ndarray | None] = []
    notes: list[str] = []
    titles: list[str] = []
    chosen = choose_by_class(catalogue, n_per_class, seed)
    for rows in chosen.values():
        picked = [store.images[int(row)] for row in rows]
        if not store.rgb:
            picked = list(to_rgb(np.stack(picked), stretch or Stretch()))
        empty = n_per_class - len(rows)
        images += picked + [None] * empty
        notes += [catalogue_note(catalogue.iloc[row]) for row in rows] + [""] * empty
        titles += [str(catalogue["id"].iloc[row]) for row in rows] + [""] * empty
    names = list(class_texts(chosen).values())
    return image_grid(images, n_per_class, notes, titles, row_names=names, north_up=not store.rgb)
