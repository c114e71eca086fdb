"""Maps of several resolutions for a detector: of the LVM's encoder, or of a residual network."""

import torchvision
from torch import Tensor, nn

from galaxy_lvm.core.errors import ConfigError
from galaxy_lvm.lvm.model import PATCH_PIX, Encoder, LVMConfig


def strides_pix(n_levels: int) -> list[int]:
    """Return the pixels per token of each level, finest first."""
    return [PATCH_PIX * 2**i for i in range(n_levels)]


class LVMLevels(nn.Module):
    """The finer maps of an LVM's encoder, each behind a normalisation of its own.

    Parameters
    ----------
    config
        Shape of the LVM.
    n_levels
        Number of maps, finest first; stages beyond are not computed.
    """

    def __init__(self, config: LVMConfig, n_levels: int) -> None:
        super().__init__()
        if n_levels > len(config.depths):
            raise ConfigError(f"{n_levels} levels: the encoder has {len(config.depths)} stages")
        self.encoder = Encoder(config)
        self.dims = config.dims[:n_levels]

    def forward(self, images: Tensor) -> dict[str, Tensor]:
        """Map (B, 3, H, W) to maps (B, C, H/4, W/4), (B, 2C, H/8, W/8), ..."""
        maps = self.encoder(images, n_stages=len(self.dims))
        # Swin's maps have the channels last; `norms` of the encoder follow every stage.
        return {str(i): x.permute(0, 3, 1, 2) for i, x in enumerate(maps)}


class ResNetLevels(nn.Module):
    """The maps of a residual network at strides of 4, 8, ... pixels.

    Parameters
    ----------
    name
        Name in torchvision.
    n_levels
        Number of maps, finest first; later stages are left out.

    Raises
    ------
    ConfigError
        If torchvision has no residual network of this name.
    """

    def __init__(self, name: str, n_levels: int) -> None:
        super().__init__()
        known = [n for n in torchvision.models.list_models(torchvision.models) if "resnet" in n]
        if name not in known:
            raise ConfigError(f"lenses.detector: backbone {name!r} is neither 'lvm' nor of {known}")
        network = torchvision.models.get_model(name, weights=None)
        self.encoder = nn.ModuleDict(
            {
                "stem": nn.Sequential(network.conv1, network.bn1, network.relu, network.maxpool),
                **{f"layer{i + 1}": getattr(network, f"layer{i + 1}") for i in range(n_levels)},
            }
        )
        width = network.fc.in_features // 8
        self.dims = [width * 2**i for i in range(n_levels)]

    def forward(self, images: Tensor) -> dict[str, Tensor]:
        """Map (B, 3, H, W) to maps (B, C, H/4, W/4), (B, 2C, H/8, W/8), ..."""
        maps = {}
        x = self.encoder["stem"](images)
        for i in range(len(self.dims)):
            x = self.encoder[f"layer{i + 1}"](x)
            maps[str(i)] = x
        return maps
