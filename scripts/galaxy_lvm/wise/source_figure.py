"""What the sources look like: cutouts of every class, and their colours."""

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from galaxy_lvm.report import style
from galaxy_lvm.wise.bands import BANDS

_SOURCE_COLOURS = {"star": "blue", "galaxy": "red", "quasar": "green"}
_N_EACH = 4
_MOST_POINTS = 1500


def class_colour(name: str, number: int = 0) -> str:
    """Return the colour of a class; others than the three take those of the sequence."""
    known = _SOURCE_COLOURS.get(name)
    return style.COLOURS[known] if known else style.SEQUENCE[number % len(style.SEQUENCE)]


def draw_sources(images: np.ndarray, shown: pd.DataFrame, photometry: pd.DataFrame) -> Figure:
    """Return a column of cutouts per class, bright to faint, and the measured colours.

    Parameters
    ----------
    images
        Crops (n, side, side, 3) uint8 of `shown`.
    shown
        From `choose`, with `label`, `w1_mag`.
    photometry
        Of all sources: `label`, `w1_mag`, `w2_mag`, `w3_mag`.
    """
    classes = list(dict.fromkeys(shown["label"]))
    fig, _ = style.figure(style.PAGE_WIDTH_INCH, 5.4)
    fig.clear()
    top, bottom = fig.subfigures(2, 1, height_ratios=(1.5, 1))
    _draw_cutouts(top, images, shown, classes)
    left, right = bottom.subplots(1, 2)
    for number, name in enumerate(classes):
        own = photometry[photometry["label"] == name].head(_MOST_POINTS)
        colour = class_colour(name, number)
        _points(left, own["w1_mag"], own["w1_mag"] - own["w2_mag"], colour, name)
        _points(right, own["w2_mag"] - own["w3_mag"], own["w1_mag"] - own["w2_mag"], colour, name)
    ends = np.percentile(photometry["w1_mag"], (0, 98)) + (-0.2, 0.4)
    left.set(xlabel="measured W1 [mag, Vega]", ylabel="measured W1 - W2 [mag]",
             xlim=ends, ylim=(-1, 2.5))  # fmt: skip
    right.set(xlabel="measured W2 - W3 [mag]", ylabel="measured W1 - W2 [mag]",
              xlim=(-1.5, 6), ylim=(-1, 2.5))  # fmt: skip
    right.legend(loc="upper left", markerscale=4)
    return fig


def _points(axes: Axes, x: pd.Series, y: pd.Series, colour: str, name: str) -> None:
    axes.plot(x, y, "o", ms=1.3, alpha=0.5, mec="none", color=colour, label=name, rasterized=True)


def _draw_cutouts(
    place: object, images: np.ndarray, shown: pd.DataFrame, classes: list[str]
) -> None:
    """Draw W1, W2, W3 beside each other, a row per source."""
    grid = place.subplots(_N_EACH, len(classes) * len(BANDS), squeeze=False)
    for axes in grid.ravel():
        axes.set_axis_off()
    for column, name in enumerate(classes):
        rows = np.flatnonzero(shown["label"] == name)[:_N_EACH]
        for line, row in enumerate(rows):
            for k, band in enumerate(BANDS):
                axes = grid[line, column * len(BANDS) + k]
                axes.imshow(images[row, :, :, k], cmap="gray", vmin=0, vmax=180, origin="lower")
                if line == 0:
                    axes.set_title(
                        f"{name}, {band.upper()}" if k == 0 else band.upper(), fontsize=7
                    )
            text = f"W1 {shown['w1_mag'].iloc[row]:.1f}"
            grid[line, column * len(BANDS)].text(
                0.04, 0.05, text, transform=grid[line, column * len(BANDS)].transAxes,
                **style.ON_IMAGE,
            )  # fmt: skip


def choose(photometry: pd.DataFrame) -> np.ndarray:
    """Return rows of some sources of every class, from bright to faint, classes behind each other.

    Those at even ranks of measured W1 are taken: no eye chooses them.
    """
    chosen: list[int] = []
    for _, own in photometry[photometry["label"] != ""].groupby("label", sort=True):
        order = own.sort_values("w1_mag").index.to_numpy()
        ranks = np.linspace(0.1, 0.9, _N_EACH) * (len(order) - 1)
        chosen += order[ranks.astype(int)].tolist()
    return np.array(chosen)
