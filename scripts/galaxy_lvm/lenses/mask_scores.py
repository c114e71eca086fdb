"""How well masks of lensed light are measured, on simulated lenses whose masks are known."""

import logging
from collections.abc import Sequence

import numpy as np
import pandas as pd

from galaxy_lvm.core.config.lenses import ArcMask
from galaxy_lvm.core.errors import DataError
from galaxy_lvm.core.logs import progress
from galaxy_lvm.lenses.masks import NoMaskError, measure_mask
from galaxy_lvm.report.results import long_rows
from galaxy_lvm.survey.fields import BOX_COLUMNS, FieldStore, box_of_mask

log = logging.getLogger("galaxy_lvm.lens_masks")

METHOD, BASELINE = "measured", "disc"
# Edges of the bins of the arcs' signal to noise.
SNR_EDGES = (0.0, 25.0, 50.0, 100.0, np.inf)
# A box that overlaps this much is usually called found.
_GOOD_BOX = 0.5


def mask_iou(first: np.ndarray, second: np.ndarray) -> float:
    """Return the intersection over union of two masks (H, W)."""
    union = np.count_nonzero(first | second)
    return np.count_nonzero(first & second) / union if union else 0.0


def box_iou(first: Sequence[float], second: Sequence[float]) -> float:
    """Return the intersection over union of two boxes (x_min, y_min, x_max, y_max)."""
    width = min(first[2], second[2]) - max(first[0], second[0])
    height = min(first[3], second[3]) - max(first[1], second[1])
    common = max(0.0, width) * max(0.0, height)
    areas = [(box[2] - box[0]) * (box[3] - box[1]) for box in (first, second)]
    return common / (sum(areas) - common)


def mask_quality(
    store: FieldStore,
    settings: ArcMask | None = None,
    splits: Sequence[str] = ("val", "test"),
    max_lenses: int | None = None,
) -> pd.DataFrame:
    """Measure the masks of simulated lenses and compare them with the true ones.

    The position handed to the measurement is the centre of the true box; it looks for the galaxy
    around it itself. The baseline is a disc of one size around the same position: the size is the
    median of the true areas of the training split.

    Parameters
    ----------
    store
        Fields with true masks and `arc_snr`.
    settings
        How masks are measured; defaults where None.
    splits
        Splits to look at.
    max_lenses
        Lenses of each split at most, the first ones; None for all.

    Returns
    -------
    pandas.DataFrame
        One row per lens and model (`measured`, `disc`): `split, field, id, einstein_radius_arcsec,
        arc_snr, model, measured, mask_iou, box_iou`; both are 0 where nothing was measured.

    Raises
    ------
    DataError
        If the fields have no known lenses (`arc_snr`), or the training split has none.
    """
    split_of = store.columns["split"].to_numpy()
    lenses = store.lenses.assign(split=split_of[store.lenses["field"].to_numpy(int)])
    area = lenses.loc[lenses["split"] == "train", "area_pix"].median()
    lenses = lenses[lenses["split"].isin(splits) & lenses["arc_snr"].notna()]
    if lenses.empty or not np.isfinite(area):
        raise DataError(
            f"{store.path}: no lens of known signal to noise in {list(splits)}, or none at all in "
            "train; masks can be checked on simulated fields (lenses.fields.source: mock) only"
        )
    if max_lenses is not None:
        lenses = lenses.groupby("split", sort=False).head(max_lenses)
    rows = []
    for field, group in progress(lenses.groupby("field"), desc="checking masks", unit="fields"):
        image, in_field = store.images([field])[0], store.lenses_in(field)
        for index, truth in zip(in_field.index, store.masks(field), strict=True):
            if index in group.index:
                rows += _compare(image, truth.astype(bool), lenses.loc[index], area, settings)
    return pd.DataFrame(rows)


def _compare(
    image: np.ndarray,
    truth: np.ndarray,
    lens: pd.Series,
    area_pix: float,
    settings: ArcMask | None,
) -> list[dict[str, object]]:
    box = lens[list(BOX_COLUMNS)].to_numpy(float)
    x, y = (box[:2] + box[2:]) / 2
    rows, columns = np.indices(truth.shape) + 0.5
    masks = {BASELINE: np.hypot(columns - x, rows - y) <= np.sqrt(area_pix / np.pi)}
    try:
        masks[METHOD] = measure_mask(image, x, y, settings)
    except NoMaskError as error:
        log.info("%s: %s", lens["id"], error)
        masks[METHOD] = np.zeros_like(truth)
    known = ("split", "field", "id", "einstein_radius_arcsec", "arc_snr")
    return [
        {name: lens[name] for name in known}
        | {"model": model, "measured": bool(mask.any()), "mask_iou": mask_iou(truth, mask)}
        | {"box_iou": box_iou(box, box_of_mask(mask)) if mask.any() else 0.0}
        for model, mask in masks.items()
    ]


def quality_rows(table: pd.DataFrame, seed: int) -> list[dict[str, object]]:
    """Return means over the lenses of each split, all together and by signal to noise.

    Parameters
    ----------
    table
        Of `mask_quality`.
    seed
        The run's seed.

    Returns
    -------
    list of dict
        Rows of the long table: task `box` or `mask`, conditions such as `test` and `test, S/N 25 to
        50`; metrics mean_iou, median_iou, share_above_half and n_lenses; share_measured for both.
    """
    edges = pd.IntervalIndex.from_breaks(SNR_EDGES, closed="left")
    table = table.assign(bin=pd.cut(table["arc_snr"], edges))
    rows = []
    for (split, model), group in table.groupby(["split", "model"], sort=False):
        parts = [(split, group)]
        for interval, part in group.groupby("bin", observed=True):
            limits = f"{interval.left:g} to {interval.right:g}"
            limits = limits if np.isfinite(interval.right) else f"above {interval.left:g}"
            parts.append((f"{split}, S/N {limits}", part))
        for condition, part in parts:
            for task in ("box", "mask"):
                iou = part[f"{task}_iou"]
                metrics = {"mean_iou": iou.mean(), "median_iou": iou.median()}
                metrics |= {"share_above_half": (iou > _GOOD_BOX).mean(), "n_lenses": len(part)}
                metrics["share_measured"] = part["measured"].mean()
                rows += long_rows("lens_masks", task, model, condition, seed, metrics)
    return rows
