"""Massive red galaxies without anything behind them: what a search for lenses must tell apart.

Some have blue companions or a blue disc, so that red with something blue beside it is no lens yet.
"""

import numpy as np

from galaxy_lvm.simulation import physics
from galaxy_lvm.simulation.lenses import (
    RedGalaxy,
    draw_einstein_radius,
    draw_red_galaxy,
    draw_source_colour,
)
from galaxy_lvm.simulation.render import Component

# With blue companions, with a blue disc.
COMPANION_SHARE, DISC_SHARE = 0.3, 0.15


def draw_unlensed_red(
    rng: np.random.Generator, einstein_limits_arcsec: tuple[float, float]
) -> RedGalaxy:
    """Draw a red galaxy of a deflector's mass, alone, with blue companions or with a blue disc.

    Parameters
    ----------
    rng
        Source of randomness.
    einstein_limits_arcsec
        Smallest and largest Einstein radius that its mass would have.
    """
    galaxy = draw_red_galaxy(rng, draw_einstein_radius(rng, *einstein_limits_arcsec))
    kind = rng.random()
    if kind < COMPANION_SHARE:
        _add_companions(rng, galaxy)
    elif kind < COMPANION_SHARE + DISC_SHARE:
        _add_disc(rng, galaxy)
    return galaxy


def _add_companions(rng: np.random.Generator, galaxy: RedGalaxy) -> None:
    """Put one to three small blue galaxies where images might be."""
    for _ in range(rng.integers(1, 4)):
        distance, direction = rng.uniform(1.3, 4.5), rng.uniform(0, 2 * np.pi)
        size, axis_ratio, angle = rng.uniform(0.15, 0.6), rng.uniform(0.3, 1), rng.uniform(0, np.pi)
        flux = physics.nanomaggies(rng.uniform(21.0, 23.5))
        galaxy.light.components.append(
            Component(
                physics.band_fluxes(flux, draw_source_colour(rng)),
                physics.sersic(1.0, size, axis_ratio, angle),
                float(distance * np.cos(direction)),
                float(distance * np.sin(direction)),
            )
        )


def _add_disc(rng: np.random.Generator, galaxy: RedGalaxy) -> None:
    """Put a blue disc around the galaxy: what is left of a distant spiral seen from the ground."""
    size, axis_ratio = rng.uniform(1.2, 2.5), rng.uniform(0.4, 1.0)
    flux = physics.nanomaggies(rng.uniform(19.5, 21.5))
    disc = physics.sersic(0.5, size, axis_ratio, galaxy.angle_rad)
    colour = draw_source_colour(rng)
    galaxy.light.components.append(Component(physics.band_fluxes(flux, colour), disc))
