"""Unusual galaxies: how well oddities are found, examples of them, and the list of a run."""

from collections.abc import Sequence

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from galaxy_lvm.report import style
from galaxy_lvm.report.class_looks import class_texts, drawn
from galaxy_lvm.report.mosaic import draw_mosaic

METHOD_NAMES = {
    "isolation_forest": "isolation forest",
    "knn": "k-NN distance",
    "knn_whitened": "k-NN, whitened",
    "mahalanobis_fine": "Mahalanobis, finest maps",
    "pixel_residual": "pixels (baseline)",
}
_METHOD_COLOURS = {
    "isolation_forest": style.COLOURS["blue"],
    "knn": style.COLOURS["orange"],
    "knn_whitened": style.COLOURS["green"],
    "mahalanobis_fine": style.COLOURS["red"],
    "pixel_residual": style.COLOURS["grey"],
}
_TASKS = {"injected oddities": "Oddities put into test galaxies", "rare kinds": "Rare kinds"}


def kind_name(kind: str) -> str:
    """Return a readable name of a kind of oddity."""
    return kind.replace("_", " ")


def draw_outliers(table: pd.DataFrame) -> Figure:
    """Return recall at one per cent of the list (left) and the area under the ROC (right).

    Parameters
    ----------
    table
        Of `outliers_table`.
    """
    groups = table.drop_duplicates(["task", "kind"])[["task", "kind"]]
    kinds = [(row.task, row.kind) for row in groups.itertuples()]
    fig, axes = style.figure(
        style.PAGE_WIDTH_INCH, 0.9 + 0.34 * max(4, len(kinds)), ncols=2, sharey=True
    )
    recall = min(
        (name for name in table if name.startswith("recall_at_") and name.endswith("pct")),
        key=lambda name: float(name.removeprefix("recall_at_").removesuffix("pct")),
    )
    share = float(recall.removeprefix("recall_at_").removesuffix("pct"))
    _draw_bars(axes[0], table, kinds, recall)
    _draw_bars(axes[1], table, kinds, "auc")
    axes[0].axvline(share / 100, color=style.COLOURS["black"], lw=0.8, ls=":")
    axes[1].axvline(0.5, color=style.COLOURS["black"], lw=0.8, ls=":")
    axes[0].set(xlabel=f"recall in the first {share:g} % of the list", xlim=(0, 1))
    axes[1].set(xlabel="area under the ROC curve", xlim=(0, 1))
    names = [kind_name(kind) + (" (rare)" if task == "rare kinds" else "") for task, kind in kinds]
    axes[0].set_yticks(np.arange(len(kinds)), list(map(drawn, names)))
    axes[0].invert_yaxis()
    handles, labels = axes[1].get_legend_handles_labels()
    fig.legend(handles, labels, loc="outside lower center", ncols=4)
    return fig


def _draw_bars(axes: Axes, table: pd.DataFrame, kinds: list[tuple[str, str]], score: str) -> None:
    methods = [name for name in METHOD_NAMES if name in set(table["method"])]
    height = 0.8 / max(1, len(methods))
    for number, method in enumerate(methods):
        chosen = table[table["method"] == method].set_index(["task", "kind"])
        chosen = chosen.reindex(pd.MultiIndex.from_tuples(kinds, names=["task", "kind"]))
        value = chosen[score].to_numpy()
        ends = chosen[[f"{score}_low95", f"{score}_high95"]].to_numpy().T
        place = np.arange(len(kinds)) + (number - (len(methods) - 1) / 2) * height
        axes.barh(
            place, value, height, xerr=np.abs(ends - value), color=_METHOD_COLOURS[method],
            label=METHOD_NAMES[method], error_kw={"elinewidth": 0.6, "capsize": 1.2},
        )  # fmt: skip
    axes.grid(axis="y", visible=False)


def draw_oddities(
    rows: Sequence[Sequence[np.ndarray]],
    places: Sequence[Sequence[str]],
    names: Sequence[str],
) -> Figure:
    """Return examples of oddities, one kind a row.

    Parameters
    ----------
    rows
        uint8 images of every kind.
    places
        A note for each image.
    names
        Kinds.
    """
    n_columns = max(len(row) for row in rows)
    images, notes = [], []
    for row, texts in zip(rows, places, strict=True):
        empty = n_columns - len(row)
        images += [*row, *[None] * empty]
        notes += [*texts, *[""] * empty]
    readable = [kind_name(name) for name in names]
    return draw_mosaic(images, n_columns, notes, row_names=readable)


def draw_unusual(images: Sequence[np.ndarray], table: pd.DataFrame, n_columns: int = 8) -> Figure:
    """Return the most unusual galaxies, the most unusual first.

    Parameters
    ----------
    images
        uint8 crops.
    table
        `place`, `id`, `label` of each.
    n_columns
        Images in a row.
    """
    labels = table["label"].fillna("")
    texts = class_texts(labels) | {"": ""}
    notes = [texts[label] for label in labels]
    titles = [f"{place}  {name}" for place, name in zip(table["place"], table["id"], strict=True)]
    return draw_mosaic(images, n_columns, notes, titles)
