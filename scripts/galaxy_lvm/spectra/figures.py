"""Stellar parameters: predicted against true, and the error by method."""

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from galaxy_lvm.report import style
from galaxy_lvm.spectra.labels import NAMES, UNITS
from galaxy_lvm.spectra.tables import MODEL_NAMES, digits

_COLUMNS = 3
_MOST_POINTS = 4000
# More names than these do not fit below a panel side by side.
_MOST_UPRIGHT = 4
_SHORT = {"mean": "mean", "ridge": "ridge", "neighbours": "neighbours", "quadratic": "quadratic",
          "transformer": "Transformer", "transformer_scratch": "from scratch"}  # fmt: skip
_COLOURS = dict(zip(MODEL_NAMES, [style.COLOURS["grey"], *style.SEQUENCE], strict=False))


def draw_parameters(table: pd.DataFrame, predictions: pd.DataFrame) -> Figure:
    """Return a panel per label, of the method listed last, and one with all errors.

    The errors have the rest of the last row.

    Parameters
    ----------
    table
        Of `parameters_table`.
    predictions
        Columns `PREDICTION_COLUMNS`.
    """
    labels = list(dict.fromkeys(table["label"]))
    shown = [name for name in MODEL_NAMES if name in set(table["model"])]
    best = "transformer" if "transformer" in shown else shown[-1]
    n_rows = -(-(len(labels) + 1) // _COLUMNS)
    fig, grid = style.figure(
        style.PAGE_WIDTH_INCH, 2.4 * n_rows, nrows=n_rows, ncols=_COLUMNS, squeeze=False
    )
    for label, axes in zip(labels, grid.ravel(), strict=False):
        chosen = predictions[(predictions["label"] == label) & (predictions["model"] == best)]
        row = table[(table["label"] == label) & (table["model"] == best)].iloc[0]
        _draw_label(axes, label, best, chosen, row)
    rest = list(grid.ravel()[len(labels) :])
    place = rest[0].get_subplotspec().get_gridspec()[-1, _COLUMNS - len(rest) :]
    for axes in rest:
        axes.remove()
    _draw_errors(fig.add_subplot(place), table, labels, shown)
    return fig


def _draw_label(axes: Axes, label: str, model: str, chosen: pd.DataFrame, row: pd.Series) -> None:
    true = chosen["true"].to_numpy()[:_MOST_POINTS]
    predicted = chosen["predicted"].to_numpy()[:_MOST_POINTS]
    axes.plot(true, predicted, "o", ms=1.2, alpha=0.4, color=style.COLOURS["blue"], mec="none",
              rasterized=True)  # fmt: skip
    low, high = np.percentile(np.concatenate([true, predicted]), (0.2, 99.8))
    pad = 0.03 * (high - low)
    axes.plot([low, high], [low, high], color=style.COLOURS["black"], lw=0.8)
    axes.set(xlim=(low - pad, high + pad), ylim=(low - pad, high + pad))
    unit, n = UNITS[label], digits(label)
    axes.set(title=f"{NAMES[label]} [{unit}]", xlabel="catalogue", ylabel=_SHORT[model])
    text = f"MAE {row['mae']:.{n}f} {unit}\nbias {row['bias']:+.{n}f} {unit}"
    if not np.isnan(row.get("coverage68", np.nan)):
        text += f"\nwithin 1 sigma {100 * row['coverage68']:.0f} %"
    axes.text(0.03, 0.97, text, transform=axes.transAxes, va="top", fontsize=style.SMALL_PT)


def _draw_errors(axes: Axes, table: pd.DataFrame, labels: list[str], models: list[str]) -> None:
    """Draw the errors in units of those of the floor `mean`."""
    models = [name for name in models if name != "mean"]
    width = 0.8 / len(models)
    unit = table[table["model"] == "mean"].set_index("label")["mae"].loc[labels].to_numpy()
    for number, name in enumerate(models):
        own = table[table["model"] == name].set_index("label").loc[labels]
        value = own["mae"].to_numpy() / unit
        ends = own[["mae_low95", "mae_high95"]].to_numpy().T / unit
        place = np.arange(len(labels)) + (number - (len(models) - 1) / 2) * width
        axes.bar(place, value, width, yerr=np.abs(ends - value), color=_COLOURS[name],
                 label=_SHORT[name], error_kw={"elinewidth": 0.7})  # fmt: skip
    axes.axhline(1, color=_COLOURS["mean"], lw=0.9, ls="--")
    turned = 90 if len(labels) > _MOST_UPRIGHT else 0
    names = [NAMES[name] for name in labels]
    axes.set_xticks(np.arange(len(labels)), names, rotation=turned)
    axes.set(title="Error over that of the mean", ylim=(0, 1.4))
    axes.grid(axis="x", visible=False)
    axes.legend(ncols=2, loc="upper left")
