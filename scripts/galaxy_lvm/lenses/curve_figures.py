"""Curves of lens detectors: precision and recall, training fields, which lenses are found."""

from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FormatStrFormatter, LogLocator, NullLocator

from galaxy_lvm.fewshot.figures import look_of
from galaxy_lvm.lenses.match import KINDS
from galaxy_lvm.lenses.scores import BIN_COLUMNS, fields_condition
from galaxy_lvm.report import style

_BIN_LABELS = {
    "einstein_radius_arcsec": "Einstein radius [arcsec]",
    "arc_mag_r": "Arcs, r [mag]",
    "arc_snr": "Arcs, signal-to-noise",
}
_DODGE = 0.04
# With a single number of training fields there is no line, so the markers differ as well.
_AP50_LOOK = {"linestyle": "-"}
_AP_LOOK = {"linestyle": ":", "markerfacecolor": "white"}


def draw_detection_curves(
    results: pd.DataFrame,
    curves: pd.DataFrame,
    table: pd.DataFrame,
    names: Mapping[str, str],
) -> Figure:
    """Return precision against recall, AP against training fields, completeness by lens.

    Parameters
    ----------
    results
        Long table of the scores.
    curves
        Long table of the precision by recall.
    table
        From `detector_table`.
    names
        Model -> name to show, in the order of the legend.
    """
    fig, axes = style.figure(style.PAGE_WIDTH_INCH, 4.5, nrows=2, ncols=3)
    models = {model: look_of(number) for number, model in enumerate(names)}
    largest = int(table["n_train"].max())
    for axis, kind in zip(axes[0], KINDS, strict=False):
        _precision_recall(axis, curves, results, kind, largest, models)
    _learning(axes[0, 2], table, models)
    for axis, column in zip(axes[1], BIN_COLUMNS, strict=True):
        _by_lens(axis, results, column, largest, models)
    axes[1, 0].set_ylabel("Completeness at the threshold")
    lines = [style.plt.Line2D([], [], **look) for look in models.values()]
    grey = {"color": style.COLOURS["grey"], "marker": "o"}
    lines += [style.plt.Line2D([], [], **grey, **look) for look in (_AP50_LOOK, _AP_LOOK)]
    labels = [*names.values(), "AP50", "AP (IoU 0.5 to 0.95)"]
    fig.legend(lines, labels, loc="outside lower center", ncols=len(lines))
    return fig


def _chosen(results: pd.DataFrame, kind: str, model: str, condition: str) -> pd.DataFrame:
    return results[
        (results["task"] == kind)
        & (results["model"] == model)
        & (results["condition"] == condition)
    ]


def _precision_recall(
    axes: Axes,
    curves: pd.DataFrame,
    results: pd.DataFrame,
    kind: str,
    n_train: int,
    models: Mapping[str, dict],
) -> None:
    start = f"{fields_condition(n_train)} recall="
    inside = curves[(curves["task"] == kind) & curves["condition"].str.startswith(start)]
    recall = inside["condition"].str.removeprefix(start).astype(float)
    for model, look in models.items():
        mean = inside[inside["model"] == model].groupby(recall)["value"].mean()
        axes.plot(mean.index, mean, **{**look, "marker": None})
        if kind == "boxes":
            values = _chosen(results, kind, model, fields_condition(n_train)).groupby("metric")[
                "value"
            ]
            point = values.mean()
            axes.plot(point["completeness"], point["purity"], **{**look, "linestyle": ""}, ms=5,
                      mec="black", mew=0.5)  # fmt: skip
    axes.set(xlabel="Completeness", xlim=(0, 1.01), ylim=(0, 1.03))
    axes.set_ylabel("Purity")
    axes.set_title(f"{kind.capitalize()}, IoU 0.5, {n_train} training fields")


def _learning(axes: Axes, table: pd.DataFrame, models: Mapping[str, dict]) -> None:
    for number, (model, look) in enumerate(models.items()):
        rows = table[table["model"] == model].sort_values("n_train")
        shift = np.exp(_DODGE * (number - (len(models) - 1) / 2))
        for metric, kind in (("boxes_ap50", _AP50_LOOK), ("boxes_ap", _AP_LOOK)):
            _errorbar(axes, rows["n_train"] * shift, rows, metric, {**look, **kind})
    sizes = sorted(set(table["n_train"]))
    axes.set_xscale("log")
    axes.set_xlim(sizes[0] / 1.5, sizes[-1] * 1.5)  # a single size would fill the whole axis
    axes.set_xticks(sizes, [str(size) for size in sizes])
    axes.minorticks_off()
    axes.set(xlabel="Training fields", ylim=(0, 1.03))
    axes.set_ylabel("Average precision, boxes")
    axes.set_title("Average precision")


def _by_lens(
    axes: Axes,
    results: pd.DataFrame,
    column: str,
    n_train: int,
    models: Mapping[str, dict],
) -> None:
    start = f"{fields_condition(n_train)} {column} bin="
    inside = results[results["condition"].str.startswith(start)]
    logarithmic = column == "arc_snr"
    axes.set(xlabel=_BIN_LABELS[column], ylim=(0, 1.03))
    if inside.empty:
        axes.text(0.5, 0.5, "not known of these lenses", ha="center", transform=axes.transAxes)
        axes.set_xticks([])
        return
    for number, (model, look) in enumerate(models.items()):
        block = inside[inside["model"] == model]
        wide = block.pivot_table(
            index="condition", columns="metric", values="value", aggfunc="mean"
        )
        wide = wide.sort_values("median")
        # Bars of the models beside each other, not on each other.
        shift = number - (len(models) - 1) / 2
        step = 0.03 * (wide["high"].max() - wide["low"].min())
        x = (
            wide["median"] * np.exp(_DODGE * shift)
            if logarithmic
            else wide["median"] + step * shift
        )
        _errorbar(axes, x, wide, "completeness", look)
    counts = inside[inside["metric"] == "n_lenses"]["value"]
    axes.set_title(f"{_range(counts)} lenses a point")
    if logarithmic:
        axes.set_xscale("log")
        axes.xaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
        axes.xaxis.set_major_formatter(FormatStrFormatter("%g"))
        axes.xaxis.set_minor_locator(NullLocator())


def _range(counts: Sequence[float]) -> str:
    low, high = int(min(counts)), int(max(counts))
    return str(low) if low == high else f"{low} to {high}"


def _errorbar(axes: Axes, x: pd.Series, rows: pd.DataFrame, metric: str, look: dict) -> None:
    value = rows[metric]
    errors = style.bar_lengths(value, rows[f"{metric}_low95"], rows[f"{metric}_high95"])
    axes.errorbar(x, value, yerr=errors, elinewidth=0.7, capsize=1.5, **look)
