"""From calibrated fluxes in two or three bands to colours; of g, r, z those of the sky viewer.

The usual mapping is the Legacy Surveys' viewer's own (its `sdss_rgb`, after Lupton et al. 2004):
every band is scaled, the mean of the three is compressed with an asinh, and the three keep their
ratios. Others are astropy's.
"""

import cv2
import numpy as np

from galaxy_lvm.core.config.sky_survey import Stretch
from galaxy_lvm.core.errors import DataError

_VIEWER = Stretch()
# Multipliers of g, r, z (nanomaggies per 0.262 arcsec pixel) that give the viewer's colour balance.
BAND_SCALES = _VIEWER.band_scales
SKY_OFFSET = _VIEWER.offset
SOFTENING = _VIEWER.softening

# Keeps a pixel whose three bands all lie below -SKY_OFFSET away from 0/0.
_SMALLEST_INTENSITY = 1e-6


def grz_to_rgb(images: np.ndarray) -> np.ndarray:
    """Map fluxes to 8-bit colours: z is red, r is green, g is blue.

    Parameters
    ----------
    images
        Shape (N, 3, H, W), bands g, r, z in nanomaggies per 0.262 arcsec pixel. Pixels that are
        not finite are shown as empty sky; count them first with `non_finite_fraction` where that
        matters.

    Returns
    -------
    numpy.ndarray
        uint8, shape (N, H, W, 3), channels red, green, blue. Empty sky is near 32.

    Raises
    ------
    DataError
        If the shape is not (N, 3, H, W).
    """
    return to_rgb(images, _VIEWER)


def to_rgb(images: np.ndarray, stretch: Stretch) -> np.ndarray:
    """Map fluxes of two or three bands to 8-bit colours: the last is red, the first blue.

    Parameters
    ----------
    images
        Shape (N, bands, H, W), from blue to red. Of three bands the middle one is green, of two
        their mean. Pixels that are not finite are shown as empty sky.
    stretch
        The config's section `survey.stretch`, with as many `band_scales` as there are bands.

    Returns
    -------
    numpy.ndarray
        uint8, shape (N, H, W, 3), channels red, green, blue.

    Raises
    ------
    DataError
        If the shape is another.
    """
    images, n_bands = np.asarray(images), len(stretch.band_scales)
    if images.ndim != 4 or images.shape[1] != n_bands or n_bands not in (2, 3):
        raise DataError(f"colour mapping takes (N, {n_bands}, H, W) arrays, not {images.shape}")
    count, _, height, width = images.shape
    rgb = np.empty((count, height, width, 3), np.uint8)
    # One set of buffers for all images: they stay in the processor's cache.
    planes = np.empty((3, height, width), np.float32)
    buffers = np.empty((2, height, width), np.float32)
    for image, target in zip(images, rgb, strict=True):
        _scale(image, planes, stretch)
        if stretch.kind == "viewer":
            _as_viewer(planes, target, buffers, stretch.softening)
        else:
            target[:] = _by_astropy(planes, stretch)
    return rgb


def _scale(image: np.ndarray, planes: np.ndarray, stretch: Stretch) -> None:
    """Write the scaled bands, from blue to red, into the three planes."""
    for plane, band, scale in zip(
        planes[:: 4 - len(image)], image, stretch.band_scales, strict=True
    ):
        np.multiply(band, scale, out=plane, casting="same_kind")
    if len(image) == 2:
        np.add(planes[0], planes[2], out=planes[1])
        planes[1] *= 0.5
    # The sum of a plane is finite only if every pixel is: much cheaper than looking at each.
    if not np.isfinite(planes.sum()):
        planes[~np.isfinite(planes)] = 0.0
    np.add(planes, stretch.offset, out=planes)
    np.maximum(planes, 0.0, out=planes)


def _by_astropy(planes: np.ndarray, stretch: Stretch) -> np.ndarray:
    # Half a CPU second, and the usual mapping needs none of them.
    from astropy.visualization import AsinhStretch, LinearStretch, SqrtStretch, make_lupton_rgb

    if stretch.kind == "lupton":
        return make_lupton_rgb(*planes[::-1], minimum=0.0, stretch=1.0, Q=stretch.softening)
    curves = {
        "linear": LinearStretch(),
        "sqrt": SqrtStretch(),
        "asinh": AsinhStretch(1.0 / stretch.softening),
    }
    levels = curves[stretch.kind](np.clip(planes, 0.0, 1.0))
    return np.rint(255.0 * np.moveaxis(levels[::-1], 0, -1)).astype(np.uint8)


def _as_viewer(
    planes: np.ndarray, target: np.ndarray, buffers: np.ndarray, softening: float
) -> None:
    intensity, work = buffers
    cv2.add(planes[0], planes[1], dst=intensity)
    cv2.add(intensity, planes[2], dst=intensity)
    np.multiply(intensity, 1.0 / 3.0, out=intensity)
    np.maximum(intensity, _SMALLEST_INTENSITY, out=intensity)
    # asinh(x) = log(x + sqrt(x^2 + 1)); OpenCV's logarithm is several times faster than numpy's
    # asinh, and x >= 0 here, so that nothing cancels.
    np.multiply(intensity, softening, out=work)
    np.multiply(work, work, out=work)
    np.add(work, 1.0, out=work)
    cv2.sqrt(work, dst=work)
    cv2.scaleAdd(intensity, softening, work, dst=work)
    cv2.log(work, dst=work)
    np.divide(work, intensity, out=work)
    np.multiply(work, 255.0 / np.sqrt(np.float32(softening)), out=work)
    for plane in planes:
        np.multiply(plane, work, out=plane)
    # The clip comes before the cast, and half a level is added to round to nearest.
    np.minimum(planes, 255.0, out=planes)
    np.add(planes, 0.5, out=planes)
    for channel, plane in enumerate(planes[::-1]):
        target[..., channel] = plane


def non_finite_fraction(images: np.ndarray) -> np.ndarray:
    """Return, for every image, the share of pixels that are NaN or infinite in any band.

    Parameters
    ----------
    images
        Shape (N, 3, H, W).

    Returns
    -------
    numpy.ndarray
        float64, shape (N,), 0 to 1.
    """
    return (~np.isfinite(images)).any(axis=1).mean(axis=(1, 2))
