"""Accuracy over W1, by class, and against the number of weights, a row per sky."""

from collections.abc import Mapping

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from galaxy_lvm.report import style
from galaxy_lvm.wise.scores import ALL, FLOORS, edges_of
from galaxy_lvm.wise.tables import sky_text

_SHORT = {"quadratic": "quadratic discriminant", "boosting": "boosted trees"}
_FLOOR_STYLE = {"quadratic": ("grey", "--"), "boosting": ("black", ":")}


def draw_wise(table: pd.DataFrame, names: Mapping[str, str]) -> Figure:
    """Return three panels per sky.

    Parameters
    ----------
    table
        Of `wise_table`.
    names
        Names to show of networks.
    """
    skies = list(dict.fromkeys(table["sky"]))
    fig, grid = style.figure(
        style.PAGE_WIDTH_INCH, 2.4 * len(skies), nrows=len(skies), ncols=3, squeeze=False
    )
    networks = [m for m in dict.fromkeys(table["model"]) if m not in FLOORS]
    looks = {m: (style.SEQUENCE[k % len(style.SEQUENCE)], "-") for k, m in enumerate(networks)}
    looks |= {m: (style.COLOURS[c], dashes) for m, (c, dashes) in _FLOOR_STYLE.items()}
    names = {**_SHORT, **names}
    for sky, row in zip(skies, grid, strict=True):
        own = table[table["sky"] == sky]
        _draw_magnitudes(row[0], own, looks)
        _draw_classes(row[1], own, looks)
        _draw_weights(row[2], own, looks)
        row[0].set_title(sky_text(sky).capitalize())
    shown = [m for m in looks if m in set(table["model"])]
    lines = [
        Line2D([], [], color=looks[m][0], ls=looks[m][1], label=names.get(m, m)) for m in shown
    ]
    fig.legend(handles=lines, loc="outside upper center", ncols=min(4, len(lines)))
    return fig


def _draw_magnitudes(axes: Axes, own: pd.DataFrame, looks: Mapping) -> None:
    for model, part in own[own["condition"] != ALL].groupby("model", sort=False):
        colour, dashes = looks[model]
        middle = [np.mean(edges_of(c)) for c in part["condition"]]
        lengths = style.bar_lengths(*(part[f"accuracy{end}"].to_numpy()
                                      for end in ("", "_low95", "_high95")))  # fmt: skip
        axes.errorbar(middle, part["accuracy"], lengths, color=colour, ls=dashes, marker="o", ms=2,
                      lw=1, elinewidth=0.6)  # fmt: skip
    axes.set(xlabel="measured W1 [mag, Vega]", ylabel="accuracy", ylim=(None, 1))


def _draw_classes(axes: Axes, own: pd.DataFrame, looks: Mapping) -> None:
    whole = own[own["condition"] == ALL]
    columns = [c for c in whole if c.startswith("recall_") and not c.endswith("95")]
    width = 0.8 / len(whole)
    for number, row in enumerate(whole.to_dict("records")):
        value = np.array([row[c] for c in columns])
        lengths = style.bar_lengths(value, *([row[f"{c}{e}"] for c in columns]
                                             for e in ("_low95", "_high95")))  # fmt: skip
        place = np.arange(len(columns)) + (number - (len(whole) - 1) / 2) * width
        colour, dashes = looks[row["model"]]
        axes.bar(place, value, width, yerr=lengths, color=colour, alpha=1 if dashes == "-" else 0.6,
                 error_kw={"elinewidth": 0.6, "capsize": 1})  # fmt: skip
    axes.set_xticks(range(len(columns)), [c.removeprefix("recall_") for c in columns])
    low = np.nanmin(whole[columns].to_numpy())
    axes.set(title="All magnitudes", ylabel="share of a class found", ylim=(max(0, low - 0.15), 1))
    axes.grid(axis="x", visible=False)


def _draw_weights(axes: Axes, own: pd.DataFrame, looks: Mapping) -> None:
    for row in own[own["condition"] == ALL].to_dict("records"):
        colour, dashes = looks[row["model"]]
        if row["model"] in FLOORS:
            axes.axhline(row["accuracy"], color=colour, ls=dashes, lw=1)
            continue
        ends = (np.array([row[f"accuracy{end}"]]) for end in ("", "_low95", "_high95"))
        axes.errorbar([row["n_weights"]], [row["accuracy"]], style.bar_lengths(*ends),
                      color=colour, marker="o", ms=4, elinewidth=0.8)  # fmt: skip
        axes.annotate(f"{row['images_per_s']:.0f}/s", (row["n_weights"], row["accuracy"]),
                      xytext=(4, 4), textcoords="offset points",
                      fontsize=style.SMALL_PT)  # fmt: skip
    axes.set(xscale="log", xlabel="number of weights", ylabel="accuracy",
             title="Beside: images a second")  # fmt: skip
    axes.margins(x=0.25)
