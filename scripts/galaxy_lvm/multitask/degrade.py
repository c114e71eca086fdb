"""Degradations of the image tasks: Moffat blur with Gaussian noise, and hidden patches.

The recipes of section III.A of Fu et al. 2024. Fast enough to degrade training batches on the fly:
with an even kernel and mirrored borders a convolution is a product of cosine transforms, so that
nothing is padded and all images of a batch, each with its own kernel, are done at once.
"""

import math

import numpy as np
import pandas as pd
from scipy import fft

from galaxy_lvm.core.config.tasks import Blur, Mask
from galaxy_lvm.core.errors import ConfigError, DataError

LARGEST_8_BIT_VALUE = 255.0

# Turbulence theory is matched best by this exponent (Trujillo et al. 2001, MNRAS 328, 977); the
# paper gives none. Smaller values put more light into the wings.
KOLMOGOROV_BETA = 4.765

# Radius of the kernels, in units of the FWHM: with Kolmogorov wings less than 0.02 % of the light
# lies beyond, with wings as wide as beta = 3 it is 0.3 %.
_RADIUS_IN_FWHM = 4.0


def psf_side_pix(recipe: Blur) -> int:
    """Return the side of the kernels, odd."""
    return 2 * math.ceil(_RADIUS_IN_FWHM * recipe.fwhm_max_pix) + 1


def moffat_psf(fwhm_pix: float | np.ndarray, beta: float, side_pix: int) -> np.ndarray:
    """Return Moffat profiles, sampled at pixel centres, with sum 1.

    Parameters
    ----------
    fwhm_pix
        Full width at half maximum in pixels, above 0; a number or an array of any shape.
    beta
        Exponent, above 1 (Moffat 1969, A&A 3, 455).
    side_pix
        Side of the kernel, odd so that its centre is a pixel.

    Returns
    -------
    ndarray
        float32, shape (*fwhm_pix.shape, side_pix, side_pix).

    Raises
    ------
    ConfigError
        If an argument lies outside its range.
    """
    width = np.asarray(fwhm_pix, dtype=np.float32)
    if not (np.isfinite(width).all() and (width > 0).all()):
        raise ConfigError("fwhm_pix: expected widths above 0 pixels")
    if not beta > 1:
        raise ConfigError(f"moffat_beta: {beta!r}, expected a number above 1")
    if side_pix < 1 or side_pix % 2 == 0:
        raise ConfigError(f"side_pix: {side_pix}, expected an odd number of pixels")
    radius = side_pix // 2
    x = np.arange(radius + 1, dtype=np.float32)
    scale = width / np.float32(2 * math.sqrt(2 ** (1 / beta) - 1))
    distance2 = (x**2 + x[:, None] ** 2) / scale[..., None, None] ** 2
    quadrant = np.exp(np.float32(-beta) * np.log1p(distance2))  # cheaper than a power
    both = np.abs(np.arange(-radius, radius + 1))
    profile = quadrant[..., both[:, None], both]
    return profile / profile.sum(axis=(-2, -1), keepdims=True)


def psf_transfer(psf: np.ndarray, height_pix: int, width_pix: int) -> np.ndarray:
    """Return the factors by which a PSF multiplies the cosine coefficients of an image.

    Parameters
    ----------
    psf
        Kernels (..., side, side) of odd side that are even in both axes.
    height_pix, width_pix
        Size of the images.

    Returns
    -------
    ndarray
        float32, shape (..., height_pix, width_pix).
    """
    radius = psf.shape[-1] // 2
    quadrant = np.ascontiguousarray(psf[..., radius:, radius:], dtype=np.float32)
    rows, columns = _cosines(height_pix, radius), _cosines(width_pix, radius)
    return rows @ quadrant @ columns.T


def _cosines(n: int, radius: int) -> np.ndarray:
    """Return (n, radius + 1): response of the n cosine modes to a pair of shifted points."""
    shifts = np.arange(radius + 1)
    weight = np.where(shifts == 0, 1.0, 2.0)
    return (weight * np.cos(np.pi * np.arange(n)[:, None] * shifts / n)).astype(np.float32)


def to_modes(images: np.ndarray) -> np.ndarray:
    """Return the orthonormal cosine coefficients (DCT-II) of images (N, H, W, C)."""
    return fft.dctn(images, type=2, norm="ortho", axes=(1, 2))


def from_modes(modes: np.ndarray) -> np.ndarray:
    """Return the images of cosine coefficients; the inverse of `to_modes`."""
    return fft.idctn(modes, type=2, norm="ortho", axes=(1, 2), overwrite_x=True)


def apply_transfer(images: np.ndarray, transfer: np.ndarray) -> np.ndarray:
    """Filter images (N, H, W, C) with factors (N, H, W) from `psf_transfer`, borders mirrored."""
    modes = to_modes(images)
    modes *= transfer[..., None]
    return from_modes(modes)


def _generator(seed: int, index: int) -> np.random.Generator:
    return np.random.Generator(np.random.SFC64(np.random.SeedSequence([seed, index])))


def _check_images(images: np.ndarray) -> None:
    if images.ndim != 4 or images.dtype != np.float32:
        raise DataError(
            f"images are {images.dtype} of shape {images.shape}, expected float32 (N, H, W, 3) "
            "in [0, 1]; divide 8-bit images by 255"
        )


def blur_images(
    images: np.ndarray, recipe: Blur, seed: int, first_index: int = 0
) -> tuple[np.ndarray, pd.DataFrame]:
    """Blur every image with its own Moffat PSF and add Gaussian noise.

    What image i goes through depends on `seed` and i alone: the same whatever is degraded with it.

    Parameters
    ----------
    images
        float32 (N, H, W, 3) in [0, 1].
    recipe
        Ranges that widths and noise levels are drawn from, uniformly.
    seed
        At least 0.
    first_index
        Number i of the first image, for work in batches.

    Returns
    -------
    blurred
        float32 (N, H, W, 3), clipped to [0, 1].
    table
        One row per image: `fwhm_pix`, `noise_sigma` (8-bit scale).
    """
    _check_images(images)
    n, height, width, _ = images.shape
    drawn = np.empty((n, 2))
    noise = np.empty(images.shape, dtype=np.float32)
    for i in range(n):
        rng = _generator(seed, first_index + i)
        drawn[i] = rng.random(2)
        rng.standard_normal(out=noise[i], dtype=np.float32)
    fwhm = recipe.fwhm_min_pix + drawn[:, 0] * (recipe.fwhm_max_pix - recipe.fwhm_min_pix)
    sigma = recipe.noise_sigma_min + drawn[:, 1] * (recipe.noise_sigma_max - recipe.noise_sigma_min)
    psf = moffat_psf(fwhm, recipe.moffat_beta, psf_side_pix(recipe))
    blurred = apply_transfer(images, psf_transfer(psf, height, width))
    noise *= (sigma / LARGEST_8_BIT_VALUE).astype(np.float32)[:, None, None, None]
    blurred += noise
    np.clip(blurred, 0.0, 1.0, out=blurred)
    return blurred, pd.DataFrame({"fwhm_pix": fwhm, "noise_sigma": sigma})


def patch_mask(
    side_pix: int, patch_pix: int, fraction: float, rng: np.random.Generator
) -> np.ndarray:
    """Hide random squares of a grid until the stated share of the image is covered.

    Parameters
    ----------
    side_pix
        Side of the image; squares at its far edges are cut where it is no multiple of `patch_pix`.
    patch_pix
        Side of a square, in [1, side_pix].
    fraction
        Share to hide, in [0, 1]; met to within one square.
    rng
        Chooses the squares.

    Returns
    -------
    ndarray
        bool (side_pix, side_pix), True where hidden.

    Raises
    ------
    ConfigError
        If an argument lies outside its range.
    """
    if not 0 <= fraction <= 1:
        raise ConfigError(f"fraction: {fraction}, expected a number in [0, 1]")
    if not 1 <= patch_pix <= side_pix:
        raise ConfigError(f"patch_pix: {patch_pix}, expected 1 to the image's {side_pix} pixels")
    cell = np.arange(side_pix) // patch_pix
    lengths = np.bincount(cell)
    areas = np.outer(lengths, lengths).ravel()
    order = rng.permutation(areas.size)
    covered = np.concatenate([[0], np.cumsum(areas[order])])
    n_hidden = np.abs(covered - fraction * side_pix**2).argmin()
    hidden = np.zeros(areas.size, dtype=bool)
    hidden[order[:n_hidden]] = True
    return hidden.reshape(lengths.size, -1)[cell[:, None], cell]


def mask_images(
    images: np.ndarray, recipe: Mask, seed: int, first_index: int = 0
) -> tuple[np.ndarray, np.ndarray, pd.DataFrame]:
    """Hide random patches of every image; image i's mask depends on `seed` and i alone.

    Parameters
    ----------
    images
        float32 (N, side, side, 3) in [0, 1].
    recipe
        Range of shares (drawn uniformly) and patch sizes (equally likely).
    seed
        At least 0.
    first_index
        Number i of the first image, for work in batches.

    Returns
    -------
    masked
        float32 (N, side, side, 3), 0 where hidden.
    mask
        bool (N, side, side), True where hidden.
    table
        One row per image: `fraction` (the share asked for), `patch_pix`.
    """
    _check_images(images)
    n, side = images.shape[:2]
    if images.shape[2] != side:
        raise DataError(f"images are {side} by {images.shape[2]} pixels, expected squares")
    mask = np.empty((n, side, side), dtype=bool)
    rows = []
    for i in range(n):
        rng = _generator(seed, first_index + i)
        span = recipe.fraction_max - recipe.fraction_min
        fraction = recipe.fraction_min + rng.random() * span
        patch = recipe.patch_sizes_pix[rng.integers(len(recipe.patch_sizes_pix))]
        mask[i] = patch_mask(side, patch, fraction, rng)
        rows.append((fraction, patch))
    table = pd.DataFrame(rows, columns=["fraction", "patch_pix"])
    return np.where(mask[..., None], np.float32(0), images), mask, table
