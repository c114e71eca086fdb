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


def to_fluxes(levels: np.ndarray, depth_mag: np.ndarray) -> np.ndarray:
    """Return Vega nanomaggies (n, 3, side, side) of levels; clipped where `to_levels` clips."""
    noise = pixel_noise(np.asarray(depth_mag))[:, None, None]
    share = levels.transpose(0, 3, 1, 2).astype(float) / 255
    return np.sinh(LOW + (HIGH - LOW) * share) * noise
