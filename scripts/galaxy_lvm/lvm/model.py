"""The large vision model: a Swin-Transformer U-Net (paper II.A, figure 1)."""

import itertools
from dataclasses import asdict, dataclass

import numpy as np
import torch
from torch import Tensor, nn

from galaxy_lvm.core.config.training import LvmShape
from galaxy_lvm.core.errors import ConfigError
from galaxy_lvm.lvm.norms import NORM_CHOICES, norm_layer, set_domain
from galaxy_lvm.lvm.pooling import POOLINGS, Pooling, pooled_dim
from galaxy_lvm.lvm.swin import DownSample, DualUpSample, PatchEmbed, SwinStage

PATCH_PIX = 4
CONV_CHOICES = ("none", "stage", "block", "layer")


@dataclass(frozen=True)
class LVMConfig:
    """Shape of an LVM; conflicting values are refused at construction."""

    embed_dim: int = 96
    """Channels after the patch embedding; doubles at every stage."""
    depths: tuple[int, ...] = (8, 8, 8, 8)
    """Swin layers of each encoder stage; the decoder mirrors all but the last."""
    head_dim: int = 32
    """Channels of one attention head."""
    window: int = 8
    """Side of an attention window in tokens of 4 x 4 pixels."""
    image_side_pix: int = 128
    """Nominal image side; the encoder takes other multiples of the coarsest token as well."""
    conv: str = "stage"
    """3 x 3 convolutions: "none", one depthwise a "stage", a full one a pair ("block") or layer."""
    norm: str = "layer"
    """Normalisation of the encoder's convolutions: "layer" or "batch" (see `norms`)."""
    pooling: str = "mean"
    """What the feature vector keeps of the encoder's maps; see `pooling.Pooling`."""
    skip_connections: bool = True
    """Join encoder features (and the image itself) to the decoder at equal resolution."""
    drop_path: float = 0.0
    """Stochastic-depth rate of the deepest layer; grows linearly from 0."""

    def __post_init__(self) -> None:
        """Refuse shapes that cannot be built, with the key at fault."""
        object.__setattr__(self, "depths", tuple(self.depths))
        coarsest = PATCH_PIX * 2 ** (len(self.depths) - 1)
        if self.image_side_pix % coarsest:
            raise ConfigError(
                f"lvm.image_side_pix: {self.image_side_pix} is no multiple of {coarsest} "
                f"({len(self.depths)} stages)"
            )
        if self.embed_dim % self.head_dim:
            raise ConfigError(
                f"lvm.embed_dim: {self.embed_dim} is no multiple of lvm.head_dim {self.head_dim}"
            )
        if self.conv not in CONV_CHOICES:
            raise ConfigError(f"lvm.conv: {self.conv!r} is none of {CONV_CHOICES}")
        if self.norm not in NORM_CHOICES:
            raise ConfigError(f"lvm.norm: {self.norm!r} is none of {NORM_CHOICES}")
        if self.pooling not in POOLINGS:
            raise ConfigError(f"lvm.pooling: {self.pooling!r} is none of {POOLINGS}")

    @property
    def dims(self) -> list[int]:
        """Channels of every stage."""
        return [self.embed_dim * 2**i for i in range(len(self.depths))]

    @property
    def feature_dim(self) -> int:
        """Length D of a galaxy's feature vector (768 for the paper's model)."""
        return pooled_dim(self.pooling, self.dims)

    @property
    def n_fine(self) -> int:
        """How many numbers, the first of a feature vector, come from the finest map it keeps."""
        return 2 * self.dims[0] if self.pooling == "stages" else self.feature_dim

    @property
    def sides(self) -> list[int]:
        """Feature-map side of every stage at the nominal image size."""
        return [self.image_side_pix // (PATCH_PIX * 2**i) for i in range(len(self.depths))]


PRESETS = {
    "lvm_base": LVMConfig(),
    "lvm_tiny": LVMConfig(
        embed_dim=48,
        depths=(2, 2, 2, 2),
        head_dim=24,
        conv="layer",
        norm="batch",
        pooling="stages",
    ),
    "lvm_micro": LVMConfig(embed_dim=16, depths=(1, 1, 1), head_dim=8, pooling="stages"),
}


class Encoder(nn.Module):
    """Image to a pyramid of features, one map per stage.

    Parameters
    ----------
    config
        Shape of the model.
    """

    def __init__(self, config: LVMConfig) -> None:
        super().__init__()
        self.config = config
        self.embed = PatchEmbed(config.embed_dim, config.norm)
        rates = np.linspace(0, config.drop_path, sum(config.depths)).tolist()
        self.stages = nn.ModuleList()
        self.norms = nn.ModuleList()
        self.downs = nn.ModuleList()
        for i, (dim, side, depth) in enumerate(
            zip(config.dims, config.sides, config.depths, strict=True)
        ):
            first = sum(config.depths[:i])
            rates_here = rates[first : first + depth]
            self.stages.append(_stage(config, dim, side, depth, rates_here, config.norm))
            self.norms.append(norm_layer(config.norm, dim))  # timm's Swin has none per stage
            if i + 1 < len(config.depths):
                self.downs.append(DownSample(dim, config.norm))
        self.pool = Pooling(config.pooling, config.dims)

    @property
    def feature_dim(self) -> int:
        """Length D of a galaxy's feature vector."""
        return self.config.feature_dim

    def forward(
        self, x: Tensor, domain: str = "clean", n_stages: int | None = None
    ) -> list[Tensor]:
        """Map images (B, 3, H, W) to normalised maps [(B, H/4, W/4, C), (B, H/8, W/8, 2C), ...].

        H and W must be multiples of the coarsest token (32 pixels for four stages). `domain` says
        what kind of images these are (`norms.DOMAINS`); it matters with norm="batch" only.
        `n_stages` stops after so many maps; None makes all.
        """
        set_domain(self, domain)
        x = self.embed(x)
        features = []
        last = len(self.stages) if n_stages is None else n_stages
        for i, stage in enumerate(self.stages[:last]):
            x = stage(x)
            features.append(self.norms[i](x))
            if i + 1 < last:
                x = self.downs[i](x)
        return features

    def pooled(self, x: Tensor) -> Tensor:
        """Return the galaxies' feature vectors (B, D)."""
        return self.pool(self.forward(x))


class Decoder(nn.Module):
    """Pyramid of features back to an image; mirrors the encoder with dual up-sampling.

    Parameters
    ----------
    config
        Shape of the model; `skip_connections` decides what it may look at.
    n_seen
        Channels at full resolution that the last layers see beside the features (skip
        connections only): 3 for the image alone.
    n_out
        Channels that it puts out.
    fine_layers
        3 x 3 convolutions at full resolution before the one that puts out.
    """

    def __init__(
        self, config: LVMConfig, n_seen: int = 3, n_out: int = 3, fine_layers: int = 1
    ) -> None:
        super().__init__()
        self.skip = config.skip_connections
        self.ups = nn.ModuleList()
        self.joins = nn.ModuleList()
        self.stages = nn.ModuleList()
        for i in reversed(range(len(config.depths) - 1)):
            dim = config.dims[i]
            self.ups.append(DualUpSample(2 * dim, dim))
            self.joins.append(nn.Linear(2 * dim, dim) if self.skip else nn.Identity())
            # A LayerNorm here also with norm="batch": images want their own levels kept.
            self.stages.append(_stage(config, dim, config.sides[i], config.depths[i], None))
        self.norm = nn.LayerNorm(config.embed_dim)
        out_dim = config.embed_dim // 2
        self.last_up = DualUpSample(config.embed_dim, out_dim, scale=PATCH_PIX)
        widths = [out_dim + (n_seen if self.skip else 0)] + fine_layers * [out_dim]
        fine: list[nn.Module] = []
        for width, following in itertools.pairwise(widths):
            fine += [nn.Conv2d(width, following, 3, padding=1), nn.GELU()]
        self.fine = nn.Sequential(*fine)
        self.output = nn.Conv2d(out_dim, n_out, 3, padding=1)

    def forward(self, features: list[Tensor], seen: Tensor) -> Tensor:
        """Map encoder features, and what is seen at full resolution, to (B, n_out, H, W).

        Parameters
        ----------
        features
            Maps of the encoder.
        seen
            (B, n_seen, H, W): the image that they came from, and what else is known of it.
        """
        x = features[-1]
        for up, join, stage, feature in zip(
            self.ups, self.joins, self.stages, reversed(features[:-1]), strict=True
        ):
            x = up(x)
            x = stage(join(torch.cat([x, feature], dim=-1) if self.skip else x))
        x = self.last_up(self.norm(x)).permute(0, 3, 1, 2)
        return self.output(self.fine(torch.cat([x, seen], dim=1) if self.skip else x))


class LVM(nn.Module):
    """Encoder and decoder: image to image.

    Parameters
    ----------
    config
        Shape of the model.

    Examples
    --------
    >>> LVM(LVMConfig(embed_dim=32, depths=(2, 2)))(torch.zeros(1, 3, 64, 64)).shape
    torch.Size([1, 3, 64, 64])
    """

    def __init__(self, config: LVMConfig) -> None:
        super().__init__()
        self.config = config
        self.encoder = Encoder(config)
        self.decoder = Decoder(config)

    def forward(self, x: Tensor, domain: str = "clean") -> Tensor:
        """Map (B, 3, H, W) to (B, 3, H, W); values are meant to lie in [0, 1]."""
        return self.decoder(self.encoder(x, domain), x)


def build_config(settings: LvmShape) -> LVMConfig:
    """Return the shape that the config's section `lvm` describes: a preset and its overrides.

    Parameters
    ----------
    settings
        The section; None keeps the preset's value.

    Raises
    ------
    ConfigError
        For a shape that cannot be built.
    """
    overrides = settings.model_dump(exclude={"preset", "weights"}, exclude_none=True)
    return LVMConfig(**{**asdict(PRESETS[settings.preset]), **overrides})


def count_parameters(module: nn.Module) -> int:
    """Return the number of trainable weights."""
    return sum(p.numel() for p in module.parameters() if p.requires_grad)


def _stage(
    config: LVMConfig,
    dim: int,
    side: int,
    depth: int,
    rates: list[float] | None,
    norm: str = "layer",
) -> SwinStage:
    heads = dim // config.head_dim
    return SwinStage(dim, depth, heads, side, config.window, config.conv, rates, norm)
