"""Images of networks as fluxes in units of a pixel's noise, and sources made fainter in them."""

import torch
from torch import Tensor

from galaxy_lvm.wise.levels import HIGH, LOW

# Of a batch, in a step; the others stay as bright as they are.
_FADED_SHARE = 0.5


def in_noise(shares: Tensor) -> Tensor:
    """Return fluxes in units of a pixel's noise of images (B, 3, H, W) in [0, 1]."""
    return torch.sinh(LOW + (HIGH - LOW) * shares)


def fade(images: Tensor, generator: torch.Generator, max_mag: float) -> Tensor:
    """Return images with half of the cutouts up to `max_mag` fainter, at the same depth.

    All light is scaled down, the noise with it, and noise is added until a pixel has as much as
    before. So a training source shows its colours at several magnitudes; neighbours and the size of
    galaxies stay those of the brighter source, which limits `max_mag` to a magnitude or two.

    Parameters
    ----------
    images
        (B, 3, H, W) in [0, 1], levels of `to_levels` over 255.
    generator
        Of the CPU.
    max_mag
        Largest loss [mag]; drawn evenly from 0 for every cutout. 0 changes nothing.
    """
    if not max_mag:
        return images
    n = len(images)
    loss_mag = max_mag * torch.rand(n, generator=generator)
    loss_mag[torch.rand(n, generator=generator) >= _FADED_SHARE] = 0
    factor = (10 ** (-0.4 * loss_mag)).to(images.device)[:, None, None, None]
    noise = torch.randn(images.shape, generator=generator).to(images.device)
    fluxes = in_noise(images) * factor + (1 - factor**2).sqrt() * noise
    faded = ((fluxes.asinh() - LOW) / (HIGH - LOW)).clamp(0, 1)
    return torch.where(factor < 1, faded, images)
