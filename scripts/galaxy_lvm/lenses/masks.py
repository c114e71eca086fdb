"""Measure which pixels of an image show lensed light around a red galaxy.

The galaxy in front is red, most sources behind it are blue. Its light in z, scaled and blurred to
look like its light in g (and in r), is taken away from g and r: what is left and stands out of the
noise close to the galaxy are the arcs. How well that works is measured on simulated lenses, whose
masks are known (`evaluation.lens_masks`); the constants below were chosen on training fields.
"""

import cv2
import numpy as np
import sep
from scipy import ndimage

from galaxy_lvm.core.config.lenses import ArcMask
from galaxy_lvm.core.errors import DataError
from galaxy_lvm.survey.colour import BAND_SCALES, SKY_OFFSET, SOFTENING
from galaxy_lvm.survey.pixels import fill_missing, missing_pixels
from galaxy_lvm.survey.store import PIXEL_SCALE_ARCSEC

# Weight of what is left in r beside g: arcs lose more of it to the scaled z, and it is noisier.
_WEIGHT_R = 0.25
_SMOOTHING_PIX = 1.3
# Light that varies over more than this is that of bright neighbours.
_BACKGROUND_PIX = 16
# The galaxy's colour and the difference of the PSFs are fitted within this radius; a negative
# width blurs the bluer band.
_FIT_RADIUS_PIX = 12.0
_BLURS_PIX = (-1.2, -0.9, -0.6, -0.3, 0.0, 0.3, 0.6, 0.9, 1.2, 1.5)
_FIT_ROUNDS = 15
# On training fields a low value gave the best masks: arcs cover much of what is fitted.
_TOO_BRIGHT_SIGMA = 0.5
_MIN_AREA_PIX = 5
_DEBLEND_CONTRAST = 1e-3
# Far from the galaxy a peak is more likely a neighbour: it has to be higher, by so many sigma per
# pixel beyond so many pixels.
_EXTRA_SIGMA_PER_PIX, _NEAR_PIX = 0.1, 6.0
# Tails one pixel wide are noise; arcs that nearly close, or end at the galaxy's centre where the
# subtraction leaves a hole, are joined.
_OPENING_PIX, _CLOSING_PIX = 1, 4
# What peaks closer than this alone is what the subtraction left of the galaxy itself.
_CORE_PIX = 2.5
_SATURATED_LEVEL = 254


class NoMaskError(DataError):
    """Nothing that looks like lensed light; the message says what was looked for."""


def fluxes_of(image: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return g, r, z fluxes of an image, and where they cannot be told.

    Parameters
    ----------
    image
        float (3, H, W) g, r, z in nanomaggies, or uint8 (H, W, 3) made by `colour.grz_to_rgb`:
        that mapping is undone, up to what it cut off at both ends.

    Returns
    -------
    fluxes : numpy.ndarray
        float32 (3, H, W).
    saturated : numpy.ndarray
        bool (H, W).

    Raises
    ------
    DataError
        If the array is neither.
    """
    if image.ndim == 3 and image.shape[0] == 3 and image.dtype.kind == "f":
        missing = missing_pixels(image)
        if missing.all(axis=(1, 2)).any():
            raise DataError("a band without any pixel; lens fields need g, r and z")
        fluxes = fill_missing(image.astype(np.float32), missing) if missing.any() else image
        return fluxes.astype(np.float32), np.zeros(image.shape[1:], dtype=bool)
    if image.ndim != 3 or image.shape[2] != 3 or image.dtype != np.uint8:
        raise DataError(f"an image of {image.dtype} {image.shape}, expected grz or uint8 RGB")
    levels = image[..., ::-1].astype(np.float64)
    mean = levels.mean(axis=2)
    intensity = np.sinh(mean * np.sqrt(SOFTENING) / 255.0) / SOFTENING
    planes = levels * (intensity / np.maximum(mean, 1e-3))[..., None]
    fluxes = (planes - SKY_OFFSET) / np.array(BAND_SCALES)
    saturated = (image >= _SATURATED_LEVEL).any(axis=2)
    return np.ascontiguousarray(fluxes.transpose(2, 0, 1), dtype=np.float32), saturated


def measure_mask(
    image: np.ndarray, x_pix: float, y_pix: float, settings: ArcMask | None = None
) -> np.ndarray:
    """Return the mask of the lensed light around a position.

    Parameters
    ----------
    image
        See `fluxes_of`; 0.262 arcsec per pixel, 32 pixels a side at least.
    x_pix, y_pix
        The galaxy in front, in pixel edges (columns, rows).
    settings
        Defaults where None.

    Returns
    -------
    numpy.ndarray
        bool (H, W), never empty.

    Raises
    ------
    NoMaskError
        If nothing stands out.
    DataError
        If the position is outside the image or the image is not one.
    """
    settings = settings or ArcMask()
    fluxes, saturated = fluxes_of(image)
    height, width = saturated.shape
    if not (0 <= x_pix < width and 0 <= y_pix < height) or min(height, width) < 32:
        raise DataError(f"position ({x_pix:.1f}, {y_pix:.1f}) in an image of {width} x {height}")
    planes = np.stack([_in_sigma(plane) for plane in fluxes])
    near = _distance(saturated.shape, x_pix, y_pix) * PIXEL_SCALE_ARCSEC
    light = ndimage.gaussian_filter(planes[1] + planes[2], 1.0)
    # A pixel at least: the nearest one's centre may lie beside the position.
    light = np.where(near <= max(settings.recentre_arcsec, PIXEL_SCALE_ARCSEC), light, -np.inf)
    row, column = np.unravel_index(light.argmax(), light.shape)
    distance = _distance(saturated.shape, column + 0.5, row + 0.5)
    use = (distance < _FIT_RADIUS_PIX) & ~saturated
    left = without_red_light(planes[0], planes[2], use)
    left = left + _WEIGHT_R * without_red_light(planes[1], planes[2], use)
    left = ndimage.gaussian_filter(left, _SMOOTHING_PIX)
    background = sep.Background(left, bw=_BACKGROUND_PIX, bh=_BACKGROUND_PIX).back()
    mask = _arcs(_in_sigma(left - background), distance, settings)
    if not mask.any():
        raise NoMaskError(
            f"no arc of {settings.detection_sigma:g} sigma within {settings.radius_arcsec:g} "
            "arcsec of the position, beside the red galaxy that was subtracted"
        )
    return mask


def _distance(shape: tuple[int, int], x_pix: float, y_pix: float) -> np.ndarray:
    """Return the distance of every pixel's centre from a position, in pixels."""
    y, x = np.indices(shape) + 0.5
    return np.hypot(x - x_pix, y - y_pix)


def _in_sigma(plane: np.ndarray) -> np.ndarray:
    """Return a plane minus its sky, in units of the sky's noise (clipped median and MAD)."""
    sky, spread = np.median(plane), np.inf
    for _ in range(10):
        kept = plane[np.abs(plane - sky) <= 2.5 * spread]
        sky = np.median(kept)
        spread = 1.4826 * np.median(np.abs(kept - sky))
        if spread == 0:
            raise DataError("an image without noise: half of its pixels are the same")
    return ((plane - sky) / spread).astype(np.float32)


def without_red_light(blue: np.ndarray, red: np.ndarray, use: np.ndarray) -> np.ndarray:
    """Return the bluer band minus the redder one, scaled and blurred to fit around a galaxy.

    Parameters
    ----------
    blue, red
        Two bands (H, W) in units of their noise.
    use
        bool (H, W), pixels to fit. What is too bright in the bluer band, as arcs are, counts
        little: squares of the residuals below `_TOO_BRIGHT_SIGMA`, absolute values above.

    Returns
    -------
    numpy.ndarray
        float32 (H, W).
    """
    fits = (_fitted(blue, red, use, width) for width in _BLURS_PIX)
    return min(fits, key=lambda fit: fit[0])[1]


def _fitted(
    blue: np.ndarray, red: np.ndarray, use: np.ndarray, width_pix: float
) -> tuple[float, np.ndarray]:
    """Return the cost of a fit with one width of the blur, and what it leaves."""
    model = ndimage.gaussian_filter(red, width_pix) if width_pix > 0 else red
    sharp = ndimage.gaussian_filter(blue, -width_pix) if width_pix < 0 else blue
    x, y = model[use], sharp[use]
    weight = np.ones_like(x)
    for _ in range(_FIT_ROUNDS):
        total = np.sum(weight * x * x)
        scale = np.sum(weight * x * y) / total if total > 0 else 0.0
        weight = 1.0 / np.maximum((y - scale * x) / _TOO_BRIGHT_SIGMA, 1.0) ** 2
    residual = (y - scale * x) / _TOO_BRIGHT_SIGMA
    cost = np.where(residual < 1.0, residual**2, 2.0 * residual - 1.0)
    return float(cost.sum()), sharp - np.float32(scale) * model


def _arcs(signal: np.ndarray, distance: np.ndarray, settings: ArcMask) -> np.ndarray:
    """Return the pixels of the objects that are near and bright enough."""
    objects, labels = sep.extract(
        np.ascontiguousarray(signal),
        settings.threshold_sigma,
        minarea=_MIN_AREA_PIX,
        filter_kernel=None,
        deblend_nthresh=16,
        deblend_cont=_DEBLEND_CONTRAST,
        clean=False,
        segmentation_map=True,
    )
    mask, highest = np.zeros(signal.shape, dtype=np.uint8), 0.0
    for number, (x, y) in enumerate(zip(objects["xpeak"], objects["ypeak"], strict=True), 1):
        away, peak = distance[y, x], signal[y, x]
        needed = settings.peak_sigma + _EXTRA_SIGMA_PER_PIX * max(0.0, away - _NEAR_PIX)
        if away * PIXEL_SCALE_ARCSEC <= settings.radius_arcsec and peak >= needed:
            mask[(labels == number) & (signal > settings.peak_fraction * peak)] = 1
            highest = max(highest, peak if away >= _CORE_PIX else 0.0)
    if highest < settings.detection_sigma:
        return np.zeros(signal.shape, dtype=bool)
    opened = cv2.morphologyEx(mask, cv2.MORPH_OPEN, _disc(_OPENING_PIX))
    mask = opened if opened.any() else mask
    margin = _CLOSING_PIX + 1
    closed = cv2.copyMakeBorder(mask, *(4 * (margin,)), cv2.BORDER_CONSTANT, value=0)
    closed = cv2.morphologyEx(closed, cv2.MORPH_CLOSE, _disc(_CLOSING_PIX))
    return ndimage.binary_fill_holes(closed[margin:-margin, margin:-margin])


def _disc(radius_pix: int) -> np.ndarray:
    y, x = np.indices((2 * radius_pix + 1,) * 2) - radius_pix
    return (x * x + y * y <= radius_pix * radius_pix + 0.5).astype(np.uint8)
