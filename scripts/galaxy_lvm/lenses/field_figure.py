"""Contact sheet of lens fields: true boxes and masks, from the clearest lens to the faintest."""

from collections.abc import Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle

from galaxy_lvm.core.errors import DataError
from galaxy_lvm.report.style import COLOURS
from galaxy_lvm.survey.contact_sheet import image_grid
from galaxy_lvm.survey.fields import BOX_COLUMNS, FieldStore

PAIRS_PER_ROW = 3
_MASK_COLOUR, _BOX_COLOUR = COLOURS["yellow"], COLOURS["green"]


def draw_box(axes: Axes, box: Sequence[float], colour: str = _BOX_COLOUR, **style: object) -> None:
    """Draw a box given by its pixel edges (x_min, y_min, x_max, y_max) on an image."""
    # imshow puts the middle of the first pixel at 0, boxes put its edge there.
    x_min, y_min, x_max, y_max = (float(edge) - 0.5 for edge in box)
    options = {"fill": False, "edgecolor": colour, "linewidth": 0.7, **style}
    axes.add_patch(Rectangle((x_min, y_min), x_max - x_min, y_max - y_min, **options))


def draw_outline(axes: Axes, mask: np.ndarray, colour: str = _MASK_COLOUR) -> None:
    """Draw the outline of a mask (H, W) on an image."""
    axes.contour(mask, levels=[0.5], colors=[colour], linewidths=0.5)


def zoom_of(image: np.ndarray, box: Sequence[float]) -> np.ndarray:
    """Return the square part of an image around a box, twice as wide, kept inside the image."""
    x_min, y_min, x_max, y_max = box
    side = int(min(*image.shape[:2], max(32, 2 * max(x_max - x_min, y_max - y_min))))
    left, top = (
        int(np.clip(round((low + high - side) / 2), 0, length - side))
        for low, high, length in ((x_min, x_max, image.shape[1]), (y_min, y_max, image.shape[0]))
    )
    return image[top : top + side, left : left + side]


def spread(values: np.ndarray, count: int) -> np.ndarray:
    """Return the positions of `count` values spread evenly over their ranks, largest first."""
    order = np.argsort(-np.asarray(values), kind="stable")
    places = np.linspace(0, len(order) - 1, min(count, len(order))).round().astype(int)
    return order[places]


def lens_field_sheet(
    store: FieldStore, split: str = "test", n_lenses: int = 15, n_empty: int = 6, seed: int = 0
) -> Figure:
    """Return pairs of a field with its truth and a plain view of the lens, then empty fields.

    Lenses are spread evenly over the ranks of their signal to noise (of their area, where that is
    not known) and stand in falling order.

    Parameters
    ----------
    store
        Fields.
    split
        Split to choose from.
    n_lenses, n_empty
        Fields with and without a lens at most.
    seed
        Seed of the choice of empty fields.

    Raises
    ------
    DataError
        If the split has no lens.
    """
    rows = store.rows(split)
    lenses = store.lenses[store.lenses["field"].isin(rows)]
    if lenses.empty:
        raise DataError(f"{store.path}: no lens in split {split!r} to draw")
    key = "area_pix" if lenses["arc_snr"].isna().any() else "arc_snr"
    chosen = lenses.iloc[spread(lenses[key].to_numpy(), n_lenses)]
    empty = np.setdiff1d(rows, lenses["field"].to_numpy())
    empty = np.sort(np.random.default_rng(seed).permutation(empty)[:n_empty])
    images: list[np.ndarray | None] = []
    titles: list[str] = []
    notes: list[str] = []
    for lens in chosen.itertuples():
        image = store.images([lens.field])[0]
        images += [image, zoom_of(image, [getattr(lens, name) for name in BOX_COLUMNS])]
        titles += [str(lens.id), ""]
        notes += ["", lens_note(lens)]
    n_gaps = -len(images) % (2 * PAIRS_PER_ROW)
    images += [None] * n_gaps + list(store.images(empty))
    titles += [""] * n_gaps + [str(store.columns["id"].iloc[row]) for row in empty]
    notes += [""] * n_gaps + ["no lens"] * len(empty)
    fig = image_grid(images, 2 * PAIRS_PER_ROW, notes, titles)
    for axes, field in zip(fig.axes[::2], chosen["field"], strict=False):
        _draw_truth(axes, store, int(field))
    return fig


def lens_note(lens: object) -> str:
    """Return what is known of a lens, as a line: Einstein radius, magnitude, signal to noise."""
    known = (
        ("einstein_radius_arcsec", 'θE {:.1f}"'),
        ("arc_mag_r", "r {:.1f}"),
        ("arc_snr", "S/N {:.0f}"),
    )
    values = ((form, getattr(lens, name)) for name, form in known)
    parts = [form.format(value) for form, value in values if np.isfinite(value)]
    return "  ".join([*parts, *([f"grade {lens.grade}"] if lens.grade else [])])


def _draw_truth(axes: Axes, store: FieldStore, field: int) -> None:
    for mask in store.masks(field):
        draw_outline(axes, mask)
    for box in store.lenses_in(field)[list(BOX_COLUMNS)].to_numpy():
        draw_box(axes, box)
