"""Cutouts of real unWISE coadds, around positions of a table."""

import os
import re
import warnings
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
from astropy.io import fits
from astropy.wcs import WCS, FITSFixedWarning

from galaxy_lvm.core.config.wise import WiseCutout, WiseFiles
from galaxy_lvm.core.errors import DataError
from galaxy_lvm.core.logs import log
from galaxy_lvm.core.user_tables import LINE
from galaxy_lvm.survey.positions import read_positions
from galaxy_lvm.survey.rejected import rejection
from galaxy_lvm.survey.store import CutoutWriter, stored_names
from galaxy_lvm.wise.bands import BANDS, PIXEL_SCALE_ARCSEC, ZERO_POINT_MAG, nanomaggies

_NAME = re.compile(r"unwise-(?P<tile>\d{4}[mp]\d{3})-(?P<band>w[123])-img-[mu]\.fits(\.gz|\.fz)?$")
# Share of a pixel's side that a tile's scale may be off.
_SCALE_TOLERANCE = 0.01
_RESERVED = ("images", "id", "label", "tile", "x_pix", "y_pix")


@dataclass(frozen=True)
class Tile:
    """One coadd in three bands; masked images (img-m) go before unmasked ones."""

    name: str
    paths: dict[str, Path]

    def planes(self) -> tuple[np.ndarray, WCS]:
        """Return the images (3, H, W) in Vega nanomaggies and where they lie.

        Raises
        ------
        DataError
            If a file cannot be read, has other pixels, or bands do not lie on each other.
        """
        made, frame = [], None
        for band in BANDS:
            plane, wcs = _read(self.paths[band])
            made.append(plane)
            if frame is None:
                frame = wcs
            elif plane.shape != made[0].shape or not np.allclose(wcs.wcs.crval, frame.wcs.crval):
                raise DataError(f"{self.paths[band]}: does not lie on {self.paths['w1']}")
        return np.stack(made), frame


def find_tiles(folder: str | os.PathLike) -> list[Tile]:
    """Return the tiles below a folder that have all three bands.

    Raises
    ------
    DataError
        If there is none.
    """
    found: dict[str, dict[str, Path]] = {}
    # Sorted: img-m comes before img-u.
    for path in sorted(Path(folder).rglob("unwise-*.fits*")):
        match = _NAME.match(path.name)
        if match:
            found.setdefault(match["tile"], {}).setdefault(match["band"], path)
    whole = [Tile(name, paths) for name, paths in found.items() if len(paths) == len(BANDS)]
    for name, paths in found.items():
        if len(paths) < len(BANDS):
            lacking = sorted(set(BANDS) - set(paths))
            log.warning("%s: tile %s lacks %s and is passed over", folder, name, lacking)
    if not whole:
        raise DataError(
            f"{folder}: no tile with w1, w2 and w3; put coadds there under unWISE's names, for "
            "instance unwise-0000m016-w1-img-m.fits"
        )
    return whole


def _read(path: Path) -> tuple[np.ndarray, WCS]:
    try:
        with fits.open(path, memmap=False) as hdus:
            hdu = next((h for h in hdus if h.is_image and h.data is not None), None)
            if hdu is None or hdu.data.ndim != 2:
                raise DataError(f"{path}: no image in it; fetch the coadd again")
            plane, header = np.asarray(hdu.data, np.float32), hdu.header
    except (OSError, TypeError, ValueError) as error:
        raise DataError(f"{path}: cannot be read ({error}); fetch the coadd again") from error
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", FITSFixedWarning)
        wcs = WCS(header)
    if not wcs.has_celestial:
        raise DataError(f"{path}: does not say where on the sky it lies (WCS)")
    scale = float(np.sqrt(abs(np.linalg.det(wcs.pixel_scale_matrix)))) * 3600
    if abs(scale / PIXEL_SCALE_ARCSEC - 1) > _SCALE_TOLERANCE:
        raise DataError(f"{path}: pixels of {scale:.3g} arcsec, expected {PIXEL_SCALE_ARCSEC}")
    zero_point = header.get("MAGZP", ZERO_POINT_MAG)
    return plane * np.float32(nanomaggies(zero_point)), wcs


def cut(planes: np.ndarray, x_pix: float, y_pix: float, side_pix: int) -> np.ndarray | None:
    """Return the whole pixels (3, side, side) around a position, None beyond the edge.

    Parameters
    ----------
    planes
        (3, H, W).
    x_pix, y_pix
        Position in pixels, 0 the centre of the first one; it comes to lie within half a pixel of
        the cutout's centre.
    side_pix
        Side of the cutout.
    """
    left, low = corner(x_pix, side_pix), corner(y_pix, side_pix)
    height, width = planes.shape[1:]
    if left < 0 or low < 0 or left + side_pix > width or low + side_pix > height:
        return None
    return planes[:, low : low + side_pix, left : left + side_pix]


def corner(place_pix: float, side_pix: int) -> int:
    """Return the first pixel of a cutout around a position along one axis."""
    return int(np.floor(place_pix - (side_pix - 1) / 2 + 0.5))


def import_tiles(
    settings: WiseFiles, cutout: WiseCutout, cutouts: str | os.PathLike
) -> list[dict[str, object]]:
    """Write the cutouts of a table's positions; return the rows that are left out, with reasons.

    Parameters
    ----------
    settings
        Folder of tiles, table, column of classes.
    cutout
        Side of a cutout.
    cutouts
        Store to write, in the form of simulated ones.

    Raises
    ------
    DataError
        If tiles or table cannot be read, or no position can be used.
    """
    named = (settings.label_column.lower(),)
    table, rejections = read_positions(settings.table, make_ids=True, as_written=named)
    column = next((c for c in table if c.lower() == settings.label_column.lower()), None)
    if column is None:
        raise DataError(
            f"{settings.table}: no column {settings.label_column!r}, but {list(table)}; name the "
            "classes' one in wise.files.label_column"
        )
    table = table.assign(label=table[column].fillna("").astype(str))
    names = stored_names([c for c in table if c not in (*_RESERVED, LINE)], _RESERVED)
    left, side = set(table.index), cutout.side_pix
    reasons = dict.fromkeys(table.index, "no tile covers it whole; add its tile, or remove the row")
    with CutoutWriter(cutouts, height_pix=side, width_pix=side, attributes=_about()) as writer:
        for tile in find_tiles(settings.tiles):
            made = list(_cut_all(tile, table.loc[sorted(left)], side, reasons))
            if made:
                rows = [row for row, *_ in made]
                left -= set(rows)
                more = {new: table.loc[rows, old].tolist() for old, new in names.items()}
                places = {"x_pix": [m[2] for m in made], "y_pix": [m[3] for m in made]}
                own = {n: table.loc[rows, n].tolist() for n in ("id", "label")}
                columns = {**own, "tile": [tile.name] * len(rows), **places, **more}
                writer.append(np.stack([m[1] for m in made]), columns)
        if len(left) == len(table):
            first = reasons[min(left)]
            raise DataError(f"{settings.table}: no position can be used; the first one: {first}")
    log.info("%d of %d positions cut from tiles", len(table) - len(left), len(table))
    for row in sorted(left):
        source = table.loc[row]
        rejections.append(rejection("import", reasons[row], source["id"], row=source[LINE]))
    return rejections


def _about() -> dict[str, object]:
    return {"bands": ",".join(BANDS), "unit": "Vega nanomaggies",
            "pixel_scale_arcsec": PIXEL_SCALE_ARCSEC}  # fmt: skip


def _cut_all(
    tile: Tile, table: pd.DataFrame, side_pix: int, reasons: dict[int, str]
) -> Iterator[tuple[int, np.ndarray, float, float]]:
    """Yield row, cutout and distance from its centre of the positions in a tile."""
    if table.empty:
        return
    planes, wcs = tile.planes()
    places = wcs.all_world2pix(table[["ra", "dec"]].to_numpy(float), 0, quiet=True)
    for row, (x, y) in zip(table.index, places, strict=True):
        found = cut(planes, x, y, side_pix) if np.isfinite([x, y]).all() else None
        if found is None:
            continue
        # unWISE fills what no exposure covers, or all exposures masked, with zeros.
        usable = [bool(np.isfinite(plane).all() and plane.any()) for plane in found]
        lacking = [band for band, good in zip(BANDS, usable, strict=True) if not good]
        if lacking:
            reasons[row] = f"tile {tile.name} has no data there in {', '.join(lacking)}"
            continue
        centre = (side_pix - 1) / 2
        yield row, found, x - corner(x, side_pix) - centre, y - corner(y, side_pix) - centre
