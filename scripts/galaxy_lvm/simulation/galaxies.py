"""Populations of the simulated survey: smooth and edge-on galaxies, and the choice of class.

The parameters of the classes overlap on purpose, as they do in a survey: lenticulars sit between
ellipticals and discs, anaemic and distant spirals look smooth, and late mergers are ellipticals
with a faint shell.
"""

import galsim
import numpy as np

from galaxy_lvm.simulation import physics
from galaxy_lvm.simulation.disturbed import draw_other
from galaxy_lvm.simulation.render import Component, LightModel
from galaxy_lvm.simulation.spirals import draw_disc_knots, draw_spiral
from galaxy_lvm.simulation.structures import Clumps, DiscPlane, DustLane, SmoothNoise
from galaxy_lvm.simulation.truth import Galaxy
from galaxy_lvm.survey.classes import CLASSES

# Vertical over radial spread of an exponential disc of unit scale height over scale length: sech^2
# has a deviation of pi / (2 sqrt 3), an exponential disc seen edge-on one of sqrt 3.
FLATNESS_OF_UNIT_DISC = np.pi / 6


def draw_galaxy(label: str, rng: np.random.Generator, barred_fraction: float) -> Galaxy:
    """Draw one galaxy of a class.

    Parameters
    ----------
    label
        One of `galaxy_lvm.CLASSES`.
    rng
        Source of randomness.
    barred_fraction
        Probability of a bar in a spiral, 0 to 1.
    """
    if label == "elliptical":
        return draw_elliptical(rng)
    if label == "edge_on":
        return draw_edge_on(rng)
    if label == "spiral":
        return draw_spiral(rng, barred_fraction)
    if label == "other":
        return draw_other(rng)
    raise ValueError(f"unknown class {label!r}, expected one of {CLASSES}")


def draw_elliptical(rng: np.random.Generator) -> Galaxy:
    """Draw a smooth galaxy: an elliptical, a lenticular without structure, or a blue spheroid."""
    subtype = rng.choice(["elliptical", "lenticular", "blue_spheroid"], p=[0.60, 0.27, 0.13])
    angle = rng.uniform(0, np.pi)
    if subtype == "lenticular":
        return _draw_lenticular(rng, angle)
    if subtype == "blue_spheroid":
        return _draw_blue_spheroid(rng, angle)
    sky = physics.draw_sky(rng, -21.9, 0.8)
    size = physics.draw_size_arcsec(rng, sky, early=True)
    axis_ratio = float(0.5 + 0.5 * rng.beta(2.2, 1.5))
    # Luminous ellipticals have higher indices and a halo of stars around them.
    index = float(np.clip(rng.normal(4.0 - 0.5 * (sky.absolute_mag_r + 21.9), 0.8), 2.4, 6.0))
    index = physics.snap_sersic_index(index)
    flux = float(physics.nanomaggies(sky.mag_r))
    colour = physics.red_colour(rng, sky)
    body = physics.sersic(index, size, axis_ratio, angle)
    components = [Component(physics.band_fluxes(flux, colour), body)]
    exact: dict[str, float | None] = {"sersic_index": index, "half_light_radius_arcsec": size}
    if sky.absolute_mag_r < -22 and rng.random() < 0.5:
        share = rng.uniform(0.1, 0.3)
        halo_size = min(size * rng.uniform(1.8, 2.6), 12.0)
        halo = physics.sersic(1.0, halo_size, max(axis_ratio - 0.1, 0.4), angle)
        bluer = (colour[0] - 0.06, colour[1] - 0.06)
        components[0].flux *= 1 - share
        components.append(Component(physics.band_fluxes(flux * share, bluer), halo))
        exact = {}
    light = LightModel(components)
    return Galaxy("elliptical", subtype, light, sky, axis_ratio, angle, size, **exact)


def _draw_lenticular(rng: np.random.Generator, angle: float) -> Galaxy:
    sky = physics.draw_sky(rng, -21.2, 0.7)
    size = physics.draw_size_arcsec(rng, sky, early=True)
    axis_ratio = float(rng.uniform(0.36, 1.0))
    bulge_share = float(np.clip(rng.normal(0.45, 0.15), 0.15, 0.8))
    flux = float(physics.nanomaggies(sky.mag_r))
    bulge_colour, disc_colour = physics.red_colour(rng, sky), physics.red_colour(rng, sky)
    disc_colour = (disc_colour[0] - 0.05, disc_colour[1] - 0.04)
    bulge_q = min(1.0, axis_ratio + 0.6 * (1 - axis_ratio))
    bulge = physics.sersic(rng.uniform(1.5, 4.0), 0.4 * size, bulge_q, angle)
    disc = physics.sersic(1.0, 1.4 * size, axis_ratio, angle)
    light = LightModel(
        [
            Component(physics.band_fluxes(flux * (1 - bulge_share), disc_colour), disc),
            Component(physics.band_fluxes(flux * bulge_share, bulge_colour), bulge),
        ]
    )
    return Galaxy(
        "elliptical",
        "lenticular",
        light,
        sky,
        axis_ratio,
        angle,
        size,
        bulge_to_total=bulge_share,
        face_on=False,
    )


def _draw_blue_spheroid(rng: np.random.Generator, angle: float) -> Galaxy:
    sky = physics.draw_sky(rng, -20.2, 0.6)
    size = min(physics.draw_size_arcsec(rng, sky, early=False) * 0.6, 3.0)
    axis_ratio = float(rng.uniform(0.5, 1.0))
    index = physics.snap_sersic_index(rng.uniform(1.0, 2.4))
    colour = physics.blue_colour(rng, sky, rng.uniform(0.75, 1.2))
    flux = physics.band_fluxes(float(physics.nanomaggies(sky.mag_r)), colour)
    light = LightModel([Component(flux, physics.sersic(index, size, axis_ratio, angle))])
    return Galaxy(
        "elliptical",
        "blue_spheroid",
        light,
        sky,
        axis_ratio,
        angle,
        size,
        sersic_index=index,
        half_light_radius_arcsec=size,
    )


def draw_edge_on(rng: np.random.Generator) -> Galaxy:
    """Draw a disc seen within 17 degrees of its plane, with a bulge and often a dust lane."""
    sky = physics.draw_sky(rng, -20.8, 0.8)
    size = physics.draw_size_arcsec(rng, sky, early=False) * 1.1
    angle, inclination = rng.uniform(0, np.pi), np.radians(rng.uniform(73, 90))
    late_type = rng.random() < 0.7
    flatness = rng.uniform(0.10, 0.30) if late_type else rng.uniform(0.18, 0.42)
    low, high = (0.0, 0.25) if late_type else (0.2, 0.55)
    bulge_share = float(rng.uniform(low, high))
    axis_ratio = float(
        np.hypot(np.cos(inclination), FLATNESS_OF_UNIT_DISC * flatness * np.sin(inclination))
    )
    scale = size / 1.678
    disc = galsim.InclinedExponential(
        inclination * galsim.radians, scale_radius=scale, scale_h_over_r=flatness
    ).rotate(angle * galsim.radians)
    disc_flux, bulge_flux = _draw_edge_on_fluxes(rng, sky, bulge_share, late_type)
    bulge_q = rng.uniform(0.5, 0.95)
    bulge_size = scale * rng.uniform(0.25, 0.6) * np.sqrt(0.3 + 2 * bulge_share)
    bulge = physics.sersic(rng.uniform(1.0, 3.5), bulge_size, bulge_q, angle)
    light = LightModel([Component(disc_flux, disc)])
    if bulge_share > 0.02:
        light.components.append(Component(bulge_flux, bulge))
    if late_type:
        _add_edge_on_details(rng, light, angle, axis_ratio, scale, flatness, inclination)
    return Galaxy(
        "edge_on",
        "late_edge_on" if late_type else "lenticular_edge_on",
        light,
        sky,
        axis_ratio,
        angle,
        size,
        bulge_to_total=bulge_share,
    )


def _draw_edge_on_fluxes(
    rng: np.random.Generator, sky: physics.Sky, bulge_share: float, late_type: bool
) -> tuple[np.ndarray, np.ndarray]:
    """Return the fluxes (3,) of a disc and its bulge; an early disc is hardly bluer than it."""
    flux = float(physics.nanomaggies(sky.mag_r))
    disc_colour = physics.blue_colour(rng, sky, rng.uniform(0.4, 1.1))
    bulge_colour = physics.red_colour(rng, sky)
    if not late_type:
        disc_colour = (bulge_colour[0] - 0.06, bulge_colour[1] - 0.05)
    disc_flux = physics.band_fluxes(flux * (1 - bulge_share), disc_colour)
    return disc_flux, physics.band_fluxes(flux * bulge_share, bulge_colour)


def _add_edge_on_details(
    rng: np.random.Generator,
    light: LightModel,
    angle: float,
    axis_ratio: float,
    scale: float,
    flatness: float,
    inclination: float,
) -> None:
    """Add patches and knots to a late edge-on disc, and a dust lane to most."""
    noise = SmoothNoise(rng, smoothing=2.0)
    disc = light.components[0]
    disc.paint = Clumps(noise, rng.uniform(0.05, 0.35), 3.0 / max(scale, 0.5))
    knots = draw_disc_knots(
        rng, DiscPlane(angle, axis_ratio), scale, disc.flux[1] * rng.uniform(0, 0.06)
    )
    light.points = knots
    if rng.random() < 0.65:
        # Away from 90 degrees the lane moves to the near side of the disc.
        offset = rng.choice([-1, 1]) * 0.6 * scale * np.cos(inclination)
        light.optical_depth = DustLane(
            angle,
            optical_depth=rng.uniform(1.0, 4.0),
            scale_arcsec=scale * rng.uniform(1.2, 2.2),
            height_arcsec=max(0.45 * flatness * scale, 0.18),
            offset_arcsec=float(offset),
            noise=noise,
        )
