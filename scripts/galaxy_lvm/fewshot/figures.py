"""Figure 5 and its companions: scores by number of labels, confusion, calibration."""

import textwrap
from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from galaxy_lvm.fewshot.scores import METRIC_NAMES, METRICS
from galaxy_lvm.multitask.reliability import calibration_error, reliability
from galaxy_lvm.report import style
from galaxy_lvm.report.class_looks import class_texts, drawn, matrix_columns
from galaxy_lvm.report.metrics import confusion_counts

# More classes than this have their names upright, so that they do not run into each other.
_SLANTED = 6
_COLUMNS = 5
# A cell that two digits fill without running into the next one's.
_CELL_PT = 11.0
_DODGE = 0.05
_LINES = ("-", "--", ":")
_MARKERS = ("o", "s", "D", "^", "v", "P", "X")


def look_of(number: int) -> dict[str, object]:
    """Return colour, marker and line of the model at a position; unlike for the first 21."""
    n = len(style.SEQUENCE)
    return {
        "color": style.SEQUENCE[number % n],
        "marker": _MARKERS[number % len(_MARKERS)],
        "linestyle": _LINES[number // n % len(_LINES)],
    }


def draw_few_shot(
    table: pd.DataFrame, names: Mapping[str, str], notes: Sequence[str] = (), chance: float = 0.0
) -> Figure:
    """Return accuracy, macro F1 and AUC against training galaxies per class (paper, figure 5).

    Parameters
    ----------
    table
        From `few_shot_table`: means and 95 % intervals over seeds.
    names
        Model -> name to show, in the order of the legend.
    notes
        Lines to write below, for instance which sizes were left out and why.
    chance
        Accuracy of always naming the commonest class; drawn as a line where it is above 0.
    """
    fig, axes = style.figure(
        style.PAGE_WIDTH_INCH, 3.3 + 0.12 * len(notes), ncols=3, width_ratios=(1.5, 1, 1)
    )
    sizes = sorted(set(table["n_per_class"]))
    for number, (model, name) in enumerate(names.items()):
        rows = table[table["model"] == model].sort_values("n_per_class")
        shift = np.exp(_DODGE * (number - (len(names) - 1) / 2))  # bars beside, not on each other
        for panel, metric in zip(axes, METRICS, strict=True):
            _draw_curve(panel, rows, metric, shift, name, number)
    if chance > 0:
        axes[0].axhline(chance, color=style.COLOURS["grey"], linewidth=0.8, linestyle=":")
        axes[0].text(sizes[0], chance, "commonest class", fontsize=style.SMALL_PT, va="bottom",
                     color=style.COLOURS["grey"])  # fmt: skip
    for panel, metric in zip(axes, METRICS, strict=True):
        panel.set_xscale("log")
        panel.set_xticks(sizes, [str(size) for size in sizes])
        panel.minorticks_off()
        panel.set_xlabel("Training galaxies per class")
        panel.set_ylabel("AUC" if metric == "auc" else METRIC_NAMES[metric])
        low = table[metric].min()
        if metric == "accuracy" and chance > 0:
            low = min(low, chance)
        panel.set_ylim(max(0, low - 0.1), min(1.02, table[metric].max() + 0.1))
    legend = fig.legend(
        *axes[0].get_legend_handles_labels(), loc="outside lower center", ncols=3,
        title="\n".join(notes) or None, title_fontsize=style.SMALL_PT,
    )  # fmt: skip
    legend.get_title().set_color(style.COLOURS["grey"])
    return fig


def _draw_curve(
    axes: Axes, rows: pd.DataFrame, metric: str, shift: float, name: str, number: int
) -> None:
    mean = rows[metric]
    errors = style.bar_lengths(mean, rows[f"{metric}_low95"], rows[f"{metric}_high95"])
    axes.errorbar(
        rows["n_per_class"] * shift, mean, yerr=errors, elinewidth=0.7, capsize=1.5, label=name,
        **look_of(number),
    )  # fmt: skip


def draw_confusions(
    predictions: pd.DataFrame, names: Mapping[str, str], class_names: Sequence[str]
) -> Figure:
    """Return confusion matrices of every model for its smallest and largest training set.

    Parameters
    ----------
    predictions
        `p_<class>` for every class, `label` (class number), `model`, `n_per_class`, `seed`. Shares
        of a true class are means over seeds.
    names
        Model -> name to show.
    class_names
        Names in the order of the class numbers.
    """
    sizes = _ends(predictions)
    columns = matrix_columns(len(class_names), len(names), _COLUMNS, _CELL_PT)
    n_blocks = -(-len(names) // columns)
    side = style.PAGE_WIDTH_INCH / columns
    upright = 0.7 if len(class_names) > _SLANTED else 0.0
    fig, axes = style.figure(
        style.PAGE_WIDTH_INCH, ((0.95 * side + 0.15) * len(sizes) + upright) * n_blocks + 0.5,
        nrows=n_blocks * len(sizes), ncols=columns, squeeze=False,
    )  # fmt: skip
    for axis in axes.ravel():
        axis.set_visible(False)
    for number, (model, name) in enumerate(names.items()):
        block, column = divmod(number, columns)
        for row, size in enumerate(sizes):
            axis = axes[block * len(sizes) + row, column]
            axis.set_visible(True)
            chosen = predictions[
                (predictions["model"] == model) & (predictions["n_per_class"] == size)
            ]
            _confusion(axis, chosen, class_names)
            above = f"{_title(name)}\n" if row == 0 else ""
            axis.set_title(f"{above}{size} per class", size=style.SMALL_PT)
            if column == 0:
                axis.set_ylabel("True class")
            else:
                axis.set_yticklabels([])
            if row + 1 == len(sizes):
                axis.set_xlabel("Predicted class")
            else:
                axis.set_xticklabels([])
    return fig


def _title(name: str) -> str:
    """Return a model's name in lines no wider than one of five columns."""
    return "\n".join(textwrap.wrap(name, 20))


def _confusion(axes: Axes, predictions: pd.DataFrame, class_names: Sequence[str]) -> None:
    shares = predictions[[f"p_{name}" for name in class_names]].to_numpy()
    counts = confusion_counts(
        predictions["label"].to_numpy(), shares.argmax(axis=1), len(class_names)
    )
    percent = 100 * counts / np.maximum(counts.sum(axis=1, keepdims=True), 1)
    axes.imshow(percent, vmin=0, vmax=100, cmap="Blues", aspect="equal")
    for (row, column), value in np.ndenumerate(percent):
        axes.text(column, row, f"{value:.0f}", ha="center", va="center", fontsize=style.SMALL_PT,
                  color="white" if value > 55 else "black")  # fmt: skip
    shown = [drawn(text) for text in class_texts(class_names, longest=16).values()]
    look = {"rotation": 40 if len(shown) <= _SLANTED else 90, "ha": "right"}
    axes.set_xticks(
        range(len(shown)), shown, fontsize=style.SMALL_PT, rotation_mode="anchor", **look
    )
    axes.set_yticks(range(len(shown)), shown, fontsize=style.SMALL_PT)
    axes.grid(False)
    axes.spines[:].set_visible(False)
    axes.tick_params(length=0)


def draw_reliability(
    predictions: pd.DataFrame, names: Mapping[str, str], class_names: Sequence[str]
) -> Figure:
    """Return how often predictions of a given confidence are right, smallest and largest set.

    Parameters are those of `draw_confusions`; predictions of all seeds are taken together.
    """
    sizes = _ends(predictions)
    columns = min(_COLUMNS, len(names))
    n_rows = -(-len(names) // columns)
    fig, axes = style.figure(
        style.PAGE_WIDTH_INCH, 1.75 * n_rows + 0.35, nrows=n_rows, ncols=columns, squeeze=False,
        sharex=True, sharey=True,
    )  # fmt: skip
    for axis in axes.ravel()[len(names) :]:
        axis.set_visible(False)
    columns_p = [f"p_{name}" for name in class_names]
    for axis, (model, name) in zip(axes.ravel(), names.items(), strict=False):
        axis.plot([0, 1], [0, 1], color=style.COLOURS["grey"], linewidth=0.8, linestyle="--")
        for number, size in enumerate(sizes):
            chosen = predictions[
                (predictions["model"] == model) & (predictions["n_per_class"] == size)
            ]
            table = reliability(chosen["label"].to_numpy(), chosen[columns_p].to_numpy())
            axis.plot(table["confidence"], table["right"], **look_of(number),
                      label=f"{size} per class")  # fmt: skip
            axis.text(0.97, 0.05 + 0.1 * (len(sizes) - 1 - number),
                      f"error {calibration_error(table):.2f}", fontsize=style.SMALL_PT, ha="right",
                      transform=axis.transAxes, color=look_of(number)["color"])  # fmt: skip
        axis.set(title=_title(name), xlim=(0, 1), ylim=(0, 1.02))
        axis.title.set_size(style.SMALL_PT)
    fig.supxlabel("Probability of the predicted class", size=8)
    fig.supylabel("Share that is right", size=8)
    fig.legend(*axes[0, 0].get_legend_handles_labels(), loc="outside upper right", ncols=2)
    return fig


def _ends(predictions: pd.DataFrame) -> list[int]:
    sizes = sorted(set(predictions["n_per_class"]))
    return sorted({sizes[0], sizes[-1]})
