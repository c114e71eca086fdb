"""Where a FITS frame lies on the sky: the one place that asks a header."""

import math
import re
from dataclasses import dataclass

import numpy as np
from astropy.coordinates import SkyCoord
from astropy.io import fits
from astropy.wcs import WCS
from astropy.wcs.utils import proj_plane_pixel_scales

from galaxy_lvm.core.errors import DataError, in_short
from galaxy_lvm.survey.fits_errors import HEADER_ERRORS

# What an axis without a scale has by default: no image of galaxies has pixels of a degree.
_UNSET_DEG = 1.0
# Cards of which wcslib takes the default in silence where they hold no number.
_NUMBERS = re.compile(
    r"CRPIX[12]|CDELT[12]|CROTA[12]|(CD|PC)[12]_[12]|PV[12]_\d+|LONPOLE|LATPOLE|(A|B|AP|BP)_\d_\d"
)
# Orders of a SIP: astropy makes room for whatever they say.
_ORDERS, _HIGHEST_ORDER = re.compile("(A|B|AP|BP)_ORDER"), 9
# Units of the standard; programs also write degrees, Deg or arcseconds.
_UNITS = ("deg", "arcsec", "arcmin", "rad")
# Frames whose pixels are longer than wide by more than this would show other shapes.
_MOST_OBLONG = 1.05
# What a plain frame says, and what none does: other scales, units, distortions, equinoxes, poles.
_PLAIN = ("CRVAL1", "CRVAL2", "CRPIX1", "CRPIX2", "CD1_1", "CD1_2", "CD2_1", "CD2_2")
_MORE = re.compile(
    r"CDELT\d|CROTA\d|CUNIT[12]|PC\d_\d|P[VS]\d_\d+|(A|B|AP|BP|D)_.*|D[PQ]\d.*|CPDIS.*|EQUINOX|EPOCH"
    r"|RADECSYS|LONPOLE|LATPOLE|WCSAXES|WAT\d_.*|CD\d_3|CD3_\d"
)
_SAME_PIXEL = 1e-6
# Area of a pixel as a share of that of a square with its sides.
_SMALLEST_AREA = 1e-3


@dataclass(frozen=True)
class SkyFrame:
    """A frame on the sky.

    Attributes
    ----------
    scale_arcsec
        Geometric mean of a pixel's sides at the reference pixel.
    ra, dec
        Centre of the frame in degrees, ICRS; NaN where the header gives no position.
    wcs
        Celestial WCS of the frame's pixels, for `at`; None where there is no position.
    """

    scale_arcsec: float
    ra: float = math.nan
    dec: float = math.nan
    wcs: WCS | None = None

    def at(self, pixels: np.ndarray) -> np.ndarray:
        """Return ra and dec (n, 2) in degrees, ICRS, of pixels (n, 2) as (x, y), the first 0.

        NaN where the header gives no position, or none for a pixel.
        """
        return positions(self.wcs, pixels)


def positions(wcs: WCS | None, pixels: np.ndarray) -> np.ndarray:
    """Return ra and dec (n, 2) in degrees, ICRS, of pixels (n, 2); see `SkyFrame.at`."""
    if wcs is None or not len(pixels):
        return np.full((len(pixels), 2), np.nan)
    # The header's order of axes and its frame (Galactic, FK4, FK5) are astropy's business.
    sky = wcs.pixel_to_world(*np.asarray(pixels, float).T)
    if not isinstance(sky, SkyCoord):
        raise ValueError("its frame (RADESYS, CTYPE) is none of the sky")
    sky = sky.icrs
    return np.column_stack([sky.ra.deg, sky.dec.deg])


def sky_frame(header: fits.Header, shape: tuple[int, int]) -> SkyFrame | None:
    """Return where a frame lies, None where its header has no pixel scale.

    Parameters
    ----------
    header
        Of the image; further axes, such as bands, are left aside.
    shape
        Height and width in pixels.

    Raises
    ------
    DataError
        If the header says something of the sky that makes no sense.
    """
    try:
        wcs = _two_axes(header)
        return None if wcs is None else _frame(header, wcs, shape)
    except HEADER_ERRORS as error:
        raise DataError(
            f"has a header whose place on the sky (WCS) cannot be read: {in_short(error)}; mend or "
            "remove its cards (CTYPE, CRVAL, CD, PC, CDELT, CUNIT)"
        ) from error


def frame_centre(header: fits.Header, shape: tuple[int, int]) -> SkyFrame | None:
    """Return scale and centre of a frame, as `sky_frame` does, in a tenth of its time if plain.

    Plain is a frame around its reference pixel, in ICRS and without distortion, as cutout services
    send it: its header says all that is asked for, and no WCS is made of it.
    """
    plain = _plain(header, shape)
    return sky_frame(header, shape) if plain is None else plain


def _plain(header: fits.Header, shape: tuple[int, int]) -> SkyFrame | None:
    """Return a plain frame; None where the header says more, or anything strange."""
    if (header.get("CTYPE1"), header.get("CTYPE2")) != ("RA---TAN", "DEC--TAN"):
        return None
    if header.get("RADESYS", "ICRS") != "ICRS" or any(map(_MORE.fullmatch, header)):
        return None
    asked = [header.get(key, 0.0) for key in _PLAIN]
    if not all(map(_is_number, asked)):
        return None
    ra, dec, x, y, *matrix = map(float, asked)
    middle = (shape[1] + 1) / 2, (shape[0] + 1) / 2
    sides = math.hypot(matrix[0], matrix[2]), math.hypot(matrix[1], matrix[3])
    area = abs(matrix[0] * matrix[3] - matrix[1] * matrix[2])
    square = min(sides) > 0 and max(sides) <= _MOST_OBLONG * min(sides)
    if math.dist((x, y), middle) > _SAME_PIXEL or not square or abs(dec) > 90.0:
        return None
    if not _SMALLEST_AREA * sides[0] * sides[1] <= area < _UNSET_DEG:
        return None
    return SkyFrame(3600.0 * math.sqrt(sides[0] * sides[1]), ra % 360.0, dec)


def _two_axes(header: fits.Header) -> WCS | None:
    """Return the WCS of the image's two axes; None where the header has none."""
    if not any(re.fullmatch(r"CDELT[12]|(CD|PC)[12]_[12]", key) for key in header):
        return None
    # Only the values that matter are parsed: another card may be bad, and harmless.
    for key in filter(_NUMBERS.fullmatch, header):
        if not _is_number(header[key]):
            raise ValueError(f"{key} is no number, but {str(header[key])!r}")
    for key in filter(_ORDERS.fullmatch, header):
        if not (_is_number(header[key]) and header[key] <= _HIGHEST_ORDER):
            raise ValueError(f"{key} is {str(header[key])!r}, at most {_HIGHEST_ORDER} is possible")
    # A third axis, of bands, may be singular (CDELT3 = 0); it says nothing of the sky.
    return WCS(_tidied(header), naxis=2)


def _tidied(header: fits.Header) -> fits.Header:
    """Return the header with types and units of its axes as the standard spells them."""
    tidied = header.copy()
    for axis in (1, 2):
        kind, unit = header.get(f"CTYPE{axis}"), header.get(f"CUNIT{axis}")
        if isinstance(kind, str):
            tidied[f"CTYPE{axis}"] = kind.upper()
        if isinstance(unit, str):
            starts = [name for name in _UNITS if unit.strip().lower().startswith(name)]
            tidied[f"CUNIT{axis}"] = starts[0] if starts else unit
    return tidied


def _frame(header: fits.Header, wcs: WCS, shape: tuple[int, int]) -> SkyFrame | None:
    if not wcs.has_celestial:
        return _scale_only(wcs)
    scales = proj_plane_pixel_scales(wcs)
    # proj_plane_pixel_scales gives degrees once the units are converted, which WCS does.
    scale = 3600.0 * math.sqrt(float(scales[0] * scales[1]))
    if not (math.isfinite(scale) and scale > 0):
        raise ValueError(f"pixels of {scale} arcsec")
    area = abs(float(np.linalg.det(wcs.pixel_scale_matrix)))
    if area < _SMALLEST_AREA * float(scales[0] * scales[1]):
        raise ValueError("the matrix of its axes is singular")
    if max(scales) > _MOST_OBLONG * min(scales):
        sides = " x ".join(f"{3600 * side:.3g}" for side in scales)
        raise ValueError(f"pixels of {sides} arcsec are not square; resample the image")
    if not all(_is_number(header.get(f"CRVAL{axis}")) for axis in (1, 2)):
        return SkyFrame(scale)
    height, width = shape
    middle = np.array([[(width - 1) / 2, (height - 1) / 2]])
    ra, dec = positions(wcs, middle)[0]
    if not (np.isfinite([ra, dec]).all() and _is_on_sky(wcs)):
        raise ValueError(f"CRVAL {list(wcs.wcs.crval)} and the centre are no position on the sky")
    return SkyFrame(scale, float(ra), float(dec), wcs)


def _scale_only(wcs: WCS) -> SkyFrame | None:
    """Return the scale of a header that has a matrix but names no celestial axes."""
    area_deg2 = abs(float(np.linalg.det(wcs.pixel_scale_matrix)))
    if not (math.isfinite(area_deg2) and 0 < area_deg2 < _UNSET_DEG):
        return None
    return SkyFrame(3600.0 * math.sqrt(area_deg2))


def _is_on_sky(wcs: WCS) -> bool:
    latitude = wcs.wcs.crval[wcs.wcs.lat]
    return -90.0 <= float(latitude) <= 90.0


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)
