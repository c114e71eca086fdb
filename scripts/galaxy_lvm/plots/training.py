"""How training went: shares, lags, scores, objectives, confusion and calibration."""

from collections.abc import Mapping

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from galaxy_lvm.evaluation.metrics import confusion_counts
from galaxy_lvm.plots import style
from galaxy_lvm.plots.labels import STRATEGY_NAMES, TASK_COLOURS, TASK_NAMES, variant_label

N_BINS = 8


def draw_multitask_training(histories: Mapping[str, pd.DataFrame]) -> Figure:
    """Return shares (top), lags (middle) and validation F1 (bottom), one column a strategy.

    Parameters
    ----------
    histories
        Validation record of every strategy: `step`, `f1`, `share_<task>`, `lag_<task>`.
    """
    fig, axes = style.figure(
        style.PAGE_WIDTH_INCH, 5.0, nrows=3, ncols=len(histories), sharex=True, sharey="row",
        squeeze=False,
    )  # fmt: skip
    for column, (strategy, table) in zip(axes.T, histories.items(), strict=True):
        shares = [table[f"share_{task}"] for task in TASK_NAMES]
        column[0].stackplot(
            table["step"], shares, colors=list(TASK_COLOURS.values()), labels=TASK_NAMES.values()
        )
        column[0].set_title(STRATEGY_NAMES.get(strategy, strategy))
        column[0].set_ylim(0, 1)
        for task, colour in TASK_COLOURS.items():
            column[1].plot(table["step"], table[f"lag_{task}"], color=colour, marker="o")
        column[1].set_ylim(0, 1.02)
        column[2].plot(table["step"], table["f1"], marker="o", color=style.COLOURS["blue"])
        column[2].set_xlabel("Step")
    axes[0, 0].set_ylabel("Share of the next steps")
    axes[1, 0].set_ylabel("Lag (1: nothing gained)")
    axes[2, 0].set_ylabel("Macro F1, validation")
    fig.legend(*axes[0, 0].get_legend_handles_labels(), loc="outside lower center", ncols=3)
    return fig


def draw_objectives(
    scores: pd.DataFrame, losses: Mapping[str, pd.DataFrame], in_use: str
) -> Figure:
    """Return the macro F1 of frozen features by objective, and the losses while pretraining.

    Parameters
    ----------
    scores
        One row a variant (index) with `f1`, `f1_low95`, `f1_high95`.
    losses
        Loss per step of every variant.
    in_use
        Variant that the run's tasks start from; drawn in another colour.
    """
    fig, (bars, curves) = style.figure(style.PAGE_WIDTH_INCH, 2.6, ncols=2)
    scores = scores.sort_values("f1")
    names = [variant_label(name) + (" (in use)" * (name == in_use)) for name in scores.index]
    colours = [style.COLOURS["red" if name == in_use else "blue"] for name in scores.index]
    errors = [scores["f1"] - scores["f1_low95"], scores["f1_high95"] - scores["f1"]]
    bars.barh(names, scores["f1"], xerr=errors, color=colours, error_kw={"elinewidth": 0.8})
    bars.set_xlabel("Macro F1 of frozen features, test (95 % interval)")
    for name, table in losses.items():
        smooth = table["loss"].ewm(span=max(1, len(table) // 20)).mean()
        curves.plot(table["step"], smooth / smooth.iloc[0], label=variant_label(name))
    curves.set_xlabel("Step")
    curves.set_ylabel("Loss over first loss")
    curves.set_yscale("log")
    curves.legend()
    return fig


def draw_classification(predictions: pd.DataFrame, class_names: list[str]) -> Figure:
    """Return a confusion matrix and a reliability curve for every strategy.

    Parameters
    ----------
    predictions
        `p_<class>` for every class, `label` (class number) and `model`.
    class_names
        Names in the order of the class numbers.
    """
    models = list(dict.fromkeys(predictions["model"]))
    fig, axes = style.figure(style.PAGE_WIDTH_INCH, 4.6, nrows=2, ncols=len(models), squeeze=False)
    for column, model in zip(axes.T, models, strict=True):
        table = predictions[predictions["model"] == model]
        shares = table[[f"p_{name}" for name in class_names]].to_numpy()
        labels = table["label"].to_numpy()
        _confusion(column[0], labels, shares.argmax(axis=1), class_names)
        column[0].set_title(STRATEGY_NAMES.get(model, model))
        _reliability(column[1], labels, shares)
    axes[0, 0].set_ylabel("True class")
    axes[1, 0].set_ylabel("Share that is right")
    return fig


def _confusion(axes: Axes, labels: np.ndarray, predicted: np.ndarray, names: list[str]) -> None:
    counts = confusion_counts(labels, predicted, len(names))
    shares = counts / np.maximum(counts.sum(axis=1, keepdims=True), 1)
    axes.imshow(shares, vmin=0, vmax=1, cmap="cividis")
    for (row, column), count in np.ndenumerate(counts):
        dark = shares[row, column] < 0.6
        axes.text(column, row, int(count), ha="center", va="center", fontsize=7,
                  color="white" if dark else "black")  # fmt: skip
    shown = [style.CLASS_NAMES.get(name, name) for name in names]
    axes.set_xticks(range(len(names)), shown, rotation=45, ha="right")
    axes.set_yticks(range(len(names)), shown)
    axes.grid(False)
    axes.set_xlabel("Predicted class")


def _reliability(axes: Axes, labels: np.ndarray, shares: np.ndarray) -> None:
    confidence, right = shares.max(axis=1), shares.argmax(axis=1) == labels
    edges = np.linspace(0, 1, N_BINS + 1)
    place = np.clip(np.digitize(confidence, edges) - 1, 0, N_BINS - 1)
    filled = [b for b in range(N_BINS) if (place == b).any()]
    x = [confidence[place == b].mean() for b in filled]
    y = [right[place == b].mean() for b in filled]
    gap = sum((place == b).mean() * abs(v - u) for b, u, v in zip(filled, x, y, strict=True))
    axes.plot([0, 1], [0, 1], color=style.COLOURS["grey"], linewidth=0.8, linestyle="--")
    axes.plot(x, y, marker="o")
    axes.set_xlim(0, 1)
    axes.set_ylim(0, 1)
    axes.set_xlabel("Probability of the predicted class")
    axes.text(0.05, 0.9, f"calibration error {gap:.2f}", transform=axes.transAxes, fontsize=7)
