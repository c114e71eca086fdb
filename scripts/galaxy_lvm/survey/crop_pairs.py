"""Cutouts with the adaptive box drawn on them, beside the crops that were cut."""

from collections.abc import Sequence

import numpy as np
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle

from galaxy_lvm.core.errors import DataError
from galaxy_lvm.report import style
from galaxy_lvm.report.class_looks import class_texts, drawn
from galaxy_lvm.survey.crops import FLAG_NAMES

_BOX_COLOUR = style.COLOURS["sky"]
_FLAGGED_COLOUR = style.COLOURS["orange"]


def crop_pairs(
    frames: Sequence[np.ndarray],
    boxes: np.ndarray,
    flags: np.ndarray,
    crops: np.ndarray,
    labels: Sequence[str],
    columns: int = 4,
    north_up: bool = False,
) -> Figure:
    """Draw before and after, one pair per galaxy.

    Parameters
    ----------
    frames
        Cutouts in colour, uint8 (H, W, 3) each.
    boxes
        Shape (N, 4), in pixels of the cutouts.
    flags
        Shape (N,), bits of the crops file; flagged boxes are drawn in another colour and named.
    crops
        uint8, shape (N, S, S, 3).
    labels
        One per galaxy; empty for none.
    columns
        Pairs in a row.
    north_up
        Draw the first row at the bottom, as in sky images.

    Returns
    -------
    matplotlib.figure.Figure
        The caller saves it.

    Raises
    ------
    DataError
        If there is nothing to draw.
    """
    if not len(frames):
        raise DataError("no galaxies for the figure of the crops")
    rows = -(-len(frames) // columns)
    panel_inch = style.PAGE_WIDTH_INCH / (2 * columns)
    figure, axes = style.figure(
        style.PAGE_WIDTH_INCH,
        rows * panel_inch * 1.2,
        nrows=rows,
        ncols=2 * columns,
        squeeze=False,
    )
    figure.get_layout_engine().set(w_pad=0.01, h_pad=0.01, wspace=0.0, hspace=0.0)
    for axis in axes.flat:
        axis.set_axis_off()
    texts, title = class_texts(labels), {"fontsize": style.SMALL_PT, "pad": 2, "loc": "left"}
    origin = "lower" if north_up else "upper"
    for i, frame in enumerate(frames):
        before, after = axes[i // columns, 2 * (i % columns) : 2 * (i % columns) + 2]
        x0, y0, x1, y1 = boxes[i]
        colour = _FLAGGED_COLOUR if flags[i] else _BOX_COLOUR
        before.imshow(frame, origin=origin)
        # Half a pixel outwards: pixel centres lie on whole numbers.
        before.add_patch(
            Rectangle((x0 - 0.5, y0 - 0.5), x1 - x0, y1 - y0, fill=False, ec=colour, lw=1.2)
        )
        before.set_title(drawn(texts[labels[i]]), **title)
        after.imshow(crops[i], origin=origin)
        names = [name.replace("_", " ") for bit, name in FLAG_NAMES.items() if flags[i] & bit]
        after.set_title(", ".join(names), color=_FLAGGED_COLOUR, **title)
    return figure
