"""What else is in a cutout: background and neighbouring galaxies, foreground stars."""

import galsim
import numpy as np

from galaxy_lvm.simulation import physics
from galaxy_lvm.simulation.render import Component, LightModel, PointSources
from galaxy_lvm.simulation.truth import Galaxy

# Limits of the galaxies and stars that the two densities of the settings count.
NEIGHBOUR_MAG_LIMITS = (17.0, 23.8)
STAR_MAG_LIMITS = (13.0, 23.0)
NEIGHBOUR_SLOPE = 0.33
STAR_SLOPE = 0.15
SPIKED_STAR_MAG = 15.0


def _scatter(rng: np.random.Generator, n: int, side_arcsec: float) -> np.ndarray:
    """Return (2, n) uniform offsets in a square."""
    return rng.uniform(-side_arcsec / 2, side_arcsec / 2, (2, n))


def draw_neighbours(
    rng: np.random.Generator, galaxy: Galaxy, density_per_arcmin2: float, side_arcsec: float
) -> LightModel:
    """Draw the galaxies around the main one.

    Parameters
    ----------
    rng
        Source of randomness.
    galaxy
        Main galaxy. One elliptical in four sits in a group: more neighbours, on its red sequence.
    density_per_arcmin2
        Mean surface density of galaxies of r = 17 to 23.8, 0 or more.
    side_arcsec
        Side of the square that they fill.
    """
    # Galaxies cluster, so their numbers scatter more than a Poisson variate.
    mean = density_per_arcmin2 * (side_arcsec / 60) ** 2 * rng.lognormal(-0.08, 0.4)
    n_field = int(rng.poisson(mean))
    in_group = galaxy.label == "elliptical" and rng.random() < 0.25
    n_members = int(rng.poisson(0.35 * mean)) if in_group else 0
    n = n_field + n_members
    mag = physics.draw_power_law_mag(rng, *NEIGHBOUR_MAG_LIMITS, NEIGHBOUR_SLOPE, n)
    mag[n_field:] = np.maximum(mag[n_field:] - 1.5, galaxy.sky.mag_r + 1.0)
    x, y = _scatter(rng, n, side_arcsec)
    red = np.arange(n) >= n_field
    components = []
    for i in range(n):
        early = bool(red[i] or rng.random() < 0.25)
        colour = _neighbour_colour(rng, galaxy, early, bool(red[i]))
        flux = physics.band_fluxes(physics.nanomaggies(mag[i]), colour)
        profile = _neighbour_profile(rng, mag[i], early)
        components.append(Component(flux, profile, float(x[i]), float(y[i])))
    return LightModel(components)


def _neighbour_colour(
    rng: np.random.Generator, galaxy: Galaxy, early: bool, member: bool
) -> physics.Colour:
    if member:
        return physics.red_colour(rng, galaxy.sky, 0.05)
    if early:
        redshift = rng.uniform(0.1, 0.7)
        return 0.8 + 1.3 * redshift, 0.55 + 1.2 * redshift + rng.normal(0, 0.1)
    g_r = rng.normal(0.6, 0.26)
    return g_r, 0.62 * g_r + 0.06 + rng.normal(0, 0.10)


def _neighbour_profile(rng: np.random.Generator, mag: float, early: bool) -> galsim.GSObject:
    size = float(np.clip(0.5 * 10 ** (-0.13 * (mag - 22) + rng.normal(0, 0.18)), 0.1, 4.0))
    axis_ratio, angle = rng.uniform(0.25, 1.0), rng.uniform(0, np.pi)
    # The index of a faint, unresolved galaxy cannot be seen; an exponential is drawn faster.
    index = rng.choice([2.0, 3.0, 4.0]) if early and mag < 21.5 else 1.0
    return physics.sersic(index, size, axis_ratio, angle)


def draw_stars(
    rng: np.random.Generator, density_per_arcmin2: float, side_arcsec: float
) -> tuple[PointSources, LightModel]:
    """Draw foreground stars and the diffraction spikes of the brightest.

    Parameters
    ----------
    rng
        Source of randomness.
    density_per_arcmin2
        Mean surface density of stars of r = 13 to 23, 0 or more.
    side_arcsec
        Side of the square that they fill.
    """
    n = int(rng.poisson(density_per_arcmin2 * (side_arcsec / 60) ** 2))
    mag = physics.draw_power_law_mag(rng, *STAR_MAG_LIMITS, STAR_SLOPE, n)
    x, y = _scatter(rng, n, side_arcsec)
    # Two bumps of the stellar locus: turn-off stars, and M dwarfs that outnumber them when faint.
    dwarf = rng.random(n) < np.clip(0.25 + 0.07 * (mag - 15), 0, 0.75)
    g_r = np.where(dwarf, rng.normal(1.42, 0.08, n), rng.normal(0.52, 0.15, n))
    r_z = np.where(dwarf, rng.gamma(6.0, 0.13, n) + 0.5, 0.62 * g_r - 0.04 + rng.normal(0, 0.02, n))
    flux = physics.band_fluxes(physics.nanomaggies(mag), (g_r, r_z))
    spikes = []
    for i in np.flatnonzero(mag < SPIKED_STAR_MAG):
        length = 2.2 * 10 ** (-0.12 * (mag[i] - SPIKED_STAR_MAG))
        for angle in (45, 135):
            line = galsim.Exponential(half_light_radius=length)
            line = line.shear(q=0.015, beta=angle * galsim.degrees)
            spikes.append(Component(0.006 * flux[i], line, float(x[i]), float(y[i])))
    return PointSources(x, y, flux), LightModel(spikes)
