"""Random views of galaxy crops: every orientation is as likely as any other on the sky."""

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from galaxy_lvm.core.config.training import Views


def to_float(images: np.ndarray | Tensor, device: torch.device | str = "cpu") -> Tensor:
    """Turn uint8 or float (B, H, W, 3) into float32 (B, 3, H, W) with values in [0, 1]."""
    tensor = torch.as_tensor(images).to(device)
    scale = 255.0 if tensor.dtype == torch.uint8 else 1.0
    return tensor.permute(0, 3, 1, 2).to(torch.float32) / scale


def resize(images: Tensor, side_pix: int) -> Tensor:
    """Resize (B, 3, H, W) to `side_pix`, with anti-aliasing where that is smaller."""
    if images.shape[-1] == side_pix:
        return images
    if images.shape[-1] == 2 * side_pix:
        return functional.avg_pool2d(images, 2)
    return functional.interpolate(
        images, size=(side_pix, side_pix), mode="bilinear", antialias=True, align_corners=False
    )


def reduced_for_views(images: Tensor, side_pix: int) -> Tensor:
    """Return images (B, 3, H, W) no finer than views of `side_pix` are sampled from.

    `random_views` does it too; what draws several views of the same images does it once.
    """
    fine = 2 * side_pix
    if images.shape[-1] <= fine:
        return images
    return functional.interpolate(
        images, size=(fine, fine), mode="bilinear", antialias=True, align_corners=False
    )


def random_views(
    images: Tensor, recipe: Views, side_pix: int, generator: torch.Generator
) -> Tensor:
    """Return one random view (B, 3, side, side) of each image (B, 3, H, W) in [0, 1].

    Rotation by any angle, mirror, zoom, shift and stretch in one resampling; then brightness,
    colour, contrast, blur and noise. The generator alone decides: equal seeds, equal views.
    """
    views = _resample(images, recipe, side_pix, generator)
    if recipe.blur_fwhm_max_pix > 0:
        views = _blur(views, recipe.blur_fwhm_max_pix, generator)
    views = _change_levels(views, recipe, generator)
    if recipe.noise_sigma > 0:
        sigma = _uniform(len(views), 0, recipe.noise_sigma, generator, views.device)
        noise = torch.randn(views.shape, generator=generator).to(views.device)
        views = views + noise * sigma[:, None, None, None]
    return views.clamp(0, 1)


def random_patches(
    images: Tensor, side_pix: int, generator: torch.Generator
) -> tuple[Tensor, Tensor]:
    """Cut one random square patch of `side_pix` per image, flipped and turned by quarter turns.

    Returns the patches (B, 3, side, side) and their corners (B, 2) as (row, column).
    """
    n, _, height, width = images.shape
    high = torch.tensor([height - side_pix + 1, width - side_pix + 1])
    corners = (torch.rand(n, 2, generator=generator) * high).long()
    turns = torch.randint(0, 8, (n,), generator=generator).tolist()
    patches = [
        dihedral(images[i, :, r : r + side_pix, c : c + side_pix], turns[i])
        for i, (r, c) in enumerate(corners.tolist())
    ]
    return torch.stack(patches), corners


def random_orientations(images: Tensor, generator: torch.Generator) -> Tensor:
    """Return each image (B, 3, H, H) in one of its 8 orientations; no pixel is interpolated."""
    which = torch.randint(0, 8, (len(images),), generator=generator).tolist()
    return torch.stack([dihedral(one, k) for one, k in zip(images, which, strict=True)])


def dihedral(images: Tensor, which: int) -> Tensor:
    """Return one of the 8 symmetries of the square (0 is the identity) of (..., H, W)."""
    turned = torch.rot90(images, which % 4, dims=(-2, -1))
    return turned.flip(-1) if which >= 4 else turned


def _uniform(
    n: int, low: float, high: float, generator: torch.Generator, device: torch.device
) -> Tensor:
    return (low + (high - low) * torch.rand(n, generator=generator)).to(device)


def _resample(images: Tensor, recipe: Views, side_pix: int, generator: torch.Generator) -> Tensor:
    n, device = len(images), images.device
    angle = _uniform(n, 0, 2 * torch.pi, generator, device)
    log_zoom = _uniform(n, np.log(recipe.zoom_min), np.log(recipe.zoom_max), generator, device)
    mirror = 1 - 2 * torch.randint(0, 2, (n,), generator=generator).to(device)
    stretch = 1 + _uniform(n, -recipe.stretch, recipe.stretch, generator, device)
    shift = 2 * recipe.shift
    cos, sin, scale = torch.cos(angle), torch.sin(angle), torch.exp(-log_zoom)
    theta = torch.zeros(n, 2, 3, device=device)
    theta[:, 0, 0], theta[:, 0, 1] = scale * cos * mirror, -scale * sin * stretch
    theta[:, 1, 0], theta[:, 1, 1] = scale * sin * mirror, scale * cos * stretch
    theta[:, 0, 2] = _uniform(n, -shift, shift, generator, device)
    theta[:, 1, 2] = _uniform(n, -shift, shift, generator, device)
    # Bilinear sampling alone would alias, and training would see other images than validation and
    # test. So a crop is reduced first where it is more than twice as fine as a view, sampled at
    # twice the view's side, and averaged.
    fine = 2 * side_pix
    images = reduced_for_views(images, side_pix)
    side = fine if images.shape[-1] > side_pix else side_pix
    grid = functional.affine_grid(theta, (n, 3, side, side), align_corners=False)
    views = functional.grid_sample(
        images, grid, mode="bilinear", padding_mode="reflection", align_corners=False
    )
    return resize(views, side_pix)


def _blur(views: Tensor, fwhm_max_pix: float, generator: torch.Generator) -> Tensor:
    n, channels, height, width = views.shape
    sigma = _uniform(n, 0.1, fwhm_max_pix, generator, views.device) / 2.3548
    radius = max(1, int(np.ceil(fwhm_max_pix)))
    x = torch.arange(-radius, radius + 1, device=views.device, dtype=views.dtype)
    kernel = torch.exp(-0.5 * (x / sigma[:, None]) ** 2)
    kernel = kernel / kernel.sum(dim=1, keepdim=True)
    kernel = kernel.repeat_interleave(channels, dim=0)
    flat = views.reshape(1, n * channels, height, width)
    flat = functional.pad(flat, (radius,) * 4, mode="reflect")
    flat = functional.conv2d(flat, kernel[:, None, :, None], groups=n * channels)
    flat = functional.conv2d(flat, kernel[:, None, None, :], groups=n * channels)
    return flat.reshape(n, channels, height, width)


def _change_levels(views: Tensor, recipe: Views, generator: torch.Generator) -> Tensor:
    n, device = len(views), views.device
    gain = 1 + _uniform(n, -recipe.brightness, recipe.brightness, generator, device)
    colour = 1 + recipe.colour * (2 * torch.rand(n, 3, generator=generator).to(device) - 1)
    views = views * (gain[:, None] * colour)[:, :, None, None]
    if recipe.contrast > 0:
        exponent = 1 + _uniform(n, -recipe.contrast, recipe.contrast, generator, device)
        views = views.clamp_min(1e-4) ** exponent[:, None, None, None]
    return views
