"""What simulated fields hold beside lenses: neighbours, stars, and galaxies that mislead.

A detector that answers "a red galaxy" or "a bright, isolated galaxy" must fail here. Fields hold
the same massive red galaxies without anything behind them, alone and in groups, some with a blue
companion or a blue disc, and bright nearby spirals, ellipticals and edge-on discs.
"""

from dataclasses import dataclass

import numpy as np

from galaxy_lvm.core.config.lenses import MockLenses
from galaxy_lvm.core.config.survey import MockSky
from galaxy_lvm.simulation import physics
from galaxy_lvm.simulation.galaxies import draw_galaxy
from galaxy_lvm.simulation.lenses import draw_einstein_radius, draw_red_galaxy, draw_redshift
from galaxy_lvm.simulation.red import draw_unlensed_red
from galaxy_lvm.simulation.render import Component, LightModel, PointSources
from galaxy_lvm.simulation.surroundings import draw_neighbours, draw_stars
from galaxy_lvm.simulation.truth import Galaxy
from galaxy_lvm.survey.store import PIXEL_SCALE_ARCSEC

# Objects are scattered over more than the field, so that some are cut by its edge.
BORDER_ARCSEC = 5.0
GROUP_SHARE, GROUP_RADIUS_ARCSEC = 0.25, 8.0
BRIGHT_CLASSES = {"spiral": 0.45, "elliptical": 0.25, "edge_on": 0.2, "other": 0.1}
# Larger ones would fill the field.
LARGEST_BRIGHT_ARCSEC = 4.5
_NOBODY = Galaxy("other", "none", LightModel(), physics.place(20.0, -21.0), 1.0, 0.0, 1.0)
_STAR_SIZE_ARCSEC, _BRIGHT_STAR_SIZE_ARCSEC, _BRIGHT_STAR_FLUX = 0.4, 2.0, 150.0


@dataclass(frozen=True)
class PlacedLight:
    """Light around a place in a field.

    Attributes
    ----------
    light
        Light, centred on its own origin.
    x_pix, y_pix
        Its place, pixel edges.
    size_arcsec
        Half-light radius or so; sets how far out it is drawn.
    """

    light: LightModel
    x_pix: float
    y_pix: float
    size_arcsec: float


def draw_scenery(
    rng: np.random.Generator, side_pix: int, settings: MockLenses, survey: MockSky
) -> list[PlacedLight]:
    """Draw everything in a field that is no lens.

    Parameters
    ----------
    rng
        Source of randomness.
    side_pix
        Side of the field.
    settings
        Densities of red and of bright galaxies; Einstein radii, which are the red ones' masses.
    survey
        Densities of faint galaxies and stars, share of bars.
    """
    side = side_pix * PIXEL_SCALE_ARCSEC + 2 * BORDER_ARCSEC
    area = (side / 60) ** 2
    drawn: list[tuple[LightModel, float, float, float]] = []
    neighbours = draw_neighbours(rng, _NOBODY, survey.neighbour_density_per_arcmin2, side)
    for component in neighbours.components:
        drawn.append(_of_component(component))
    stars, spikes = draw_stars(rng, survey.star_density_per_arcmin2, side)
    drawn += [_of_star(stars, number) for number in range(len(stars.x))]
    drawn += [_of_component(spike, _BRIGHT_STAR_SIZE_ARCSEC) for spike in spikes.components]
    for _ in range(rng.poisson(settings.bright_density_per_arcmin2 * area)):
        galaxy = _draw_bright(rng, survey.barred_fraction)
        drawn.append((galaxy.light, *_anywhere(rng, side), galaxy.size_arcsec))
    n_red = settings.red_density_per_arcmin2 * area
    drawn += _draw_red(rng, n_red, side, settings.einstein_limits_arcsec)
    centre = side_pix / 2
    return [
        PlacedLight(light, centre + x / PIXEL_SCALE_ARCSEC, centre + y / PIXEL_SCALE_ARCSEC, size)
        for light, x, y, size in drawn
    ]


def _anywhere(rng: np.random.Generator, side_arcsec: float) -> tuple[float, float]:
    x, y = rng.uniform(-side_arcsec / 2, side_arcsec / 2, 2)
    return float(x), float(y)


def _of_component(
    component: Component, size_arcsec: float | None = None
) -> tuple[LightModel, float, float, float]:
    if size_arcsec is None:
        # GalSim measures the radius of a sheared profile on an image, far slower than this bound.
        mag_r = float(physics.magnitudes(component.flux[1]))
        size_arcsec = float(np.clip(0.8 * 10 ** (-0.13 * (mag_r - 22)), 0.4, 4.0))
    light = LightModel([Component(component.flux, component.profile)])
    return light, component.x, component.y, size_arcsec


def _of_star(stars: PointSources, number: int) -> tuple[LightModel, float, float, float]:
    flux = stars.flux[number : number + 1]
    light = LightModel(points=PointSources(np.zeros(1), np.zeros(1), flux))
    bright = flux.max() > _BRIGHT_STAR_FLUX
    size = _BRIGHT_STAR_SIZE_ARCSEC if bright else _STAR_SIZE_ARCSEC
    return light, float(stars.x[number]), float(stars.y[number]), size


def _draw_bright(rng: np.random.Generator, barred_fraction: float) -> Galaxy:
    """Draw a bright galaxy that leaves room in the field."""
    label = str(rng.choice(list(BRIGHT_CLASSES), p=list(BRIGHT_CLASSES.values())))
    while (galaxy := draw_galaxy(label, rng, barred_fraction)).size_arcsec > LARGEST_BRIGHT_ARCSEC:
        pass
    return galaxy


def _draw_red(
    rng: np.random.Generator, mean: float, side_arcsec: float, einstein_limits: tuple[float, float]
) -> list[tuple[LightModel, float, float, float]]:
    """Draw the massive red galaxies: most alone, in some fields a group at one redshift."""
    drawn = []
    for _ in range(rng.poisson(mean)):
        galaxy = draw_unlensed_red(rng, einstein_limits)
        drawn.append((galaxy.light, *_anywhere(rng, side_arcsec), max(galaxy.size_arcsec, 1.0)))
    if rng.random() < GROUP_SHARE:
        x, y = _anywhere(rng, side_arcsec)
        redshift = draw_redshift(rng)
        for _ in range(rng.integers(2, 6)):
            galaxy = draw_red_galaxy(rng, draw_einstein_radius(rng, *einstein_limits), redshift)
            dx, dy = rng.normal(0, GROUP_RADIUS_ARCSEC, 2)
            drawn.append((galaxy.light, x + float(dx), y + float(dy), galaxy.size_arcsec))
    return drawn
