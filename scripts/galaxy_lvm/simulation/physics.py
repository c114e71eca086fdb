"""Scaling relations behind the simulated galaxies: distances, sizes, colours.

The relations are round numbers that follow what is known of nearby galaxies (luminosity and size:
Shen et al. 2003; red sequence and blue cloud: Blanton & Moustakas 2009). They make sizes,
brightnesses, colours and redshifts hang together; they are not a fit to any catalogue.
"""

from dataclasses import dataclass

import galsim
import numpy as np
import scipy.special

ZERO_POINT_MAG = 22.5
HUBBLE_KM_S_MPC = 70.0
DECELERATION = -0.55
LIGHT_SPEED_KM_S = 299792.458
REDSHIFT_LIMITS = (0.01, 0.30)
# Massive red galaxies beyond: round numbers near the medians of lens candidates (`mock_lenses`).
DISTANT_REDSHIFTS = (0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.9)
_DISTANT_G_R = (0.95, 1.20, 1.50, 1.70, 1.78, 1.80, 1.80, 1.78)
_DISTANT_R_Z = (0.66, 0.74, 0.86, 0.98, 1.12, 1.30, 1.50, 1.75)
# GalSim makes a table for every Sersic index, 40 ms each and in every process: keep them few.
SERSIC_STEP = 0.25
SERSIC_LIMITS = (0.5, 6.0)

Colour = tuple[float, float]


def nanomaggies(magnitude: np.ndarray | float) -> np.ndarray | float:
    """Return the flux in nanomaggies of an AB magnitude."""
    return 10 ** (0.4 * (ZERO_POINT_MAG - np.asarray(magnitude, dtype=float)))


def magnitudes(flux: np.ndarray | float) -> np.ndarray | float:
    """Return the AB magnitude of a flux in nanomaggies, > 0."""
    return ZERO_POINT_MAG - 2.5 * np.log10(flux)


def band_fluxes(flux_r: float | np.ndarray, colour: tuple) -> np.ndarray:
    """Return the fluxes (..., 3) in g, r, z of an r flux and a colour (g - r, r - z) in mag."""
    g_r, r_z = (np.asarray(value, dtype=float) for value in colour)
    flux_r = np.asarray(flux_r, dtype=float)
    return np.stack([flux_r * 10 ** (-0.4 * g_r), flux_r, flux_r * 10 ** (0.4 * r_z)], axis=-1)


def draw_power_law_mag(
    rng: np.random.Generator, bright: float, faint: float, slope: float, size: int | None = None
) -> np.ndarray | float:
    """Draw magnitudes between limits from counts that grow as 10^(slope m)."""
    low, high = 10 ** (slope * bright), 10 ** (slope * faint)
    return np.log10(rng.uniform(low, high, size)) / slope


@dataclass(frozen=True)
class Sky:
    """Where a galaxy is and how bright: magnitude, redshift and scale.

    Attributes
    ----------
    mag_r, absolute_mag_r
        Apparent and absolute magnitude in r.
    redshift
        Redshift.
    kpc_per_arcsec
        Proper length that spans one arcsec.
    """

    mag_r: float
    absolute_mag_r: float
    redshift: float
    kpc_per_arcsec: float


def place(mag_r: float, absolute_mag_r: float) -> Sky:
    """Return redshift and scale of a galaxy of these magnitudes.

    Second order in redshift and without K correction, good to a few per cent below 0.3. A redshift
    out of the limits is clipped, and the absolute magnitude follows.
    """
    half = (1 - DECELERATION) / 2
    hubble_distance = LIGHT_SPEED_KM_S / HUBBLE_KM_S_MPC
    ratio = 10 ** (0.2 * (mag_r - absolute_mag_r) - 5) / hubble_distance
    redshift = float(np.clip((np.sqrt(1 + 4 * half * ratio) - 1) / (2 * half), *REDSHIFT_LIMITS))
    return at_redshift(mag_r, redshift)


def at_redshift(mag_r: float, redshift: float) -> Sky:
    """Return the place of a galaxy of this magnitude and redshift.

    As in `place`, without K correction; beyond a redshift of 0.3 the distance is good to a few per
    cent and the absolute magnitude a rough one.
    """
    half = (1 - DECELERATION) / 2
    distance_mpc = LIGHT_SPEED_KM_S / HUBBLE_KM_S_MPC * (redshift + half * redshift**2)
    kpc_per_arcsec = 1000 * distance_mpc / (1 + redshift) ** 2 * np.pi / (180 * 3600)
    absolute = mag_r - 5 * np.log10(distance_mpc) - 25
    return Sky(mag_r, absolute, redshift, kpc_per_arcsec)


def draw_sky(
    rng: np.random.Generator, absolute_mean: float, absolute_scatter: float, faint_mag: float = 18.0
) -> Sky:
    """Draw an apparent magnitude between 14.7 and `faint_mag` and a normal absolute one."""
    mag_r = float(draw_power_law_mag(rng, 14.7, faint_mag, 0.13))
    return place(mag_r, float(rng.normal(absolute_mean, absolute_scatter)))


def draw_size_arcsec(rng: np.random.Generator, sky: Sky, early: bool) -> float:
    """Draw a half-light radius (semi-major axis) in arcsec from the size relation.

    It is kept between 1 arcsec and what a cutout can hold: 6.5 arcsec for early types, whose
    wings are long, and 8 arcsec for discs.
    """
    at_minus_21, slope, scatter = (0.62, 0.60, 0.12) if early else (0.74, 0.35, 0.14)
    log_kpc = at_minus_21 - 0.4 * slope * (sky.absolute_mag_r + 21) + rng.normal(0, scatter)
    return float(np.clip(10**log_kpc / sky.kpc_per_arcsec, 1.0, 6.5 if early else 8.0))


def draw_resolved(
    rng: np.random.Generator,
    absolute_mean: float,
    absolute_scatter: float,
    early: bool,
    smallest_arcsec: float,
) -> tuple[Sky, float]:
    """Draw a place and a half-light radius (arcsec) of at least `smallest_arcsec`.

    People call a galaxy spiral or merging where they can see it: samples with clean labels hold few
    small ones. After 30 draws the radius is set to the limit.
    """
    for _ in range(30):
        sky = draw_sky(rng, absolute_mean, absolute_scatter)
        size = draw_size_arcsec(rng, sky, early)
        if size >= smallest_arcsec:
            return sky, size
    return sky, smallest_arcsec


def distant_red_colour(redshift: float) -> Colour:
    """Return the mean colour of massive red galaxies by redshift, 0.1 to 0.9."""
    return (
        float(np.interp(redshift, DISTANT_REDSHIFTS, _DISTANT_G_R)),
        float(np.interp(redshift, DISTANT_REDSHIFTS, _DISTANT_R_Z)),
    )


def red_colour(rng: np.random.Generator, sky: Sky, scatter: float = 0.035) -> Colour:
    """Draw a colour of the red sequence: redder with luminosity and with redshift.

    The run with redshift is a straight line up to where nearby galaxies end; beyond it is that of
    massive galaxies, whatever the luminosity.
    """
    if sky.redshift > REDSHIFT_LIMITS[1]:
        g_r, r_z = distant_red_colour(sky.redshift)
        return g_r + rng.normal(0, scatter), r_z + rng.normal(0, scatter)
    tilt = -0.02 * (sky.absolute_mag_r + 21)
    g_r = 0.66 + 2.6 * sky.redshift + tilt + rng.normal(0, scatter)
    return g_r, 0.56 + 1.2 * sky.redshift + tilt + rng.normal(0, scatter)


def blue_colour(rng: np.random.Generator, sky: Sky, age: float) -> Colour:
    """Draw the colour of a star-forming population; `age` 0 (newborn) to 1 (nearly red)."""
    g_r = 0.12 + 0.45 * age + (0.5 + 1.6 * age) * sky.redshift + rng.normal(0, 0.05)
    return g_r, 0.0 + 0.42 * age + (0.3 + 0.8 * age) * sky.redshift + rng.normal(0, 0.05)


def snap_sersic_index(index: float) -> float:
    """Return the nearest index that is drawn: a multiple of 0.25 from 0.5 to 6."""
    return float(np.clip(round(index / SERSIC_STEP) * SERSIC_STEP, *SERSIC_LIMITS))


def sersic(index: float, semi_major_arcsec: float, axis_ratio: float, angle_rad: float):
    """Return a unit-flux Sersic profile with half its light within this semi-major axis."""
    index = snap_sersic_index(index)
    circular = semi_major_arcsec * np.sqrt(axis_ratio)
    if index == 1:
        profile = galsim.Exponential(half_light_radius=circular)
    else:
        profile = galsim.Sersic(n=index, half_light_radius=circular)
    return profile.shear(q=axis_ratio, beta=angle_rad * galsim.radians)


def concentration_of_sersic(index: np.ndarray) -> np.ndarray:
    """Return r80 / r50 of Sersic profiles, the measure used for `sersic_index` of composites."""
    index = np.asarray(index, dtype=float)
    r50, r80 = (scipy.special.gammaincinv(2 * index, part) ** index for part in (0.5, 0.8))
    return r80 / r50


_INDEX_TABLE = np.arange(0.3, 6.2001, 0.05)
_CONCENTRATION_TABLE = concentration_of_sersic(_INDEX_TABLE)


def sersic_of_concentration(concentration: float) -> float:
    """Return the Sersic index, 0.3 to 6.2, whose r80 / r50 this is."""
    return float(np.interp(concentration, _CONCENTRATION_TABLE, _INDEX_TABLE))
