"""Read whole images for the search: colours at 0.262 arcsec per pixel, and where they are."""

import math
from dataclasses import dataclass, field
from pathlib import Path

import cv2
import numpy as np
from astropy.wcs import WCS

from galaxy_lvm.core.config.lens_search import ImageReading
from galaxy_lvm.core.errors import DataError
from galaxy_lvm.survey.colour import grz_to_rgb
from galaxy_lvm.survey.cubes import read_cube
from galaxy_lvm.survey.image_files import kind_of
from galaxy_lvm.survey.pictures import SMALLEST_SIDE_PIX, read_picture
from galaxy_lvm.survey.pixels import fill_missing, missing_pixels
from galaxy_lvm.survey.sky_frame import positions, sky_frame
from galaxy_lvm.survey.store import BANDS, PIXEL_SCALE_ARCSEC

# Holes are interpolated up to this distance from good pixels; what is deeper is shown as sky.
_DEEP_PIX = 8.0
_SAME_SCALE = 1e-3


@dataclass(frozen=True)
class SkyImage:
    """One image, ready to be searched.

    Attributes
    ----------
    rgb
        uint8 (H, W, 3) in the survey's colours at 0.262 arcsec per pixel.
    missing
        bool (H, W), pixels without a measurement in some band.
    zoom
        Pixels of `rgb` per pixel of the file, along x and y; a picture's are counted as it is
        shown, turned as its EXIF says.
    wcs
        Sky coordinates of the file's pixels; None where they are not known.
    bottom_up
        The first row is the lowest one, as in FITS files, not the highest.
    """

    rgb: np.ndarray
    missing: np.ndarray
    zoom: tuple[float, float] = (1.0, 1.0)
    wcs: WCS | None = field(default=None, compare=False)
    bottom_up: bool = False

    def in_file(self, boxes: np.ndarray) -> np.ndarray:
        """Return boxes (n, 4) of `rgb` as edges in the file's pixels."""
        return boxes / np.tile(self.zoom, 2)

    def sky(self, boxes: np.ndarray) -> np.ndarray:
        """Return ra and dec (n, 2), ICRS degrees, of the centres of boxes; NaN if unknown."""
        edges = self.in_file(boxes)
        # Edges count from the first pixel's outer side, a WCS from its middle.
        return positions(self.wcs, (edges[:, :2] + edges[:, 2:]) / 2 - 0.5)


def read_sky_image(path: Path, settings: ImageReading) -> SkyImage:
    """Read a FITS cube, a JPEG or a PNG of any size.

    Raises
    ------
    DataError
        If the file is damaged, is no colour image or lacks a band, has no pixel scale, is too
        coarse or tiny, or has no valid pixel.
    """
    return (_read_colours if kind_of(path) == "image" else _read_fluxes)(path, settings)


def from_fluxes(cube: np.ndarray, scale_arcsec: float, wcs: WCS | None = None) -> SkyImage:
    """Return the image of fluxes (3, H, W): g, r, z in nanomaggies per 0.262 arcsec pixel.

    Raises
    ------
    DataError
        If a band has no valid pixel.
    """
    missing = missing_pixels(cube)
    empty = [band for band, holes in zip(BANDS, missing, strict=True) if holes.all()]
    if empty:
        raise DataError(f"has no valid pixel in {', '.join(empty)}; leave it out or fetch it again")
    holes = missing.any(axis=0)
    if holes.any():
        distance = cv2.distanceTransform(holes.astype(np.uint8), cv2.DIST_L2, 3)
        deep = distance > _DEEP_PIX
        cube = fill_missing(np.where(deep, np.float32(0), cube), missing & ~deep)
    planes, zoom = _resampled(np.moveaxis(cube, 0, -1), scale_arcsec)
    gone, _ = _resampled(holes.astype(np.float32), scale_arcsec)
    rgb = grz_to_rgb(np.moveaxis(planes, -1, 0)[None])[0]
    return SkyImage(rgb, gone >= 0.5, zoom, wcs, bottom_up=True)


def tangent_wcs(ra: float, dec: float, side_pix: int) -> WCS:
    """Return the WCS of a square cutout around a position: north up, east left, first row south."""
    wcs = WCS(naxis=2)
    wcs.wcs.ctype = ["RA---TAN", "DEC--TAN"]
    wcs.wcs.crval = [ra, dec]
    wcs.wcs.crpix = [(side_pix + 1) / 2] * 2
    wcs.wcs.cdelt = [-PIXEL_SCALE_ARCSEC / 3600, PIXEL_SCALE_ARCSEC / 3600]
    return wcs


def _read_fluxes(path: Path, settings: ImageReading) -> SkyImage:
    cube, header = read_cube(path, settings)
    frame = sky_frame(header, cube.shape[1:])
    scale = frame.scale_arcsec if frame else settings.pixel_scale_arcsec
    _check_scale(scale, cube.shape[1:], settings)
    if settings.flux_unit == "per_own_pixel":
        cube = cube * (PIXEL_SCALE_ARCSEC / scale) ** 2
    return from_fluxes(cube, scale, frame.wcs if frame else None)


def _read_colours(path: Path, settings: ImageReading) -> SkyImage:
    picture = read_picture(path, settings)
    pixels = picture.pixels
    _check_scale(settings.pixel_scale_arcsec, pixels.shape[:2], settings)
    if (pixels == pixels[0, 0]).all():
        raise DataError("has no valid pixel: all have the same colour")
    rgb, zoom = _resampled(pixels, settings.pixel_scale_arcsec)
    gone = np.zeros(pixels.shape[:2], bool)
    if picture.transparent is not None:
        gone = picture.transparent
    gone, _ = _resampled(gone.astype(np.float32), settings.pixel_scale_arcsec)
    return SkyImage(rgb, gone >= 0.5, zoom)


def _check_scale(scale: float | None, shape: tuple[int, int], settings: ImageReading) -> None:
    if scale is None:
        raise DataError("has no pixel scale; set lenses.search.pixel_scale_arcsec (--pixel-scale)")
    if scale > settings.max_pixel_scale_arcsec:
        raise DataError(
            f"has {scale:.3g} arcsec per pixel, coarser than max_pixel_scale_arcsec = "
            f"{settings.max_pixel_scale_arcsec:g}; use finer ones, at best {PIXEL_SCALE_ARCSEC}"
        )
    if min(shape) < SMALLEST_SIDE_PIX:
        raise DataError(
            f"is {shape[1]} x {shape[0]} pixels; at least {SMALLEST_SIDE_PIX} are needed"
        )


def _resampled(pixels: np.ndarray, scale_arcsec: float) -> tuple[np.ndarray, tuple[float, float]]:
    """Return an image (H, W) or (H, W, 3) at the survey's scale, and the zoom along x and y."""
    zoom = scale_arcsec / PIXEL_SCALE_ARCSEC
    if abs(zoom - 1.0) <= _SAME_SCALE:
        return pixels, (1.0, 1.0)
    height, width = pixels.shape[:2]
    size = max(1, math.floor(width * zoom + 0.5)), max(1, math.floor(height * zoom + 0.5))
    method = cv2.INTER_AREA if zoom < 1 else cv2.INTER_CUBIC
    resized = cv2.resize(np.ascontiguousarray(pixels), size, interpolation=method)
    return resized, (size[0] / width, size[1] / height)
