"""Strong lenses of the simulated fields: what bends, what is bent, and which pixels that makes.

A red elliptical (singular isothermal ellipsoid and external shear) bends the light of a distant,
mostly blue source into arcs, rings and quads. Rays are traced by lenstronomy on a fine grid; the
transform of that light then goes through the same PSF as everything else in a field. Magnitudes,
colours and their run with redshift are round numbers near the medians of the lens candidates in
the Legacy Surveys (catalogues of Stein et al. 2022); they are not a fit.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
import scipy.fft

# The profiles alone: lenstronomy's `LensModel` imports everything it has, two seconds a process.
from lenstronomy.LensModel.Profiles.shear import Shear
from lenstronomy.LensModel.Profiles.sie import SIE
from lenstronomy.LightModel.Profiles.sersic import SersicElliptic
from lenstronomy.Util.param_util import phi_q2_ellipticity

from galaxy_lvm.simulation import physics
from galaxy_lvm.simulation.render import N_BANDS, Component, Grid, LightModel, make_grid
from galaxy_lvm.survey.store import PIXEL_SCALE_ARCSEC

# Rays per pixel and axis. The PSF removes what a grid three times finer cannot show.
RAYS_PER_PIX = 3
LENS_GRID_SIDES_PIX = (64, 96, 128, 192)
REDSHIFT_MEAN, REDSHIFT_SCATTER, REDSHIFT_LIMITS = 0.46, 0.16, (0.15, 0.85)
# Red galaxies massive enough to bend light visibly, at `physics.DISTANT_REDSHIFTS`: r magnitude of
# one with the median Einstein radius, half-light radius in arcsec; colours are in `mock_physics`.
_MAG_R = (16.6, 17.4, 18.2, 18.8, 19.4, 19.8, 20.2, 21.0)
_RADIUS_ARCSEC = (2.8, 1.9, 1.4, 1.15, 1.0, 0.9, 0.85, 0.75)
MEDIAN_EINSTEIN_ARCSEC, EINSTEIN_SCATTER = 2.0, 0.36
# How well a galaxy's light is known at a place, relative to it, to someone who looks for arcs.
GALAXY_MODEL_ERROR = 0.5
# Sources further from the axis, in Einstein radii, have one image that counts.
LARGEST_SOURCE_OFFSET, CENTRED_OFFSET = 0.75, 0.12
COMPACT_RADIUS_ARCSEC = 0.12
COMPACT_SHARE, CLUMPY_SHARE, RED_SOURCE_SHARE, CENTRED_SHARE = 0.15, 0.45, 0.12, 0.12


@dataclass(frozen=True)
class Source:
    """One Sersic component behind the lens.

    Attributes
    ----------
    flux
        (3,) nanomaggies in g, r, z before lensing.
    x, y
        Offset from the deflector's centre in arcsec (columns, rows), before lensing.
    radius_arcsec
        Half-light radius (mean of the axes).
    sersic_index, axis_ratio, angle_rad
        Its shape.
    """

    flux: np.ndarray
    x: float
    y: float
    radius_arcsec: float
    sersic_index: float = 1.0
    axis_ratio: float = 1.0
    angle_rad: float = 0.0


@dataclass(frozen=True)
class Deflector:
    """The mass that bends the light.

    Attributes
    ----------
    einstein_radius_arcsec
        Einstein radius: the mean (square root of the product) of the critical curve's axes.
    axis_ratio, angle_rad
        Shape of the mass on the sky; the angle runs from +x to +y.
    shear_1, shear_2
        External shear.
    """

    einstein_radius_arcsec: float
    axis_ratio: float = 1.0
    angle_rad: float = 0.0
    shear_1: float = 0.0
    shear_2: float = 0.0

    def traced(self, x: np.ndarray, y: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Return where rays at (x, y) arcsec from the centre come from in the source plane."""
        e1, e2 = phi_q2_ellipticity(self.angle_rad, self.axis_ratio)
        mass_x, mass_y = SIE().derivatives(x, y, self.einstein_radius_arcsec, e1, e2)
        shear_x, shear_y = Shear().derivatives(x, y, self.shear_1, self.shear_2)
        return x - mass_x - shear_x, y - mass_y - shear_y


@dataclass(frozen=True)
class RedGalaxy:
    """A massive red galaxy, with or without anything behind it.

    Attributes
    ----------
    light
        Its light, centred.
    size_arcsec
        Half-light radius.
    redshift, axis_ratio, angle_rad, sersic_index
        Redshift and shape of the light.
    """

    light: LightModel
    size_arcsec: float
    redshift: float
    axis_ratio: float
    angle_rad: float
    sersic_index: float


@dataclass(frozen=True)
class Lens:
    """A lens: the galaxy in front, its mass, and the sources behind it."""

    galaxy: RedGalaxy
    deflector: Deflector
    sources: Sequence[Source] = field(default_factory=tuple)


def draw_einstein_radius(rng: np.random.Generator, low: float, high: float) -> float:
    """Draw an Einstein radius in arcsec between limits, log-normal around 2."""
    while True:
        radius = MEDIAN_EINSTEIN_ARCSEC * np.exp(EINSTEIN_SCATTER * rng.normal())
        if low <= radius <= high:
            return float(radius)


def draw_redshift(rng: np.random.Generator) -> float:
    """Draw the redshift of a massive red galaxy."""
    return float(np.clip(rng.normal(REDSHIFT_MEAN, REDSHIFT_SCATTER), *REDSHIFT_LIMITS))


def draw_red_galaxy(
    rng: np.random.Generator, einstein_radius_arcsec: float, redshift: float | None = None
) -> RedGalaxy:
    """Draw a galaxy whose mass has this Einstein radius; light follows mass with some scatter.

    Parameters
    ----------
    rng
        Source of randomness.
    einstein_radius_arcsec
        Einstein radius, > 0; galaxies of larger mass are brighter and larger.
    redshift
        Redshift, 0.1 to 0.9; None draws it.
    """
    redshift = draw_redshift(rng) if redshift is None else redshift
    relative = np.log10(einstein_radius_arcsec / MEDIAN_EINSTEIN_ARCSEC)
    # The Einstein radius goes with the square of the velocity dispersion, light with its fourth
    # power; the distance of the source, unknown here, weakens that.
    mag_r = np.interp(redshift, physics.DISTANT_REDSHIFTS, _MAG_R)
    mag_r = mag_r - 3.0 * relative + rng.normal(0, 0.35)
    size = np.interp(redshift, physics.DISTANT_REDSHIFTS, _RADIUS_ARCSEC)
    size = float(size * 10 ** (0.7 * relative + rng.normal(0, 0.10)))
    g_r, r_z = physics.distant_red_colour(redshift)
    colour = g_r + rng.normal(0, 0.08), r_z + rng.normal(0, 0.06)
    axis_ratio, angle = float(0.5 + 0.5 * rng.beta(2.5, 1.5)), float(rng.uniform(0, np.pi))
    index = physics.snap_sersic_index(float(np.clip(rng.normal(4.2, 0.8), 2.5, 6.0)))
    flux = physics.band_fluxes(physics.nanomaggies(mag_r), colour)
    body = physics.sersic(index, size, axis_ratio, angle)
    return RedGalaxy(LightModel([Component(flux, body)]), size, redshift, axis_ratio, angle, index)


def draw_lens(
    rng: np.random.Generator,
    einstein_limits_arcsec: tuple[float, float],
    source_mag_r_limits: tuple[float, float],
) -> Lens:
    """Draw a lens.

    Parameters
    ----------
    rng
        Source of randomness.
    einstein_limits_arcsec
        Smallest and largest Einstein radius.
    source_mag_r_limits
        Brightest and faintest r magnitude of the source before lensing.
    """
    radius = draw_einstein_radius(rng, *einstein_limits_arcsec)
    galaxy = draw_red_galaxy(rng, radius)
    shear, shear_angle = min(rng.rayleigh(0.035), 0.12), rng.uniform(0, np.pi)
    # Mass is rounder than light, and nearly aligned with it.
    rounder = 0.5 * (1 - galaxy.axis_ratio) * rng.random()
    deflector = Deflector(
        radius,
        axis_ratio=float(galaxy.axis_ratio + rounder),
        angle_rad=galaxy.angle_rad + float(rng.normal(0, 0.15)),
        shear_1=float(shear * np.cos(2 * shear_angle)),
        shear_2=float(shear * np.sin(2 * shear_angle)),
    )
    return Lens(galaxy, deflector, draw_sources(rng, radius, source_mag_r_limits))


def draw_sources(
    rng: np.random.Generator, einstein_radius_arcsec: float, mag_r_limits: tuple[float, float]
) -> tuple[Source, ...]:
    """Draw what lies behind: a smooth, a clumpy or a compact galaxy, most of them blue.

    Parameters
    ----------
    rng
        Source of randomness.
    einstein_radius_arcsec
        Sources are placed within three quarters of it.
    mag_r_limits
        Brightest and faintest r magnitude of the whole source.
    """
    flux = float(physics.nanomaggies(physics.draw_power_law_mag(rng, *mag_r_limits, 0.25)))
    colour = draw_source_colour(rng)
    # Uniform in distance: lens searches favour sources near the axis, which are magnified most.
    largest = CENTRED_OFFSET if rng.random() < CENTRED_SHARE else LARGEST_SOURCE_OFFSET
    distance, angle = einstein_radius_arcsec * rng.uniform(0, largest), rng.uniform(0, 2 * np.pi)
    x, y = float(distance * np.cos(angle)), float(distance * np.sin(angle))
    if rng.random() < COMPACT_SHARE:
        return (Source(physics.band_fluxes(flux, colour), x, y, COMPACT_RADIUS_ARCSEC, 0.75),)
    size = float(np.clip(rng.lognormal(np.log(0.34), 0.35), 0.12, 0.8))
    shape = (float(rng.uniform(0.6, 1.8)), float(rng.uniform(0.35, 1.0)), rng.uniform(0, np.pi))
    n_clumps = int(rng.integers(2, 6)) if rng.random() < CLUMPY_SHARE else 0
    share = float(rng.uniform(0.2, 0.5)) if n_clumps else 0.0
    sources = [Source(physics.band_fluxes(flux * (1 - share), colour), x, y, size, *shape)]
    bluer = (colour[0] - 0.12, colour[1] - 0.15)
    for part in rng.dirichlet(np.full(n_clumps, 2.0)) if n_clumps else ():
        dx, dy = rng.normal(0, 0.8 * size, 2)
        clump = physics.band_fluxes(flux * share * part, bluer)
        radius = float(rng.uniform(0.08, 0.12))
        sources.append(Source(clump, x + float(dx), y + float(dy), radius, 0.5))
    return tuple(sources)


def draw_source_colour(rng: np.random.Generator) -> physics.Colour:
    """Draw the colour (g - r, r - z) of a lensed source: most form stars beyond redshift 1."""
    if rng.random() < RED_SOURCE_SHARE:
        g_r = rng.normal(0.9, 0.15)
        return g_r, 0.8 * g_r + rng.normal(0.1, 0.1)
    g_r = float(np.clip(rng.normal(0.18, 0.14), -0.1, 0.6))
    return g_r, 0.6 * g_r + rng.normal(0.05, 0.10)


def lens_grid(lens: Lens) -> Grid:
    """Return the smallest grid that holds all images of the sources and their wings."""
    reach = max(np.hypot(s.x, s.y) + 4 * s.radius_arcsec for s in lens.sources)
    wanted = 2 * (1.25 * lens.deflector.einstein_radius_arcsec + reach + 2.0) / PIXEL_SCALE_ARCSEC
    side = next((s for s in LENS_GRID_SIDES_PIX if s >= wanted), LENS_GRID_SIDES_PIX[-1])
    return make_grid(side, side)


def lensed_transform(
    grid: Grid, lens: Lens, x_arcsec: float = 0.0, y_arcsec: float = 0.0
) -> np.ndarray:
    """Return the transform of the lensed images before the PSF, complex64 (3, N, N/2+1).

    Parameters
    ----------
    grid
        Grid that holds them, see `lens_grid`.
    lens
        Deflector and sources.
    x_arcsec, y_arcsec
        Offset of the deflector from the centre of the grid.

    Returns
    -------
    numpy.ndarray
        The element [band, 0, 0] is the images' total flux in nanomaggies.
    """
    fine_side = RAYS_PER_PIX * grid.side_pix
    step = PIXEL_SCALE_ARCSEC / RAYS_PER_PIX
    axis = (np.arange(fine_side) - (fine_side / 2 - 0.5)) * step
    x, y = (rays.ravel() for rays in np.meshgrid(axis, axis))
    x, y = lens.deflector.traced(x, y)
    light = np.zeros((N_BANDS, fine_side * fine_side), dtype=np.float32)
    for source in lens.sources:
        shape = _surface_brightness(source, x, y).astype(np.float32) * np.float32(step**2)
        light += source.flux[:, None].astype(np.float32) * shape
    transform = _lowest_frequencies(scipy.fft.rfft2(light.reshape(-1, fine_side, fine_side)), grid)
    # The origin is the first ray: shift it to where that ray is.
    along_y, along_x = grid.phases(x_arcsec + axis[0], y_arcsec + axis[0])
    return transform * along_y * along_x


def _surface_brightness(source: Source, x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """Return the surface brightness per square arcsec of a source of unit flux."""
    profile = SersicElliptic()
    e1, e2 = phi_q2_ellipticity(source.angle_rad, source.axis_ratio)
    shape = (source.radius_arcsec, source.sersic_index, e1, e2)
    return profile.function(x, y, 1.0, *shape, source.x, source.y) / profile.total_flux(1.0, *shape)


def _lowest_frequencies(transform: np.ndarray, grid: Grid) -> np.ndarray:
    """Return the part of a finer grid's transform that a grid can hold."""
    half = grid.side_pix // 2
    rows = np.concatenate([transform[:, :half], transform[:, -half:]], axis=1)
    return rows[:, :, : half + 1]


def arc_snr(
    arcs: np.ndarray, galaxy: np.ndarray, rest: np.ndarray, sigma: np.ndarray, sky: np.ndarray
) -> float:
    """Return the signal to noise of lensed light: a matched filter over g, r and z together.

    The square root of the sum of flux^2 / variance over pixels and bands, for an observer who knows
    shape and colours of the images but the deflector's light only to `GALAXY_MODEL_ERROR`: nobody
    sees an arc in the glare of a galaxy because its photons are many. Variance is that of the sky,
    of the photons of everything there, and of that error. The noise is taken before resampling,
    which leaves smooth light as it is.

    Parameters
    ----------
    arcs
        (3, H, W) lensed light, nanomaggies per pixel, without noise and after the PSF.
    galaxy
        (3, H, W) the deflector's light.
    rest
        (3, H, W) everything else.
    sigma
        (3,) noise of an empty pixel before resampling, see `mock.white_sigma`.
    sky
        (3,) sky's brightness in nanomaggies per pixel.
    """
    photons = np.maximum(arcs + galaxy + rest, 0) / sky[:, None, None]
    variance = sigma[:, None, None] ** 2 * (1 + photons) + (GALAXY_MODEL_ERROR * galaxy) ** 2
    return float(np.sqrt(np.sum(arcs.astype(float) ** 2 / variance)))


def lens_mask(
    arcs: np.ndarray, sky_sigma: np.ndarray, peak_fraction: float, sky_sigmas: float
) -> np.ndarray:
    """Return the pixels of the lensed images: arcs and counter images, not the deflector.

    The three bands are joined as in a chi image: sqrt(sum of (flux / noise of the sky)^2). A pixel
    counts where that is above `sky_sigmas` and above `peak_fraction` of its own maximum: the first
    limit ends faint arcs where the sky drowns them, the second keeps the wings of the PSF around
    bright ones out.

    Parameters
    ----------
    arcs
        (3, H, W) lensed light, nanomaggies per pixel, without noise and after the PSF.
    sky_sigma
        (3,) standard deviation of an empty pixel.
    peak_fraction
        Fraction of the brightest pixel, 0 to 1.
    sky_sigmas
        Multiple of the sky's noise.

    Returns
    -------
    numpy.ndarray
        bool (H, W); all False where no pixel stands out of the sky.
    """
    chi = np.sqrt(np.sum((arcs / sky_sigma[:, None, None]) ** 2, axis=0))
    return chi > max(sky_sigmas, peak_fraction * float(chi.max()))
