"""Spiral galaxies: bulge, disc, arms, knots, dust, and in some a bar or a ring."""

from dataclasses import dataclass

import galsim
import numpy as np

from galaxy_lvm.simulation import physics
from galaxy_lvm.simulation.render import Component, LightModel, PointSources
from galaxy_lvm.simulation.structures import (
    ArmDust,
    ArmLight,
    DiscPlane,
    Ring,
    SmoothNoise,
    SpiralPattern,
)
from galaxy_lvm.simulation.truth import Galaxy

MAX_INCLINATION_DEG = 70.0
FACE_ON_INCLINATION_DEG = 35.0
DISC_THICKNESS = 0.18
SCALE_LENGTHS_PER_HALF_LIGHT = 1.678


@dataclass
class _Style:
    """Ranges of the arms' parameters in one kind of spiral."""

    share: float
    n_arms: tuple[int, ...]
    pitch_deg: tuple[float, float]
    contrast: tuple[float, float]
    sharpness: tuple[float, float]
    flocculence: tuple[float, float]
    ragged: tuple[float, float]
    young_share: tuple[float, float]


STYLES = {
    "grand_design": _Style(
        0.42, (2, 2, 2, 3), (11, 28), (1.0, 2.2), (0.9, 3.0), (0.0, 0.5), (0.1, 0.5), (0.15, 0.40)
    ),
    "multi_arm": _Style(
        0.25, (3, 3, 4, 4), (13, 26), (0.8, 1.7), (0.8, 2.2), (0.2, 0.7), (0.3, 0.9), (0.15, 0.40)
    ),
    "flocculent": _Style(
        0.19, (3, 4, 5, 6), (14, 30), (0.6, 1.3), (0.5, 1.4), (0.7, 1.1), (0.9, 1.8), (0.12, 0.40)
    ),
    "anaemic": _Style(
        0.14, (2, 2, 3, 4), (7, 18), (0.1, 0.5), (0.6, 1.5), (0.0, 0.4), (0.1, 0.5), (0.0, 0.05)
    ),
}


def draw_spiral(rng: np.random.Generator, barred_fraction: float) -> Galaxy:
    """Draw a spiral between face-on and 70 degrees.

    Parameters
    ----------
    rng
        Source of randomness.
    barred_fraction
        Probability of a bar, 0 to 1.
    """
    names = list(STYLES)
    subtype = str(rng.choice(names, p=[STYLES[name].share for name in names]))
    style = STYLES[subtype]
    sky, size = physics.draw_resolved(rng, -21.3, 0.7, early=False, smallest_arcsec=2.6)
    size *= 1.1
    inclination = np.arccos(rng.uniform(np.cos(np.radians(MAX_INCLINATION_DEG)), 1.0))
    plane = _draw_plane(rng, inclination)
    scale = size / SCALE_LENGTHS_PER_HALF_LIGHT
    barred = bool(rng.random() < barred_fraction)
    bar_length = scale * rng.uniform(0.8, 1.5) if barred else 0.0
    bulge_share = float(np.clip(rng.lognormal(np.log(0.14), 0.7), 0.01, 0.6))
    if subtype == "anaemic":
        bulge_share = min(bulge_share * 1.8, 0.65)
    pattern = _draw_pattern(rng, style, plane, scale, bar_length)
    light = _build_light(rng, sky, style, pattern, scale, bulge_share, bar_length)
    return Galaxy(
        "spiral",
        subtype,
        light,
        sky,
        plane.axis_ratio,
        plane.angle_rad,
        size,
        bulge_to_total=bulge_share,
        n_arms=pattern.n_arms,
        barred=barred,
        face_on=bool(np.degrees(inclination) <= FACE_ON_INCLINATION_DEG),
    )


def _draw_plane(rng: np.random.Generator, inclination_rad: float) -> DiscPlane:
    thin = np.cos(inclination_rad) ** 2
    axis_ratio = np.sqrt(thin + DISC_THICKNESS**2 * (1 - thin))
    return DiscPlane(float(rng.uniform(0, np.pi)), float(axis_ratio))


def _draw_pattern(
    rng: np.random.Generator, style: _Style, plane: DiscPlane, scale: float, bar_length: float
) -> SpiralPattern:
    n_arms = int(rng.choice(style.n_arms))
    if bar_length > 0 and n_arms > 2 and rng.random() < 0.7:
        n_arms = 2
    inner = bar_length if bar_length > 0 else scale * rng.uniform(0.35, 0.8)
    weights = 1 - rng.beta(1.2, 4.0) * (np.arange(n_arms) > 0)
    return SpiralPattern(
        plane=plane,
        n_arms=n_arms,
        pitch_rad=float(np.radians(rng.uniform(*style.pitch_deg)) * rng.choice([-1, 1])),
        contrast=float(rng.uniform(*style.contrast)),
        sharpness=float(rng.uniform(*style.sharpness)),
        inner_arcsec=float(inner),
        outer_arcsec=float(scale * rng.uniform(3.2, 4.8)),
        phase_rad=float(rng.uniform(0, 2 * np.pi)),
        flocculence=float(rng.uniform(*style.flocculence)),
        ragged=float(rng.uniform(*style.ragged)),
        noise=SmoothNoise(rng, smoothing=4.0),
        arm_weights=weights,
    )


def _build_light(
    rng: np.random.Generator,
    sky: physics.Sky,
    style: _Style,
    pattern: SpiralPattern,
    scale: float,
    bulge_share: float,
    bar_length: float,
) -> LightModel:
    """Return bulge, patterned disc, young arms, knots, dust, bar and ring of one spiral."""
    plane = pattern.plane
    flux = float(physics.nanomaggies(sky.mag_r))
    red = physics.red_colour(rng, sky, 0.06)
    anaemic = style.young_share[1] < 0.1
    disc_colour = physics.blue_colour(
        rng, sky, rng.uniform(0.85, 1.25) if anaemic else rng.uniform(0.65, 1.05)
    )
    young_colour = physics.blue_colour(rng, sky, rng.uniform(0.0, 0.35))
    bar_share = rng.uniform(0.06, 0.20) * (1 - bulge_share) if bar_length > 0 else 0.0
    young_share = rng.uniform(*style.young_share) * (1 - bulge_share - bar_share)
    disc_share = 1 - bulge_share - bar_share - young_share
    disc = physics.sersic(
        1.0, scale * SCALE_LENGTHS_PER_HALF_LIGHT, plane.axis_ratio, plane.angle_rad
    )
    components = [
        Component(physics.band_fluxes(flux * disc_share, disc_colour), disc, paint=pattern)
    ]
    young = ArmLight(pattern, scale * rng.uniform(1.0, 1.4))
    knot_share = rng.uniform(0.1, 0.4)
    components.append(
        Component(
            physics.band_fluxes(flux * young_share * (1 - knot_share), young_colour), paint=young
        )
    )
    components += _draw_centre(
        rng, pattern, scale, (flux * bulge_share, flux * bar_share), bulge_share, bar_length, red
    )
    _add_ring(rng, components, plane, scale, bar_length)
    dust = ArmDust(pattern, rng.uniform(0.1, 0.7)) if not anaemic else None
    knots = _draw_arm_knots(rng, pattern, scale, flux * young_share * knot_share, young_colour)
    return LightModel(components, knots, dust)


def _draw_centre(
    rng: np.random.Generator,
    pattern: SpiralPattern,
    scale: float,
    fluxes_r: tuple[float, float],
    bulge_share: float,
    bar_length: float,
    colour: physics.Colour,
) -> list[Component]:
    """Return the bulge, larger where its share is, and the bar where its length is not 0."""
    plane = pattern.plane
    bulge_q = min(1.0, plane.axis_ratio + 0.65 * (1 - plane.axis_ratio))
    bulge_size = scale * rng.uniform(0.25, 0.5) * np.sqrt(0.4 + 2.5 * bulge_share)
    bulge = physics.sersic(rng.uniform(0.9, 3.5), bulge_size, bulge_q, plane.angle_rad)
    parts = [Component(physics.band_fluxes(fluxes_r[0], colour), bulge)]
    if bar_length > 0:
        bar = _bar_profile(rng, plane, bar_length, pattern.phase_rad)
        bar_colour = (colour[0] - 0.05, colour[1] - 0.04)
        parts.append(Component(physics.band_fluxes(fluxes_r[1], bar_colour), bar))
    return parts


def _bar_profile(
    rng: np.random.Generator, plane: DiscPlane, length_arcsec: float, phase_rad: float
) -> galsim.GSObject:
    """Return a flat-topped bar in the plane of the disc, from which the arms start."""
    bar = physics.sersic(0.5, 0.62 * length_arcsec, rng.uniform(0.2, 0.38), phase_rad)
    cos, sin = np.cos(plane.angle_rad), np.sin(plane.angle_rad)
    q = plane.axis_ratio
    return bar.transform(cos, -sin * q, sin, cos * q) / q


def _add_ring(
    rng: np.random.Generator,
    components: list[Component],
    plane: DiscPlane,
    scale: float,
    bar_length: float,
) -> None:
    """Move some of the disc's light into a ring, more often where there is a bar."""
    if rng.random() > (0.30 if bar_length > 0 else 0.08):
        return
    radius = bar_length * rng.uniform(1.0, 1.2) if bar_length > 0 else scale * rng.uniform(1, 2.5)
    share = rng.uniform(0.05, 0.18)
    disc = components[0]
    ring = Ring(plane, float(radius), float(max(radius * rng.uniform(0.08, 0.18), 0.25)))
    components.append(Component(disc.flux * share * np.array([1.25, 1.0, 0.9]), paint=ring))
    disc.flux = disc.flux * (1 - share)


def _knot_fluxes(
    rng: np.random.Generator, n: int, total_flux_r: float, colour: tuple
) -> np.ndarray:
    """Return lognormal fluxes (n, 3); some knots shine in nebular lines within r."""
    flux = np.minimum(rng.lognormal(0.0, 0.7, n), 4.0)
    flux *= total_flux_r / flux.sum()
    g_r = colour[0] + rng.normal(0.0, 0.1, n)
    r_z = colour[1] + rng.normal(-0.1, 0.1, n)
    return physics.band_fluxes(flux, (g_r, r_z))


def _draw_arm_knots(
    rng: np.random.Generator,
    pattern: SpiralPattern,
    scale: float,
    total_flux_r: float,
    colour: tuple,
) -> PointSources:
    n = int(np.clip(rng.uniform(10, 25) * scale, 25, 120))
    if total_flux_r <= 0:
        return PointSources.none()
    x, y = pattern.draw_crest_places(rng, n, 1.1 * scale)
    return PointSources(x, y, _knot_fluxes(rng, len(x), total_flux_r, colour))


def draw_disc_knots(
    rng: np.random.Generator, plane: DiscPlane, scale: float, total_flux_r: float
) -> PointSources:
    """Draw young knots spread over a disc.

    Parameters
    ----------
    rng
        Source of randomness.
    plane
        Plane of the disc.
    scale
        Scale length in arcsec.
    total_flux_r
        Their summed r flux in nanomaggies.
    """
    n = int(np.clip(rng.uniform(8, 20) * scale, 15, 90))
    if total_flux_r <= 0:
        return PointSources.none()
    radius = np.minimum(rng.gamma(2.0, scale, n), 4 * scale)
    x, y = plane.to_sky(radius, rng.uniform(0, 2 * np.pi, n))
    return PointSources(x, y, _knot_fluxes(rng, n, total_flux_r, (0.1, 0.0)))
