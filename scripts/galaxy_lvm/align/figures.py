"""Search, translation and anomalies of every experiment."""

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from galaxy_lvm.align.pairs import SIDE_NAMES
from galaxy_lvm.report import style

_STYLES = {
    "cca": ("canonical correlation", style.COLOURS["grey"], "--"),
    "cca_gaussian": ("the same, Gaussian", style.COLOURS["orange"], "-"),
    "mean": ("mean", style.COLOURS["grey"], "--"),
    "components": ("components", style.COLOURS["grey"], "--"),
    "quadratic": ("quadratic", style.COLOURS["red"], "-"),
    "aligned": ("aligned", style.COLOURS["blue"], "-"),
    "noise": ("noise alone", style.COLOURS["black"], ":"),
}


def draw_alignment(ranks: pd.DataFrame, profiles: pd.DataFrame, anomalies: pd.DataFrame) -> Figure:
    """Return a row of three panels per experiment.

    Parameters
    ----------
    ranks, profiles, anomalies
        Columns `RANK_COLUMNS`, `PROFILE_COLUMNS`, `SCORE_COLUMNS`, each with `experiment`.
    """
    experiments = list(dict.fromkeys(ranks["experiment"]))
    n = len(experiments)
    fig, grid = style.figure(style.PAGE_WIDTH_INCH, 2.3 * n, nrows=n, ncols=3, squeeze=False)
    for name, row in zip(experiments, grid, strict=True):
        _draw_search(row[0], ranks[ranks["experiment"] == name], name)
        _draw_translation(row[1], profiles[profiles["experiment"] == name], name)
        _draw_anomalies(row[2], anomalies[anomalies["experiment"] == name])
    return fig


def _line(axes: Axes, model: str, x: np.ndarray, y: np.ndarray, told: bool = True) -> None:
    name, colour, dashes = _STYLES[model]
    axes.plot(x, y, color=colour, ls=dashes, lw=1, label=name if told else None)


def _draw_search(axes: Axes, ranks: pd.DataFrame, experiment: str) -> None:
    chosen = ranks[(ranks["gallery"] == "random") & (ranks["direction"] == "a_to_b")]
    most = int(min(100, chosen["rank"].max()))
    at = np.arange(1, most + 1)
    for model, part in chosen.groupby("model", sort=False):
        values = np.sort(part["rank"].to_numpy())
        _line(axes, str(model), at, np.searchsorted(values, at, side="right") / len(values))
    first, second = SIDE_NAMES[experiment]
    # Room for the legend above what a share can be.
    axes.set(xscale="log", ylim=(0, 1.45), yticks=(0, 0.5, 1), xlabel="answers looked at",
             ylabel="share of stars found", title=f"{second} searched by {first}")  # fmt: skip
    axes.legend(loc="upper left", **style.ON_CURVES)


def _draw_translation(axes: Axes, profiles: pd.DataFrame, experiment: str) -> None:
    for (direction, model), part in profiles.groupby(["direction", "model"], sort=False):
        if model == "mean" or (experiment == "twins" and direction == "b_to_a"):
            continue
        x = part["wavelength_angstrom"].to_numpy() / 10
        _line(axes, str(model), x, 100 * part["error"].to_numpy(), direction == "a_to_b")
    title = "each end made from the other" if experiment == "ends" else "LAMOST made from XP"
    axes.set(yscale="log", xlabel="wavelength [nm]", ylabel="median error [%]", title=title)
    axes.legend(loc="upper right", **style.ON_CURVES)


def _draw_anomalies(axes: Axes, scores: pd.DataFrame) -> None:
    for model, part in scores.groupby("model", sort=False):
        injected = part["injected"].to_numpy(bool)
        single, odd = (np.sort(part["score"].to_numpy()[is_it]) for is_it in (~injected, injected))
        limits = single[::-1]
        false = np.arange(1, len(single) + 1) / len(single)
        _line(axes, str(model), false, 1 - np.searchsorted(odd, limits, side="left") / len(odd))
    axes.axvline(0.01, color=style.COLOURS["grey"], lw=0.6)
    axes.set(xscale="log", xlim=(2e-3, 1), ylim=(0, 1), xlabel="single stars called odd",
             ylabel="binaries found", title="two stars in one")  # fmt: skip
    axes.legend(loc="upper left", **style.ON_CURVES)
