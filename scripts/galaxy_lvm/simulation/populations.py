"""Mixtures of stellar populations: one spectrum that gives a galaxy its colours, lines and mass.

Five templates (Blanton & Roweis 2007, version 4 of the package kcorrect, with dust and emission
lines), and the mixtures of them that fit 9,500 galaxies of the SDSS main sample in u, g, r, i, z.
benchmarks/derive_mixtures.py made the file; stellar_mixtures.LICENSE lies beside it.
"""

from functools import lru_cache
from pathlib import Path

import numpy as np

from galaxy_lvm.core.errors import DataError
from galaxy_lvm.simulation.truth import Galaxy
from galaxy_lvm.survey.store import BANDS

N_TEMPLATES = 5
MIXTURE_COLUMNS = tuple(f"template_{k}" for k in range(N_TEMPLATES))
# Of the Sun in DECam's r, AB (Willmer 2018).
SUN_ABSOLUTE_MAG_R = 4.61
# How far the colours of a drawn mixture lie from those that the galaxy's class asks for.
COLOUR_SCATTER_MAG = 0.04
# H alpha with [N II], and the continuum on both sides of it, Angstrom at rest.
_LINE, _BESIDE = (6500.0, 6640.0), ((6400.0, 6500.0), (6640.0, 6690.0))
_LIGHT_SPEED_ANGSTROM_S = 2.99792458e18
_PER_AB_ZERO = 10 ** (0.4 * 48.6)  # s cm2 Hz / erg
_FILE = Path(__file__).with_name("stellar_mixtures.npz")


class Populations:
    """Templates, bands and the mixtures of real galaxies.

    Attributes
    ----------
    wavelength
        (L,) Angstrom in vacuum, at rest.
    flux
        (5, L) erg/s/cm2/Angstrom of a solar mass of stars formed, at 10 pc.
    mixtures
        (n, 5) stars formed in each template, sum 1, of real galaxies.
    """

    def __init__(self) -> None:
        with np.load(_FILE) as kept:
            self.wavelength = kept["wave"].astype(float)
            self.flux = kept["flux"].astype(float)
            self.mixtures = kept["mixtures"].astype(float)
            self._remaining = kept["mremain"].astype(float)
            self._bands = {
                band: tuple(kept[f"{band}_{key}"].astype(float) for key in ("wave", "pass"))
                for band in BANDS
            }
        steps = np.diff(self.wavelength) * (self.flux[:, 1:] + self.flux[:, :-1]) / 2
        self._summed = np.concatenate([np.zeros((N_TEMPLATES, 1)), steps.cumsum(axis=1)], axis=1)

    def band_fluxes(self, redshift: float) -> np.ndarray:
        """Return AB fluxes (5, 3) of the templates in DECam's g, r, z at a redshift.

        Magnitudes are -2.5 log10 of them at 10 pc; of a galaxy elsewhere only ratios have a
        meaning.

        Raises
        ------
        DataError
            If the templates do not reach over the bands at this redshift.
        """
        self._refuse_beyond(redshift, *(self._bands[band][0] for band in BANDS))
        wave, fluxes = self.wavelength * (1 + redshift), []
        for band in BANDS:
            passed = np.interp(wave, *self._bands[band], left=0, right=0)
            weight = _LIGHT_SPEED_ANGSTROM_S * np.trapezoid(passed / wave, wave)
            fluxes.append(np.trapezoid(self.flux * passed * wave, wave, axis=1) / weight)
        # Stretched by the redshift, a spectrum keeps its energy.
        return np.stack(fluxes, axis=1) / (1 + redshift) * _PER_AB_ZERO

    def choose(self, redshift: float, flux: np.ndarray, rng: np.random.Generator) -> np.ndarray:
        """Draw the mixture (5,) of a real galaxy that would have about these colours.

        Parameters
        ----------
        redshift
            Of the galaxy to be given a mixture.
        flux
            (3,) in g, r, z, of which the colours are taken.
        rng
            Source of randomness.
        """
        made = -2.5 * np.log10(self.mixtures @ self.band_fluxes(redshift))
        wanted = -2.5 * np.log10(flux)
        off = np.diff(made, axis=1) - np.diff(wanted)
        distance = np.square(off / COLOUR_SCATTER_MAG).sum(axis=1)
        weight = np.exp(-(distance - distance.min()) / 2)
        return self.mixtures[rng.choice(len(weight), p=weight / weight.sum())]

    def spectra(
        self, mixtures: np.ndarray, redshift: np.ndarray, wavelength: np.ndarray
    ) -> np.ndarray:
        """Return spectra (n, L) of mixtures at redshifts: AB fluxes as those of `band_fluxes`.

        Parameters
        ----------
        mixtures
            (n, 5) stars formed in each template.
        redshift
            (n,).
        wavelength
            (L,) centres of samples in Angstrom (vacuum, observed), ascending; light is averaged
            over each.

        Raises
        ------
        DataError
            If the templates do not reach over a spectrum.
        """
        edges = np.empty(len(wavelength) + 1)
        edges[1:-1] = (wavelength[1:] + wavelength[:-1]) / 2
        edges[[0, -1]] = 2 * wavelength[[0, -1]] - edges[[1, -2]]
        found = np.empty((len(mixtures), len(wavelength)))
        for row, (mixture, z) in enumerate(zip(mixtures, redshift, strict=True)):
            self._refuse_beyond(float(z), edges)
            rest = edges / (1 + z)
            summed = np.interp(rest, self.wavelength, mixture @ self._summed)
            found[row] = np.diff(summed) / np.diff(rest) / (1 + z)
        return found * np.square(wavelength) / _LIGHT_SPEED_ANGSTROM_S * _PER_AB_ZERO

    def log_mass_to_light_r(self, mixtures: np.ndarray) -> np.ndarray:
        """Return log10 of living stars' and remnants' mass over light in r at rest, solar (n,)."""
        absolute = -2.5 * np.log10(mixtures @ self.band_fluxes(0.0)[:, BANDS.index("r")])
        return np.log10(mixtures @ self._remaining) + 0.4 * (absolute - SUN_ABSOLUTE_MAG_R)

    def halpha_angstrom(self, mixtures: np.ndarray) -> np.ndarray:
        """Return the equivalent width (n,) at rest of H alpha with [N II], emission positive."""
        at = self.wavelength
        beside = np.any([(at > low) & (at < high) for low, high in _BESIDE], axis=0)
        line = (at > _LINE[0]) & (at < _LINE[1])
        continuum = self.flux[:, beside].mean(axis=1)
        above = np.trapezoid(self.flux[:, line] - continuum[:, None], at[line], axis=1)
        return (mixtures @ above) / (mixtures @ continuum)

    def _refuse_beyond(self, redshift: float, *observed: np.ndarray) -> None:
        low, high = min(w[0] for w in observed), max(w[-1] for w in observed)
        if self.wavelength[0] * (1 + redshift) > low or self.wavelength[-1] * (1 + redshift) < high:
            raise DataError(
                f"redshift {redshift:g}: the templates have {self.wavelength[0]:.0f} to "
                f"{self.wavelength[-1]:.0f} Angstrom at rest, {low:.0f} to {high:.0f} observed are "
                "asked for"
            )


@lru_cache
def populations() -> Populations:
    """Return the populations, read once."""
    return Populations()


def give_population(
    galaxy: Galaxy, flux: np.ndarray, rng: np.random.Generator
) -> tuple[np.ndarray, dict[str, float]]:
    """Give a galaxy one mixture of stellar populations.

    Parameters
    ----------
    galaxy
        The drawn galaxy; its redshift counts.
    flux
        (3,) its fluxes in g, r, z as drawn, nanomaggies.
    rng
        Source of randomness.

    Returns
    -------
    tuple
        What to multiply the light in g, r, z by (3,), so that the whole galaxy has the mixture's
        colours (r stays; so do gradients within it), and the catalogue columns of the mixture.
    """
    known, redshift = populations(), galaxy.sky.redshift
    mixture = known.choose(redshift, flux, rng)
    made = mixture @ known.band_fluxes(redshift)
    r = BANDS.index("r")
    columns = {name: float(v) for name, v in zip(MIXTURE_COLUMNS, mixture, strict=True)}
    columns["log_mass_to_light_r"] = float(known.log_mass_to_light_r(mixture[None])[0])
    columns["halpha_angstrom"] = float(known.halpha_angstrom(mixture[None])[0])
    return made / made[r] / (flux / flux[r]), columns
