"""Spectra whose every independent direction counts alike: what a network can read."""

import numpy as np
import torch
from scipy import linalg
from torch import Tensor, nn
from torch.nn import functional

# Numbers far off, of a bad subtraction, say, in standard deviations.
_LARGEST_PIXEL, _LARGEST_COMPONENT = 10.0, 6.0


class Whitening(nn.Module):
    """Standardised pixels brought to principal components of equal size, and back to wavelengths.

    Neighbouring samples of a spectrum are nearly equal: temperature and dust fill the first
    components, and metals or surface gravity stand in some that are a hundred times smaller. A
    network starts with what is large. Here every component has unit variance; turned back to
    wavelengths (ZCA) it is still a sequence in which a line has its place.

    Parameters
    ----------
    n_pixels
        Samples L of a spectrum.
    n_components
        Components K that are kept; 0 only standardises the pixels.
    """

    def __init__(self, n_pixels: int, n_components: int) -> None:
        super().__init__()
        self.n_components = min(n_components, n_pixels)
        self.register_buffer("mean", torch.zeros(n_pixels))
        self.register_buffer("spread", torch.ones(n_pixels))
        self.register_buffer("components", torch.zeros(self.n_components, n_pixels))
        self.register_buffer("sizes", torch.ones(self.n_components))

    def fit(self, flux: np.ndarray, noise: np.ndarray) -> "Whitening":
        """Take mean, spread and components from spectra, without their labels.

        Parameters
        ----------
        flux
            (n, L) normalised spectra; NaN where a pixel has none.
        noise
            (n, L) standard deviations of the noise that a training adds. It counts in the sizes,
            so that a component which is mostly noise stays small.
        """
        mean = np.nan_to_num(np.nanmean(flux, axis=0, dtype=np.float64))
        spread = np.nan_to_num(np.nanstd(flux, axis=0, dtype=np.float64))
        spread = np.where(spread > 0, spread, 1.0)
        pixels = np.nan_to_num((flux - mean) / spread).clip(-_LARGEST_PIXEL, _LARGEST_PIXEL)
        self.mean.copy_(torch.from_numpy(mean))
        self.spread.copy_(torch.from_numpy(spread))
        # Fewer spectra than components leave the last ones empty.
        n_kept = min(self.n_components, len(flux) - 1)
        self.components.zero_()
        self.sizes.fill_(1.0)
        if n_kept > 0:
            variances, components = _principal(pixels)
            variances, components = variances[:n_kept], components[:n_kept]
            added = np.square(np.nan_to_num(noise) / spread).mean(axis=0)
            sizes = np.sqrt(variances + np.square(components) @ added)
            self.components[:n_kept] = torch.from_numpy(components)
            self.sizes[:n_kept] = torch.from_numpy(np.where(sizes > 0, sizes, 1.0))
        return self

    def pixels(self, flux: Tensor) -> Tensor:
        """Return standardised pixels (B, L); NaN counts as the mean."""
        pixels = (flux.float() - self.mean) / self.spread
        return torch.nan_to_num(pixels, nan=0.0).clamp(-_LARGEST_PIXEL, _LARGEST_PIXEL)

    def parts(self, flux: Tensor) -> Tensor:
        """Return principal components (B, K) of spectra (B, L), each of about unit variance."""
        # Small components are differences of large numbers: never in half precision.
        with torch.autocast(flux.device.type, enabled=False):
            parts = functional.linear(self.pixels(flux), self.components) / self.sizes
            return parts.clamp(-_LARGEST_COMPONENT, _LARGEST_COMPONENT)

    def spectra(self, parts: Tensor) -> Tensor:
        """Return spectra (B, L) of components (B, K), in the unit of the fluxes."""
        with torch.autocast(parts.device.type, enabled=False):
            return (parts.float() * self.sizes) @ self.components * self.spread + self.mean

    def forward(self, flux: Tensor) -> Tensor:
        """Return whitened spectra (B, L) of about unit variance; NaN counts as the mean."""
        with torch.autocast(flux.device.type, enabled=False):
            if not self.n_components:
                return self.pixels(flux)
            scale = (len(self.mean) / self.n_components) ** 0.5
            return self.parts(flux) @ self.components * scale


def _principal(pixels: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return variances (k,) and components (k, L), the largest number of each positive.

    As scikit-learn's PCA does, whose import takes 1.3 CPU seconds of every training.
    """
    _, sizes, components = linalg.svd(pixels - pixels.mean(axis=0), full_matrices=False)
    largest = np.abs(components).argmax(axis=1)
    signs = np.sign(components[np.arange(len(components)), largest])
    return np.square(sizes) / (len(pixels) - 1), components * signs[:, None]
