"""Simulated stars: labels, reddening and noise around the emulator's spectra."""

import os

import numpy as np
import pandas as pd

from galaxy_lvm.core.config.spectra import Grid, SpectrumNoise
from galaxy_lvm.core.logs import log
from galaxy_lvm.core.seeds import derive_seed
from galaxy_lvm.spectra.emulator import LABELS, LIMITS, emulator
from galaxy_lvm.spectra.store import write_spectra

R_V = 3.1
# Half a step of the synthetic grid: stars lie between its points.
_JITTER = {"teff": 250.0, "logg": 0.25, "fe_h": 0.25}
# XP is noisier at both ends, by about these factors over the median of a spectrum (round numbers
# after the instrument's response; neighbouring samples, which the archive's are correlated over,
# are drawn one by one).
_XP_NOISE = ((3360, 5.0), (4000, 3.0), (4500, 1.3), (6000, 0.8), (9000, 0.9), (10200, 3.0))


def draw_labels(n_stars: int, grid: Grid, rng: np.random.Generator) -> np.ndarray:
    """Draw labels (n, 3) around points of the synthetic grid, which holds no impossible star."""
    points = emulator(grid).grid_labels
    chosen = points[rng.integers(len(points), size=n_stars)]
    spread = np.array([_JITTER[name] for name in LABELS])
    low, high = np.array([LIMITS[name] for name in LABELS]).T
    return np.clip(chosen + spread * rng.uniform(-1, 1, chosen.shape), low, high)


def reddening(wavelength_angstrom: np.ndarray, a_v_mag: np.ndarray) -> np.ndarray:
    """Return the transmitted share (n, L) of light behind dust.

    The mean curve of the Milky Way with R(V) = 3.1 (Fitzpatrick et al. 2019).

    Parameters
    ----------
    wavelength_angstrom
        (L,) in vacuum, 1150 to 33000.
    a_v_mag
        (n,) extinction in V.
    """
    # A CPU second, which all that only simulates noise, or reads spectra, does without.
    import astropy.units as u
    from dust_extinction.parameter_averages import F19

    curve = F19(Rv=R_V)(np.asarray(wavelength_angstrom) * u.AA)
    return 10 ** (-0.4 * np.asarray(a_v_mag, dtype=float)[:, None] * curve[None, :])


def noise_shape(grid: Grid, wavelength_angstrom: np.ndarray) -> np.ndarray:
    """Return the noise by wavelength (L,) in units of its median."""
    if grid == "lamost":
        return np.ones(len(wavelength_angstrom))
    at, factor = np.array(_XP_NOISE).T
    shape = np.interp(wavelength_angstrom, at, factor)
    return shape / np.median(shape)


def simulate_stars(
    n_stars: int, grid: Grid, noise: SpectrumNoise, seed: int
) -> tuple[np.ndarray, np.ndarray, pd.DataFrame]:
    """Simulate spectra of stars.

    Parameters
    ----------
    n_stars
        Number of stars.
    grid
        Wavelengths. On `lamost`, where spectra are divided by their continuum, dust leaves no
        trace.
    noise
        Signal-to-noise and extinction.
    seed
        Same seed, same stars.

    Returns
    -------
    tuple
        Fluxes and errors (n, L) in units of the median flux, and the catalogue: `id`, Teff in K,
        logg and [Fe/H] in dex, `a_v_mag`, `snr`.
    """
    rng = np.random.default_rng(seed)
    make = emulator(grid)
    labels = draw_labels(n_stars, grid, rng)
    a_v = rng.exponential(noise.extinction_mean_mag, n_stars) if grid == "xp" else np.zeros(n_stars)
    snr = np.exp(rng.uniform(np.log(noise.snr_min), np.log(noise.snr_max), n_stars))
    flux = make(labels) * reddening(make.wavelength, a_v)
    flux /= np.median(flux, axis=1, keepdims=True)
    error = noise_shape(grid, make.wavelength)[None, :] / snr[:, None]
    noisy = flux + error * rng.standard_normal(flux.shape)
    table = pd.DataFrame(dict(zip(LABELS, labels.T, strict=True)))
    table.insert(0, "id", [f"star_{number:07d}" for number in range(n_stars)])
    return noisy, error, table.assign(a_v_mag=a_v, snr=snr)


def write_simulated(
    path: str | os.PathLike, n_stars: int, grid: Grid, noise: SpectrumNoise, seed: int, name: str
) -> None:
    """Write a store of simulated stars; `name` gives each of several its own stars."""
    flux, error, table = simulate_stars(
        n_stars, grid, noise, derive_seed(seed, "spectra", name, grid)
    )
    about = {"source": "simulated", "seed": seed, "grid": grid, **noise.model_dump()}
    write_spectra(path, emulator(grid).wavelength, flux, error, table, about)
    log.info("simulated %d spectra on the grid %s into %s", n_stars, grid, path)
