"""A gallery of the best detections of a search."""

from collections.abc import Sequence

import numpy as np
import pandas as pd
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle

from galaxy_lvm.report import style
from galaxy_lvm.survey.contact_sheet import draw_note
from galaxy_lvm.survey.store import PIXEL_SCALE_ARCSEC

_COLUMNS = 8
_BAR_ARCSEC = 5.0


def draw_gallery(
    pictures: Sequence[tuple[np.ndarray, np.ndarray]], table: pd.DataFrame, n_found: int
) -> Figure:
    """Return the surroundings of detections with their boxes, best first.

    Parameters
    ----------
    pictures
        From `gallery_images`, in the order of the table.
    table
        Detections: `file`, `score`, `ra`, `dec`, `half_size_arcsec`.
    n_found
        Detections of the whole search.
    """
    if not len(pictures):
        fig, axes = style.figure(style.PAGE_WIDTH_INCH, 1.0)
        axes.axis("off")
        axes.text(0.5, 0.5, "No detection reaches the score threshold.", ha="center")
        return fig
    n_rows = -(-len(pictures) // _COLUMNS)
    side = style.PAGE_WIDTH_INCH / _COLUMNS
    fig, grid = style.figure(
        style.PAGE_WIDTH_INCH, side * n_rows + 0.3, nrows=n_rows, ncols=_COLUMNS, squeeze=False
    )
    fig.get_layout_engine().set(w_pad=0.008, h_pad=0.008, wspace=0.0, hspace=0.0)
    for axes in grid.ravel():
        axes.axis("off")
    for axes, (picture, box), row in zip(grid.ravel(), pictures, table.itertuples(), strict=False):
        height, width = picture.shape[:2]
        axes.imshow(picture, extent=(0, width, height, 0))
        frame = {"fill": False, "edgecolor": style.COLOURS["yellow"], "linewidth": 0.7}
        axes.add_patch(Rectangle(box[:2], *(box[2:] - box[:2]), **frame))
        draw_note(axes, row.file, 72 * side, top=True)
        place = "" if np.isnan(row.ra) else f"  {row.ra:.4f} {row.dec:+.4f}"
        draw_note(axes, f'{row.score:.2f}  {row.half_size_arcsec:.1f}"{place}', 72 * side)
        bar = _BAR_ARCSEC / PIXEL_SCALE_ARCSEC
        axes.plot([width - 3 - bar, width - 3], [height - 3] * 2, color="white", linewidth=0.8)
    fig.suptitle(
        f"The best {len(pictures)} of {n_found} detections: score, half of the box's side; "
        f'bars of {_BAR_ARCSEC:g}"',
        fontsize=7,
    )
    return fig
