"""Singular values, score against the kept rank, and the leading latent directions."""

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from galaxy_lvm.layers.names import METHOD_NAMES, layer_text
from galaxy_lvm.report import style
from galaxy_lvm.spectra.labels import NAMES, UNITS

_COLOURS = {"svd": "blue", "projected": "grey", "pruned": "red"}
_MOST_STARS = 4000


def draw_layers(results: pd.DataFrame, spectrum: pd.DataFrame, stars: pd.DataFrame) -> Figure:
    """Return four panels.

    Parameters
    ----------
    results
        Long table, experiment `layers`.
    spectrum
        Columns `SPECTRUM_COLUMNS`.
    stars
        Test stars along the latent directions, with their labels.
    """
    fig, grid = style.figure(style.PAGE_WIDTH_INCH, 5.2, nrows=2, ncols=2)
    _draw_spectra(grid[0, 0], spectrum)
    _draw_scores(grid[0, 1], results)
    _draw_single_layers(grid[1, 0], results, spectrum)
    _draw_stars(grid[1, 1], stars)
    return fig


def _draw_spectra(axes: Axes, spectrum: pd.DataFrame) -> None:
    for network, colour in (("untrained", "grey"), ("trained", "blue")):
        own = spectrum[spectrum["network"] == network]
        for number, (_, part) in enumerate(own.groupby("layer", sort=False)):
            place = (part["index"] - 0.5) / len(part)
            label = network if number == 0 else None
            ratio = part["value"] / part["edge"]
            axes.plot(place, ratio, color=style.COLOURS[colour], lw=0.7, label=label)
    axes.axhline(1, color=style.COLOURS["black"], lw=0.8, ls=":", label="edge of noise")
    axes.set(xlabel="rank, as a share", ylabel="singular value / edge of noise", yscale="log",
             ylim=(1e-2, None), title="Singular values, a line a matrix")  # fmt: skip
    axes.legend(loc="lower left")


def _draw_scores(axes: Axes, results: pd.DataFrame) -> None:
    at = results[(results["task"] == "all") & results["condition"].str.startswith("share=")]
    for method, name in METHOD_NAMES.items():
        wide = at[at["model"] == method].pivot(index="condition", columns="metric", values="value")
        wide = wide.sort_values("share")
        colour = style.COLOURS[_COLOURS[method]]
        axes.plot(wide["share"], np.clip(wide["test"], -0.5, 1), "o-", color=colour, label=name)
    axes.axhline(0, color=style.COLOURS["black"], lw=0.8, ls=":")
    axes.set(xscale="log", xlabel="kept rank, as a share", ylabel="skill, test stars (1: no error)",
             ylim=(-0.55, 1), title="All matrices cut at once")  # fmt: skip
    axes.legend(loc="upper left")


def _draw_single_layers(axes: Axes, results: pd.DataFrame, spectrum: pd.DataFrame) -> None:
    layers = list(dict.fromkeys(spectrum["layer"]))
    enough = results[(results["condition"] == "enough") & (results["metric"] == "share")]
    enough = enough[enough["task"] != "all"]
    shares = enough.set_index("task")["value"].reindex(layers)
    place = np.arange(len(layers))[::-1]
    axes.barh(place, 100 * shares, color=style.COLOURS["blue"], height=0.7)
    axes.set_yticks(place, [layer_text(name) for name in layers])
    axes.grid(axis="y", visible=False)
    axes.set(xlabel="rank that is enough [%]", title="One matrix cut at a time", xlim=(0, 100))


def _draw_stars(axes: Axes, stars: pd.DataFrame) -> None:
    label = next(name for name in NAMES if name in stars)
    shown = stars.iloc[:_MOST_STARS]
    second = "direction_2" if "direction_2" in stars else "direction_1"
    points = axes.scatter(shown["direction_1"], shown[second], c=shown[label], s=2, lw=0,
                          rasterized=True)  # fmt: skip
    axes.figure.colorbar(points, ax=axes, label=f"{NAMES[label]} [{UNITS[label]}]")
    axes.set(
        xlabel="first principal direction",
        ylabel="second",
        title="Test stars, as the head reads them",
    )
