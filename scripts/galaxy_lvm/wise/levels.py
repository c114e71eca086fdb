"""Cutouts as 8-bit images: the inverse hyperbolic sine of the flux in units of a pixel's noise.

Noise spans some 25 levels there, far more than their rounding; the brightest source stays below
the last one.
"""

import numpy as np

from galaxy_lvm.wise.bands import pixel_noise

LOW, HIGH = float(np.arcsinh(-4.0)), float(np.arcsinh(3000.0))


def to_levels(images: np.ndarray, depth_mag: np.ndarray) -> np.ndarray:
    """Return uint8 (n, side, side, 3) of cutouts (n, 3, side, side) in Vega nanomaggies."""
    noise = pixel_noise(np.asarray(depth_mag))[:, None, None]
    share = (np.arcsinh(images / noise) - LOW) / (HIGH - LOW)
    levels = np.clip(np.rint(255 * share), 0, 255).astype(np.uint8)
    return np.ascontiguousarray(levels.transpose(0, 2, 3, 1))
