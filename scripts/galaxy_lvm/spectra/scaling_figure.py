"""Errors by the number of training stars with their laws: figure, table and page."""

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, LogLocator, NullLocator

from galaxy_lvm.report import style
from galaxy_lvm.report.tables import page_html, plain_table
from galaxy_lvm.spectra.labels import NAMES, UNITS
from galaxy_lvm.spectra.scaling import PowerLaw
from galaxy_lvm.spectra.tables import MODEL_NAMES, digits

_COLOURS = {
    "ridge": "grey",
    "neighbours": "yellow",
    "quadratic": "green",
    "transformer_scratch": "orange",
    "transformer": "blue",
}
_NOTE = (
    "Mean absolute error of test stars after learning from n stars, and amplitude n^-exponent + "
    "floor through it. In brackets 95 % intervals over resampled test stars; one training a point, "
    "so that how much another training would differ is not in them. A floor whose interval reaches "
    "0 was not seen."
)


def scaling_table(results: pd.DataFrame) -> pd.DataFrame:
    """Return a row per label and method: the law with its ends, errors by number of stars.

    Parameters
    ----------
    results
        Long table, experiment `spectra_scaling`.
    """
    keys = ["task", "model"]
    law = results[results["condition"] == "law"]
    law = law.pivot(index=keys, columns="metric", values="value")
    errors = results[results["metric"] == "mae"]
    errors = errors.pivot(index=keys, columns="condition", values="value")
    errors = errors[sorted(errors, key=_number)]
    errors.columns = [f"mae_{_number(name)}" for name in errors]
    table = law.join(errors).reset_index().rename_axis(columns=None)
    table = table.rename(columns={"task": "label"})
    order = table["label"].map(list(NAMES).index), table["model"].map(list(MODEL_NAMES).index)
    table = table.assign(a=order[0], b=order[1]).sort_values(["a", "b"])
    return table.drop(columns=["a", "b"]).reset_index(drop=True)


def scaling_html(table: pd.DataFrame) -> str:
    """Return the table as a page."""
    numbers = [name for name in table if name.startswith("mae_")]
    heads = ["Label", "Method", *(f"n = {name.removeprefix('mae_')}" for name in numbers)]
    heads += ["Exponent", "Floor"]
    lines = []
    for row in table.to_dict("records"):
        n = digits(row["label"])
        cells = [f"{NAMES[row['label']]} [{UNITS[row['label']]}]", MODEL_NAMES[row["model"]]]
        cells += [f"{row[name]:.{n}f}" for name in numbers]
        for name, decimals in (("exponent", 2), ("floor", n)):
            ends = f"{row[f'{name}_low95']:.{decimals}f} to {row[f'{name}_high95']:.{decimals}f}"
            cells.append(f"{row[name]:.{decimals}f} ({ends})")
        lines.append(cells)
    body = f"<p>{_NOTE}</p>{plain_table(heads, lines)}"
    return page_html("Error against the number of training stars", body)


def draw_scaling(results: pd.DataFrame) -> Figure:
    """Return a panel per label: errors with intervals, and the law of each method.

    Parameters
    ----------
    results
        Long table, experiment `spectra_scaling`.
    """
    labels = [name for name in NAMES if name in set(results["task"])]
    n_rows = -(-len(labels) // 2)
    fig, grid = style.figure(
        style.PAGE_WIDTH_INCH, 2.6 * n_rows, nrows=n_rows, ncols=2, squeeze=False
    )
    for axes, label in zip(grid.flat, labels, strict=False):
        own = results[results["task"] == label]
        for model, colour in _COLOURS.items():
            _draw_model(axes, own[own["model"] == model], style.COLOURS[colour], MODEL_NAMES[model])
        axes.set(xscale="log", yscale="log", xlabel="training stars",
                 ylabel=f"mean absolute error [{UNITS[label]}]", title=NAMES[label])  # fmt: skip
        _plain_ticks(axes, sorted({_number(c) for c in own["condition"] if c != "law"}))
    for axes in grid.flat[len(labels) :]:
        axes.set_visible(False)
    handles, names = grid.flat[0].get_legend_handles_labels()
    fig.legend(handles, names, loc="outside lower center", ncols=2)
    return fig


def _plain_ticks(axes: Axes, n_stars: list[int]) -> None:
    """Write numbers instead of powers of ten: an axis spans one or two of them."""
    axes.set_xticks(n_stars, [str(n) for n in n_stars])
    axes.yaxis.set_major_locator(LogLocator(subs=(1, 1.2, 1.5, 2, 2.5, 3, 4, 5, 6, 7, 8)))
    axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
    for axis in (axes.xaxis, axes.yaxis):
        axis.set_minor_locator(NullLocator())


def _draw_model(axes: Axes, own: pd.DataFrame, colour: str, name: str) -> None:
    wide = own.pivot(index="condition", columns="metric", values="value")
    points = wide[wide["mae"].notna()].copy()
    n_stars = np.array([_number(condition) for condition in points.index])
    order = np.argsort(n_stars)
    n_stars, points = n_stars[order], points.iloc[order]
    size = np.abs(points[["mae_low95", "mae_high95"]].to_numpy().T - points["mae"].to_numpy())
    axes.errorbar(n_stars, points["mae"], size, fmt="o", ms=3, lw=0.8, color=colour, label=name)
    law = PowerLaw(*wide.loc["law", ["amplitude", "exponent", "floor"]])
    fine = np.geomspace(n_stars[0], n_stars[-1])
    axes.plot(fine, law.at(fine), color=colour, lw=0.8)


def _number(condition: str) -> int:
    return int(condition.removeprefix("train="))
