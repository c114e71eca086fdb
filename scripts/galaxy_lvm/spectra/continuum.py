"""Spectra over their continuum, so that simulated and observed ones mean the same."""

from functools import lru_cache

import numpy as np

from galaxy_lvm.core.config.spectra import Grid
from galaxy_lvm.spectra.wavelengths import grid_wavelengths

# Ho et al. (2017) for LAMOST; Gaia XP tells what it knows by its broad shape.
_USUAL_ANGSTROM: dict[Grid, float] = {"xp": 0.0, "lamost": 50.0}
_SAME_ANGSTROM = 0.1


def continuum_scale(wavelength: np.ndarray, given_angstrom: float | None) -> float:
    """Return the width of the running mean for spectra at wavelengths (L,), 0 for none."""
    if given_angstrom is not None:
        return given_angstrom
    for grid, usual in _USUAL_ANGSTROM.items():
        known = grid_wavelengths(grid)
        if known.shape == wavelength.shape and np.allclose(known, wavelength, 0, _SAME_ANGSTROM):
            return usual
    return 0.0


def over_continuum(
    wavelength: np.ndarray, flux: np.ndarray, error: np.ndarray, scale_angstrom: float
) -> tuple[np.ndarray, np.ndarray]:
    """Return spectra and their errors over a running mean.

    Each pixel counts by a Gaussian of its distance, exp(-(d / scale)^2), and by its error, as in Ho
    et al. (2017).

    Parameters
    ----------
    wavelength
        (L,) Angstrom.
    flux, error
        (n, L); NaN where a pixel has none. Spectra without any errors have pixels of equal weight.
    scale_angstrom
        Width; 0 returns the spectra as they are.

    Returns
    -------
    tuple
        (n, L) float32 each; NaN where the mean is not positive.
    """
    if not scale_angstrom:
        return flux, error
    known = np.isfinite(error) & (error > 0)
    weight = np.where(known, 1 / np.square(np.where(known, error, 1.0)), 0.0)
    weight[~known.any(axis=1)] = 1.0
    weight[~np.isfinite(flux)] = 0.0
    near = _nearness(np.asarray(wavelength, float).tobytes(), scale_angstrom)
    total = weight @ near
    mean = np.nan_to_num(flux) * weight @ near / np.where(total > 0, total, np.nan)
    mean = np.where(mean > 0, mean, np.nan)
    return (flux / mean).astype(np.float32), (error / mean).astype(np.float32)


@lru_cache(maxsize=2)
def _nearness(wavelength: bytes, scale_angstrom: float) -> np.ndarray:
    at = np.frombuffer(wavelength)
    return np.exp(-np.square((at[:, None] - at) / scale_angstrom))
