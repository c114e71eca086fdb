"""Measured masks of lensed light beside the true ones, and how well they agree."""

from collections.abc import Sequence

import cv2
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import LogLocator, NullFormatter, ScalarFormatter

from galaxy_lvm.lenses.mask_scores import BASELINE, METHOD
from galaxy_lvm.report import style

_TRUE_COLOUR, _MEASURED_COLOUR = style.COLOURS["yellow"], style.COLOURS["sky"]
_MODELS = {
    METHOD: ("measured", style.COLOURS["blue"], "o"),
    BASELINE: ("disc of one size", style.COLOURS["grey"], "s"),
}
_TITLES = {"mask": "masks", "box": "boxes"}
_N_BINS = 6


def draw_lens_masks(
    table: pd.DataFrame, examples: Sequence[dict[str, object]], n_columns: int = 6
) -> Figure:
    """Draw examples (above) and the agreement against the arcs' signal to noise (below).

    Parameters
    ----------
    table
        Of `evaluation.lens_masks.mask_quality`, lenses of one split.
    examples
        `image` uint8 (H, W, 3), `true` and `measured` bool (H, W), `arc_snr`, `mask_iou` each.
    n_columns
        Examples in a row.
    """
    n_rows = -(-len(examples) // n_columns)
    side = style.PAGE_WIDTH_INCH / n_columns
    fig = style.plt.figure(
        figsize=(style.PAGE_WIDTH_INCH, n_rows * side + 2.5), layout="constrained"
    )
    above, below = fig.subfigures(2, 1, height_ratios=[n_rows * side, 2.5])
    axes = above.subplots(n_rows, n_columns, squeeze=False)
    above.get_layout_engine().set(w_pad=0.01, h_pad=0.01, wspace=0.02, hspace=0.02)
    for axis in axes.flat:
        axis.set_axis_off()
    for axis, example in zip(axes.flat, examples, strict=False):
        _draw_example(axis, example)
    pair = below.subplots(1, 2, sharey=True)
    for axis, kind in zip(pair, _TITLES, strict=True):
        _draw_agreement(axis, table, kind)
    pair[0].set_ylabel("intersection over union")
    return fig


def _draw_example(axis: Axes, example: dict[str, object]) -> None:
    image = example["image"]
    # Shown larger, so that outlines do not hide the pixels.
    size = (4 * image.shape[1], 4 * image.shape[0])
    axis.imshow(cv2.resize(image, size, interpolation=cv2.INTER_NEAREST))
    for name, colour, line in (("true", _TRUE_COLOUR, "-"), ("measured", _MEASURED_COLOUR, "--")):
        mask = np.pad(example[name].astype(np.uint8), 1)
        large = cv2.resize(mask, None, fx=4, fy=4, interpolation=cv2.INTER_NEAREST)
        for outline in cv2.findContours(large, cv2.RETR_LIST, cv2.CHAIN_APPROX_NONE)[0]:
            x, y = np.vstack([outline[:, 0], outline[:1, 0]]).T - 4
            axis.plot(x, y, color=colour, lw=0.9, ls=line)
    axis.set(xlim=(0, size[0]), ylim=(size[1], 0))
    note = f"S/N {example['arc_snr']:.0f}, IoU {example['mask_iou']:.2f}"
    axis.text(4, 6, note, va="top", **style.ON_IMAGE)


def _draw_agreement(axis: Axes, table: pd.DataFrame, kind: str) -> None:
    for model, (name, colour, marker) in _MODELS.items():
        chosen = table[table["model"] == model]
        snr, iou = chosen["arc_snr"].to_numpy(), chosen[f"{kind}_iou"].to_numpy()
        if model == METHOD:
            axis.plot(snr, iou, ".", color=colour, ms=2, alpha=0.35)
        # Bins of equal numbers of lenses.
        parts = np.array_split(np.argsort(snr), min(_N_BINS, max(1, len(snr) // 5)))
        x = [np.median(snr[part]) for part in parts]
        mean = np.array([iou[part].mean() for part in parts])
        error = [
            iou[part].std(ddof=1) / np.sqrt(len(part)) if len(part) > 1 else 0 for part in parts
        ]
        label = f"{name}, mean {iou.mean():.2f}"
        axis.errorbar(x, mean, error, color=colour, marker=marker, label=label)
    axis.set_xscale("log")
    axis.xaxis.set_major_locator(LogLocator(subs=(1.0, 2.0, 5.0)))
    axis.xaxis.set_major_formatter(ScalarFormatter())
    axis.xaxis.set_minor_formatter(NullFormatter())
    axis.set(xlabel="signal to noise of the lensed light", ylim=(0, 1))
    axis.set_title(_TITLES[kind])
    axis.legend(loc="lower right")
