"""Photometry by the point-spread function: what an astronomer has without a network."""

from functools import lru_cache

import numpy as np
import pandas as pd

from galaxy_lvm.wise.bands import BANDS, ZERO_POINT_MAG, pixel_noise
from galaxy_lvm.wise.render import DISC_NU, Camera, Shapes

# A source is looked for so far from the cutout's centre along an axis, in steps.
_REACH_PIX, _STEP_PIX = 1.0, 0.125
_WINDOW_PIX = 16
_POGSON = 2.5 / np.log(10)


@lru_cache
def _models(window_pix: int) -> tuple[np.ndarray, np.ndarray]:
    """Return the places (m, 2) tried, and the functions there (3, m, pixels) less their means."""
    line = np.arange(-_REACH_PIX, _REACH_PIX + _STEP_PIX / 2, _STEP_PIX)
    places = np.stack(np.meshgrid(line, line), axis=-1).reshape(-1, 2)
    m = len(places)
    nothing = np.zeros(m)
    shapes = Shapes(*places.T, nothing, nothing + 1, nothing, nothing + DISC_NU)
    images = Camera(window_pix).images(np.ones((m, len(BANDS))), shapes, np.arange(m), m)
    flat = images.astype(float).reshape(m, len(BANDS), -1).transpose(1, 0, 2)
    return places, flat - flat.mean(axis=2, keepdims=True)


def psf_photometry(images: np.ndarray, depth_mag: np.ndarray) -> pd.DataFrame:
    """Fit one point source and a level of background in the middle of every cutout.

    One position serves all bands: the one of the smallest chi^2. Neighbours are not fitted.

    Parameters
    ----------
    images
        (n, 3, side, side) in Vega nanomaggies.
    depth_mag
        (3,) [mag, Vega] of a point source at 5 sigma; fixes the noise of a pixel.

    Returns
    -------
    DataFrame
        `x_pix`, `y_pix` from the cutout's centre, within 1; for w1, w2, w3: `_flux` and
        `_flux_sigma` in Vega nanomaggies, `_mag` by the inverse hyperbolic sine (Lupton et al.
        1999, softened by the flux's sigma; finite for negative fluxes), `_chi2` per pixel.
    """
    side = images.shape[-1]
    window = min(side, _WINDOW_PIX + side % 2)
    margin = (side - window) // 2
    inner = images[:, :, margin : margin + window, margin : margin + window]
    flat = inner.astype(float).reshape(len(images), len(BANDS), -1)
    flat = flat - flat.mean(axis=2, keepdims=True)
    noise = pixel_noise(np.asarray(depth_mag))
    places, models = _models(window)
    norm = (models**2).sum(axis=2)
    overlap = np.einsum("nbp,bmp->bnm", flat, models, optimize=True)
    gain = (np.maximum(overlap, 0) ** 2 / norm[:, None] / noise[:, None, None] ** 2).sum(axis=0)
    best = gain.argmax(axis=1)
    found = {"x_pix": places[best, 0], "y_pix": places[best, 1]}
    for k, band in enumerate(BANDS):
        flux = overlap[k, np.arange(len(flat)), best] / norm[k, best]
        sigma = noise[k] / np.sqrt(norm[k, best])
        rest = (flat[:, k] ** 2).sum(axis=1) - flux**2 * norm[k, best]
        found |= {
            f"{band}_flux": flux,
            f"{band}_flux_sigma": sigma,
            f"{band}_mag": asinh_magnitudes(flux, sigma),
            f"{band}_chi2": rest / noise[k] ** 2 / (flat.shape[2] - 4),
        }
    return pd.DataFrame(found)


def asinh_magnitudes(flux: np.ndarray, softening: np.ndarray) -> np.ndarray:
    """Return magnitudes that go on through zero, of fluxes in Vega nanomaggies.

    Equal to the usual ones where the flux is large against the softening.
    """
    soft = np.asarray(softening)
    return ZERO_POINT_MAG - _POGSON * (np.arcsinh(flux / (2 * soft)) + np.log(soft))
