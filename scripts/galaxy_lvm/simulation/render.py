"""Rendering of simulated scenes in Fourier space: GalSim profiles, painted maps, PSF.

Every analytic profile is drawn by GalSim as a transform on the half plane of a real FFT, so a
Sersic cusp costs no oversampling and the flux is exact. Light that a profile cannot describe
(spiral arms, dust, tails) is painted on the pixel grid and added after an FFT. One inverse FFT per
band then gives the scene as the telescope sees it.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from functools import lru_cache

import galsim
import numpy as np
import scipy.fft

from galaxy_lvm.survey.store import BANDS, CUTOUT_SIDE_PIX, PIXEL_SCALE_ARCSEC

N_BANDS = len(BANDS)
# Painted light is multiplied pixel by pixel, which makes frequencies that the grid cannot hold.
# A Gaussian blur tames the profiles before; it is divided out of the PSF, which is always wider.
PREBLUR_SIGMA_ARCSEC = 0.2
# The frame is a window of a larger periodic grid, so that halos fold back outside of it.
GRID_SIDES_PIX = (192, 256, 384)
MOFFAT_TABLE_STEP, MOFFAT_TABLE_END = 0.005, 70.0

Paint = Callable[[np.ndarray, np.ndarray], np.ndarray]


@dataclass
class Component:
    """One light component of a galaxy.

    Attributes
    ----------
    flux
        (3,) nanomaggies in g, r, z.
    profile
        GalSim profile of unit flux around the origin, lengths in arcsec. None for painted light.
    x, y
        Offset of its centre from the centre of the frame in arcsec (columns, rows).
    paint
        `paint(x, y)` with coordinates in arcsec (N, N) relative to the component's centre: a
        factor that multiplies the profile, or the light itself where there is no profile. The
        product is scaled to `flux`, so that only its shape matters.
    """

    flux: np.ndarray
    profile: galsim.GSObject | None = None
    x: float = 0.0
    y: float = 0.0
    paint: Paint | None = None


@dataclass
class PointSources:
    """Point sources: foreground stars or star-forming knots.

    Attributes
    ----------
    x, y
        (S,) offsets from the centre of the frame in arcsec.
    flux
        (S, 3) nanomaggies.
    """

    x: np.ndarray
    y: np.ndarray
    flux: np.ndarray

    @classmethod
    def none(cls) -> "PointSources":
        """Return an empty list of sources."""
        return cls(np.zeros(0), np.zeros(0), np.zeros((0, N_BANDS)))

    @classmethod
    def joined(cls, parts: list["PointSources"]) -> "PointSources":
        """Return the sources of all `parts`."""
        if not parts:
            return cls.none()
        return cls(
            np.concatenate([part.x for part in parts]),
            np.concatenate([part.y for part in parts]),
            np.concatenate([part.flux for part in parts]),
        )


@dataclass
class LightModel:
    """The light of one object before the atmosphere.

    Attributes
    ----------
    components
        Light components.
    points
        Unresolved sources that belong to it.
    optical_depth
        `optical_depth(x, y)` in the g band with coordinates in arcsec relative to the centre of
        the frame, or None. It dims the components, not the points.
    reddening
        (3,) optical depth in g, r, z relative to g.
    """

    components: list[Component] = field(default_factory=list)
    points: PointSources = field(default_factory=PointSources.none)
    optical_depth: Paint | None = None
    # A Calzetti-like ratio of optical depths at 4800, 6400 and 9200 Angstrom.
    reddening: tuple[float, float, float] = (1.0, 0.72, 0.42)


class Grid:
    """Pixel grid and its frequencies; the frame is its central window.

    Parameters
    ----------
    side_pix
        Side of the periodic grid, even and at least the side of the frame.
    frame_pix
        Side of the frame, even.
    """

    def __init__(self, side_pix: int, frame_pix: int = CUTOUT_SIDE_PIX) -> None:
        self.side_pix = side_pix
        self.frame_pix = frame_pix
        self.centre_pix = side_pix / 2 - 0.5
        self.k_step = 2 * np.pi / (side_pix * PIXEL_SCALE_ARCSEC)
        self.kx = (np.arange(side_pix // 2 + 1) * self.k_step).astype(np.float32)
        self.ky = (scipy.fft.fftfreq(side_pix) * side_pix * self.k_step).astype(np.float32)
        axis = ((np.arange(side_pix) - self.centre_pix) * PIXEL_SCALE_ARCSEC).astype(np.float32)
        self.x, self.y = np.meshgrid(axis, axis)
        k_squared = self.kx[None, :] ** 2 + self.ky[:, None] ** 2
        self.preblur = np.exp(-0.5 * k_squared * PREBLUR_SIGMA_ARCSEC**2)
        half = side_pix // 2
        self._k_bounds = galsim.BoundsI(0, half, -half, half - 1)

    def transform(self, profile: galsim.GSObject) -> np.ndarray:
        """Return the transform of a centred profile, complex64 (N, N/2+1) in FFT order."""
        image = galsim.ImageCF(self._k_bounds, scale=self.k_step)
        profile.drawKImage(image=image, recenter=False)
        return scipy.fft.ifftshift(image.array, axes=0)

    def phases(self, x: np.ndarray, y: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Return the phases (N, S) along y and (S, N/2+1) along x of offsets in arcsec (S,)."""
        origin = self.centre_pix * PIXEL_SCALE_ARCSEC
        along_y = np.exp(-1j * np.outer(self.ky, np.atleast_1d(y) + origin))
        along_x = np.exp(-1j * np.outer(np.atleast_1d(x) + origin, self.kx))
        return along_y.astype(np.complex64), along_x.astype(np.complex64)

    def to_pixels(self, transform: np.ndarray) -> np.ndarray:
        """Return the real image of a transform (..., N, N/2+1)."""
        return scipy.fft.irfft2(transform, s=(self.side_pix, self.side_pix))

    def frame(self, image: np.ndarray) -> np.ndarray:
        """Return the window of the frame of (..., N, N)."""
        low = (self.side_pix - self.frame_pix) // 2
        return image[..., low : low + self.frame_pix, low : low + self.frame_pix]


@lru_cache(maxsize=8)
def make_grid(side_pix: int, frame_pix: int = CUTOUT_SIDE_PIX) -> Grid:
    """Return the grid of this size, made once per process."""
    return Grid(side_pix, frame_pix)


def grid_for(half_light_radius_arcsec: float) -> Grid:
    """Return the smallest grid whose edge lies about six half-light radii from the centre."""
    wanted = 12 * half_light_radius_arcsec / PIXEL_SCALE_ARCSEC
    side = next((side for side in GRID_SIDES_PIX if side >= wanted), GRID_SIDES_PIX[-1])
    return make_grid(side)


@lru_cache(maxsize=32)
def _moffat_table(beta: float) -> np.ndarray:
    """Return the transform of a Moffat profile of unit FWHM at steps of k, tabulated by GalSim.

    GalSim evaluates a Bessel function per frequency, 15 ms a cutout; the table is shared by
    all seeings because the transform depends on k times FWHM only.
    """
    moffat = galsim.Moffat(beta=beta, fwhm=1.0)
    k = np.arange(0.0, MOFFAT_TABLE_END, MOFFAT_TABLE_STEP)
    return np.array([moffat.kValue(value, 0.0).real for value in k], dtype=np.float32)


@lru_cache(maxsize=32)  # the objects of a field share their PSFs, one a band and size of stamp
def psf_transform(
    grid: Grid, fwhm_arcsec: float, beta: float, g1: float = 0.0, g2: float = 0.0
) -> np.ndarray:
    """Return the transform of the effective PSF (optics, air and pixel), float32 (N, N/2+1).

    Parameters
    ----------
    grid
        Grid of the scene.
    fwhm_arcsec
        Full width at half maximum, > 0.
    beta
        Moffat index, > 1.1.
    g1, g2
        Reduced shear of the PSF.
    """
    kx, ky = grid.kx[None, :], grid.ky[:, None]
    norm, g1, g2 = (np.float32(v) for v in (1 / np.sqrt(1 - g1**2 - g2**2), g1, g2))
    kx, ky = norm * ((1 + g1) * kx + g2 * ky), norm * (g2 * kx + (1 - g1) * ky)
    table = _moffat_table(beta)
    place = np.sqrt(kx**2 + ky**2) * np.float32(fwhm_arcsec / MOFFAT_TABLE_STEP)
    low = np.minimum(place.astype(np.int32), len(table) - 2)
    # Beyond the table the transform is zero to float32.
    weight = np.minimum(place - low, 1)
    found = table[low] * (1 - weight) + table[low + 1] * weight
    found.flags.writeable = False
    return found


def _is_painted(model: LightModel, component: Component) -> bool:
    return component.paint is not None or model.optical_depth is not None


def _painted_image(grid: Grid, component: Component) -> np.ndarray:
    """Return the pre-blurred light of a component on the grid, (N, N), sum 1."""
    x, y = grid.x - np.float32(component.x), grid.y - np.float32(component.y)
    if component.profile is None:
        image = component.paint(x, y)
    else:
        along_y, along_x = grid.phases(component.x, component.y)
        transform = grid.transform(component.profile) * grid.preblur * along_y * along_x
        image = np.maximum(grid.to_pixels(transform), 0)
        if component.paint is not None:
            image = image * component.paint(x, y)
    return image / max(float(image.sum()), 1e-12)


def add_points(grid: Grid, points: PointSources, scene: np.ndarray) -> None:
    """Add point sources to the transform of a scene (3, N, N/2+1), in place."""
    if not len(points.x):
        return
    along_y, along_x = grid.phases(points.x, points.y)
    for band in range(N_BANDS):
        scene[band] += along_y @ (points.flux[:, band, None].astype(np.float32) * along_x)


def scene_transform(grid: Grid, model: LightModel) -> np.ndarray:
    """Return the transform of an object's light before the PSF, complex64 (3, N, N/2+1).

    The element [band, 0, 0] is the object's total flux in nanomaggies.
    """
    scene = np.zeros((N_BANDS, grid.side_pix, grid.side_pix // 2 + 1), dtype=np.complex64)
    painted = []
    for component in model.components:
        if _is_painted(model, component):
            painted.append((component.flux, _painted_image(grid, component)))
            continue
        along_y, along_x = grid.phases(component.x, component.y)
        transform = grid.transform(component.profile) * along_y * along_x
        for band in range(N_BANDS):
            scene[band] += np.float32(component.flux[band]) * transform
    if painted:
        scene += _painted_transform(grid, model, painted)
    add_points(grid, model.points, scene)
    return scene


def _painted_transform(
    grid: Grid, model: LightModel, painted: list[tuple[np.ndarray, np.ndarray]]
) -> np.ndarray:
    """Return the transform of the painted components behind the dust, without the pre-blur."""
    light = np.zeros((N_BANDS, grid.side_pix, grid.side_pix), dtype=np.float32)
    for flux, image in painted:
        for band in range(N_BANDS):
            light[band] += np.float32(flux[band]) * image
    if model.optical_depth is not None:
        depth = model.optical_depth(grid.x, grid.y)
        for band in range(N_BANDS):
            light[band] *= np.exp(-model.reddening[band] * depth)
    return scipy.fft.rfft2(light) / grid.preblur
