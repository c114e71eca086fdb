"""What became of a dataset's galaxies on the way to the splits, and what their images are like."""

import os
import re
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from galaxy_lvm.survey.crop_store import CropStore
from galaxy_lvm.survey.crops import FLAG_NAMES
from galaxy_lvm.survey.rejected import read_rejected
from galaxy_lvm.survey.splits import MODEL_SPLITS, SPLITS
from galaxy_lvm.survey.splits_table import Splits
from galaxy_lvm.survey.store import CutoutStore

# Nanomaggies are magnitudes with this zero point, AB or, of unWISE, Vega.
ZERO_POINT_MAG = 22.5
_BLOCK = 256
COLUMNS = ("step", "what", "galaxies")


@dataclass(frozen=True)
class Health:
    """Counts of a whole dataset, and measurements on a sample of its crops.

    Attributes
    ----------
    counts
        `step` (catalogue, cutouts, crops, splits, lost, flagged, copies), `what`, `galaxies`.
    ra_deg, dec_deg
        Positions (n,) of all crops, in degrees; NaN where unknown.
    box_side_pix
        Sides (n,) of the boxes of all crops, pixels of the cutout.
    mag
        Magnitude (m,) of the sample in `mag_band` within the box; NaN where the flux is not
        positive, empty where the store holds colours.
    mag_band
        r, or the first band where there is no r.
    pixel_scale_arcsec
        Of the cutouts; NaN of colours.
    black, saturated
        Share (m,) of the sample's pixels that are 0 in all three channels, or 255 in any.
    """

    counts: pd.DataFrame
    ra_deg: np.ndarray
    dec_deg: np.ndarray
    box_side_pix: np.ndarray
    mag: np.ndarray
    mag_band: str
    pixel_scale_arcsec: float
    black: np.ndarray
    saturated: np.ndarray


def measure_health(
    cutouts: str | os.PathLike,
    crops: str | os.PathLike,
    splits: str | os.PathLike,
    rejected: str | os.PathLike,
    n_sampled: int,
    seed: int,
) -> Health:
    """Count a dataset's galaxies at every step and look at the pixels of some.

    Parameters
    ----------
    cutouts, crops, splits
        Files of one dataset.
    rejected
        All that could not be used, as make_splits writes it.
    n_sampled
        Galaxies at most whose pixels are read.
    seed
        Seed of the choice.
    """
    table, lost = Splits(splits).table, read_rejected(rejected)
    with CropStore(crops) as cropped, CutoutStore(cutouts) as store:
        boxes, flags = cropped.boxes, cropped.column("flag")
        places = cropped.column("cutout_index")
        rng = np.random.default_rng(seed)
        rows = np.sort(rng.permutation(len(cropped))[:n_sampled])
        black, saturated = _extremes(cropped, rows)
        band = "r" if "r" in store.bands else store.bands[0]
        mags = np.empty(0) if store.rgb else _magnitudes(store, band, places[rows], boxes[rows])
        scale = store.pixel_scale_arcsec
        steps = _steps(len(store), len(cropped), table, lost)
        counts = pd.DataFrame([*steps, *_lost(lost), *_flagged(flags), *_copies(table)],
                              columns=list(COLUMNS))  # fmt: skip
        sky = store.positions(places)
    sides = boxes[:, 2] - boxes[:, 0]
    return Health(counts, *sky, sides, mags, band, scale, black, saturated)


def _steps(
    n_cutouts: int, n_crops: int, table: pd.DataFrame, lost: pd.DataFrame
) -> list[tuple[str, str, int]]:
    n_catalogue = n_cutouts + int((lost["stage"] == "import").sum())
    first = [("catalogue", "", n_catalogue), ("cutouts", "", n_cutouts), ("crops", "", n_crops)]
    found = table["split"].value_counts()
    by_split = [("splits", name, int(found[name])) for name in SPLITS if name in found]
    return [*first, ("splits", "", len(table)), *by_split]


def kind_of(reason: str) -> str:
    """Return a reason of rejection without what to do, and without the galaxy's own numbers."""
    text = re.sub(r"(['\"]).*?\1", "...", str(reason).split(";")[0])
    return re.sub(r"\d+(\.\d+)?", "N", text).strip()


def _lost(lost: pd.DataFrame) -> list[tuple[str, str, int]]:
    kinds = lost["stage"] + ": " + lost["reason"].map(kind_of)
    return [("lost", what, int(n)) for what, n in kinds.value_counts().items()]


def _flagged(flags: np.ndarray) -> list[tuple[str, str, int]]:
    return [("flagged", name, int((flags & bit > 0).sum())) for bit, name in FLAG_NAMES.items()]


def _copies(table: pd.DataFrame) -> list[tuple[str, str, int]]:
    again = len(table) - table["group"].nunique()
    used = table[table["split"].isin(MODEL_SPLITS)]
    across = used.groupby("group")["split"].transform("nunique") > 1
    return [("copies", "kept with their original", again),
            ("copies", "across splits", int(across.sum()))]  # fmt: skip


def _extremes(crops: CropStore, rows: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    black, saturated = np.empty(len(rows)), np.empty(len(rows))
    for start in range(0, len(rows), _BLOCK):
        images = crops.take(rows[start : start + _BLOCK])
        here = slice(start, start + len(images))
        black[here] = (images.max(axis=3) == 0).mean(axis=(1, 2))
        saturated[here] = (images.max(axis=3) == 255).mean(axis=(1, 2))
    return black, saturated


def _magnitudes(
    store: CutoutStore, band: str, places: np.ndarray, boxes: Sequence[np.ndarray]
) -> np.ndarray:
    flux, number = np.empty(len(places)), store.bands.index(band)
    for start in range(0, len(places), _BLOCK):
        frames = store.images.take(places[start : start + _BLOCK])[:, number]
        for i, frame in enumerate(frames, start):
            x0, y0, x1, y1 = boxes[i]
            flux[i] = np.nansum(frame[y0:y1, x0:x1])
    return ZERO_POINT_MAG - 2.5 * np.log10(np.where(flux > 0, flux, np.nan))
