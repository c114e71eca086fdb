"""Swin stages with a 3 x 3 convolution, and the layers that change resolution.

Feature maps are NHWC; convolutions permute on the way in and out.
"""

import torch
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

from galaxy_lvm.lvm.convolution import conv_nhwc
from galaxy_lvm.lvm.norms import DomainBatchNorm, norm_layer
from galaxy_lvm.lvm.swin_layer import SwinLayer

NORM_GROUPS = 4
# Layers between convolutions; "stage" has one for all.
CONV_EVERY = {"layer": 1, "block": 2}


class Conv3x3(nn.Module):
    """Residual 3 x 3 convolution on an NHWC map (paper II.A: convolutions along with the STB).

    Windows do not overlap, so pixels on two sides of a border meet only in every second layer;
    the convolution joins them at once.

    Parameters
    ----------
    dim
        Channels.
    depthwise
        One filter per channel, 9 C weights, instead of a full one with 9 C**2.
    norm
        "layer" or "batch", see `norms`.
    """

    def __init__(self, dim: int, depthwise: bool, norm: str = "layer") -> None:
        super().__init__()
        self.norm = norm_layer(norm, dim)
        self.conv = nn.Conv2d(dim, dim, 3, padding=1, groups=dim if depthwise else 1)
        self.act = nn.GELU()

    def forward(self, x: Tensor) -> Tensor:
        """Map (B, H, W, C) to (B, H, W, C)."""
        return x + self.act(conv_nhwc(self.conv, self.norm(x)))


class SwinStage(nn.Module):
    """`depth` Swin layers, windows shifted in every second one, with 3 x 3 convolutions between.

    Parameters
    ----------
    dim, depth, num_heads
        Channels, number of Swin layers, attention heads.
    side
        Height and width of the feature map at the nominal image size; the window shrinks to it.
        Other sizes work: masks are computed for the map at hand.
    window
        Window side in tokens.
    conv
        "stage": one depthwise convolution before the first layer; "block": a full one before
        every pair of layers; "layer": a full one before every layer; "none".
    drop_path
        Stochastic-depth rate of every layer.
    norm
        Normalisation of the convolutions, "layer" or "batch"; attention keeps its LayerNorm.
    """

    def __init__(
        self,
        dim: int,
        depth: int,
        num_heads: int,
        side: int,
        window: int = 8,
        conv: str = "stage",
        drop_path: list[float] | None = None,
        norm: str = "layer",
    ) -> None:
        super().__init__()
        self.recompute = False
        rates = drop_path or [0.0] * depth
        layers: list[nn.Module] = []
        for index in range(depth):
            if index % CONV_EVERY.get(conv, depth) == 0 and conv != "none":
                layers.append(Conv3x3(dim, conv == "stage", norm))
            layers.append(
                SwinLayer(
                    dim,
                    num_heads,
                    side,
                    window,
                    shift=0 if index % 2 == 0 else window // 2,
                    drop_path=rates[index],
                )
            )
        self.layers = nn.Sequential(*layers)

    def forward(self, x: Tensor) -> Tensor:
        """Map (B, H, W, C) to (B, H, W, C)."""
        if not (self.recompute and torch.is_grad_enabled()):
            return self.layers(x)
        for layer in self.layers:
            # A convolution may have running statistics, which a second pass would move again.
            again = isinstance(layer, SwinLayer)
            x = checkpoint(layer, x, use_reentrant=False) if again else layer(x)
        return x


def recompute_layers(module: nn.Module) -> None:
    """Let all Swin stages in a module keep less for the backward pass, and compute it again."""
    for part in module.modules():
        if isinstance(part, SwinStage):
            part.recompute = True


class PatchEmbed(nn.Module):
    """Image to tokens of 4 x 4 pixels by three 3 x 3 convolutions.

    Overlapping convolutions instead of one 4 x 4 patch projection: with a few thousand training
    images a projection wastes most of its weights on learning to see edges.

    Parameters
    ----------
    dim
        Channels of the tokens.
    norm
        "layer" (over groups of channels, then per token) or "batch".
    """

    def __init__(self, dim: int, norm: str = "layer") -> None:
        super().__init__()
        inner = dim // 2
        self.body = nn.Sequential(
            nn.Conv2d(3, inner, 3, stride=2, padding=1),
            _inner_norm(norm, inner),
            nn.GELU(),
            nn.Conv2d(inner, inner, 3, padding=1),
            _inner_norm(norm, inner),
            nn.GELU(),
            nn.Conv2d(inner, dim, 3, stride=2, padding=1),
        )
        self.norm = norm_layer(norm, dim)

    def forward(self, x: Tensor) -> Tensor:
        """Map (B, 3, H, W) to (B, H/4, W/4, dim)."""
        return self.norm(self.body(x).permute(0, 2, 3, 1))


class DownSample(nn.Module):
    """Halve the map and double the channels with a strided 3 x 3 convolution."""

    def __init__(self, dim: int, norm: str = "layer") -> None:
        super().__init__()
        self.norm = norm_layer(norm, dim)
        self.conv = nn.Conv2d(dim, 2 * dim, 3, stride=2, padding=1)

    def forward(self, x: Tensor) -> Tensor:
        """Map (B, H, W, C) to (B, H/2, W/2, 2C)."""
        return conv_nhwc(self.conv, self.norm(x))


class DualUpSample(nn.Module):
    """Enlarge a map along two paths, sub-pixel shuffling and bilinear, and mix them.

    Shuffling alone leaves a checkerboard, interpolation alone is soft (SUNet, the paper's
    reference 34, joins both).

    Parameters
    ----------
    dim, out_dim
        Channels in and out.
    scale
        Factor by which height and width grow.
    """

    def __init__(self, dim: int, out_dim: int, scale: int = 2) -> None:
        super().__init__()
        self.shuffle = nn.Sequential(
            nn.Conv2d(dim, out_dim * scale**2, 1), nn.PReLU(), nn.PixelShuffle(scale)
        )
        self.bilinear = nn.Sequential(
            nn.Conv2d(dim, out_dim, 1),
            nn.PReLU(),
            nn.Upsample(scale_factor=scale, mode="bilinear", align_corners=False),
        )
        self.mix = nn.Conv2d(2 * out_dim, out_dim, 1)

    def forward(self, x: Tensor) -> Tensor:
        """Map (B, H, W, C) to (B, scale H, scale W, out_dim)."""
        x = x.permute(0, 3, 1, 2)
        y = self.mix(torch.cat([self.shuffle(x), self.bilinear(x)], dim=1))
        return y.permute(0, 2, 3, 1)


def _inner_norm(norm: str, dim: int) -> nn.Module:
    if norm == "batch":
        return DomainBatchNorm(dim, channels_first=True)
    return nn.GroupNorm(NORM_GROUPS, dim)
