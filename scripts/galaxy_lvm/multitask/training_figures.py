"""How training went: shares, lags, scores, objectives, confusion and calibration."""

from collections.abc import Mapping

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import LogLocator, NullLocator

from galaxy_lvm.multitask.reliability import calibration_error, reliability
from galaxy_lvm.report import style
from galaxy_lvm.report.class_looks import class_texts, drawn, matrix_columns
from galaxy_lvm.report.labels import (
    OBJECTIVE_NAMES,
    STRATEGY_NAMES,
    TASK_COLOURS,
    TASK_HATCHES,
    TASK_NAMES,
    variant_label,
)
from galaxy_lvm.report.metrics import confusion_counts

# More classes than this have their names upright, so that they do not run into each other.
_SLANTED = 6
# Up to so many classes a cell of four matrices has room for "100 %", for the number of galaxies
# below the share, and for the share.
_SIGNS_FIT, _COUNTS_FIT, _SHARES_FIT = 4, 5, 10
_STRATEGY_LINES = {
    "pre_train": (style.COLOURS["grey"], "o"),
    "multi_uniform": (style.COLOURS["sky"], "s"),
    "multi_active": (style.COLOURS["red"], "D"),
    "from_scratch": (style.COLOURS["purple"], "v"),
}
_LOSS_NAMES = {
    "reconstruct": "squared error",
    "masked": "squared error where hidden",
    "contrastive": "cross-entropy",
    "hybrid": "cross-entropy and squared error",
    "momentum": "cross-entropy",
    "byol": "squared distance",
    "vicreg": "three terms",
    "distilled": "squared error and cross-entropy",
}


def share_steps(history: pd.DataFrame) -> tuple[np.ndarray, np.ndarray]:
    """Return in which steps which shares were valid.

    Parameters
    ----------
    history
        Validation record: `step` and `share_<task>`, the shares that follow from it.

    Returns
    -------
    edges
        (n + 1,): first step of every interval, and the last step.
    shares
        (n, number of tasks): shares of the tasks in each interval; equal in the first one.
    """
    columns = [f"share_{task}" for task in TASK_NAMES]
    first = np.full((1, len(columns)), 1 / len(columns))
    if history.empty:
        return np.array([0, 1]), first
    shares = np.concatenate([first, history[columns].to_numpy()[:-1]])
    return np.concatenate([[0], history["step"].to_numpy()]), shares


def draw_multitask_training(histories: Mapping[str, pd.DataFrame]) -> Figure:
    """Return shares (top) and lags (middle) by strategy, and the strategies' scores (bottom).

    Parameters
    ----------
    histories
        Validation record of every strategy: `step`, `accuracy`, `f1`, `mse_<task>`,
        `mse_input_<task>`, `lag_<task>`, `share_<task>`.
    """
    n_columns = max(3, len(histories))
    fig, axes = style.figure(
        style.PAGE_WIDTH_INCH, 5.6, nrows=3, ncols=n_columns, sharex=True, squeeze=False
    )
    for column in range(n_columns):
        axes[0, column].set_visible(column < len(histories))
        axes[1, column].set_visible(column < len(histories))
        axes[2, column].set_visible(column < 3)
    for column, (strategy, history) in enumerate(histories.items()):
        axes[0, column].set_title(STRATEGY_NAMES.get(strategy, strategy), weight="bold")
        _draw_shares(axes[0, column], history)
        if not history.empty:
            _draw_lags(axes[1, column], history)
    for row, name in ((0, "Share of the steps"), (1, "Lag, validation split")):
        axes[row, 0].set_ylabel(name)
        for axis in axes[row, 1:]:
            axis.set_yticklabels([])
    middle = axes[1, len(histories) // 2]
    if middle.lines:
        keys = {"ncols": 3, "handlelength": 2.4}
        legend = middle.legend(loc="lower center", bbox_to_anchor=(0.5, 1), **keys)
        legend.set_in_layout(False)  # wider than its panel, which must not grow for it
    middle.set_title(" ")
    _draw_scores(axes[2], {name: table for name, table in histories.items() if len(table)})
    fig.legend(*axes[2, 1].get_legend_handles_labels(), loc="outside lower center", ncols=3)
    return fig


def _draw_shares(axes: Axes, history: pd.DataFrame) -> None:
    edges, shares = share_steps(history)
    bottom = np.zeros(len(shares))
    for number, task in enumerate(TASK_NAMES):
        axes.stairs(
            bottom + shares[:, number],
            edges,
            baseline=bottom,
            fill=True,
            facecolor=TASK_COLOURS[task],
            edgecolor="white",
            hatch=TASK_HATCHES[task],
            linewidth=0.6,
        )
        middle = bottom[-1] + shares[-1, number] / 2
        box = {"facecolor": "white", "edgecolor": "none", "pad": 0.8}
        axes.text(edges[-1] / 2, middle, TASK_NAMES[task], fontsize=style.SMALL_PT, ha="center",
                  va="center", bbox=box)  # fmt: skip
        bottom = bottom + shares[:, number]
    axes.set(ylim=(0, 1), xlim=(0, 1.03 * edges[-1]))
    axes.grid(False)


def _draw_lags(axes: Axes, history: pd.DataFrame) -> None:
    styles = zip(TASK_NAMES, ("-", "--", ":"), ("o", "s", "D"), strict=True)
    for task, line, marker in styles:
        axes.plot(history["step"], history[f"lag_{task}"], color=TASK_COLOURS[task],
                  linestyle=line, marker=marker, label=TASK_NAMES[task])  # fmt: skip
    axes.set_ylim(0, 1.05)


def _draw_scores(row: np.ndarray, histories: Mapping[str, pd.DataFrame]) -> None:
    """Draw what the strategies reached: accuracy and F1, then both image tasks."""
    image_tasks = [task for task in TASK_NAMES if task != "classification"]
    for strategy, history in histories.items():
        colour, marker = _STRATEGY_LINES.get(strategy, (style.COLOURS["black"], "o"))
        look = {"color": colour, "marker": marker}
        row[0].plot(history["step"], history["f1"], **look)
        row[0].plot(history["step"], history["accuracy"], linestyle="--", **look)
        for axes, task in zip(row[1:], image_tasks, strict=False):
            ratio = history[f"mse_{task}"] / history[f"mse_input_{task}"]
            axes.plot(history["step"], ratio, **look, label=STRATEGY_NAMES.get(strategy, strategy))
    row[0].set_ylabel("Macro F1 (solid),\naccuracy (dashed)")
    row[1].set_ylabel("MSE / MSE of the input")
    for axes, task in zip(row, ["classification", *image_tasks], strict=False):
        axes.set_title(TASK_NAMES[task])
        axes.set_xlabel("Step")
    for axes in row[1:]:
        axes.axhline(1, color=style.COLOURS["grey"], linewidth=0.8, linestyle=":")


def draw_objectives(
    scores: pd.DataFrame, losses: Mapping[str, pd.DataFrame], in_use: str
) -> Figure:
    """Return the macro F1 of frozen features by objective, and the losses while pretraining.

    Parameters
    ----------
    scores
        One row a variant (index) with `f1`, `f1_low95`, `f1_high95`.
    losses
        `step` and `loss` of every variant.
    in_use
        Variant that the run's tasks start from; it is marked.
    """
    objectives = [name for name in OBJECTIVE_NAMES if any(v.startswith(f"{name}_") for v in losses)]
    height = max(0.55 + 0.33 * len(scores), 0.55 + 0.85 * len(objectives))
    fig = style.plt.figure(figsize=(style.PAGE_WIDTH_INCH, height), layout="constrained")
    grid = fig.add_gridspec(max(1, len(objectives)), 2, width_ratios=(1.25, 1))
    _draw_bars(fig.add_subplot(grid[:, 0]), scores, in_use)
    below = None
    for row, objective in reversed(list(enumerate(objectives))):
        below = axes = fig.add_subplot(grid[row, 1], sharex=below)
        chosen = {v: h for v, h in losses.items() if v.startswith(f"{objective}_")}
        _draw_losses(axes, chosen, in_use, objective)
        if row + 1 < len(objectives):
            axes.tick_params(labelbottom=False)
        else:
            axes.set_xlabel("Pretraining step")
    return fig


def _draw_bars(axes: Axes, scores: pd.DataFrame, in_use: str) -> None:
    scores = scores.sort_values("f1")
    errors = np.stack([scores["f1"] - scores["f1_low95"], scores["f1_high95"] - scores["f1"]])
    used = scores.index == in_use
    colours = [
        style.COLOURS["red"] if mine
        else style.COLOURS["grey"] if name == "random" else style.COLOURS["blue"]
        for name, mine in zip(scores.index, used, strict=True)
    ]  # fmt: skip
    places = np.arange(len(scores))
    axes.barh(places, scores["f1"], xerr=np.maximum(errors, 0), color=colours, height=0.62,
              error_kw={"elinewidth": 0.9, "ecolor": style.COLOURS["black"]})  # fmt: skip
    names = [
        variant_label(name) + ("\n(in use)" if mine else "")
        for name, mine in zip(scores.index, used, strict=True)
    ]
    axes.set_yticks(places, names)
    for place, f1 in zip(places, scores["f1"], strict=True):
        axes.text(
            0.012,
            place,
            f"{f1:.3f}",
            va="center",
            color="white",
            weight="bold",
            size=style.SMALL_PT,
        )
    axes.grid(axis="y", visible=False)
    axes.set(xlabel="Macro F1 of frozen features, test split", xlim=(0, 1))


def _draw_losses(
    axes: Axes, losses: Mapping[str, pd.DataFrame], in_use: str, objective: str
) -> None:
    for variant, history in losses.items():
        colour = style.COLOURS["red" if variant == in_use else "blue"]
        window = max(1, len(history) // 25)
        smooth = history["loss"].rolling(window, min_periods=1, center=True).mean()
        axes.plot(history["step"], history["loss"], color=colour, linewidth=0.5, alpha=0.3)
        axes.plot(history["step"], smooth, color=colour,
                  linestyle="-" if variant.endswith("_skips") else "--",
                  label=variant_label(variant).split(", ")[1])  # fmt: skip
    if objective in ("reconstruct", "masked"):
        axes.set_yscale("log")
        axes.yaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
        axes.yaxis.set_minor_locator(NullLocator())
        axes.yaxis.set_major_formatter("{x:g}")
    axes.set_title(f"{OBJECTIVE_NAMES[objective]}: {_LOSS_NAMES[objective]}", loc="left", pad=3)
    axes.legend(loc="upper right", borderaxespad=0.2)


def draw_classification(predictions: pd.DataFrame, class_names: list[str]) -> Figure:
    """Return a confusion matrix and a reliability curve for every strategy.

    Parameters
    ----------
    predictions
        `p_<class>` for every class, `label` (class number) and `model`.
    class_names
        Names in the order of the class numbers.
    """
    models = [name for name in STRATEGY_NAMES if name in set(predictions["model"])]
    models += sorted(set(predictions["model"]) - set(models))
    n_columns = matrix_columns(len(class_names), len(models), len(models))
    fig, pairs = _pairs(len(models), n_columns)
    for axis in pairs[len(models) :].ravel():
        axis.set_visible(False)
    for column, model in zip(pairs, models, strict=False):
        table = predictions[predictions["model"] == model]
        shares = table[[f"p_{name}" for name in class_names]].to_numpy()
        labels = table["label"].to_numpy()
        _confusion(column[0], labels, shares.argmax(axis=1), class_names)
        column[0].set_title(STRATEGY_NAMES.get(model, model), weight="bold")
        plot_reliability(column[1], labels, shares)
    for number, (matrix, curve) in enumerate(pairs):
        if number % n_columns:
            matrix.set_yticklabels([])
        else:
            matrix.set_ylabel("True class")
            curve.set_ylabel("Share that is right")
    # One for all: four strategies leave no room for it below each.
    fig.supxlabel("Probability of the predicted class", size=8)
    return fig


def _pairs(n_models: int, n_columns: int) -> tuple[Figure, np.ndarray]:
    """Return a figure and its axes (places, 2): a matrix above a curve for every model."""
    n_blocks = -(-n_models // n_columns)
    # More classes need larger matrices, in as many pairs of rows as it takes.
    height = 4.75 if n_blocks == 1 else (style.PAGE_WIDTH_INCH / n_columns + 2.75) * n_blocks
    upper = 1.12 if n_blocks == 1 else height / n_blocks / 2.25 - 1
    fig, axes = style.figure(
        style.PAGE_WIDTH_INCH, height, nrows=2 * n_blocks, ncols=n_columns, squeeze=False,
        height_ratios=(upper, 1) * n_blocks,
    )  # fmt: skip
    return fig, axes.reshape(n_blocks, 2, n_columns).swapaxes(1, 2).reshape(-1, 2)


def _confusion(axes: Axes, labels: np.ndarray, predicted: np.ndarray, names: list[str]) -> None:
    counts = confusion_counts(labels, predicted, len(names))
    shares = counts / np.maximum(counts.sum(axis=1, keepdims=True), 1)
    axes.imshow(shares, vmin=0, vmax=1, cmap="Blues", aspect="equal")
    for (row, column), count in np.ndenumerate(counts):
        share = shares[row, column]
        axes.text(column, row, _cell_text(share, count, len(names)), ha="center", va="center",
                  fontsize=style.SMALL_PT, linespacing=1.0,
                  color="white" if share > 0.55 else "black")  # fmt: skip
    shown = [drawn(text) for text in class_texts(names, longest=16).values()]
    look = {"rotation": 35 if len(names) <= _SLANTED else 90, "fontsize": style.SMALL_PT}
    axes.set_xticks(range(len(names)), shown, ha="right", rotation_mode="anchor", **look)
    axes.set_yticks(range(len(names)), shown, fontsize=look["fontsize"])
    axes.grid(False)
    axes.spines[:].set_visible(False)
    axes.tick_params(length=0)
    axes.set_xlabel("Predicted class")


def _cell_text(share: float, count: int, n_classes: int) -> str:
    """Return what a cell of this many classes has room for, in the smallest type that is read."""
    if n_classes > _SHARES_FIT:
        return ""
    percent = f"{100 * share:.0f}"
    if n_classes <= _SIGNS_FIT:
        percent += " %"
    return f"{percent}\n{count}" if n_classes <= _COUNTS_FIT else percent


def plot_reliability(axes: Axes, labels: np.ndarray, shares: np.ndarray) -> None:
    """Draw a reliability curve with its calibration error; parameters as for `reliability`."""
    table = reliability(labels, shares)
    errors = np.stack([table["right"] - table["low95"], table["high95"] - table["right"]])
    axes.plot([0, 1], [0, 1], color=style.COLOURS["grey"], linewidth=0.8, linestyle="--")
    axes.errorbar(table["confidence"], table["right"], yerr=np.maximum(errors, 0), marker="o",
                  elinewidth=0.8)  # fmt: skip
    axes.set(xlim=(0, 1), ylim=(0, 1.02))
    text = f"calibration\nerror {calibration_error(table):.2f}"
    # The corner of small confidence and many right answers, where no curve comes.
    axes.text(0.04, 0.97, text, transform=axes.transAxes, fontsize=7, ha="left", va="top")
