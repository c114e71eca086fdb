"""Many small images in one figure, drawn as one image: quick, and no text moves them."""

from collections.abc import Sequence

import cv2
import numpy as np
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle

from galaxy_lvm.core.errors import DataError
from galaxy_lvm.report import style
from galaxy_lvm.report.class_looks import drawn, fitting

TILE_SIDE_PIX = 128
_GAP_PIX = 4
_NAME_GAP_PT = 4


def draw_mosaic(
    images: Sequence[np.ndarray | None],
    n_columns: int,
    notes: Sequence[str] | None = None,
    titles: Sequence[str] | None = None,
    row_names: Sequence[str] | None = None,
    frame_colours: Sequence[str | None] | None = None,
    width_inch: float = style.PAGE_WIDTH_INCH,
    frame_lines: Sequence[str] | None = None,
) -> Figure:
    """Return a grid of square colour images, filled row by row.

    Parameters
    ----------
    images
        uint8 (side, side, 3) each; None leaves a place empty.
    n_columns
        Images in a row, 1 or more.
    notes, titles
        Text inside each image, bottom left and top left; where it is too wide, its lines end at
        two spaces, and what is still too wide loses its middle.
    row_names
        Names of the rows, left of them.
    frame_colours
        Colour of each image's frame; None for no frame.
    width_inch
        Width of the images and the names of their rows together.
    frame_lines
        Line style of each image's frame; solid where None.

    Raises
    ------
    DataError
        If there are no images or one of them is not uint8 RGB.
    """
    if not len(images):
        raise DataError("no images to show")
    n_rows, step = -(-len(images) // n_columns), TILE_SIDE_PIX + _GAP_PIX
    canvas = np.full((n_rows * step - _GAP_PIX, n_columns * step - _GAP_PIX, 3), 255, np.uint8)
    corners = [(step * (i % n_columns), step * (i // n_columns)) for i in range(len(images))]
    for image, (x, y) in zip(images, corners, strict=True):
        if image is not None:
            canvas[y : y + TILE_SIDE_PIX, x : x + TILE_SIDE_PIX] = _tile(image)
    width_inch -= _names_inch(row_names or ())
    height_inch = width_inch * canvas.shape[0] / canvas.shape[1]
    fig = style.plt.figure(figsize=(width_inch, height_inch))
    axes = fig.add_axes((0, 0, 1, 1))
    axes.imshow(canvas, extent=(0, canvas.shape[1], canvas.shape[0], 0), aspect="auto")
    axes.axis("off")
    tile_pt = width_inch * 72 * (TILE_SIDE_PIX - 10) / canvas.shape[1]
    for i, (x, y) in enumerate(corners):
        if images[i] is None:
            continue
        for texts, place, side in ((titles, y + 4, "top"), (notes, y + step - 9, "bottom")):
            if texts is not None and texts[i]:
                axes.text(x + 4, place, fitting(texts[i], tile_pt), va=side, **style.ON_IMAGE)
        if frame_colours is not None and frame_colours[i] is not None:
            frame = {"fill": False, "edgecolor": frame_colours[i], "linewidth": 1.6}
            frame["linestyle"] = frame_lines[i] if frame_lines else "-"
            axes.add_patch(Rectangle((x, y), TILE_SIDE_PIX, TILE_SIDE_PIX, **frame))
    for row, name in enumerate(row_names or []):
        middle = row * step + TILE_SIDE_PIX / 2
        look = {"fontsize": style.SMALL_PT, "rotation": 90, "ha": "right", "va": "center"}
        axes.text(-6, middle, drawn(name), **look)
    return fig


def _names_inch(row_names: Sequence[str]) -> float:
    """Return how wide the upright names of rows are, with their distance from the images."""
    lines = max((1 + drawn(name).count("\n") for name in row_names), default=0)
    return (_NAME_GAP_PT + 1.2 * style.SMALL_PT * lines) / 72 if lines else 0.0


def _tile(image: np.ndarray) -> np.ndarray:
    if image.ndim != 3 or image.shape[2] != 3 or image.dtype != np.uint8:
        raise DataError(f"an image of {image.dtype} {image.shape}, expected uint8 RGB")
    if image.shape[:2] == (TILE_SIDE_PIX, TILE_SIDE_PIX):
        return image
    return cv2.resize(image, (TILE_SIDE_PIX, TILE_SIDE_PIX), interpolation=cv2.INTER_AREA)
