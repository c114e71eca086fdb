"""Distant massive red galaxies of the simulated survey, some with a lensed galaxy behind them.

They are drawn as those of the wide fields are (`mock_lenses`, `mock_red`), so that a search for
lenses in a pool of cutouts (paper V.C) meets red galaxies of the same kind without arcs, some of
them with blue companions or a blue disc. Magnitudes, radius and index of these are those of all
their light, as for pairs.
"""

from collections.abc import Callable, Sequence

import numpy as np

from galaxy_lvm.core.config.lenses import MockLenses
from galaxy_lvm.core.errors import ConfigError
from galaxy_lvm.core.seeds import derive_seed
from galaxy_lvm.simulation import physics
from galaxy_lvm.simulation.lenses import (
    Lens,
    arc_snr,
    draw_lens,
    draw_sources,
    lensed_transform,
)
from galaxy_lvm.simulation.red import draw_unlensed_red
from galaxy_lvm.simulation.render import Grid
from galaxy_lvm.simulation.truth import Galaxy

DISTANT_RED, LENS = "distant_red", "lens"
# What is known of a cutout's lens; of all others it is not a number.
NO_ARCS = dict.fromkeys(("einstein_radius_arcsec", "arc_mag_r", "arc_snr"), float("nan"))
# Lenses of the survey are those of the fields, whatever a config says of these.
USUAL = MockLenses()
# Half of the sources or more can be seen at once; the rest take a few draws.
TRIES_PER_LENS = 60


def kinds_of(
    labels: Sequence[str], distant_red_share: float, n_lenses: int, seed: int
) -> list[str]:
    """Return what to draw for every label: the class, or a rare kind of elliptical.

    Parameters
    ----------
    labels
        Class of every galaxy.
    distant_red_share
        Share of the ellipticals that are distant massive red galaxies, lenses not counted; 0 to 1.
    n_lenses
        Ellipticals that are lenses.
    seed
        Seed of the survey.

    Raises
    ------
    ConfigError
        If there are fewer ellipticals than lenses.
    """
    kinds = list(labels)
    ellipticals = [place for place, label in enumerate(labels) if label == "elliptical"]
    if n_lenses > len(ellipticals):
        raise ConfigError(
            f"mock.n_lenses is {n_lenses}, but only {len(ellipticals)} of {len(labels)} galaxies "
            "are ellipticals; raise mock.n_galaxies or mock.class_fractions.elliptical"
        )
    order = np.random.default_rng(derive_seed(seed, "mock", "rare")).permutation(ellipticals)
    n_red = round(distant_red_share * (len(ellipticals) - n_lenses))
    for count, place in enumerate(order[: n_lenses + n_red].tolist()):
        kinds[place] = LENS if count < n_lenses else DISTANT_RED
    return kinds


def draw_distant_red(
    rng: np.random.Generator, with_source: bool = False
) -> tuple[Galaxy, Lens | None]:
    """Draw a distant massive red galaxy, and the lens that it is if something lies behind it."""
    lens = (
        draw_lens(rng, USUAL.einstein_limits_arcsec, USUAL.source_mag_r_limits)
        if with_source
        else None
    )
    red = lens.galaxy if lens else draw_unlensed_red(rng, USUAL.einstein_limits_arcsec)
    flux = sum(component.flux[1] for component in red.light.components)
    sky = physics.at_redshift(float(physics.magnitudes(flux)), red.redshift)
    exact = {}
    if len(red.light.components) == 1:
        exact = {"sersic_index": red.sersic_index, "half_light_radius_arcsec": red.size_arcsec}
    galaxy = Galaxy(
        "elliptical", LENS if lens else DISTANT_RED, red.light, sky, red.axis_ratio,
        red.angle_rad, red.size_arcsec, **exact,
    )  # fmt: skip
    return galaxy, lens


def visible_arcs(
    grid: Grid,
    lens: Lens,
    scene: np.ndarray,
    around: np.ndarray,
    seen: Callable[[np.ndarray], np.ndarray],
    sigma: np.ndarray,
    sky: np.ndarray,
    rng: np.random.Generator,
) -> tuple[np.ndarray, dict[str, float]]:
    """Return the transform of lensed images that can be seen, and their columns.

    Sources are drawn until the signal to noise of the images reaches that of the lenses in wide
    fields (`min_arc_snr`); after `TRIES_PER_LENS` the brightest count, and `arc_snr` says so.

    Parameters
    ----------
    grid
        Grid of the cutout.
    lens
        Deflector; its sources are the first to be tried.
    scene, around
        (3, N, N/2+1) transforms of the deflector's light and of all else in the cutout.
    seen
        Maps a transform to the noise-free frame (3, H, W) through the PSF.
    sigma, sky
        Noise before resampling and brightness of the sky, nanomaggies per pixel (3,).
    rng
        Source of randomness.
    """
    first = lens.galaxy.light.components[0]
    radius = lens.deflector.einstein_radius_arcsec
    galaxy, rest = seen(scene), seen(around)
    sources, best = lens.sources, None
    for _ in range(TRIES_PER_LENS):
        tried = Lens(lens.galaxy, lens.deflector, sources)
        arcs = lensed_transform(grid, tried, first.x, first.y)
        frame = seen(arcs)
        snr = arc_snr(frame, galaxy, rest, sigma, sky)
        if best is None or snr > best[1]:
            best = arcs, snr
        if snr >= USUAL.min_arc_snr:
            break
        sources = draw_sources(rng, radius, USUAL.source_mag_r_limits)
    arcs, snr = best
    mag_r = float(physics.magnitudes(arcs[1, 0, 0].real))
    return arcs, {"einstein_radius_arcsec": radius, "arc_mag_r": mag_r, "arc_snr": snr}
