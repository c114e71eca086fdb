"""Missing pixels of calibrated cutouts: which they are and how they are filled."""

import cv2
import numpy as np

# Holes are filled with the mean of good pixels under a Gaussian of this width; where none is in
# reach the width doubles. OpenCV's `inpaint` overshoots on floats by several times the signal.
_FIRST_SIGMA_PIX = 1.0
_SMALLEST_WEIGHT = 0.05


def missing_pixels(images: np.ndarray, zero_is_missing: bool = True) -> np.ndarray:
    """Mark the pixels without a measurement.

    Parameters
    ----------
    images
        Shape (..., H, W), nanomaggies.
    zero_is_missing
        The cutout service writes exactly 0 where no exposure covers a pixel; a measured flux is
        never exactly 0. Set to False for noise-free simulations.

    Returns
    -------
    numpy.ndarray
        bool, the shape of `images`.
    """
    missing = ~np.isfinite(images)
    if zero_is_missing:
        missing |= images == 0
    return missing


def fill_missing(image: np.ndarray, missing: np.ndarray) -> np.ndarray:
    """Interpolate the missing pixels of one cutout, band by band.

    Parameters
    ----------
    image
        float32, shape (3, H, W).
    missing
        bool, shape (3, H, W). In every band at least one pixel has to be good.

    Returns
    -------
    numpy.ndarray
        float32, shape (3, H, W), all finite.
    """
    filled = np.where(missing, np.float32(0), image).astype(np.float32)
    for band, holes in zip(filled, missing, strict=True):
        if holes.any():
            _fill_band(band, holes)
    return filled


def _fill_band(band: np.ndarray, holes: np.ndarray) -> None:
    """Fill the holes of one band, (H, W) with 0 in them, in place."""
    good = (~holes).astype(np.float32)
    values, left, sigma = band.copy(), holes.copy(), _FIRST_SIGMA_PIX
    while left.any():
        weight = cv2.GaussianBlur(good, (0, 0), sigma)
        mean = cv2.GaussianBlur(values, (0, 0), sigma) / np.maximum(weight, 1e-6)
        # Beyond the size of the frame the mean of all good pixels is all there is.
        reached = left & ((weight >= _SMALLEST_WEIGHT) | (sigma > max(band.shape)))
        band[reached] = mean[reached]
        left &= ~reached
        sigma *= 2.0


def fill_small_holes(
    images: np.ndarray, max_bad_fraction: float, zero_is_missing: bool = True
) -> tuple[dict[int, str], np.ndarray]:
    """Interpolate small holes in place and say which cutouts have too many missing pixels.

    Parameters
    ----------
    images
        float32, shape (N, 3, H, W); changed.
    max_bad_fraction
        Largest share of missing pixels in any band that is filled, 0 to 1.
    zero_is_missing
        See `missing_pixels`.

    Returns
    -------
    reasons : dict of int to str
        Positions of the cutouts to reject, with the reason.
    filled : numpy.ndarray
        bool, shape (N,): which cutouts were interpolated.
    """
    missing = missing_pixels(images, zero_is_missing)
    share = missing.mean(axis=(2, 3)).max(axis=1)
    reasons = {
        int(i): f"lacks {share[i]:.0%} of its pixels in a band (limit {max_bad_fraction:.0%}); "
        "leave it out or fetch another release"
        for i in np.flatnonzero(share > max_bad_fraction)
    }
    filled = (share > 0) & (share <= max_bad_fraction)
    for i in np.flatnonzero(filled):
        images[i] = fill_missing(images[i], missing[i])
    return reasons, filled
