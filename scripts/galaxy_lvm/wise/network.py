"""The compact network: small convolutions on whole pixels beside soft apertures on fluxes."""

import torch
from torch import Tensor, nn
from torch.nn import functional

from galaxy_lvm.wise.bands import BANDS
from galaxy_lvm.wise.noise import in_noise

# Start of the widths (sigma) of the apertures in pixels: inside of a point source to its wings.
_WIDTHS_PIX = (0.8, 1.2, 2.0, 4.0)
_WIDTH = 24
_N_HIDDEN = 48


class Apertures(nn.Module):
    """Gaussian-weighted fluxes around the centre, of widths that are learned.

    Sums over pixels belong on fluxes: the network's inputs are compressed, and photometry by
    convolutions would have to undo that first.
    """

    def __init__(self) -> None:
        super().__init__()
        start = torch.tensor(_WIDTHS_PIX).log().repeat(len(BANDS), 1)
        self.log_width = nn.Parameter(start)
        self.n_numbers = start.numel()

    def forward(self, images: Tensor) -> Tensor:
        """Map (B, 3, side, side) in [0, 1] to (B, 12): asinh of fluxes in units of their noise."""
        with torch.autocast(images.device.type, enabled=False):  # fluxes span five decades
            fluxes = in_noise(images.float())
            side = images.shape[-1]
            place = torch.arange(side, device=images.device) - (side - 1) / 2
            line = torch.exp(-0.5 * (place / self.log_width.exp()[..., None]) ** 2)
            kernel = line[..., :, None] * line[..., None, :]
            kernel = kernel / kernel.square().sum(dim=(-2, -1), keepdim=True).sqrt()
            return torch.einsum("bchw,ckhw->bck", fluxes, kernel).flatten(1).asinh()


class Block(nn.Module):
    """Two 3 x 3 convolutions around which the map is handed on, then halved."""

    def __init__(self, n_in: int, n_out: int) -> None:
        super().__init__()
        self.first = nn.Conv2d(n_in, n_out, 3, padding=1, bias=False)
        self.second = nn.Conv2d(n_out, n_out, 3, padding=1, bias=False)
        self.norms = nn.ModuleList(nn.BatchNorm2d(n_out) for _ in range(2))

    def forward(self, maps: Tensor) -> Tensor:
        """Map (B, n_in, H, W) to (B, n_out, H / 2, W / 2)."""
        maps = functional.relu(self.norms[0](self.first(maps)))
        maps = functional.relu(maps + self.norms[1](self.second(maps)))
        return functional.avg_pool2d(maps, 2)


class CompactNetwork(nn.Module):
    """Maps images (B, 3, side, side) in [0, 1] to vectors (B, 48).

    The middle of the maps, where the source is, and their mean, where its neighbours are, are told
    apart; both are joined with the apertures.
    """

    def __init__(self, width: int = _WIDTH) -> None:
        super().__init__()
        self.apertures = Apertures()
        self.blocks = nn.Sequential(Block(3, width), Block(width, width), Block(width, 2 * width))
        n_joined = 4 * width + self.apertures.n_numbers
        self.join = nn.Sequential(
            nn.BatchNorm1d(n_joined),
            nn.Linear(n_joined, _N_HIDDEN),
            nn.ReLU(),
            nn.Linear(_N_HIDDEN, _N_HIDDEN),
            nn.ReLU(),
        )

    def forward(self, images: Tensor) -> Tensor:
        """Map (B, 3, side, side) in [0, 1], side a multiple of 16, to (B, 48)."""
        maps = self.blocks(images - 0.5)
        side = maps.shape[-1]
        middle = slice(side // 2 - 1, side // 2 + 1)
        centre = maps[..., middle, middle].mean(dim=(2, 3))
        joined = [centre, maps.mean(dim=(2, 3)), self.apertures(images)]
        return self.join(torch.cat(joined, dim=1))


def compact_network() -> CompactNetwork:
    """Return a new network; the config names it `python:` and this function."""
    return CompactNetwork()


def wide_network() -> CompactNetwork:
    """Return one with maps 64 wide: 350,340 weights, a 22nd of RepVGG-A0's."""
    return CompactNetwork(width=64)
