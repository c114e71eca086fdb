"""The three bands: responses, magnitudes of spectra, point-spread functions, noise of a pixel.

wise_tables.npz holds what `make_tables` takes from unwise_psf, speclite and kcorrect (BSD-3, see
wise_tables.LICENSE): real point-spread functions, responses, colours of galaxy templates.
"""

from functools import lru_cache
from pathlib import Path

import numpy as np

BANDS = ("w1", "w2", "w3")
PIXEL_SCALE_ARCSEC = 2.75
# Images of unWISE are in Vega nanomaggies: 1 is a source of 22.5 mag.
ZERO_POINT_MAG = 22.5
VEGA_K = 9550.0
"""Temperature of the blackbody that has magnitude 0 in all bands, about Vega's photosphere."""
N_SIGMA_DEPTH = 5
_HC_OVER_K_MICRON_K = 14387.769
_FILE = Path(__file__).with_name("wise_tables.npz")


@lru_cache
def kept(name: str) -> np.ndarray:
    """Return an array of wise_tables.npz, read once: `psf`, `wavelength_micron`, ..."""
    with np.load(_FILE) as tables:
        values = tables[name].astype(float)
    values.setflags(write=False)
    return values


def blackbody(wavelength_micron: np.ndarray, temperature_k: np.ndarray | float) -> np.ndarray:
    """Return the flux per frequency of a blackbody, in one arbitrary unit for all temperatures.

    Parameters
    ----------
    wavelength_micron, temperature_k
        Broadcast together; positive.
    """
    x = _HC_OVER_K_MICRON_K / (wavelength_micron * temperature_k)
    return wavelength_micron**-3.0 / np.expm1(x)


def band_fluxes(flux: np.ndarray) -> np.ndarray:
    """Return fluxes (n, 3) in units of Vega's, of fluxes per frequency (n, L).

    A detector counts photons, so the mean over a response runs over the logarithm of wavelength.

    Parameters
    ----------
    flux
        On the wavelengths `kept("wavelength_micron")`, those of an observer.
    """
    return flux @ _weights().T


@lru_cache
def _weights() -> np.ndarray:
    """Return the weight (3, L) of every wavelength in every band; Vega comes out as 1."""
    wavelength, response = kept("wavelength_micron"), kept("response")
    weights = response * np.gradient(wavelength) / wavelength
    return weights / (weights @ blackbody(wavelength, VEGA_K))[:, None]


def magnitudes(flux: np.ndarray) -> np.ndarray:
    """Return Vega magnitudes of fluxes in Vega nanomaggies; NaN where there is no positive one."""
    positive = np.where(flux > 0, flux, np.nan)
    return ZERO_POINT_MAG - 2.5 * np.log10(positive)


def nanomaggies(mag: np.ndarray) -> np.ndarray:
    """Return fluxes in Vega nanomaggies of Vega magnitudes."""
    return 10 ** (0.4 * (ZERO_POINT_MAG - np.asarray(mag, dtype=float)))


def noise_pixels() -> np.ndarray:
    """Return how many pixels' noise a fitted point source has in each band, (3,).

    The variance of a flux fitted with the point-spread function P is that of a pixel over sum P^2.
    """
    return 1 / (kept("psf") ** 2).sum(axis=(1, 2))


def pixel_noise(depth_mag: np.ndarray) -> np.ndarray:
    """Return the noise of a pixel (3,) in Vega nanomaggies for depths (3,) at 5 sigma [mag]."""
    return nanomaggies(depth_mag) / N_SIGMA_DEPTH / np.sqrt(noise_pixels())
