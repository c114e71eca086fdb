"""The class "other": irregular galaxies, merging pairs with tidal features, late mergers."""

import numpy as np

from galaxy_lvm.simulation import physics
from galaxy_lvm.simulation.render import Component, LightModel, PointSources
from galaxy_lvm.simulation.spirals import draw_disc_knots
from galaxy_lvm.simulation.structures import Clumps, DiscPlane, Shells, SmoothNoise, TidalTail
from galaxy_lvm.simulation.truth import Galaxy


def draw_other(rng: np.random.Generator) -> Galaxy:
    """Draw an irregular galaxy, a merging pair or the remnant of a merger."""
    kind = rng.choice(["irregular", "pair", "late_merger"], p=[0.42, 0.44, 0.14])
    if kind == "irregular":
        return draw_irregular(rng)
    return draw_pair(rng) if kind == "pair" else draw_late_merger(rng)


def draw_irregular(rng: np.random.Generator) -> Galaxy:
    """Draw a clumpy blue galaxy without symmetry; the nearest thing to a Magellanic dwarf."""
    sky, size = physics.draw_resolved(rng, -19.6, 0.8, early=False, smallest_arcsec=2.0)
    size *= rng.uniform(0.85, 1.2)
    angle, axis_ratio = rng.uniform(0, np.pi), float(rng.uniform(0.38, 0.9))
    flux = float(physics.nanomaggies(sky.mag_r))
    n_blobs = int(rng.integers(2, 5))
    shares = rng.uniform(0.06, 0.22, n_blobs)
    knot_share = rng.uniform(0.02, 0.15)
    main_share = 1 - shares.sum() - knot_share
    age = rng.uniform(0.45, 1.05)
    body = physics.sersic(rng.uniform(0.6, 1.3), size, axis_ratio, angle)
    clumps = Clumps(SmoothNoise(rng, 3.0), rng.uniform(0.3, 0.9), 6.0 / max(size, 1.0))
    colour = physics.blue_colour(rng, sky, age)
    components = [Component(physics.band_fluxes(flux * main_share, colour), body, paint=clumps)]
    plane = DiscPlane(angle, axis_ratio)
    for share in shares:
        x, y = plane.to_sky(size * rng.uniform(0.1, 1.1), rng.uniform(0, 2 * np.pi))
        blob = physics.sersic(
            rng.uniform(0.5, 1.2),
            size * rng.uniform(0.15, 0.45),
            rng.uniform(0.4, 1.0),
            rng.uniform(0, np.pi),
        )
        blob_colour = physics.blue_colour(rng, sky, age * rng.uniform(0.0, 1.0))
        blob_flux = physics.band_fluxes(flux * share, blob_colour)
        components.append(Component(blob_flux, blob, float(x), float(y)))
    knots = draw_disc_knots(rng, plane, size / 1.5, flux * knot_share)
    light = LightModel(components, knots)
    return Galaxy("other", "irregular", light, sky, axis_ratio, angle, size)


def _progenitor(
    rng: np.random.Generator, sky: physics.Sky, flux_r: float, size: float
) -> tuple[list[Component], PointSources, float, float, tuple[float, float]]:
    """Draw one member of a pair around the origin.

    Returns
    -------
    tuple
        Components, knots, axis ratio, angle, and the colour of its outskirts.
    """
    angle, axis_ratio = float(rng.uniform(0, np.pi)), float(rng.uniform(0.35, 0.95))
    if rng.random() < 0.35:
        colour = physics.red_colour(rng, sky)
        body = physics.sersic(rng.uniform(2.0, 4.5), size, axis_ratio, angle)
        part = Component(physics.band_fluxes(flux_r, colour), body)
        return [part], PointSources.none(), axis_ratio, angle, colour
    colour = physics.blue_colour(rng, sky, rng.uniform(0.4, 1.1))
    bulge_share = rng.uniform(0.05, 0.4)
    disc = physics.sersic(1.0, size, axis_ratio, angle)
    bulge_q = min(1.0, axis_ratio + 0.3)
    bulge = physics.sersic(rng.uniform(1, 3), 0.25 * size, bulge_q, angle)
    clumps = Clumps(SmoothNoise(rng, 3.0), rng.uniform(0.1, 0.5), 5.0 / max(size, 1.0))
    parts = [
        Component(physics.band_fluxes(flux_r * (1 - bulge_share), colour), disc, paint=clumps),
        Component(
            physics.band_fluxes(flux_r * bulge_share, physics.red_colour(rng, sky, 0.08)), bulge
        ),
    ]
    plane = DiscPlane(angle, axis_ratio)
    knots = draw_disc_knots(rng, plane, size / 1.7, flux_r * rng.uniform(0.0, 0.06))
    return parts, knots, axis_ratio, angle, colour


def _draw_tail(rng: np.random.Generator, size: float, start_rad: float) -> TidalTail:
    return TidalTail(
        plane=DiscPlane(float(rng.uniform(0, np.pi)), float(rng.uniform(0.45, 1.0))),
        start_rad=start_rad,
        start_arcsec=size * rng.uniform(0.8, 1.3),
        opening=rng.uniform(0.15, 0.6),
        length_rad=rng.uniform(0.5, 1.3),
        width_arcsec=size * rng.uniform(0.12, 0.30),
        handedness=int(rng.choice([-1, 1])),
    )


def draw_pair(rng: np.random.Generator) -> Galaxy:
    """Draw two galaxies in contact, with tails and often a bridge."""
    sky, size = physics.draw_resolved(rng, -21.4, 0.7, early=False, smallest_arcsec=1.7)
    size = min(size, 5.5)
    flux = float(physics.nanomaggies(sky.mag_r))
    ratio = rng.uniform(0.2, 1.0)
    debris_share = rng.uniform(0.08, 0.30)
    first_flux = flux * (1 - debris_share) / (1 + ratio)
    separation = size * rng.uniform(0.9, 2.8)
    direction = rng.uniform(0, 2 * np.pi)
    x, y = separation * np.cos(direction), separation * np.sin(direction)
    parts, knots, axis_ratio, angle, colour = _progenitor(rng, sky, first_flux, size)
    second, second_knots, _, _, _ = _progenitor(
        rng, sky, first_flux * ratio, size * np.clip(ratio**0.4, 0.4, 1)
    )
    for component in second:
        component.x, component.y = component.x + x, component.y + y
    second_knots.x, second_knots.y = second_knots.x + x, second_knots.y + y
    parts += second
    # Debris is a mixture of the outer discs, a little bluer than the first galaxy.
    debris_colour = (colour[0] - 0.06, colour[1] - 0.05)
    debris = flux * debris_share * rng.dirichlet([2.0, 1.2, 1.2])
    parts.append(
        Component(
            physics.band_fluxes(debris[0], debris_colour),
            paint=_draw_tail(rng, size, direction + np.pi + rng.normal(0, 0.5)),
        )
    )
    tail = _draw_tail(rng, size, direction + rng.normal(0, 0.5))
    parts.append(Component(physics.band_fluxes(debris[1], debris_colour), paint=tail, x=x, y=y))
    bridge = physics.sersic(0.5, max(0.45 * separation, 0.8), rng.uniform(0.25, 0.5), direction)
    bridge_flux = physics.band_fluxes(debris[2], debris_colour)
    parts.append(Component(bridge_flux, bridge, x / 2, y / 2))
    light = LightModel(parts, PointSources.joined([knots, second_knots]))
    return Galaxy("other", "pair", light, sky, axis_ratio, angle, 1.3 * size, merging=True)


def draw_late_merger(rng: np.random.Generator) -> Galaxy:
    """Draw a single body with shells or a tail, often too faint to notice."""
    sky, size = physics.draw_resolved(rng, -21.7, 0.7, early=True, smallest_arcsec=1.7)
    size = min(size * 1.1, 5.5)
    flux = float(physics.nanomaggies(sky.mag_r))
    debris_share = rng.uniform(0.08, 0.28)
    parts, knots, axis_ratio, angle, colour = _progenitor(rng, sky, flux * (1 - debris_share), size)
    debris_colour = (colour[0] - 0.04, colour[1] - 0.03)
    fluxes = physics.band_fluxes(flux * debris_share, debris_colour)
    if rng.random() < 0.5:
        radii = size * np.sort(rng.uniform(1.1, 3.2, int(rng.integers(1, 4))))[::-1]
        paint = Shells(angle, tuple(float(r) for r in radii), rng.uniform(0.3, 0.6))
        parts.append(Component(fluxes, paint=paint))
    else:
        for share in (0.6, 0.4):
            tail = _draw_tail(rng, size, rng.uniform(0, 2 * np.pi))
            parts.append(Component(fluxes * share, paint=tail))
    if rng.random() < 0.5:  # the swallowed galaxy's nucleus
        x, y = rng.normal(0, 0.4 * size, 2)
        nucleus = physics.sersic(2.0, 0.2 * size, rng.uniform(0.6, 1), rng.uniform(0, np.pi))
        nucleus_flux = physics.band_fluxes(flux * rng.uniform(0.03, 0.15), colour)
        parts.append(Component(nucleus_flux, nucleus, float(x), float(y)))
    light = LightModel(parts, knots)
    return Galaxy("other", "late_merger", light, sky, axis_ratio, angle, size, merging=True)
