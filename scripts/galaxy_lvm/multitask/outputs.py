"""What an image task makes of its decoder's output, and what the decoder is told of its input.

Five ways, by how much is left to the decoder (`multitask.image_output`):

image
    The decoder puts out the image: the paper's plain decoder.
correction
    It is added to the input.
filling
    As correction, but reconstruction keeps what is visible: hidden pixels are exactly black.
guided
    As filling, and the decoder's last layers see copies of the input that Gaussians of several
    widths have smoothed, over visible pixels alone (normalised convolution: Knutsson & Westin
    1993, CVPR).
mixture
    As guided, and the decoder puts out, beside a correction, how these copies are mixed at every
    pixel (kernel prediction: Mildenhall et al. 2018, CVPR). Reconstruction starts with all copies
    alike, which fills worse than inpainting does: which of them to take is learned.
"""

from dataclasses import dataclass
from functools import lru_cache

import torch
from torch import Tensor

OUTPUTS = ("image", "correction", "filling", "guided", "mixture")
# These keep the visible pixels, and these see the smoothed copies.
_KEEPS = ("filling", "guided", "mixture")
_SEES_COPIES = ("guided", "mixture")
# Standard deviations of the Gaussians. The widest reaches across squares of 16 pixels, the next
# narrower ones bracket the blur (a FWHM of 2 to 8 pixels is a deviation of 0.9 to 3.4).
WIDTHS_PIX = (0.7, 1.4, 2.8, 5.6, 11.2)
# Below it nothing visible is near, and there is nothing to average.
_LEAST_WEIGHT = 1e-6
# Reconstruction mixes by exp(this times what the decoder puts out): weights from a tenth to ten
# times the others are then as easily reached as a correction.
_MIXING_GAIN = 4.0
# Brightness (of 1) that details are measured in; about the noise of an 8-bit sky.
_DETAIL_SCALE = 0.02
_DETAIL_FLOOR = 1e-4


@dataclass(frozen=True)
class Input:
    """A degraded image and what follows from it alone."""

    image: Tensor
    """(B, 3, H, W)."""
    visible: Tensor
    """(B, 1, H, W): 0 where hidden, else 1."""
    seen: Tensor
    """(B, n_seen, H, W): what the decoder's last layers see."""
    copies: Tensor | None = None
    """(B, K, 3, H, W): smoothed by every width, hidden pixels as 0 (guided and mixture)."""
    shares: Tensor | None = None
    """(B, K, 1, H, W): share of what was averaged that is visible (guided and mixture)."""


def n_seen(output: str) -> int:
    """Return how many channels the decoder's last layers see beside its own features."""
    if output in _SEES_COPIES:
        return 3 + 4 * len(WIDTHS_PIX)
    return 4 if output in _KEEPS else 3


def n_out(output: str) -> int:
    """Return how many channels the decoder puts out."""
    return 3 + (len(WIDTHS_PIX) if output == "mixture" else 0)


def look_at(task: str, images: Tensor, output: str) -> Input:
    """Work out what a decoder is told of its input.

    Parameters
    ----------
    task
        restoration or reconstruction.
    images
        (B, 3, H, W) in [0, 1].
    output
        One of OUTPUTS.
    """
    images = images.float()
    visible = torch.ones_like(images[:, :1])
    if task == "reconstruction":
        visible = (images.amax(dim=1, keepdim=True) > 0).float()
    if output not in _SEES_COPIES:
        seen = torch.cat([images, visible], dim=1) if output in _KEEPS else images
        return Input(images, visible, seen)
    copies, shares = smooth(images), smooth(visible)
    smoothed = copies / shares.clamp_min(_LEAST_WEIGHT)
    finer = torch.cat([images[:, None], smoothed[:, :-1]], dim=1)
    details = (finer - smoothed) * visible[:, None]
    if task == "restoration":
        told = _strengths(details).expand(-1, -1, *images.shape[-2:])
        details = details / _DETAIL_SCALE
    else:
        told, details = shares.flatten(1, 2), smoothed
    seen = torch.cat([images, details.flatten(1, 2), told], dim=1)
    return Input(images, visible, seen, copies, shares)


def _strengths(details: Tensor) -> Tensor:
    """Return (B, K, 1, 1): how strong the details of each scale are; noise and blur show in it."""
    mean = details.abs().mean(dim=(2, 3, 4))
    return (mean.clamp_min(_DETAIL_FLOOR) / _DETAIL_SCALE).log()[:, :, None, None]


def compose(task: str, given: Input, raw: Tensor, output: str) -> Tensor:
    """Return the image (B, 3, H, W), float32.

    Parameters
    ----------
    task, given
        As in `look_at`, and what it returned.
    raw
        What the decoder put out, (B, n_out, H, W).
    output
        One of OUTPUTS.
    """
    raw, image = raw.float(), given.image
    if output == "image":
        return raw
    if output == "mixture":
        image = _mix(task, given, raw[:, 3:])
    result = image + raw[:, :3]
    if task == "reconstruction" and output in _KEEPS:
        return torch.where(given.visible > 0, given.image, result)
    return result


def _mix(task: str, given: Input, raw: Tensor) -> Tensor:
    """Return the mixture of the smoothed copies that `raw` (B, K, H, W) asks for.

    Restoration starts at the input, and weights may be negative (sharper than the input is more
    than the input minus a smooth copy). Reconstruction starts with all copies alike, a mean of the
    visible pixels far and near, and its weights are positive.
    """
    if given.copies is None or given.shares is None:
        raise ValueError("an input for a mixture is made by look_at(..., output='mixture')")
    raw = raw[:, :, None]
    if task == "restoration":
        return given.image + (raw * (given.copies - given.image[:, None])).sum(dim=1)
    weights = (_MIXING_GAIN * raw).clamp(-15, 15).exp()
    total = (weights * given.shares).sum(dim=1)
    return (weights * given.copies).sum(dim=1) / total.clamp_min(_LEAST_WEIGHT)


def smooth(images: Tensor) -> Tensor:
    """Return images (B, C, H, W) smoothed by each of WIDTHS_PIX, mirrored: (B, K, C, H, W).

    In float32 also under autocast: bfloat16 has no more than 8 bits for a grey level.
    """
    rows = _smoothing(images.shape[-2]).to(images.device)
    columns = _smoothing(images.shape[-1]).to(images.device)
    with torch.autocast(images.device.type, enabled=False):
        along_rows = torch.einsum("kij,bcjl->kbcil", rows, images.float())
        both = torch.einsum("kbcil,kml->kbcim", along_rows, columns)
    return both.transpose(0, 1)


@lru_cache(maxsize=16)
def _smoothing(side_pix: int) -> Tensor:
    """Return (K, side, side): row i holds the weights of a smoothed pixel i; they sum to 1."""
    places = torch.arange(side_pix, dtype=torch.float64)
    distance = places[:, None] - places
    mirrored = places[:, None] + places + 1
    matrices = []
    for width in WIDTHS_PIX:
        reach = 1 + int(4 * width / side_pix)
        shifts = [2 * side_pix * k for k in range(-reach, reach + 1)]
        terms = [
            torch.exp(-0.5 * ((d + s) / width) ** 2) for d in (distance, mirrored) for s in shifts
        ]
        matrix = torch.stack(terms).sum(dim=0)
        matrices.append(matrix / matrix.sum(dim=1, keepdim=True))
    return torch.stack(matrices).float()
