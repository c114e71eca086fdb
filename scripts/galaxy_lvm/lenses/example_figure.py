"""Figure 6: the same test fields with what each detector finds in them."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle

from galaxy_lvm.lenses.curves import IOU_50
from galaxy_lvm.lenses.match import match_fields
from galaxy_lvm.report import style
from galaxy_lvm.survey.fields import BOX_COLUMNS, FieldStore, decode_mask

TRUE_COLOUR = "white"
RIGHT_COLOUR, WRONG_COLOUR = style.COLOURS["yellow"], style.COLOURS["red"]
_COLUMNS_A_BLOCK = 2


@dataclass(frozen=True)
class Shown:
    """One detector of the figure."""

    title: str
    detections: pd.DataFrame
    """Its detections in the test fields."""
    threshold: float
    """Smallest score that counts."""


def choose_fields(store: FieldStore, shown: Sequence[pd.DataFrame], n: int) -> dict[int, str]:
    """Choose test fields by a rule that does not look at how well they turned out.

    All but one are the fields of lenses at evenly spaced ranks of arc signal-to-noise, from the
    faintest to the brightest (by area where it is not known of any). The last is the empty field
    with the highest score of any detector: the worst mistake (the first one where there is none).

    Parameters
    ----------
    store
        Fields and lenses.
    shown
        Detections of the detectors in the figure.
    n
        Number of fields, 2 or more.

    Returns
    -------
    dict
        Row of each field -> what is known of it.
    """
    rows = store.rows("test")
    lenses = store.lenses[store.lenses["field"].isin(rows)]
    column, name = ("arc_snr", "arc S/N") if lenses["arc_snr"].notna().any() else ("area_pix", "")
    ranked = lenses[lenses[column].notna()].sort_values(column).drop_duplicates("field")
    found = pd.concat(shown, ignore_index=True)
    empty = np.setdiff1d(rows, lenses["field"])
    wrong = found[found["field"].isin(empty)]
    places = np.linspace(0, len(ranked) - 1, min(n - bool(len(empty)), len(ranked)))
    chosen = {}
    for lens in ranked.iloc[places.round().astype(int)].itertuples():
        value = getattr(lens, column)
        chosen[int(lens.field)] = f"{name} {value:.0f}" if name else f"{value:.0f} pixels"
    if len(empty):
        worst = wrong.loc[wrong["score"].idxmax(), "field"] if len(wrong) else empty[0]
        chosen[int(worst)] = "no lens"
    return chosen


def draw_detections(
    store: FieldStore, fields: Mapping[int, str], detectors: Sequence[Shown]
) -> Figure:
    """Return one block of fields per detector, two blocks beside each other (paper, figure 6).

    Parameters
    ----------
    store
        Fields and lenses.
    fields
        From `choose_fields`.
    detectors
        What each of them found. Where none of its detections in a field counts, the best one is
        drawn with a dotted box.
    """
    n_rows = -(-len(fields) // _COLUMNS_A_BLOCK)
    n_blocks = min(2, len(detectors)), -(-len(detectors) // 2)
    side = style.PAGE_WIDTH_INCH / (n_blocks[0] * _COLUMNS_A_BLOCK)
    height = (side * n_rows + 0.3) * n_blocks[1] + 0.25
    fig = style.plt.figure(figsize=(style.PAGE_WIDTH_INCH, height), layout="constrained")
    blocks = fig.subfigures(n_blocks[1], n_blocks[0], squeeze=False).ravel()
    images = dict(zip(fields, store.images(list(fields)), strict=True))
    for block, detector in zip(blocks, detectors, strict=False):
        block.suptitle(detector.title, fontsize=8.5)
        axes = block.subplots(n_rows, _COLUMNS_A_BLOCK, squeeze=False).ravel()
        right = _right_ones(store, detector.detections)
        for axis in axes:
            axis.axis("off")
        pix_per_pt = store.side_pix[1] / (72 * side)
        for axis, (row, text) in zip(axes, fields.items(), strict=False):
            _draw_field(axis, store, row, images[row], detector, right, pix_per_pt, text)
            axis.text(0.03, 0.97, text, transform=axis.transAxes, va="top", **style.ON_IMAGE)
    fig.get_layout_engine().set(w_pad=0.01, h_pad=0.01, wspace=0.01, hspace=0.01)
    _legend(fig)
    return fig


def _right_ones(store: FieldStore, detections: pd.DataFrame) -> set[int]:
    """Return the labels of the detections that are lenses (boxes, IoU 0.5)."""
    matches = match_fields(store, "test", detections)
    return set(matches.label[matches.lens[IOU_50] >= 0].tolist())


def _draw_field(
    axes: Axes,
    store: FieldStore,
    row: int,
    image: np.ndarray,
    detector: Shown,
    right: set[int],
    pix_per_pt: float,
    text: str,
) -> None:
    height, width = store.side_pix
    # What is known of the field stands in the upper left corner.
    corner = _label_size(text, pix_per_pt)
    taken = [(0.03 * width, 0.97 * height - corner[1], *corner)]
    # Box edges are the edges of pixels, so that the image goes from 0 to its size.
    axes.imshow(image, extent=(0, width, 0, height), origin="lower")
    for _, lens in store.lenses_in(row).iterrows():
        _rectangle(axes, lens, edgecolor=TRUE_COLOUR, linestyle=(0, (3, 2)), linewidth=0.8)
    found = detector.detections[detector.detections["field"] == row]
    accepted = found[found["score"] >= detector.threshold]
    for label, one in accepted.sort_values("score").iterrows():
        colour = RIGHT_COLOUR if label in right else WRONG_COLOUR
        _outline(axes, one, store.side_pix, colour)
        _rectangle(axes, one, edgecolor=colour, linewidth=1.0)
        # Wrong ones are often a second box around the same lens: rather on the other side.
        _score(axes, one, store.side_pix, colour, label in right, pix_per_pt, taken)
    if accepted.empty and len(found):
        best = found.loc[found["score"].idxmax()]
        _rectangle(axes, best, edgecolor=style.COLOURS["sky"], linestyle=":", linewidth=0.9)
        _score(axes, best, store.side_pix, style.COLOURS["sky"], True, pix_per_pt, taken)
    axes.set(xlim=(0, width), ylim=(0, height))


def _rectangle(axes: Axes, row: pd.Series, **look: object) -> None:
    x_min, y_min, x_max, y_max = row[list(BOX_COLUMNS)].astype(float)
    axes.add_patch(Rectangle((x_min, y_min), x_max - x_min, y_max - y_min, fill=False, **look))


def _outline(axes: Axes, row: pd.Series, side_pix: tuple[int, int], colour: str) -> None:
    """Draw a mask as a line, which leaves the arcs visible."""
    mask = decode_mask(row["mask_rle"], *side_pix)
    if mask.any():
        x, y = (np.arange(length) + 0.5 for length in side_pix[::-1])
        axes.contour(x, y, mask, levels=[0.5], colors=colour, linewidths=0.6)


def _label_size(text: str, pix_per_pt: float) -> tuple[float, float]:
    """Return width and height of a label in pixels of the field, a little too large."""
    return (0.64 * len(text) * style.SMALL_PT + 2) * pix_per_pt, 1.5 * style.SMALL_PT * pix_per_pt


def _score(
    axes: Axes,
    row: pd.Series,
    side_pix: tuple[int, int],
    colour: str,
    above: bool,
    pix_per_pt: float,
    taken: list[tuple[float, float, float, float]],
) -> None:
    """Write a detection's score at its box, and add the place to those that are taken."""
    text = f"{row['score']:.2f}"
    box = tuple(float(row[column]) for column in BOX_COLUMNS)
    place = place_label(box, _label_size(text, pix_per_pt), side_pix, taken, above)
    taken.append(place)
    # From the lower left corner, with the air around the letters.
    x, y = place[0] + pix_per_pt, place[1] + 0.25 * place[3]
    axes.text(x, y, text, **{**style.ON_IMAGE, "color": colour}, va="baseline", ha="left")


def place_label(
    box: tuple[float, float, float, float],
    size: tuple[float, float],
    side_pix: tuple[int, int],
    taken: Sequence[tuple[float, float, float, float]],
    above: bool,
) -> tuple[float, float, float, float]:
    """Return where a box's label goes: outside it where that is free, else inside.

    Parameters
    ----------
    box
        x_min, y_min, x_max, y_max in pixels.
    size
        Width and height of the label in pixels.
    side_pix
        Height and width of the field.
    taken
        Places (x, y of the lower left corner, width, height) of the labels that are there.
    above
        Whether above the box is better than below.

    Returns
    -------
    tuple of float
        As in `taken`; where none is free, the place that covers the least of other labels.
    """
    (x_min, y_min, x_max, y_max), (width, height) = box, size
    outside = [y_max + 1, y_min - 1 - height]
    rows = (outside if above else outside[::-1]) + [y_max - 1 - height, y_min + 1]
    columns = [x_min, x_max - width, (x_min + x_max - width) / 2, x_max + 1, x_min - 1 - width]
    places = [(x, y, width, height) for y in rows for x in columns]
    inside = [
        place
        for place in places
        if 0 <= place[0] <= side_pix[1] - width and 0 <= place[1] <= side_pix[0] - height
    ]
    if not inside:
        x = min(max(x_min, 0), side_pix[1] - width)
        inside = [(x, min(max(y, 0), side_pix[0] - height), width, height) for y in rows]
    return min(inside, key=lambda place: sum(_shared(place, other) for other in taken))


def _shared(a: tuple[float, float, float, float], b: tuple[float, float, float, float]) -> float:
    """Return the area that two places share."""
    dx, dy = (min(a[k] + a[k + 2], b[k] + b[k + 2]) - max(a[k], b[k]) for k in (0, 1))
    return max(dx, 0) * max(dy, 0)


def _legend(fig: Figure) -> None:
    looks = {
        "true box": {"color": style.COLOURS["grey"], "linestyle": (0, (3, 2))},
        "detection, IoU at least 0.5": {"color": RIGHT_COLOUR},
        "wrong detection": {"color": WRONG_COLOUR},
        "best one below the threshold": {"color": style.COLOURS["sky"], "linestyle": ":"},
    }
    handles = [style.plt.Line2D([], [], **look) for look in looks.values()]
    fig.legend(handles, list(looks), loc="outside lower center", ncols=len(looks))
