"""What an answer of the cutout service has to be: whole, of the place and the pixels asked for."""

import io
import math
from collections.abc import Sequence

import numpy as np
from astropy.io import fits

from galaxy_lvm.core.config.sky_survey import Survey
from galaxy_lvm.core.errors import DataError
from galaxy_lvm.survey import cubes
from galaxy_lvm.survey.pixels import missing_pixels
from galaxy_lvm.survey.remote import RefusedError, ServiceError, check_is_data
from galaxy_lvm.survey.sky_frame import frame_centre
from galaxy_lvm.survey.store import LEGACY

# The service rounds the scale to a few digits.
_SCALE_TOLERANCE = 0.005


class UncoveredError(RefusedError):
    """The survey has no usable data at the position.

    Attributes
    ----------
    max_bad_fraction
        The limit that it was held against; None where a band is empty, whatever the limit.
    """

    def __init__(self, reason: str, max_bad_fraction: float | None = None) -> None:
        super().__init__(reason)
        self.max_bad_fraction = max_bad_fraction


def read_cube(
    content: bytes, side_pix: int, place: tuple[float, float], survey: Survey = LEGACY
) -> np.ndarray:
    """Return the fluxes (bands, side, side) float32 of the service's FITS file, in nanomaggies.

    Parameters
    ----------
    content
        The file.
    side_pix
        Side that was asked for.
    place
        Right ascension and declination in degrees that were asked for.
    survey
        Bands and pixel scale that were asked for, and the zero point of the answer.

    Raises
    ------
    ServiceError
        If the file is damaged or cut short, empty, a web page, or of another place.
    RefusedError
        If it is another kind of file, or holds other bands, another size or other pixels than
        asked for.
    """
    check_is_data(content)
    if not content.startswith(b"SIMPLE"):
        text = " ".join(content[:120].decode("utf-8", "replace").split())
        raise RefusedError(f"the service sent no FITS file but {text!r}")
    asked = f"asked for {', '.join(survey.bands)}, {side_pix} x {side_pix}"
    try:
        cube, header = cubes.read_cube(io.BytesIO(content), bands=survey.bands)
    except cubes.DamagedError as error:
        raise ServiceError(f"a damaged FITS file: it {error}") from error
    except DataError as error:
        raise RefusedError(f"the service sent a file that {error}; {asked}") from error
    if cube.shape[1:] != (side_pix, side_pix):
        raise RefusedError(
            f"the service sent {cube.shape[2]} x {cube.shape[1]} pixels, {asked}; a smaller frame "
            "means that this is the largest one it gives"
        )
    _check_place(header, side_pix, place, survey.pixel_scale_arcsec)
    factor = survey.to_nanomaggies
    return cube if factor == 1 else cube * np.float32(factor)


def _check_place(
    header: fits.Header, side_pix: int, place: tuple[float, float], scale_arcsec: float
) -> None:
    """Refuse a frame with other pixels; one of another place may be someone else's answer."""
    try:
        frame = frame_centre(header, (side_pix, side_pix))
    except DataError as error:
        raise ServiceError(f"a damaged FITS file: it {error}") from error
    if frame is None or math.isnan(frame.ra):
        raise RefusedError("the service sent a file that does not say where on the sky it lies")
    if abs(frame.scale_arcsec / scale_arcsec - 1) > _SCALE_TOLERANCE:
        raise RefusedError(
            f"the service sent pixels of {frame.scale_arcsec:.4g} arcsec, asked for "
            f"{scale_arcsec:g}"
        )
    east = ((frame.ra - place[0] + 180) % 360 - 180) * math.cos(math.radians(place[1]))
    off_arcsec = 3600 * math.hypot(east, frame.dec - place[1])
    if off_arcsec > scale_arcsec:
        raise ServiceError(
            f"the service sent a frame around {frame.ra:.6f} {frame.dec:+.6f}, {off_arcsec:.3g} "
            "arcsec from the position"
        )


def check_coverage(
    cube: np.ndarray, max_bad_fraction: float, bands: Sequence[str] = LEGACY.bands
) -> None:
    """Refuse a cutout (bands, H, W) that the survey does not cover.

    Raises
    ------
    UncoveredError
        If a band is empty, or lacks more than `max_bad_fraction` of its pixels.
    """
    share = missing_pixels(cube).mean(axis=(1, 2))
    empty = [band for band, value in zip(bands, share, strict=True) if value == 1]
    if empty:
        raise UncoveredError(
            f"no data in {', '.join(empty)}: outside the survey's footprint; remove the position"
        )
    if share.max() > max_bad_fraction:
        shares = ", ".join(f"{b} {value:.0%}" for b, value in zip(bands, share, strict=True))
        raise UncoveredError(
            f"lacks too many pixels ({shares}; max_bad_fraction = {max_bad_fraction:.0%}): at the "
            "edge of the survey; remove the position",
            max_bad_fraction,
        )
