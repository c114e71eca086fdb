"""Images of point sources and galaxies behind WISE's point-spread functions, in Fourier space.

A shift is a phase there, and a Spergel profile (2010, ApJS 191, 58) has a closed form, exponential
(nu = 1/2) and near to de Vaucouleurs (nu = -0.6) alike; so tens of thousands of cutouts with their
neighbours take a minute. A test compares the profiles with GalSim's.
"""

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from scipy import optimize, special

from galaxy_lvm.wise.bands import PIXEL_SCALE_ARCSEC, kept

DISC_NU, SPHEROID_NU = 0.5, -0.6
_SMALLEST_ARCSEC = 1e-3
"""Half-light radius of what has none: a point source."""


@dataclass(frozen=True)
class Shapes:
    """Where sources lie and how large they are; arrays (n,)."""

    x_pix: np.ndarray
    """Distance from the cutout's centre along columns."""
    y_pix: np.ndarray
    """Along rows."""
    half_light_arcsec: np.ndarray
    """Half-light radius along the major axis; 0 for a point source."""
    axis_ratio: np.ndarray
    position_angle: np.ndarray
    """Of the major axis against the columns' direction, in radians."""
    nu: np.ndarray
    """Spergel's index: `DISC_NU` or `SPHEROID_NU`."""


@lru_cache
def scale_of_half_light(nu: float) -> float:
    """Return the half-light radius of a Spergel profile in units of its scale length."""

    def beyond(u: float) -> float:
        """Return the share of the light outside of u, less a half."""
        order = nu + 1
        return 2 * order * (u / 2) ** order * special.kv(order, u) / special.gamma(order + 1) - 0.5

    return float(optimize.brentq(beyond, 1e-4, 50))


def galaxy_transform(shapes: Shapes, source: int, u: np.ndarray, v: np.ndarray) -> np.ndarray:
    """Return the Fourier transform of a galaxy of flux 1 at the origin.

    Parameters
    ----------
    shapes, source
        Sources, and the number of one.
    u, v
        Frequencies along columns and rows in cycles per pixel; they broadcast together.
    """
    nu = float(shapes.nu[source])
    length = shapes.half_light_arcsec[source] / PIXEL_SCALE_ARCSEC / scale_of_half_light(nu)
    angle = shapes.position_angle[source]
    along = np.cos(angle) * u + np.sin(angle) * v
    across = np.cos(angle) * v - np.sin(angle) * u
    squared = along**2 + (shapes.axis_ratio[source] * across) ** 2
    return (1 + (2 * np.pi * length) ** 2 * squared) ** -(1 + nu)


class Camera:
    """Makes cutouts of one side in W1, W2, W3.

    Parameters
    ----------
    side_pix
        Side of a cutout.
    """

    def __init__(self, side_pix: int) -> None:
        self.side_pix = side_pix
        psf = kept("psf")
        margin = psf.shape[1] // 2
        # Nothing that comes round the edges reaches the cutout.
        self._grid = side_pix + 2 * margin + 2
        frame = np.zeros((len(psf), self._grid, self._grid))
        frame[:, : psf.shape[1], : psf.shape[2]] = psf
        # The centre of the functions is brought to the cutout's: between pixels for an even side.
        centred = np.roll(frame, (-margin, -margin), axis=(1, 2))
        self._rows = np.fft.fftfreq(self._grid)[:, None]
        self._columns = np.fft.rfftfreq(self._grid)[None, :]
        centre = (side_pix - 1) / 2
        self._psf = np.fft.rfft2(centred) * self._phase(centre, centre)

    def _phase(self, x_pix: float, y_pix: float) -> np.ndarray:
        """Return the factor (rows, columns) that shifts an image."""
        turn = -2j * np.pi
        return np.exp(turn * self._rows * y_pix) * np.exp(turn * self._columns * x_pix)

    def images(self, fluxes: np.ndarray, shapes: Shapes, owner: np.ndarray, n: int) -> np.ndarray:
        """Return noise-free cutouts (n, 3, side, side) float32.

        Parameters
        ----------
        fluxes
            (m, 3) of all sources, in the unit of the images.
        shapes
            Of all sources.
        owner
            (m,) number of the cutout that each source is in.
        n
            Cutouts.
        """
        made = np.empty((n, 3, self.side_pix, self.side_pix), np.float32)
        order = np.argsort(owner, kind="stable")
        edges = np.searchsorted(owner[order], np.arange(n + 1))
        for number in range(n):
            light = np.zeros(self._psf.shape, complex)
            for source in order[edges[number] : edges[number + 1]]:
                profile = self._phase(shapes.x_pix[source], shapes.y_pix[source])
                if shapes.half_light_arcsec[source] > _SMALLEST_ARCSEC:
                    profile = profile * galaxy_transform(shapes, source, self._columns, self._rows)
                light += fluxes[source][:, None, None] * profile
            whole = np.fft.irfft2(light * self._psf, s=(self._grid, self._grid))
            made[number] = whole[:, : self.side_pix, : self.side_pix]
        return made
