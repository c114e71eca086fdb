"""The paper's two pools: which galaxies, by which cuts.

Nothing here needs a network: the queries are text for a catalogue service, the cuts work on the
table that it returns.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import pandas as pd

from galaxy_lvm.core.errors import DataError

# Numbers of paper V.B and V.C.
BGS_RADIUS_ARCSEC = (6.4, 9.6)
BGS_N_GALAXIES = 201_319
DECALS_N_GALAXIES = 8_522
# Bright sample of the Bright Galaxy Survey (Hahn et al. 2023): r < 19.5 after extinction.
BGS_MAG_R_MAX = 19.5

_NANOMAGGY_ZERO_POINT = 22.5
_BGS_COLUMNS = ("id", "ra", "dec", "half_light_radius_arcsec", "mag_r", "type")


@dataclass(frozen=True)
class Selection:
    """What is left of a catalogue, and how many rows each cut took, in their order."""

    galaxies: pd.DataFrame
    removed: dict[str, int]


def bgs_query(
    radius_arcsec: tuple[float, float] = BGS_RADIUS_ARCSEC, mag_r_max: float = BGS_MAG_R_MAX
) -> str:
    """Return an ADQL query for bright, extended galaxies of data release 9.

    The paper gives the range of radii; that the sample is the bright one, that point sources and
    masked pixels are left out, is our reading of "a selection of bright galaxies". The number of
    rows need not be the paper's 201,319.

    Parameters
    ----------
    radius_arcsec
        Smallest and largest half-light radius.
    mag_r_max
        Faintest extinction-corrected r magnitude.
    """
    low, high = _checked_range(radius_arcsec)
    flux = 10 ** (0.4 * (_NANOMAGGY_ZERO_POINT - mag_r_max))
    return (
        "SELECT ls_id AS id, ra, dec, shape_r AS half_light_radius_arcsec, dered_mag_r AS mag_r, "
        "type, maskbits FROM ls_dr9.tractor "
        f"WHERE shape_r BETWEEN {low:g} AND {high:g} AND dered_flux_r > {flux:.4f} "
        "AND type <> 'PSF' AND type <> 'DUP' AND brick_primary = 1 AND maskbits = 0"
    )


def select_bgs(
    catalogue: pd.DataFrame,
    radius_arcsec: tuple[float, float] = BGS_RADIUS_ARCSEC,
    mag_r_max: float = BGS_MAG_R_MAX,
) -> Selection:
    """Cut a catalogue to the pool of paper V.C.

    Parameters
    ----------
    catalogue
        `id`, `ra`, `dec`, `half_light_radius_arcsec`, `mag_r`, `type`, as `bgs_query` returns;
        votes and other columns are kept.
    radius_arcsec, mag_r_max
        Limits, inclusive.

    Returns
    -------
    Selection
        Galaxies with a text id, and what each cut removed.

    Raises
    ------
    DataError
        If a column is missing, or nothing is left.
    """
    missing = set(_BGS_COLUMNS) - set(catalogue)
    if missing:
        raise DataError(f"the catalogue has no column {sorted(missing)}; see surveys.bgs_query")
    low, high = _checked_range(radius_arcsec)
    numeric = ["ra", "dec", "half_light_radius_arcsec", "mag_r"]
    numbers = catalogue[numeric].apply(pd.to_numeric, errors="coerce")
    radius = numbers["half_light_radius_arcsec"]
    cuts = {
        "a value is missing or not finite": ~np.isfinite(numbers.astype(float)).all(axis=1),
        "point source": catalogue["type"].isin(["PSF", "DUP"]),
        f"half-light radius outside {low:g} to {high:g} arcsec": ~radius.between(low, high),
        f"fainter than r = {mag_r_max:g}": ~(numbers["mag_r"] <= mag_r_max),
    }
    kept, removed = pd.Series(True, index=catalogue.index), {}
    for reason, fails in cuts.items():
        removed[reason] = int((kept & fails).sum())
        kept &= ~fails
    galaxies = catalogue[kept]
    galaxies = galaxies.assign(id=galaxies["id"].astype(str))
    # Among what is left: a copy that was cut does not stand for the good one.
    again = galaxies["id"].duplicated()
    removed["the same id again"] = int(again.sum())
    galaxies = galaxies[~again].reset_index(drop=True)
    if galaxies.empty:
        raise DataError(f"no galaxy of {len(catalogue)} is left; removed: {removed}")
    return Selection(galaxies, removed)


def select_decals(votes: pd.DataFrame, thresholds: Mapping[str, float] | None = None) -> Selection:
    """Return face-on spirals and other galaxies of Galaxy Zoo DECaLS (paper V.B).

    The paper takes 4546 face-on spirals and 3976 others, ellipticals and edge-on galaxies among
    them, from Zhang et al. 2022, who do not appear with thresholds; ours are on the votes of
    Walmsley et al. 2022. Galaxies that are clearly neither are left out, as in clean samples.

    Parameters
    ----------
    votes
        `id` and the vote fractions of the decision tree.
    thresholds
        Smallest fractions: `featured`, `face_on`, `spiral`, `smooth`, `edge_on`.

    Returns
    -------
    Selection
        With `label` face_on_spiral or other.

    Raises
    ------
    DataError
        If a column is missing.
    """
    limits = {"featured": 0.6, "face_on": 0.7, "spiral": 0.7, "smooth": 0.6, "edge_on": 0.7}
    limits |= thresholds or {}
    columns = {
        "featured": "smooth-or-featured_featured-or-disk_fraction",
        "face_on": "disk-edge-on_no_fraction",
        "spiral": "has-spiral-arms_yes_fraction",
        "smooth": "smooth-or-featured_smooth_fraction",
        "edge_on": "disk-edge-on_yes_fraction",
    }
    missing = [c for c in ("id", *columns.values()) if c not in votes]
    if missing:
        raise DataError(f"the table of votes has no column {missing}")
    sure = {
        name: pd.to_numeric(votes[column], errors="coerce") >= limits[name]
        for name, column in columns.items()
    }
    spiral = sure["featured"] & sure["face_on"] & sure["spiral"]
    other = sure["smooth"] | (sure["featured"] & sure["edge_on"])
    label = np.select([spiral & ~other, other & ~spiral], ["face_on_spiral", "other"], "")
    table = votes.assign(id=votes["id"].astype(str), label=label)
    removed = {"votes for neither, or for both": int((label == "").sum())}
    return Selection(table[label != ""].reset_index(drop=True), removed)


def _checked_range(radius_arcsec: tuple[float, float]) -> tuple[float, float]:
    low, high = radius_arcsec
    if not 0 < low < high < math.inf:
        raise DataError(f"half-light radii {low} to {high} arcsec: expected 0 < low < high")
    return low, high
