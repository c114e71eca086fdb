"""Synthetic spectra of cool stars by a cubic in Teff, logg and [Fe/H] at every pixel (a Cannon).

The coefficients are those of David Nidever's package thedoppler (MIT, see cannon_emulator.LICENSE):
a fit to synthetic spectra of 3500 to 8000 K, logg 0 to 5, [Fe/H] -2.5 to 0.5, on LAMOST's pixels
and at about the resolution of Gaia XP.
"""

import ast
from functools import lru_cache
from pathlib import Path

import numpy as np

from galaxy_lvm.core.config.spectra import Grid
from galaxy_lvm.core.errors import DataError
from galaxy_lvm.spectra.wavelengths import air_to_vacuum, grid_wavelengths

LABELS = ("teff", "logg", "fe_h")
LIMITS = {"teff": (3500.0, 8000.0), "logg": (0.0, 5.0), "fe_h": (-2.5, 0.5)}
_FILE = Path(__file__).with_name("cannon_emulator.npz")


class Emulator:
    """Spectra for labels, on one of the grids.

    Parameters
    ----------
    grid
        xp: flux per wavelength, in units of its median. lamost: flux over the continuum.

    Attributes
    ----------
    wavelength
        (L,) Angstrom in vacuum.
    grid_labels
        (n, 3) labels of the synthetic spectra that the cubic was fitted to.
    """

    def __init__(self, grid: Grid) -> None:
        with np.load(_FILE) as kept:
            self._powers = _powers(kept["terms"])
            self._fiducials, self._scales = kept["fiducials"], kept["scales"]
            self._theta = kept[f"{grid}_theta"].astype(float)
            self._continuum = kept["xp_cont_theta"].astype(float) if grid == "xp" else None
            self._own = air_to_vacuum(kept[f"{grid}_wave"])
            self.grid_labels = kept["train_labels"]
        self.wavelength = grid_wavelengths(grid)

    def __call__(self, labels: np.ndarray) -> np.ndarray:
        """Return spectra (n, L) of labels (n, 3): Teff in K, logg in dex, [Fe/H] in dex.

        Raises
        ------
        DataError
            If a label lies outside of `LIMITS`, where a cubic means nothing.
        """
        labels = np.atleast_2d(np.asarray(labels, dtype=float))
        _refuse_outside(labels)
        scaled = (labels - self._fiducials) / self._scales
        terms = np.prod(scaled[:, None, :] ** self._powers[None], axis=2)
        flux = terms @ self._theta.T
        if self._continuum is not None:
            flux = flux * 10 ** (terms @ self._continuum.T)
            flux = flux / np.median(flux, axis=1, keepdims=True)
        return _moved(self._own, flux, self.wavelength)


@lru_cache
def emulator(grid: Grid) -> Emulator:
    """Return the emulator of a grid, read once."""
    return Emulator(grid)


def _powers(terms: np.ndarray) -> np.ndarray:
    """Return the power of each label in each term (20, 3); the first term is the constant."""
    powers = np.zeros((len(terms) + 1, len(LABELS)))
    for row, text in enumerate(terms, start=1):
        for label, power in ast.literal_eval(str(text)):
            powers[row, label] = power
    return powers


def _refuse_outside(labels: np.ndarray) -> None:
    for column, (name, (low, high)) in enumerate(LIMITS.items()):
        values = labels[:, column]
        wrong = np.flatnonzero(~((values >= low) & (values <= high)))
        if wrong.size:
            raise DataError(
                f"star {wrong[0]}: {name} = {values[wrong[0]]:g} is outside of the emulator's "
                f"grid, {low:g} to {high:g}"
            )


def _moved(own: np.ndarray, flux: np.ndarray, wanted: np.ndarray) -> np.ndarray:
    """Return spectra at other wavelengths, linear between pixels and at the ends."""
    if own.shape == wanted.shape and np.allclose(own, wanted, rtol=0, atol=1e-4):
        return flux
    left = np.clip(np.searchsorted(own, wanted) - 1, 0, len(own) - 2)
    share = (wanted - own[left]) / (own[left + 1] - own[left])
    return flux[:, left] * (1 - share) + flux[:, left + 1] * share
