"""From calibrated g, r, z fluxes to the colours of the Legacy Surveys' sky viewer.

The mapping is the viewer's standard one (its `sdss_rgb`, after Lupton et al. 2004): every band is
scaled, the mean of the three is compressed with an asinh, and the three keep their ratios.
"""

import cv2
import numpy as np

from galaxy_lvm.core.errors import DataError

# Multipliers of g, r, z (nanomaggies per 0.262 arcsec pixel) that give the viewer's colour balance.
BAND_SCALES = (6.0, 3.4, 2.2)
SKY_OFFSET = 0.03
SOFTENING = 20.0

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
    images = np.asarray(images)
    if images.ndim != 4 or images.shape[1] != 3:
        raise DataError(f"colour mapping takes (N, 3, H, W) arrays in g, r, z, not {images.shape}")
    count, _, height, width = images.shape
    rgb = np.empty((count, height, width, 3), np.uint8)
    # One set of buffers for all images: they stay in the processor's cache.
    planes = np.empty((3, height, width), np.float32)
    intensity, work = np.empty((2, height, width), np.float32)
    for image, target in zip(images, rgb, strict=True):
        _map_one(image, target, planes, intensity, work)
    return rgb


def _map_one(
    image: np.ndarray,
    target: np.ndarray,
    planes: np.ndarray,
    intensity: np.ndarray,
    work: np.ndarray,
) -> None:
    for plane, band, scale in zip(planes, image, BAND_SCALES, strict=True):
        np.multiply(band, scale, out=plane, casting="same_kind")
    # The sum of a plane is finite only if every pixel is: much cheaper than looking at each.
    if not np.isfinite(planes.sum()):
        planes[~np.isfinite(planes)] = 0.0
    np.add(planes, SKY_OFFSET, out=planes)
    np.maximum(planes, 0.0, out=planes)
    cv2.add(planes[0], planes[1], dst=intensity)
    cv2.add(intensity, planes[2], dst=intensity)
    np.multiply(intensity, 1.0 / 3.0, out=intensity)
    np.maximum(intensity, _SMALLEST_INTENSITY, out=intensity)
    # asinh(x) = log(x + sqrt(x^2 + 1)); OpenCV's logarithm is several times faster than numpy's
    # asinh, and x >= 0 here, so that nothing cancels.
    np.multiply(intensity, SOFTENING, out=work)
    np.multiply(work, work, out=work)
    np.add(work, 1.0, out=work)
    cv2.sqrt(work, dst=work)
    cv2.scaleAdd(intensity, SOFTENING, work, dst=work)
    cv2.log(work, dst=work)
    np.divide(work, intensity, out=work)
    np.multiply(work, 255.0 / np.sqrt(np.float32(SOFTENING)), out=work)
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
