"""Layers of an encoder as two narrow ones: what their outputs hardly vary in is left out."""

import copy
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from galaxy_lvm.core.errors import DataError
from galaxy_lvm.lvm.convolution import LowRankConv
from galaxy_lvm.lvm.swin import Conv3x3, DownSample


class LowRankLinear(nn.Module):
    """A linear layer through few numbers.

    Parameters
    ----------
    layer
        What it stands in for.
    rank
        Numbers in between.
    """

    def __init__(self, layer: nn.Linear, rank: int) -> None:
        super().__init__()
        self.reduce = nn.Linear(layer.in_features, rank, bias=False)
        self.expand = nn.Linear(rank, layer.out_features)

    def forward(self, x: Tensor) -> Tensor:
        """Map (..., in) to (..., out)."""
        return self.expand(self.reduce(x))


LowRank = LowRankLinear | LowRankConv


def layers_to_cut(module: nn.Module) -> dict[str, nn.Linear | nn.Conv2d]:
    """Return linear layers and full 3 x 3 convolutions between tokens, by name."""
    found: dict[str, nn.Linear | nn.Conv2d] = {}
    for name, part in module.named_modules():
        if isinstance(part, nn.Linear):
            found[name] = part
        elif isinstance(part, Conv3x3 | DownSample) and isinstance(part.conv, nn.Conv2d):
            if part.conv.groups == 1:
                found[f"{name}.conv"] = part.conv
    return found


def put_low_rank(module: nn.Module, ranks: Mapping[str, int], where: Any = "ranks") -> None:
    """Replace layers by ones of low rank, with random weights, in place.

    Parameters
    ----------
    module
        An encoder.
    ranks
        Rank by the layer's name.
    where
        Where they are from, for messages.

    Raises
    ------
    DataError
        If the module has no such layer, or a rank is none.
    """
    layers = layers_to_cut(module)
    for name, rank in ranks.items():
        layer = layers.get(name)
        if layer is None or not isinstance(rank, int) or not 1 <= rank <= layer.weight.shape[0]:
            raise DataError(
                f"{where}: {name!r} with rank {rank!r} fits no layer; copy the card again"
            )
        kind = LowRankLinear if isinstance(layer, nn.Linear) else LowRankConv
        module.set_submodule(name, kind(layer, rank))


@dataclass(frozen=True)
class Outputs:
    """What a layer gives for some images, its bias left out.

    Attributes
    ----------
    mean
        (n_out,)
    directions
        (n_out, n_out), a column each, the largest variance first.
    variances
        (n_out,) along them.
    """

    mean: Tensor
    directions: Tensor
    variances: Tensor

    def rank(self, tolerance: float) -> int:
        """Return how many directions hold all but a share of the variance."""
        left = 1 - torch.cumsum(self.variances, 0) / self.variances.sum()
        return min(int((left > tolerance).sum()) + 1, len(left))


@torch.no_grad()
def in_two_parts(module: nn.Module) -> tuple[nn.Module, dict[str, LowRank]]:
    """Return a copy that computes the same, and its layers of `layers_to_cut` in two parts each.

    The part `expand` takes a layer's output without its bias, on every way through the network.
    """
    found, layers = copy.deepcopy(module), layers_to_cut(module)
    put_low_rank(found, {name: len(layer.weight) for name, layer in layers.items()})
    parts = {name: found.get_submodule(name) for name in layers}
    for name, layer in layers.items():
        n = len(layer.weight)
        _fill(parts[name], layer, torch.eye(n), torch.zeros(n))
    return found, parts


@torch.no_grad()
def outputs_of(module: nn.Module, run: Callable[[nn.Module], Any]) -> dict[str, Outputs]:
    """Return what every layer of `layers_to_cut` gives while `run` uses a copy of the module.

    Parameters
    ----------
    module
        An encoder.
    run
        Called with the copy; hands it images.
    """
    found, parts = in_two_parts(module)
    seen = {name: _Sums() for name in parts}
    for name, part in parts.items():
        part.expand.register_forward_pre_hook(seen[name])
    run(found)
    return {name: sums.outputs() for name, sums in seen.items()}


class _Sums:
    """Adds up what passes; a hook in front of a layer."""

    def __init__(self) -> None:
        self.n, self.first, self.second = 0, torch.zeros(()), torch.zeros(())

    def __call__(self, _: nn.Module, inputs: tuple[Tensor]) -> None:
        values = inputs[0].flatten(0, -2).double().cpu()
        self.n += len(values)
        self.first, self.second = self.first + values.sum(dim=0), self.second + values.T @ values

    def outputs(self) -> Outputs:
        mean = self.first / self.n
        variances, directions = torch.linalg.eigh(self.second / self.n - torch.outer(mean, mean))
        return Outputs(mean, directions.flip(1), variances.flip(0).clamp(min=0))


@torch.no_grad()
def cut(
    module: nn.Module, outputs: Mapping[str, Outputs], tolerance: float
) -> tuple[nn.Module, dict[str, int]]:
    """Return a copy whose layers keep the leading directions of their outputs, and the ranks.

    A layer stays as it is where two narrow ones would hold no fewer numbers. Among all layers of a
    rank the kept one misses the outputs for the images seen by least (Eckart and Young); the mean
    of what is left out goes into the bias.

    Parameters
    ----------
    module
        An encoder.
    outputs
        Of `outputs_of`.
    tolerance
        Share of the variance of a layer's output that may be lost.
    """
    found, layers = copy.deepcopy(module), layers_to_cut(module)
    ranks = {}
    for name, layer in layers.items():
        rank, weight = outputs[name].rank(tolerance), layer.weight.flatten(1)
        if rank * sum(weight.shape) < weight.numel():
            ranks[name] = rank
    put_low_rank(found, ranks)
    for name, rank in ranks.items():
        seen = outputs[name]
        kept = seen.directions[:, :rank]
        left_out = seen.mean - kept @ (kept.T @ seen.mean)
        _fill(found.get_submodule(name), layers[name], kept, left_out)
    return found, ranks


def _fill(parts: LowRank, layer: nn.Linear | nn.Conv2d, directions: Tensor, offset: Tensor) -> None:
    """Give the two parts the layer's weights, projected onto directions (n_out, rank)."""
    weight = layer.weight
    directions, offset = (values.to(weight) for values in (directions, offset))
    projected = directions.T @ weight.flatten(1)
    parts.reduce.weight.copy_(projected.view_as(parts.reduce.weight))
    parts.expand.weight.copy_(directions)
    parts.expand.bias.copy_(offset if layer.bias is None else layer.bias + offset)
