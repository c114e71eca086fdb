"""What a catalogue's probabilities are worth, and its most and least certain galaxies."""

import os
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow.parquet as pq
from matplotlib.figure import Figure

from galaxy_lvm.core.table_stream import blocks_of, rows_at
from galaxy_lvm.multitask.disagreements import class_columns
from galaxy_lvm.multitask.training_figures import plot_reliability
from galaxy_lvm.report import style
from galaxy_lvm.report.class_looks import class_texts
from galaxy_lvm.report.mosaic import draw_mosaic

LEAST_CERTAIN = "Least certain"
MAX_CLASSES = 12
_TITLES = {"raw": "As the model gives them", "calibrated": "Calibrated on validation galaxies"}


def draw_calibration(predictions: pd.DataFrame) -> Figure:
    """Return reliability on test galaxies before and after calibration.

    Parameters
    ----------
    predictions
        `label` (class number), `probabilities` (raw or calibrated) and `p_<class>`.
    """
    fig, axes = style.figure(style.PAGE_WIDTH_INCH, 3.2, ncols=len(_TITLES), sharey=True)
    columns = [f"p_{name}" for name in class_columns(predictions)]
    for axis, (kind, title) in zip(axes, _TITLES.items(), strict=True):
        table = predictions[predictions["probabilities"] == kind]
        plot_reliability(axis, table["label"].to_numpy(), table[columns].to_numpy())
        axis.set_title(title)
    axes[0].set_ylabel("Share that is right")
    fig.supxlabel(f"Probability of the predicted class, {len(table)} test galaxies", size=8)
    return fig


@dataclass(frozen=True)
class Gallery:
    """Galaxies of a catalogue in rows: the most certain of each class, and the least certain."""

    names: list[str]
    """Of the rows: classes, the most frequent first, then `LEAST_CERTAIN`."""
    rows: list[np.ndarray]
    """Numbers of the galaxies in the catalogue, which are those of their crops."""


def choose_gallery(catalogue: str | os.PathLike, n_shown: int) -> Gallery:
    """Choose galaxies by the probability of their predicted class.

    Parameters
    ----------
    catalogue
        Parquet file.
    n_shown
        Galaxies of a row at most. Of more than `MAX_CLASSES` classes the most frequent are shown.
    """
    best: dict[str, tuple[np.ndarray, np.ndarray]] = {}
    counts, first, least = Counter(), 0, (np.empty(0), np.empty(0, np.int64))
    for table in blocks_of(pq.ParquetFile(catalogue), ["predicted", "probability"]):
        predicted = np.asarray(table["predicted"].to_pylist(), dtype=object)
        probability, rows = table["probability"].to_numpy(), first + np.arange(len(table))
        least = _first(*least, probability, rows, n_shown)
        for name in set(predicted):
            own = predicted == name
            counts[name] += int(own.sum())
            known = best.get(name, (np.empty(0), np.empty(0, np.int64)))
            best[name] = _first(*known, -probability[own], rows[own], n_shown)
        first += len(table)
    names = sorted(counts, key=lambda name: (-counts[name], name))[:MAX_CLASSES]
    return Gallery([*names, LEAST_CERTAIN], [*(best[name][1] for name in names), least[1]])


def _first(
    values: np.ndarray, rows: np.ndarray, more: np.ndarray, more_rows: np.ndarray, n: int
) -> tuple[np.ndarray, np.ndarray]:
    """Return the n smallest of two lists, rising, and their rows; ties by the row."""
    values, rows = np.concatenate([values, more]), np.concatenate([rows, more_rows])
    order = np.lexsort((rows, values))[:n]
    return values[order], rows[order]


def draw_gallery(
    gallery: Gallery, catalogue: str | Path, crops: np.ndarray, n_shown: int
) -> Figure:
    """Return the chosen galaxies with their class and its probability, a frame round unlike ones.

    Parameters
    ----------
    gallery
        What to show.
    catalogue
        Parquet file.
    crops
        uint8 (n, side, side, 3): of all rows, one after the other.
    n_shown
        Places of a row.
    """
    shown = np.concatenate(gallery.rows)
    columns = ["predicted", "probability", "unlike", "label"]
    table = rows_at(pq.ParquetFile(catalogue), shown, columns).to_pandas()
    names = class_texts(sorted({*table["predicted"], *table["label"]} - {""}), longest=10)
    images, notes, titles, frames = [], [], [], []
    chosen = zip(crops, table.itertuples(), strict=True)
    for row in gallery.rows:
        for place in range(n_shown):
            image, about = next(chosen) if place < len(row) else (None, None)
            images.append(image)
            notes.append("" if about is None else _note(about.label, names[about.predicted], names))
            titles.append("" if about is None else f"{about.probability:.2f}")
            unlike = about is not None and about.unlike
            frames.append(style.COLOURS["orange"] if unlike else None)
    row_names = [names.get(name, name) for name in gallery.names]
    return draw_mosaic(images, n_shown, notes, titles, row_names, frames)


def _note(label: str, predicted: str, names: dict[str, str]) -> str:
    right = not label or names[label] == predicted
    return predicted if right else f"{names[label]}  → {predicted}"
