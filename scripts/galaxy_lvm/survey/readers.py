"""Read one image file of a user: a JPEG or PNG in colour, or a FITS cube of bands."""

import math
from dataclasses import dataclass, field
from pathlib import Path

import cv2
import numpy as np

from galaxy_lvm.core.config.sky_survey import Survey
from galaxy_lvm.core.config.survey import FileReading
from galaxy_lvm.core.errors import DataError
from galaxy_lvm.survey.cubes import read_cube
from galaxy_lvm.survey.pictures import read_picture
from galaxy_lvm.survey.pixels import missing_pixels
from galaxy_lvm.survey.sky_frame import sky_frame
from galaxy_lvm.survey.store import CUTOUT_SIDE_PIX, LEGACY

# A frame that differs from the store's by less than this is padded or cut rather than resampled.
_SAME_SIZE = 0.02
# Pixel scales that agree to this are the same: across a cutout that is a sixth of a pixel.
_SAME_SCALE = 1e-3
# A FITS frame has to cover this share of the cutout's side; the rest is mirrored.
_SMALLEST_COVER = 0.5


@dataclass
class ReadImage:
    """One image, brought to the store's frame.

    Attributes
    ----------
    pixels
        uint8 (side, side, 3) for colour images; float32 (bands, 152, 152) in nanomaggies for FITS,
        with NaN where there is no measurement.
    width_pix, height_pix
        Size of the file's image.
    notes
        What was changed on the way, in words.
    columns
        Values read from the file that the catalogue may lack (ra, dec).
    """

    pixels: np.ndarray
    width_pix: int
    height_pix: int
    notes: tuple[str, ...] = ()
    columns: dict[str, float] = field(default_factory=dict)


def read_rgb(path: Path, side_pix: int, reading: FileReading | None = None) -> ReadImage:
    """Read a colour JPEG or PNG, cut the central square and bring it to `side_pix`.

    Raises
    ------
    DataError
        As `pictures.read_picture` does.
    """
    picture = read_picture(path, reading)
    height, width = picture.pixels.shape[:2]
    return ReadImage(_to_square(picture.pixels, side_pix), width, height, picture.notes)


def _to_square(pixels: np.ndarray, side_pix: int) -> np.ndarray:
    pixels = centre_cut(pixels, min(pixels.shape[:2]))
    side = pixels.shape[0]
    if side == side_pix:
        return pixels
    if abs(side - side_pix) <= _SAME_SIZE * side_pix:
        return centre_cut(pixels, side_pix)
    shrinks = side > side_pix
    method = cv2.INTER_AREA if shrinks else cv2.INTER_CUBIC
    return cv2.resize(pixels, (side_pix, side_pix), interpolation=method)


def centre_cut(pixels: np.ndarray, side_pix: int) -> np.ndarray:
    """Return the central square of an (H, W) or (H, W, C) array; mirror its edges if too small."""
    missing = [max(0, side_pix - length) for length in pixels.shape[:2]]
    if any(missing):
        top, left = missing[0] // 2, missing[1] // 2
        pixels = cv2.copyMakeBorder(
            np.ascontiguousarray(pixels),
            *(top, missing[0] - top, left, missing[1] - left),
            cv2.BORDER_REFLECT_101,
        )
    y0, x0 = ((length - side_pix) // 2 for length in pixels.shape[:2])
    return pixels[y0 : y0 + side_pix, x0 : x0 + side_pix]


def read_fluxes(
    path: Path,
    flux_unit: str = "per_native_pixel",
    pixel_scale_arcsec: float | None = None,
    max_pixel_scale_arcsec: float = 0.6,
    zero_is_missing: bool = True,
    reading: FileReading | None = None,
    survey: Survey = LEGACY,
) -> ReadImage:
    """Read the bands of a survey from a FITS cube, resampled to 152 x 152 of its pixels.

    Parameters
    ----------
    path
        FITS file with an image (bands, H, W) in nanomaggies, or fluxes of the survey's zero point.
    flux_unit
        `per_native_pixel`: values are per pixel of the survey whatever the file's own scale, as the
        cutout service of the Legacy Surveys interpolates them. `per_own_pixel`: values are per
        pixel of the file, and are multiplied by the ratio of the pixel areas.
    pixel_scale_arcsec
        For files without a WCS. The header wins where it has one.
    max_pixel_scale_arcsec
        Coarser files are refused: little of a galaxy's shape is left.
    zero_is_missing
        Treat pixels of exactly 0 as not measured, in files of integers only those of BLANK.
    reading
        Which extension and which bands, where the file does not say; defaults where None.
    survey
        Bands, pixel scale and zero point; those of the Legacy Surveys where not given.

    Raises
    ------
    DataError
        If the file is damaged, lacks a band, holds something else than fluxes, has no pixel scale,
        is too coarse or too small.
    """
    cube, header = read_cube(path, reading, survey.bands)
    native = survey.pixel_scale_arcsec
    height, width = cube.shape[1:]
    frame = sky_frame(header, (height, width))
    scale = frame.scale_arcsec if frame else pixel_scale_arcsec
    _check_scale(scale, min(height, width), native, max_pixel_scale_arcsec)
    zoom = scale / native
    notes = []
    if flux_unit == "per_own_pixel":
        cube = cube / zoom**2
    if survey.to_nanomaggies != 1:
        cube = cube * np.float32(survey.to_nanomaggies)
    if abs(zoom - 1.0) > _SAME_SCALE:
        notes.append(f"resampled from {scale:.3g} arcsec per pixel")
    if zoom * min(height, width) < CUTOUT_SIDE_PIX - 1:
        notes.append("smaller than a cutout: edges mirrored")
    missing = missing_pixels(cube, zero_is_missing)
    planes = [_resample(*pair, zoom) for pair in zip(cube, missing, strict=True)]
    known = frame is not None and math.isfinite(frame.ra)
    if frame is not None and not known:
        notes.append("without a position: CRVAL is no number, or CTYPE names no axis of the sky")
    columns = {"ra": frame.ra, "dec": frame.dec} if known else {}
    return ReadImage(np.stack(planes), width, height, tuple(notes), columns)


def _check_scale(
    scale_arcsec: float | None, side_pix: int, native_arcsec: float, max_arcsec: float
) -> None:
    """Refuse a frame whose pixels are unknown or too coarse, or that is too small."""
    if scale_arcsec is None:
        raise DataError("has no pixel scale in its header (CD or CDELT); set pixel_scale_arcsec")
    if scale_arcsec > max_arcsec:
        raise DataError(
            f"has {scale_arcsec:.3g} arcsec per pixel, coarser than max_pixel_scale_arcsec = "
            f"{max_arcsec:g}; fetch it at {native_arcsec:g} arcsec per pixel"
        )
    if scale_arcsec * side_pix < _SMALLEST_COVER * CUTOUT_SIDE_PIX * native_arcsec:
        raise DataError(
            f"covers {scale_arcsec * side_pix:.1f} arcsec, less than half of the "
            f"{CUTOUT_SIDE_PIX * native_arcsec:.1f} arcsec of a cutout; fetch a larger one"
        )


def _resample(plane: np.ndarray, missing: np.ndarray, zoom: float) -> np.ndarray:
    """Resample one band to the native scale and cut its centre; missing pixels stay NaN."""
    height, width = plane.shape
    if abs(zoom - 1.0) <= _SAME_SCALE:
        plane = np.where(missing, np.float32(np.nan), plane) if missing.any() else plane
        return centre_cut(plane, CUTOUT_SIDE_PIX)
    # An even size, as the cutout's: its centre then stays where it is.
    size = max(2, 2 * round(width * zoom / 2)), max(2, 2 * round(height * zoom / 2))
    if not missing.any():
        method = cv2.INTER_AREA if zoom < 1 else cv2.INTER_CUBIC
        return centre_cut(cv2.resize(plane, size, interpolation=method), CUTOUT_SIDE_PIX)
    # Weighted means of the good pixels, so that holes neither spread nor darken what is around.
    method = cv2.INTER_AREA if zoom < 1 else cv2.INTER_LINEAR
    weight = cv2.resize((~missing).astype(np.float32), size, interpolation=method)
    total = cv2.resize(np.where(missing, np.float32(0), plane), size, interpolation=method)
    plane = np.where(weight >= 0.5, total / np.maximum(weight, 0.5), np.float32(np.nan))
    return centre_cut(plane.astype(np.float32), CUTOUT_SIDE_PIX)
