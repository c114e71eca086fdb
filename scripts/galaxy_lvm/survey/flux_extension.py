"""Which image of a FITS file holds the fluxes, and whether its values can be such."""

import re
from collections.abc import Sequence

import numpy as np
from astropy.io import fits

from galaxy_lvm.core.config.survey import FileReading
from galaxy_lvm.core.errors import DataError

# Words that name an image, by convention of surveys and pipelines: of the sky's flux, or of
# something that belongs to it.
_FLUX_WORDS = {"image", "images", "sci", "science", "data", "flux", "fluxes", "coadd", "intensity"}
_OTHER_WORDS = {
    "invvar", "inversevariance", "ivar", "variance", "var", "weight", "weights", "wht", "wgt",
    "mask", "masks", "maskbits", "bitmask", "dq", "quality", "flag", "flags", "err", "error",
    "errors", "sigma", "std", "stddev", "rms", "stat", "noise", "uncert", "uncertainty", "unc",
    "nexp", "exptime", "exposure", "expmap", "coverage", "cov", "conf", "confidence", "psf",
    "psfsize", "depth", "galdepth", "psfdepth", "chi", "chi2", "resid", "residual", "residuals",
    "model", "models", "sky", "bkg", "background", "wavelength", "snr", "segm", "segmentation",
}  # fmt: skip
_NAME_KEYS = ("EXTNAME", "HDUNAME", "IMAGETYP", "EXTTYPE", "HDUCLAS2", "HDUCLAS3")
_NANOMAGGIES = re.compile(r"(nano-?_?magg(y|ie|ies)|nmgy|nmagg(y|ies)?)(/(pix|pixel))?")
# No frame is as bright as this everywhere, in nanomaggies per 0.262 arcsec pixel: 14.6 mag per
# square arcsec, the innermost arcsec of the brightest galaxies.
_BRIGHTEST_SKY = 100.0
_DARKER_SHARE = 0.01
_MOST_FLAGS = 32


def flux_extension(hdus: fits.HDUList, reading: FileReading) -> int:
    """Return the number of the image with the fluxes.

    Parameters
    ----------
    hdus
        Of an open file.
    reading
        `fits_extension` chooses; else names (EXTNAME and the like) and units (BUNIT) do.

    Raises
    ------
    DataError
        If there is no such image, or several that names and units do not tell apart.
    """
    images = [number for number, hdu in enumerate(hdus) if hdu.is_image]
    cubes = [number for number in images if hdus[number].header.get("NAXIS", 0) == 3]
    if reading.fits_extension is not None:
        return _chosen(hdus, cubes, reading.fits_extension)
    if not cubes:
        shapes = [hdus[number].shape for number in images]
        raise DataError(
            f"holds no (bands, H, W) image, but {shapes}; a plane for every band is needed"
        )
    kinds = {number: _kind(hdus[number].header) for number in cubes}
    for wanted in ("flux", "unknown"):
        found = [number for number in cubes if kinds[number] == wanted]
        if len(found) == 1:
            return found[0]
        if found:
            raise DataError(
                f"holds {len(found)} images that may be the fluxes: {_listed(hdus, found)}; set "
                "fits_extension to the number or name of the right one"
            )
    raise DataError(
        f"holds no fluxes by name and unit, but {_listed(hdus, cubes)}; set fits_extension to a "
        "number or name where they are fluxes all the same"
    )


def _chosen(hdus: fits.HDUList, cubes: Sequence[int], wanted: int | str) -> int:
    by_name = [n for n, hdu in enumerate(hdus) if hdu.name.lower() == str(wanted).strip().lower()]
    if str(wanted).strip().isdigit() and not by_name:
        by_name = [int(wanted)]
    found = [number for number in by_name if number in cubes]
    if len(found) != 1:
        raise DataError(
            f"holds {len(found) or 'no'} (bands, H, W) image {wanted!r} (fits_extension), but "
            f"{_listed(hdus, cubes) or 'none at all'}"
        )
    return found[0]


def _listed(hdus: fits.HDUList, numbers: Sequence[int]) -> str:
    found = []
    for n in numbers:
        unit = _unit(hdus[n].header)
        name = f"{n} {hdus[n].name or '(no name)'} {hdus[n].shape}"
        found.append(f"{name} in {unit}" if unit else name)
    return ", ".join(found)


def _kind(header: fits.Header) -> str:
    """Return flux, other or unknown, as names and unit say."""
    names = " ".join(str(header.get(key, "")) for key in _NAME_KEYS).lower()
    words = {re.sub(r"\d+$", "", word) for word in re.findall(r"[a-z0-9]+", names)}
    words |= {word for word in re.findall(r"[a-z0-9]+", names)}
    unit = _unit(header)
    are_fluxes = _NANOMAGGIES.fullmatch(unit) is not None
    # Powers of the unit are those of variances and their inverses.
    if words & _OTHER_WORDS or (re.search("magg|nmgy", unit) and not are_fluxes):
        return "other"
    return "flux" if words & _FLUX_WORDS or are_fluxes else "unknown"


def _unit(header: fits.Header) -> str:
    value = header.get("BUNIT", "")
    return re.sub(r"\s+", "", value).lower() if isinstance(value, str) else ""


def check_unit(header: fits.Header) -> None:
    """Refuse values in another unit than nanomaggies.

    Raises
    ------
    DataError
        If BUNIT says so; a header without one is believed.
    """
    unit = _unit(header)
    if unit and not _NANOMAGGIES.fullmatch(unit):
        raise DataError(
            f"has values in {str(header['BUNIT']).strip()!r} (BUNIT), nanomaggies are needed; "
            "convert them, or set fits_extension where they are nanomaggies all the same"
        )


def check_values(cube: np.ndarray, whole_numbers: bool) -> None:
    """Refuse values (bands, H, W) that cannot be fluxes in nanomaggies.

    Parameters
    ----------
    cube
        Of the file, its scale applied.
    whole_numbers
        The file holds integers without a scale.

    Raises
    ------
    DataError
        If they are flags, or brighter all over than any sky: counts, weights, inverse variances.
    """
    good = (plane[np.isfinite(plane)] for plane in cube)
    if whole_numbers and cube.size and _are_flags(cube):
        raise DataError(
            "holds a few whole numbers, flags or a mask by all signs; set fits_extension to the "
            "number or name of the fluxes"
        )
    if all(len(p) and (p <= _BRIGHTEST_SKY).mean() < _DARKER_SHARE for p in good):
        raise DataError(
            f"is brighter than {_BRIGHTEST_SKY:g} in every pixel: counts, weights or an inverse "
            "variance, not nanomaggies above the sky; convert it, or set fits_extension to the "
            "number or name of the fluxes"
        )


def _are_flags(cube: np.ndarray) -> bool:
    values = np.unique(cube)
    return bool(len(values) <= _MOST_FLAGS and values.min() >= 0)
