"""Images beside spectra, search across them, and what each says of a galaxy."""

from dataclasses import dataclass

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from galaxy_lvm.joint.names import CLASSES, MODELS, TARGET_NAMES, TARGETS
from galaxy_lvm.joint.tables import MODEL_NAMES
from galaxy_lvm.report import style

N_EXAMPLES = 3
_COLOURS = {"photometry": "grey", "joint": "red", "all": "red", "joint_aligned": "orange"}
_SEARCH = {
    "cca": ("canonical correlation", "grey", "--"),
    "cca_gaussian": ("the same, Gaussian", "orange", "-"),
    "aligned": ("aligned", "blue", "-"),
}


@dataclass(frozen=True)
class Example:
    """A galaxy to show: its crop, spectrum, and what is known of it."""

    crop: np.ndarray
    wavelength: np.ndarray
    flux: np.ndarray
    label: str
    redshift: float


def examples_of(table: pd.DataFrame) -> np.ndarray:
    """Return rows of galaxies to show: little, middle and much H alpha, each bright."""
    order = np.argsort(table["halpha_angstrom"].to_numpy(), kind="stable")
    thirds = np.array_split(order, N_EXAMPLES)
    bright = table["snr"].to_numpy()
    return np.array([third[np.argmax(bright[third])] for third in thirds])


def draw_joint(table: pd.DataFrame, ranks: pd.DataFrame, examples: list[Example]) -> Figure:
    """Return examples with the search in a row, and a panel a target below.

    Parameters
    ----------
    table
        Of `joint_table`.
    ranks
        Columns `RANK_COLUMNS` of the alignment's search.
    examples
        `N_EXAMPLES` galaxies.
    """
    fig, grid = style.figure(
        style.PAGE_WIDTH_INCH, 4.2, nrows=2, ncols=4, gridspec_kw={"height_ratios": [1, 1.25]}
    )
    for number, (axes, example) in enumerate(zip(grid[0], examples, strict=False)):
        _draw_example(axes, example, number == 0)
    _draw_search(grid[0, -1], ranks)
    for number, (axes, target) in enumerate(zip(grid[1], TARGETS, strict=True)):
        _draw_scores(axes, table[table["target"] == target], target, number == 0)
    return fig


def _draw_example(axes: Axes, example: Example, first: bool) -> None:
    flux = example.flux / np.median(example.flux)
    axes.plot(example.wavelength / 10, flux, lw=0.5, color=style.COLOURS["black"])
    low, high = np.percentile(flux, (0.5, 99.8))
    axes.set(ylim=(low - 0.1, high + 1.1 * (high - low)), xlabel="wavelength [nm]", yticks=[],
             title=f"{example.label}, z = {example.redshift:.2f}")  # fmt: skip
    if first:
        axes.set_ylabel("flux per frequency")
    inset = axes.inset_axes((0.02, 0.54, 0.42, 0.45))
    inset.imshow(example.crop)
    inset.set_axis_off()


def _draw_search(axes: Axes, ranks: pd.DataFrame) -> None:
    chosen = ranks[(ranks["gallery"] == "random") & (ranks["direction"] == "a_to_b")]
    at = np.arange(1, int(min(100, chosen["rank"].max())) + 1)
    for model, part in chosen.groupby("model", sort=False):
        name, colour, dashes = _SEARCH[str(model)]
        values = np.sort(part["rank"].to_numpy())
        share = np.searchsorted(values, at, side="right") / len(values)
        axes.plot(at, share, color=style.COLOURS[colour], ls=dashes, lw=1, label=name)
    # Room for the legend above what a share can be.
    axes.set(xscale="log", ylim=(0, 1.65), yticks=(0, 0.5, 1), xlabel="answers looked at",
             ylabel="share found", title="spectrum searched by image")  # fmt: skip
    axes.title.set_size(7)
    axes.legend(loc="upper left", **style.ON_CURVES)


def _draw_scores(axes: Axes, rows: pd.DataFrame, target: str, named: bool) -> None:
    rows = rows.set_index("model").loc[list(MODELS)]
    place = np.arange(len(rows))[::-1]
    for y, (model, row) in zip(place, rows.iterrows(), strict=True):
        colour = style.COLOURS[_COLOURS.get(str(model), "blue")]
        ends = np.array([row["score_low95"], row["score_high95"]])
        axes.errorbar(row["score"], y, xerr=np.abs(ends - row["score"])[:, None], fmt="o",
                      color=colour, lw=0.9)  # fmt: skip
    axes.axvline(rows.loc["joint", "score"], color=style.COLOURS["red"], lw=0.6, ls=":")
    axes.set_yticks(place, [MODEL_NAMES[name] if named else "" for name in rows.index])
    axes.set(xlabel="accuracy" if target in CLASSES else "R2", title=TARGET_NAMES[target])
    axes.title.set_size(7)
