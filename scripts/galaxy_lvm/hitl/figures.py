"""Figures of the human in the loop: figure 7, figure 10, searches, and the sweep over alpha."""

from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from galaxy_lvm.core.errors import DataError
from galaxy_lvm.hitl.measures import CHANCE, COMPARISON_METRICS
from galaxy_lvm.hitl.tables import (
    METRIC_NAMES,
    RULE_NAMES,
    condition_numbers,
    model_name,
    split_round,
)
from galaxy_lvm.report import style
from galaxy_lvm.report.class_looks import class_texts, drawn
from galaxy_lvm.report.results import summarise
from galaxy_lvm.survey.contact_sheet import image_grid

TARGET_NAMES = {
    "face_on_spiral": "Face-on spirals",
    "barred": "Barred galaxies",
    "lens": "Strong lenses",
    "merger": "Mergers",
}
_LONGEST_TARGET = 18
# A panel's width where many targets do not fit on a page.
_SEARCH_WIDTH_INCH = 1.2
_TRUE, _FALSE = style.COLOURS["green"], style.COLOURS["red"]
_MODEL_COLOURS = {
    "resnet18": style.COLOURS["grey"],
    "lvm": style.COLOURS["blue"],
    "lvm_hitl": style.COLOURS["red"],
}
_RULE_LOOKS = {
    "alpha": (style.COLOURS["red"], "-", "D"),
    "top_score": (style.COLOURS["blue"], "-", "s"),
    "uncertainty": (style.COLOURS["green"], "--", "^"),
    "random": (style.COLOURS["grey"], ":", "o"),
    "k_centre": (style.COLOURS["purple"], "-.", "v"),
    "mix": (style.COLOURS["orange"], "--", "P"),
}
_SEARCH_ROWS = {
    "asked_precision": "Positives among\nthose asked about",
    "found": "Share of all\npositives found",
    "aupr": "AUPR of the rest",
}
_LOWER_NAMES = {"below_boundary": "just below 0.5", "lowest": "lowest of all"}


def target_names(targets: Sequence[str]) -> dict[str, str]:
    """Return readable names of targets, safe to draw, all different."""
    texts = class_texts(targets, TARGET_NAMES, longest=_LONGEST_TARGET)
    return {name: drawn(text) for name, text in texts.items()}


def draw_targets(
    shown: pd.DataFrame, images: Mapping[str, np.ndarray], targets: Sequence[str]
) -> Figure:
    """Return figure 7: prompts on the left, recommended galaxies on the right, one target a row.

    Parameters
    ----------
    shown
        Rows of `simulate.recommend` with `target` and `n_rounds`.
    images
        Id -> uint8 (H, W, 3).
    targets
        Targets in the order of the rows; those without a galaxy are left out.

    Raises
    ------
    DataError
        If no target has a galaxy.
    """
    kinds = {k: part for k, part in shown.groupby("kind", sort=False)}
    n_prompts = int(kinds["prompt"].groupby("target").size().max()) if "prompt" in kinds else 0
    n_right = int(kinds["recommended"].groupby("target").size().max()) if len(kinds) > 1 else 0
    present = [name for name in targets if name in set(shown["target"])]
    if not present:
        raise DataError("no target with galaxies to show")
    frames: list[np.ndarray | None] = []
    titles, colours, names = [], [], []
    readable = class_texts(present, TARGET_NAMES)  # the grid makes them safe to draw
    for target in present:
        part = shown[shown["target"] == target]
        n_rounds = int(part["n_rounds"].iloc[0])
        word = "round" if n_rounds == 1 else "rounds"
        names.append(f"{readable[target]}\n{n_rounds} {word}")
        for kind, width in (("prompt", n_prompts), ("recommended", n_right)):
            rows = part[part["kind"] == kind].to_dict("records")
            empty = width - len(rows)
            frames += [images[row["id"]] for row in rows] + [None] * empty
            prompt = kind == "prompt"
            titles += ["" if prompt else f"{row['score']:.2f}" for row in rows] + [""] * empty
            colours += [_frame(row, prompt) for row in rows] + [None] * empty
            if prompt:
                frames, titles, colours = [*frames, None], [*titles, ""], [*colours, None]
    n_columns = n_prompts + 1 + n_right
    fig = image_grid(frames, n_columns, titles=titles, row_names=names, frame_colours=colours)
    _head_sides(fig, n_prompts, n_right)
    return fig


def _frame(row: Mapping[str, object], prompt: bool) -> str | None:
    if prompt:
        return None
    return _TRUE if row["is_positive"] else _FALSE


def _head_sides(fig: Figure, n_prompts: int, n_right: int) -> None:
    """Head the two sides; the empty column between them separates them."""
    heads = {0: "Prompts"}
    if n_right:
        heads[n_prompts + 1] = "Recommended (frames: green is right, orange is wrong)"
    for axes in fig.axes:
        axes.yaxis.label.set(rotation=0, ha="right", va="center")
    fig.draw_without_rendering()  # the layout is only known afterwards
    for place, text in heads.items():
        corner = fig.axes[place].get_position()
        # Not a title of the image, whose column would grow for it.
        fig.text(corner.x0, corner.y1 + 0.01, text, weight="bold", va="bottom")


def draw_comparison(table: pd.DataFrame, target: str, asked: str) -> Figure:
    """Return figure 10: every model and training set, one panel per metric.

    Parameters
    ----------
    table
        Of `comparison_table`.
    target
        What the positives are.
    asked
        Of `asked_galaxies`.
    """
    chance = table[table["model"] == CHANCE]
    table = table[table["model"] != CHANCE]
    places = np.arange(len(table))[::-1]
    height = 0.75 + 0.21 * len(table)
    fig, axes = style.figure(
        style.PAGE_WIDTH_INCH, height, ncols=len(COMPARISON_METRICS), sharey=True
    )
    colours = [_MODEL_COLOURS.get(m, style.COLOURS["sky"]) for m in table["model"]]
    for axis, metric in zip(axes, COMPARISON_METRICS, strict=True):
        errors = style.bar_lengths(
            table[metric], table[f"{metric}_low95"], table[f"{metric}_high95"]
        )
        for row, (place, colour) in enumerate(zip(places, colours, strict=True)):
            axis.errorbar(
                table[metric].iloc[row], place, xerr=errors[:, row : row + 1],
                color=colour, marker="o", elinewidth=0.9,
            )  # fmt: skip
        axis.scatter(
            table[f"{metric}_paper"], places, marker="D", s=18, facecolor="none",
            edgecolor=style.COLOURS["black"], linewidth=0.8, zorder=3,
        )  # fmt: skip
        for value in chance[metric].dropna():
            axis.axvline(value, color=style.COLOURS["black"], linestyle=":", linewidth=0.8)
        axis.set_title(METRIC_NAMES[metric])
        axis.set_xlim(0, 1)
        axis.set_xticks([0, 0.5, 1], ["0", "0.5", "1"])
    names = [f"{model_name(r.model)}, {training_text(r.condition)}" for r in table.itertuples()]
    axes[0].set_yticks(places, names)
    axes[0].set_ylim(-0.7, len(table) - 0.3)
    text = f"{target_names([target])[target]} against the rest, {asked}"
    text += "; diamonds: the paper" * bool(table["aupr_paper"].notna().any())
    text += "; dotted: chance" * bool(len(chance))
    fig.supxlabel(text, fontsize=8)
    return fig


def training_text(condition: str) -> str:
    """Return what a training set of figure 10 consists of."""
    numbers = condition_numbers(condition)
    if "train" in numbers:
        return f"{numbers['train']} labels"
    return f"{numbers['initial']} + {numbers['rounds'] * numbers['recommended']} labels"


def draw_searches(
    results: pd.DataFrame,
    targets: Sequence[str],
    pools: Mapping[str, tuple[int, int]] | None = None,
) -> Figure:
    """Return how searches went by rule: one column per target, the mean over seeds.

    Parameters
    ----------
    results
        Long table with experiment `discovery`.
    targets
        Order of the columns; those without a result are left out.
    pools
        Target -> how many positives and galaxies its pool has, for the heads of the columns.
    """
    table = split_round(results).query("annotator == 'perfect'")
    present = [name for name in targets if name in set(table["task"])]
    fig, axes = style.figure(
        max(style.PAGE_WIDTH_INCH, _SEARCH_WIDTH_INCH * len(present)),
        1.6 * len(_SEARCH_ROWS) + 0.4, nrows=len(_SEARCH_ROWS),
        ncols=len(present), sharex=True, squeeze=False,
    )  # fmt: skip
    names = target_names(present)
    for column, target in zip(axes.T, present, strict=True):
        title = names[target]
        if pools is not None:
            n_positive, n_pool = pools[target]
            title += f"\n{n_positive:,} of {n_pool:,}"
        column[0].set_title(title, weight="bold")
        for rule, part in table[table["task"] == target].groupby("model", sort=False):
            _draw_search(column, part, rule)
        for axis in column:
            axis.set_ylim(bottom=0)
        column[-1].set_xlabel("Labels given")
    for axis, name in zip(axes[:, 0], _SEARCH_ROWS.values(), strict=True):
        axis.set_ylabel(name)
    handles = axes[0, 0].get_legend_handles_labels()
    fig.legend(*handles, loc="outside lower center", ncols=3)
    return fig


def _draw_search(column: np.ndarray, part: pd.DataFrame, rule: str) -> None:
    colour, line, marker = _RULE_LOOKS.get(rule, (style.COLOURS["black"], "-", "o"))
    wide = part.pivot_table(index=["round", "seed"], columns="metric", values="value")
    means = wide.groupby("round").mean()
    scatter = wide.groupby("round").sem()
    for axis, metric in zip(column, _SEARCH_ROWS, strict=True):
        if metric not in means:
            continue
        x, y, half = means["n_labels"], means[metric], scatter[metric].fillna(0)
        axis.plot(x, y, color=colour, linestyle=line, marker=marker, markersize=2.5,
                  label=RULE_NAMES.get(rule, rule))  # fmt: skip
        if rule in ("alpha", "random"):  # bands of all rules would hide each other
            axis.fill_between(x, y - half, y + half, color=colour, alpha=0.15, linewidth=0)


def draw_alpha(results: pd.DataFrame, asked: str) -> Figure:
    """Return what alpha does to precision, recall, AUC and AUPR, by reading of "lower scores".

    Parameters
    ----------
    results
        Long table with experiment `alpha`.
    asked
        Of `asked_galaxies`.
    """
    summary = summarise(results[results["experiment"] == "alpha"])
    panels = {
        "purity": "Precision", "completeness": "Recall", "auc": "AUC", "aupr": "AUPR",
        "higher_share": "Rounds that ask\nabout higher scores",
        "positive_share": "Positives among\nthe labels",
    }  # fmt: skip
    fig, axes = style.figure(style.PAGE_WIDTH_INCH, 3.6, nrows=2, ncols=3, sharex=True)
    looks = zip(sorted(summary["model"].unique()), style.SEQUENCE, ("o", "s"), strict=False)
    for number, (lower, colour, marker) in enumerate(looks):
        aside = 0.015 * number  # where both readings asked for the same galaxies
        for axis, metric in zip(axes.ravel(), panels, strict=True):
            part = summary[(summary["model"] == lower) & (summary["metric"] == metric)]
            alpha = part["condition"].str.removeprefix("alpha=").astype(float)
            size = style.bar_lengths(part["mean"], part["low95"], part["high95"])
            axis.errorbar(alpha + aside, part["mean"], yerr=size, color=colour, marker=marker,
                          elinewidth=0.8, label=_LOWER_NAMES.get(lower, lower))  # fmt: skip
    for axis, name in zip(axes.ravel(), panels.values(), strict=True):
        _alpha_axis(axis, name)
    for axis in axes[-1]:
        axis.set_xlabel("alpha")
    handles = axes[0, 0].get_legend_handles_labels()
    fig.legend(
        *handles, loc="outside lower center", ncols=2, title=f"{asked}; lower scores are those"
    )
    return fig


def _alpha_axis(axis: Axes, name: str) -> None:
    axis.set_ylabel(name)
    values = (0.1, 0.5, 0.9)  # where the paper says what alpha does
    axis.set_xticks(values)
    for value in values:
        axis.axvline(value, color=style.COLOURS["grey"], linewidth=0.6, linestyle=":", zorder=0)
