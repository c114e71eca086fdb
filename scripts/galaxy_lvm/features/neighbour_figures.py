"""Galaxies with their most similar ones, and the map of the features."""

from collections.abc import Mapping, Sequence

import cv2
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from galaxy_lvm.report import style
from galaxy_lvm.report.class_looks import class_looks, class_texts
from galaxy_lvm.report.mosaic import draw_mosaic

_THUMBNAILS_A_SIDE = 16
_THUMBNAIL_SIDE_PIX = 48
_LEGEND_COLUMNS = 5


def draw_similar(
    queries: Sequence[np.ndarray], neighbours: Sequence[Sequence[np.ndarray]], table: pd.DataFrame
) -> Figure:
    """Return one row per query: the galaxy, then its nearest ones; frames show the classes.

    Parameters
    ----------
    queries, neighbours
        uint8 crops of every query, and of its neighbours in the order of their rank.
    table
        Lines of `neighbour_table` for these, in the same order.
    """
    n_columns = 1 + max(len(row) for row in neighbours)
    looks = class_looks(pd.concat([table["label"], table["query_label"]]))
    texts = class_texts(looks)
    images, notes, titles, framed = [], [], [], []
    groups = table.groupby("query", sort=False)
    for query, row, (name, lines) in zip(queries, neighbours, groups, strict=True):
        empty = [None] * (n_columns - 1 - len(row))
        blank = [""] * len(empty)
        label = lines["query_label"].iloc[0]
        images += [query, *row, *empty]
        titles += [str(name), *lines["id"].astype(str), *blank]
        notes += ["query  " + (texts[label] if label else "")]
        notes += [f"{distance:.4f}" for distance in lines["distance"]] + blank
        framed += [label, *lines["label"], *[""] * len(empty)]
    frames = [looks[name].colour if name else None for name in framed]
    lines = [looks[name].line if name else "-" for name in framed]
    fig = draw_mosaic(images, n_columns, notes, titles, frame_colours=frames, frame_lines=lines)
    named = [look for name, look in looks.items() if name]
    if named:
        handles = [style.plt.Line2D([], [], color=k.colour, ls=k.line, lw=2) for k in named]
        place = {"loc": "upper center", "bbox_to_anchor": (0.5, 0)}
        n_legend = min(len(named), _LEGEND_COLUMNS)
        fig.legend(handles, [look.text for look in named], ncols=n_legend, **place)
    return fig


def draw_map(
    places: pd.DataFrame, images: Mapping[tuple[int, int], np.ndarray], n_galaxies: int
) -> Figure:
    """Return the map by class (left) and with galaxies on it (right).

    Parameters
    ----------
    places
        `x`, `y`, `label` ('' for none) of the galaxies on the map.
    images
        uint8 crops of the galaxies that `thumbnail_rows` chose, by cell.
    n_galaxies
        Size of the data set that the map is a sample of.
    """
    fig, axes = style.figure(style.PAGE_WIDTH_INCH, 3.7, ncols=2, sharex=True, sharey=True)
    labels = places["label"].fillna("")
    size = float(np.clip(110 / np.sqrt(len(places)), 0.5, 4.0))
    for name, look in class_looks(labels).items():
        chosen = places[labels == name]
        axes[0].plot(
            chosen["x"], chosen["y"], look.marker, ms=size / 2, color=look.colour, alpha=0.8,
            mec="none", ls="", rasterized=True, label=look.text,
        )  # fmt: skip
    _draw_thumbnails(axes[1], places, images)
    for axis in axes:
        axis.set(xticks=[], yticks=[])
        axis.spines[:].set_visible(False)
        axis.set_box_aspect(1)
    of = "all" if len(places) == n_galaxies else f"{len(places):,} of"
    axes[0].set_title(f"t-SNE of the features, {of} {n_galaxies:,} galaxies")
    handles, names = axes[0].get_legend_handles_labels()
    n_legend = min(max(1, len(names)), _LEGEND_COLUMNS)
    scale = 4 / (size / 2)  # points of the map are small
    fig.legend(handles, names, loc="outside lower center", ncols=n_legend, markerscale=scale)
    return fig


def thumbnail_rows(places: pd.DataFrame, n_side: int = _THUMBNAILS_A_SIDE) -> dict[tuple, int]:
    """Return the row of the galaxy nearest to the centre of every cell of a grid that has one.

    Keys are the cells (column, row), counted from the lower left.
    """
    low, high = _corners(places)
    scaled = (places[["x", "y"]].to_numpy() - low) / (high - low) * n_side
    cell = np.clip(scaled.astype(int), 0, n_side - 1)
    offset = np.square(scaled - cell - 0.5).sum(axis=1)
    nearest = {}
    for row in np.argsort(offset, kind="stable"):
        nearest.setdefault((int(cell[row, 0]), int(cell[row, 1])), int(row))
    return nearest


def _corners(places: pd.DataFrame) -> tuple[np.ndarray, np.ndarray]:
    """Return the lower left and the upper right corner of the map."""
    xy = places[["x", "y"]].to_numpy()
    low, high = xy.min(axis=0), xy.max(axis=0)
    return low, np.maximum(high, low + 1e-6)


def _draw_thumbnails(
    axes: Axes, places: pd.DataFrame, images: Mapping[tuple[int, int], np.ndarray]
) -> None:
    n, side = _THUMBNAILS_A_SIDE, _THUMBNAIL_SIDE_PIX
    canvas = np.full((n * side, n * side, 3), 255, np.uint8)
    for (column, row), image in images.items():
        small = cv2.resize(image, (side, side), interpolation=cv2.INTER_AREA)
        top = (n - 1 - row) * side
        canvas[top : top + side, column * side : (column + 1) * side] = small
    (left, bottom), (right, above) = _corners(places)
    axes.imshow(canvas, extent=(left, right, bottom, above), aspect="auto")
    axes.grid(False)
