"""The look of every figure: one style sheet, one palette, one way to save.

Importing this module selects the Agg backend, so that figures are made without a display.
"""

import io
import os
from pathlib import Path

import matplotlib

matplotlib.use("Agg")

import matplotlib.pyplot as plt  # noqa: E402
import numpy as np  # noqa: E402
from matplotlib.figure import Figure  # noqa: E402
from numpy.typing import ArrayLike  # noqa: E402
from PIL import Image, PngImagePlugin  # noqa: E402

from galaxy_lvm.core.marks import FIGURE_KEY, FIGURE_VALUE
from galaxy_lvm.core.state import atomic_path
from galaxy_lvm.report.colours import COLOURS

SEQUENCE = tuple(
    COLOURS[name] for name in ("blue", "red", "green", "purple", "orange", "sky", "black")
)
CLASS_COLOURS = {
    "elliptical": COLOURS["red"],
    "edge_on": COLOURS["green"],
    "spiral": COLOURS["blue"],
    "other": COLOURS["purple"],
}
CLASS_MARKERS = {"elliptical": "o", "edge_on": "D", "spiral": "s", "other": "^"}
CLASS_NAMES = {
    "elliptical": "Elliptical",
    "edge_on": "Edge-on",
    "spiral": "Spiral",
    "other": "Other",
}

# One and two columns of the journal's page.
COLUMN_WIDTH_INCH = 3.4
PAGE_WIDTH_INCH = 7.0
GOLDEN = 0.618
# The smallest type of a figure, at the size of print.
SMALL_PT = 7.0
# Text on an image, whatever lies below it.
ON_IMAGE = {
    "fontsize": SMALL_PT,
    "color": "white",
    "bbox": {"facecolor": "black", "alpha": 0.45, "edgecolor": "none", "pad": 0.7},
}
# A legend where curves may pass behind it.
ON_CURVES = {
    "frameon": True, "framealpha": 0.8, "edgecolor": "none", "borderpad": 0.2,
    "handlelength": 1.3, "handletextpad": 0.5,
}  # fmt: skip
# Of the PNG beside each PDF, legible on a page and a screen; sheets of galaxies, whose noise no
# compression makes smaller, have fewer. The PDF keeps every pixel; a report of all is below 25 MB.
DPI, SHEET_DPI = 150, 120

STYLE = {
    "font.size": 8.0,
    "axes.titlesize": 8.5,
    "axes.labelsize": 8.0,
    "legend.fontsize": SMALL_PT,
    "xtick.labelsize": SMALL_PT,
    "ytick.labelsize": SMALL_PT,
    "axes.linewidth": 0.7,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "axes.axisbelow": True,
    "axes.prop_cycle": matplotlib.cycler(color=SEQUENCE),
    "grid.color": "#E3E3E3",
    "grid.linewidth": 0.5,
    "lines.linewidth": 1.3,
    "lines.markersize": 3.5,
    "errorbar.capsize": 2.0,
    "legend.frameon": False,
    "image.interpolation": "nearest",
    "image.cmap": "cividis",
    "figure.dpi": 100,
    "savefig.dpi": DPI,
    "savefig.bbox": "tight",
    "savefig.pad_inches": 0.03,
    "pdf.fonttype": 42,  # text stays text in the PDF
}


def apply() -> None:
    """Make the style sheet matplotlib's default."""
    plt.rcParams.update(STYLE)


apply()


def figure(
    width_inch: float = COLUMN_WIDTH_INCH, height_inch: float | None = None, **subplots: object
) -> tuple[Figure, object]:
    """Return a new figure and its axes, laid out without overlaps.

    Parameters
    ----------
    width_inch
        Width; `COLUMN_WIDTH_INCH` or `PAGE_WIDTH_INCH`.
    height_inch
        Height; the golden section of the width where it is None.
    **subplots
        Passed to `matplotlib.pyplot.subplots`.
    """
    height_inch = GOLDEN * width_inch if height_inch is None else height_inch
    return plt.subplots(figsize=(width_inch, height_inch), layout="constrained", **subplots)


def bar_lengths(value: ArrayLike, low: ArrayLike, high: ArrayLike) -> np.ndarray:
    """Return the lengths (2, N) of error bars of scores in [0, 1], down and up.

    A t interval over a few seeds may reach beyond what a score can be; its bar ends at 0 or 1.
    Without an interval (NaN) there is no bar. A percentile interval may leave the score itself out
    by a rounding; that side has no bar either.
    """
    ends = np.clip([low, high], 0, 1)
    return np.nan_to_num(np.maximum([value - ends[0], ends[1] - value], 0))


def save(fig: Figure, path_pdf: str | os.PathLike, close: bool = True, png_dpi: int = DPI) -> None:
    """Write a figure as PDF and, beside it, as PNG.

    Parameters
    ----------
    fig
        Figure to write.
    path_pdf
        Name ending in .pdf; the folder is made.
    close
        Free the figure's memory afterwards.
    png_dpi
        Resolution of the PNG.

    Raises
    ------
    ValueError
        If the name does not end in .pdf.
    """
    path_pdf = Path(path_pdf)
    if path_pdf.suffix != ".pdf":
        raise ValueError(f"{path_pdf}: figures are saved under a name that ends in .pdf")
    # Without a date the same figure is the same file.
    with atomic_path(path_pdf) as temporary:
        fig.savefig(temporary, metadata={"CreationDate": None})
    # The places are found: the PNG has the PDF's, which saves a third of the time.
    layout = fig.get_layout_engine()
    fig.set_layout_engine("none")
    with atomic_path(path_pdf.with_suffix(".png")) as temporary:
        _save_png(fig, temporary, png_dpi)
    fig.set_layout_engine(layout)
    if close:
        plt.close(fig)


def _save_png(fig: Figure, path: Path, dpi: int) -> None:
    """Write a PNG without its alpha, which is opaque everywhere, as small as lossless makes it."""
    drawn = io.BytesIO()
    fig.savefig(drawn, format="png", dpi=dpi)
    with Image.open(drawn) as image:
        if image.mode == "RGBA" and image.getextrema()[3] == (255, 255):
            image = image.convert("RGB")
        text = PngImagePlugin.PngInfo()
        text.add_text(FIGURE_KEY, FIGURE_VALUE)
        image.save(path, format="PNG", optimize=True, dpi=(dpi, dpi), pnginfo=text)
