"""Parameters from features: predicted against true, and what every kind of input is worth."""

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import LogLocator, NullLocator, StrMethodFormatter

from galaxy_lvm.features.tables import INPUT_NAMES, parameter_name, residual_unit
from galaxy_lvm.report import style
from galaxy_lvm.report.class_looks import class_looks

_INPUT_COLOURS = {
    "constant": style.COLOURS["grey"],
    "box": style.COLOURS["orange"],
    "features": style.COLOURS["sky"],
    "features+box": style.COLOURS["blue"],
}
_SHOWN = "features+box"
_COLUMNS = 3
_MOST_POINTS = 3000
_LEGEND_COLUMNS = 5


def draw_parameters(table: pd.DataFrame, predictions: pd.DataFrame) -> Figure:
    """Return a panel per parameter and one with the scatter by kind of input.

    Parameters
    ----------
    table
        Of `parameters_table`.
    predictions
        `parameter`, `inputs`, `label`, `true`, `predicted`, `scale`: scaled values of test
        galaxies.
    """
    columns = list(dict.fromkeys(predictions["parameter"]))
    if not columns:
        return _empty("No parameter of extensions.parameters is in the catalogue")
    n_rows = -(-(len(columns) + 1) // _COLUMNS)
    fig, grid = style.figure(
        style.PAGE_WIDTH_INCH, 2.35 * n_rows, nrows=n_rows, ncols=_COLUMNS, squeeze=False
    )
    panels = list(grid.ravel())
    for column, axes in zip(columns, panels, strict=False):
        chosen = predictions[predictions["parameter"] == column]
        scores = table[table["parameter"] == column].set_index("inputs")
        _draw_panel(axes, column, chosen[chosen["inputs"] == _SHOWN], scores)
    _draw_scatter(panels[len(columns)], table, columns)
    for axes in panels[len(columns) + 1 :]:
        axes.set_visible(False)
    handles, names = panels[0].get_legend_handles_labels()
    if len(names) > 1:
        n_columns = min(len(names), _LEGEND_COLUMNS)
        fig.legend(handles, names, loc="outside lower center", ncols=n_columns, markerscale=3.5)
    return fig


def _draw_panel(axes: Axes, column: str, shown: pd.DataFrame, scores: pd.DataFrame) -> None:
    log_scale = (shown["scale"] == "log10").all()
    true, predicted = shown["true"].to_numpy(), shown["predicted"].to_numpy()
    if log_scale:
        true, predicted = 10**true, 10**predicted
        axes.set(xscale="log", yscale="log")
        for axis in (axes.xaxis, axes.yaxis):
            axis.set_major_locator(LogLocator(subs=(1.0, 2.0, 5.0)))
            axis.set_major_formatter(StrMethodFormatter("{x:g}"))
            axis.set_minor_locator(NullLocator())
    labels = shown["label"].fillna("").to_numpy()
    for name, look in class_looks(shown["label"]).items():
        rows = np.flatnonzero(labels == name)[:_MOST_POINTS]
        if rows.size:
            axes.plot(
                true[rows], predicted[rows], look.marker, ms=1.5, alpha=0.7, color=look.colour,
                mec="none", label=look.text, rasterized=True,
            )  # fmt: skip
    low, high = np.nanpercentile(np.concatenate([true, predicted]), (0.3, 99.7))
    axes.plot([low, high], [low, high], color=style.COLOURS["black"], lw=0.8, zorder=0)
    axes.set(title=parameter_name(column), xlabel="true", ylabel="predicted")
    row = scores.loc[_SHOWN]
    unit = {"one_plus": " (1 + z)"}.get(row.scale) or f" {residual_unit(column, row.scale)}"
    text = f"bias {row.bias:+.3f}{unit}\n$\\sigma_{{NMAD}}$ {row.sigma_nmad:.3f}{unit}\n"
    text += f"outliers {100 * row.outlier_fraction:.1f} %\nN {row.n_test:.0f}"
    axes.text(0.03, 0.97, text, transform=axes.transAxes, va="top", fontsize=style.SMALL_PT)


def _draw_scatter(axes: Axes, table: pd.DataFrame, columns: list[str]) -> None:
    """Draw the RMS residual in units of that of a constant, by parameter and inputs."""
    width = 0.8 / (len(INPUT_NAMES) - 1)
    inputs = [name for name in INPUT_NAMES if name != "constant"]
    for number, name in enumerate(inputs):
        chosen = table[table["inputs"] == name].set_index("parameter").loc[columns]
        constant = table[table["inputs"] == "constant"].set_index("parameter").loc[columns]
        unit = constant["rms"].to_numpy()
        value = chosen["rms"].to_numpy() / unit
        ends = chosen[["rms_low95", "rms_high95"]].to_numpy() / unit[:, None]
        bars = np.abs(ends.T - value)
        place = np.arange(len(columns)) + (number - (len(inputs) - 1) / 2) * width
        axes.bar(place, value, width, yerr=bars, color=_INPUT_COLOURS[name],
                 label=INPUT_NAMES[name], error_kw={"elinewidth": 0.7})  # fmt: skip
    axes.axhline(1, color=_INPUT_COLOURS["constant"], lw=0.9, ls="--")
    names = [parameter_name(column).partition(" [")[0] for column in columns]
    axes.set_xticks(np.arange(len(columns)), names, rotation=35, ha="right")
    axes.set(title="RMS over that of the median", ylim=(0, 1.5 * axes.get_ylim()[1]))
    axes.grid(axis="x", visible=False)
    axes.legend(loc="upper left")


def _empty(text: str) -> Figure:
    fig, axes = style.figure()
    axes.axis("off")
    axes.text(0.5, 0.5, text, ha="center", va="center", wrap=True)
    return fig
