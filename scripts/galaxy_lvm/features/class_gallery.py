"""A gallery of classified images: the most certain ones of every class."""

from collections.abc import Callable, Sequence

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from galaxy_lvm.report.mosaic import draw_mosaic

N_COLUMNS = 8


def draw_classes(
    table: pd.DataFrame, crops_of: Callable[[Sequence[str]], list[np.ndarray]]
) -> Figure:
    """Return one row per class that occurs, the most certain images first.

    Parameters
    ----------
    table
        `id`, `class` and `probability` of every image.
    crops_of
        Returns the crops uint8 (side, side, 3) of some ids.
    """
    images, notes, titles, names = [], [], [], []
    for name, rows in table.groupby("class", sort=True):
        rows = rows.sort_values("probability", ascending=False).head(N_COLUMNS)
        empty = N_COLUMNS - len(rows)
        images += [*crops_of(list(rows["id"])), *[None] * empty]
        notes += [*(f"{p:.2f}" for p in rows["probability"]), *[""] * empty]
        titles += [*rows["id"], *[""] * empty]
        names.append(str(name))
    return draw_mosaic(images, N_COLUMNS, notes, titles, row_names=names)
