"""The embedded simulated survey: cutouts of g, r and z with known truth.

A stand-in for the DESI Legacy Imaging Surveys that needs no network: same pixel scale, units and
file schema, depth and seeing like those of data release 9. Galaxies are drawn class by class
(`mock_galaxies`), put among neighbours and stars (`mock_field`), blurred by a Moffat PSF and given
the noise of sky and source.
"""

import logging
import math
import os
from collections.abc import Iterator, Mapping, Sequence
from functools import lru_cache, partial

import numpy as np

from galaxy_lvm.core.config.survey import Mock, MockSky
from galaxy_lvm.core.logs import progress
from galaxy_lvm.core.seeds import derive_seed
from galaxy_lvm.core.workers import map_in_processes
from galaxy_lvm.simulation import physics
from galaxy_lvm.simulation.galaxies import draw_galaxy
from galaxy_lvm.simulation.populations import give_population
from galaxy_lvm.simulation.rare import (
    DISTANT_RED,
    LENS,
    NO_ARCS,
    draw_distant_red,
    kinds_of,
    visible_arcs,
)
from galaxy_lvm.simulation.render import (
    Grid,
    LightModel,
    add_points,
    grid_for,
    make_grid,
    psf_transform,
    scene_transform,
)
from galaxy_lvm.simulation.surroundings import draw_neighbours, draw_stars
from galaxy_lvm.simulation.truth import Galaxy, truth_row
from galaxy_lvm.survey.classes import CLASSES
from galaxy_lvm.survey.store import BANDS, CUTOUT_SIDE_PIX, PIXEL_SCALE_ARCSEC, CutoutWriter

log = logging.getLogger("galaxy_lvm")

DEPTH_SIGMAS = 5.0
# Dark sky over the Blanco telescope, AB mag per square arcsec; turns depth into photons.
SKY_BRIGHTNESS_MAG = (22.0, 21.0, 19.0)
# Coadds resample every exposure, which shares a pixel's noise with its neighbours. One row of the
# separable kernel [a, 1 - 2a, a]; 0.13 gives a correlation of one third between neighbours.
RESAMPLING_SHARE = 0.13
SEEING_SCATTER = 0.08
PSF_SHEAR_SCATTER = 0.012
CENTRING_SCATTER_ARCSEC = 0.12
CHUNK = 16


def per_band(sky: MockSky, prefix: str) -> np.ndarray:
    """Return the settings `<prefix>_g`, `_r`, `_z` as (3,)."""
    return np.array([getattr(sky, f"{prefix}_{band}") for band in BANDS], dtype=float)


def galaxy_id(index: int) -> str:
    """Return the name of a galaxy of the survey."""
    return f"mock_{index:06d}"


def class_labels(settings: Mock, seed: int) -> list[str]:
    """Return the class of every galaxy: shares kept to within one galaxy, in random order."""
    shares = np.array([getattr(settings.class_fractions, name) for name in CLASSES], dtype=float)
    exact = shares / shares.sum() * settings.n_galaxies
    counts = np.floor(exact).astype(int)
    for place in np.argsort(counts - exact, kind="stable")[: settings.n_galaxies - counts.sum()]:
        counts[place] += 1
    labels = np.repeat(CLASSES, counts)
    np.random.default_rng(derive_seed(seed, "mock", "labels")).shuffle(labels)
    return [str(label) for label in labels]


@lru_cache(maxsize=64)
def white_sigma(depth_mag: float, fwhm_arcsec: float, beta: float) -> float:
    """Return the noise per pixel before resampling (nanomaggies) that gives a depth.

    The flux of a point source fitted with the PSF has an error of a fifth of the flux of the depth.
    With PSF P and the resampling kernel's transform H, that error is
    sigma sqrt(sum P^2 H^2) / sum P^2.

    Parameters
    ----------
    depth_mag
        5-sigma depth for point sources, AB mag.
    fwhm_arcsec, beta
        PSF.
    """
    grid = make_grid(256)
    psf = psf_transform(grid, fwhm_arcsec, beta).astype(float)
    kernel = _kernel_transform(grid)
    # A half plane holds every frequency once but those of its edges: count the others twice.
    twice = np.full(psf.shape[1], 2.0)
    twice[[0, -1]] = 1.0
    power = np.sum(psf**2 * twice) / grid.side_pix**2
    filtered = np.sum((psf * kernel) ** 2 * twice) / grid.side_pix**2
    error = float(physics.nanomaggies(depth_mag)) / DEPTH_SIGMAS
    return float(error * power / np.sqrt(filtered))


def _kernel_transform(grid: Grid) -> np.ndarray:
    def along(k: np.ndarray) -> np.ndarray:
        return 1 - 2 * RESAMPLING_SHARE * (1 - np.cos(k * PIXEL_SCALE_ARCSEC))

    return along(grid.ky)[:, None] * along(grid.kx)[None, :]


def sky_sigma_nanomaggies(settings: MockSky) -> np.ndarray:
    """Return the standard deviation of an empty pixel in g, r, z, nanomaggies (3,)."""
    a = RESAMPLING_SHARE
    kept = 2 * a**2 + (1 - 2 * a) ** 2  # share of the variance left by both passes of the kernel
    return kept * white_sigmas(settings)


def sky_nanomaggies() -> np.ndarray:
    """Return the sky's brightness in g, r, z, nanomaggies per pixel (3,)."""
    return physics.nanomaggies(np.array(SKY_BRIGHTNESS_MAG)) * PIXEL_SCALE_ARCSEC**2


def white_sigmas(settings: MockSky) -> np.ndarray:
    """Return the noise per pixel before resampling in g, r, z, nanomaggies (3,)."""
    depths, widths = per_band(settings, "depth_mag"), per_band(settings, "psf_fwhm_arcsec")
    beta = settings.psf_moffat_beta
    return np.array(
        [white_sigma(*pair, beta) for pair in zip(depths.tolist(), widths.tolist(), strict=True)]
    )


def add_noise(image: np.ndarray, settings: MockSky, rng: np.random.Generator) -> np.ndarray:
    """Return a noisy copy of a noise-free frame.

    Sky and source photons as Gaussian noise, good at the tens of photons and more of a pixel: the
    gain follows from the sky's brightness and its noise. The resampling kernel then correlates it.

    Parameters
    ----------
    image
        (3, H, W) nanomaggies per pixel.
    settings
        Depth and seeing.
    rng
        Source of randomness.
    """
    sky = sky_nanomaggies()
    white = rng.standard_normal((len(BANDS), *[side + 2 for side in image.shape[1:]]), np.float32)
    a = np.float32(RESAMPLING_SHARE)
    noise = a * (white[:, :-2] + white[:, 2:]) + (1 - 2 * a) * white[:, 1:-1]
    noise = a * (noise[:, :, :-2] + noise[:, :, 2:]) + (1 - 2 * a) * noise[:, :, 1:-1]
    photons = np.sqrt(1 + np.maximum(image, 0) / sky[:, None, None].astype(np.float32))
    sigma = white_sigmas(settings)[:, None, None].astype(np.float32)
    return (image + sigma * photons * noise).astype(np.float32)


def draw_psf(settings: MockSky, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """Draw the seeing (3,) in arcsec, correlated between bands, and the PSF's shear (2,)."""
    scatter = 0.6 * rng.normal() + 0.8 * rng.normal(size=len(BANDS))
    fwhm = per_band(settings, "psf_fwhm_arcsec") * np.exp(SEEING_SCATTER * scatter)
    return fwhm, rng.normal(0, PSF_SHEAR_SCATTER, 2)


def observe(
    grid: Grid, scene: np.ndarray, fwhm_arcsec: np.ndarray, beta: float, shear: np.ndarray
) -> np.ndarray:
    """Return the noise-free frame (3, H, W) of a scene's transform seen through the PSF."""
    frames = [
        grid.frame(grid.to_pixels(scene[band] * psf_transform(grid, width, beta, *shear)))
        for band, width in enumerate(fwhm_arcsec)
    ]
    return np.stack(frames).astype(np.float32)


def _shift(galaxy: Galaxy, x: float, y: float) -> None:
    """Move a galaxy off the exact centre of the frame."""
    light = galaxy.light
    for component in light.components:
        component.x, component.y = component.x + x, component.y + y
    light.points.x, light.points.y = light.points.x + x, light.points.y + y
    if light.optical_depth is not None:
        light.optical_depth.x, light.optical_depth.y = x, y


def simulate_cutout(
    index: int,
    kind: str,
    settings: MockSky,
    seed: int,
    noise: bool = True,
    with_population: bool = False,
) -> tuple[np.ndarray, dict[str, object]]:
    """Simulate one cutout; it depends on seed, index, kind and settings alone.

    Parameters
    ----------
    index
        Number of the galaxy in the survey.
    kind
        Its class, or a rare kind; see `kinds_of`.
    settings
        Survey settings.
    seed
        Seed of the survey.
    noise
        False leaves the noise out.
    with_population
        True gives the galaxy one mixture of stellar populations, whose colours the whole of it
        has; all else stays as it is without.

    Returns
    -------
    tuple
        Frame (3, 152, 152) float32 in nanomaggies and the catalogue row.
    """
    rng = np.random.default_rng(derive_seed(seed, "mock", index))
    if kind in (DISTANT_RED, LENS):
        galaxy, lens = draw_distant_red(rng, with_source=kind == LENS)
    else:
        galaxy, lens = draw_galaxy(kind, rng, settings.barred_fraction), None
    _shift(galaxy, *rng.normal(0, CENTRING_SCATTER_ARCSEC, 2))
    grid = grid_for(galaxy.size_arcsec)
    scene = scene_transform(grid, galaxy.light)
    mixed = _mix(scene, galaxy, derive_seed(seed, "population", index)) if with_population else {}
    row = {"id": galaxy_id(index), **truth_row(grid, galaxy, scene), **mixed}
    row["ra"] = float(rng.uniform(0, 360))
    row["dec"] = float(np.degrees(np.arcsin(rng.uniform(-0.26, 0.53))))
    fwhm, shear = draw_psf(settings, rng)
    row |= {f"psf_fwhm_arcsec_{band}": float(w) for band, w in zip(BANDS, fwhm, strict=True)}
    row |= NO_ARCS
    see = partial(observe, grid, fwhm_arcsec=fwhm, beta=settings.psf_moffat_beta, shear=shear)
    around = scene if lens is None else np.zeros_like(scene)
    row |= _add_surroundings(around, grid, galaxy, settings, rng)
    if lens is not None:
        noise_of = white_sigmas(settings), sky_nanomaggies()
        arcs, columns = visible_arcs(grid, lens, scene, around, see, *noise_of, rng)
        scene += around + arcs
        row |= {"lens": True, **columns}
    image = see(scene)
    return (add_noise(image, settings, rng) if noise else image), row


def _mix(scene: np.ndarray, galaxy: Galaxy, seed: int) -> dict[str, float]:
    """Give a scene's galaxy a mixture of populations, in place; return its columns."""
    flux = scene[:, 0, 0].real.astype(float)
    factor, columns = give_population(galaxy, flux, np.random.default_rng(seed))
    scene *= factor[:, None, None].astype(np.float32)
    return columns


def _add_surroundings(
    scene: np.ndarray, grid: Grid, galaxy: Galaxy, settings: MockSky, rng: np.random.Generator
) -> dict[str, int]:
    """Add neighbours and stars to a scene, in place; return how many."""
    side = CUTOUT_SIDE_PIX * PIXEL_SCALE_ARCSEC
    neighbours = draw_neighbours(rng, galaxy, settings.neighbour_density_per_arcmin2, side)
    stars, spikes = draw_stars(rng, settings.star_density_per_arcmin2, side)
    scene += scene_transform(grid, LightModel(neighbours.components + spikes.components))
    add_points(grid, stars, scene)
    return {"n_neighbours": len(neighbours.components), "n_stars": len(stars.x)}


def _simulate_chunk(
    task: tuple[int, list[str], MockSky, int, bool],
) -> tuple[np.ndarray, list[dict[str, object]]]:
    first, kinds, settings, seed, mixed = task
    made = [
        simulate_cutout(first + place, kind, settings, seed, with_population=mixed)
        for place, kind in enumerate(kinds)
    ]
    return np.stack([image for image, _ in made]), [row for _, row in made]


def simulate_chunks(
    settings: Mock, seed: int, cores: int = 1, with_populations: bool = False
) -> Iterator[tuple[np.ndarray, list[dict[str, object]]]]:
    """Yield images (n, 3, 152, 152) and catalogue rows, in order whatever the number of workers.

    Parameters
    ----------
    settings
        Survey settings.
    seed
        Seed of the survey.
    cores
        Number of processes; 1 stays in this one.
    with_populations
        Whether every galaxy gets a mixture of stellar populations; see `simulate_cutout`.
    """
    labels = class_labels(settings, seed)
    kinds = kinds_of(labels, settings.distant_red_share, settings.n_lenses, seed)
    firsts = range(0, len(kinds), CHUNK)
    tasks = [(i, kinds[i : i + CHUNK], settings, seed, with_populations) for i in firsts]
    return map_in_processes(_simulate_chunk, tasks, cores)


def simulate_survey(
    path: str | os.PathLike,
    settings: Mock,
    seed: int,
    cores: int = 1,
    with_populations: bool = False,
    beside: Mapping[str, Sequence] | None = None,
) -> None:
    """Write a survey as a cutout store.

    Parameters
    ----------
    path
        Store to write.
    settings
        Survey settings.
    seed
        Seed of the survey; the images depend on `cores` by rounding at most.
    cores
        Number of processes.
    with_populations
        Whether every galaxy gets a mixture of stellar populations; see `simulate_cutout`.
    beside
        Further columns of the catalogue, a value a galaxy in the order of `galaxy_id`.
    """
    source = "populations" if with_populations else "mock"
    attributes = {"source": source, "seed": seed}
    attributes |= {key: value for key, value in settings.model_dump().items() if np.isscalar(value)}
    n_chunks = math.ceil(settings.n_galaxies / CHUNK)
    chunks = simulate_chunks(settings, seed, cores, with_populations)
    more, n_done = dict(beside or {}), 0
    with CutoutWriter(path, attributes=attributes) as writer:
        for images, rows in progress(chunks, n_chunks, "simulating cutouts", f"blocks of {CHUNK}"):
            columns = {key: [row[key] for row in rows] for key in rows[0]}
            own = {key: values[n_done : n_done + len(rows)] for key, values in more.items()}
            writer.append(images, columns | own)
            n_done += len(rows)
    log.info("simulated %d galaxies into %s", settings.n_galaxies, path)
