"""Galaxies whose label the networks contradict, as a picture."""

from collections.abc import Mapping

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from galaxy_lvm.report import style
from galaxy_lvm.report.class_looks import class_texts
from galaxy_lvm.report.mosaic import draw_mosaic

N_SHOWN = 32
# Characters; two of them and the arrow fit into an image.
LONGEST_NAME = 10


def draw_disagreements(
    images: Mapping[str, np.ndarray], table: pd.DataFrame, n_columns: int = 8
) -> Figure:
    """Return the galaxies with the least probable labels; a frame where every network votes so.

    Parameters
    ----------
    images
        Crop of every galaxy, uint8 (side, side, 3), by identifier.
    table
        Of `label_disagreements`.
    n_columns
        Images in a row.
    """
    shown = table.head(N_SHOWN)
    both = pd.concat([table["label"], table["predicted"]])
    names = class_texts(sorted(set(both)), longest=LONGEST_NAME)
    notes = [f"{names[row.label]}  → {names[row.predicted]}" for row in shown.itertuples()]
    titles = [f"{place}   {row.p_label:.2f}" for place, row in enumerate(shown.itertuples(), 1)]
    frames = [
        style.COLOURS["orange"] if row.n_against == row.n_models else None
        for row in shown.itertuples()
    ]
    return draw_mosaic([images[i] for i in shown["id"]], n_columns, notes, titles, None, frames)
