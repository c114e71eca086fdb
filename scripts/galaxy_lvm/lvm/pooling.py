"""From the encoder's maps to a galaxy's feature vector."""

from collections.abc import Sequence

import torch
from torch import Tensor, nn

POOLINGS = ("mean", "mean_std", "stages", "attention")

# Under the root: a map of one token, or a dark image, has a finite gradient.
_EPSILON = 1e-6
_ATTENTION_HEADS = 8


class Pooling(nn.Module):
    """Feature vector of a galaxy from the maps of the encoder's stages.

    `mean` is the paper's: the mean over the coarsest map. `mean_std` adds the standard deviation
    over it, which says how unlike the places of an image are: arms, knots, companions. `stages`
    takes both of every stage, so that what is small (fine arms, a bar) is not lost on the way down.
    `attention` weighs the places of the coarsest map by what it has learned to look for (as Ilse,
    Tomczak & Welling 2018); it has weights of its own, the others have none.

    Parameters
    ----------
    kind
        One of POOLINGS.
    dims
        Channels of every stage, finest first.

    Examples
    --------
    >>> Pooling("stages", [8, 16])([torch.ones(1, 4, 4, 8), torch.ones(1, 2, 2, 16)]).shape
    torch.Size([1, 48])
    """

    def __init__(self, kind: str, dims: Sequence[int]) -> None:
        super().__init__()
        self.kind = kind
        self.attention = _Attention(dims[-1]) if kind == "attention" else None

    def forward(self, maps: Sequence[Tensor]) -> Tensor:
        """Map [(B, H, W, C), ...], finest first, to vectors (B, D) in float32."""
        if self.attention is not None:
            return self.attention(maps[-1])
        if self.kind == "mean":
            return maps[-1].float().mean(dim=(1, 2))
        chosen = maps if self.kind == "stages" else maps[-1:]
        return torch.cat([moments(one) for one in chosen], dim=1)


def moments(values: Tensor) -> Tensor:
    """Return mean and standard deviation over the places of maps (B, H, W, C): (B, 2 C)."""
    values = values.float()
    mean = values.mean(dim=(1, 2), keepdim=True)
    # Three passes over memory, and still two to ten times as fast as torch.var_mean on these axes.
    variance = (values - mean).square().mean(dim=(1, 2))
    return torch.cat([mean[:, 0, 0], (variance + _EPSILON).sqrt()], dim=1)


def pooled_dim(kind: str, dims: Sequence[int]) -> int:
    """Return the length D of the vector that a pooling makes of maps with these channels."""
    last, every = dims[-1], sum(dims)
    return {"mean": last, "attention": last, "mean_std": 2 * last, "stages": 2 * every}[kind]


class _Attention(nn.Module):
    """Mean over the places of a map, each group of channels with weights of its own."""

    def __init__(self, dim: int) -> None:
        super().__init__()
        self.n_heads = _ATTENTION_HEADS if dim % _ATTENTION_HEADS == 0 else 1
        self.scores = nn.Linear(dim, self.n_heads)
        nn.init.zeros_(self.scores.weight)  # starts as the plain mean
        nn.init.zeros_(self.scores.bias)

    def forward(self, values: Tensor) -> Tensor:
        """Map (B, H, W, C) to (B, C)."""
        tokens = values.float().flatten(1, 2)
        weights = self.scores(tokens).float().softmax(dim=1)
        groups = tokens.unflatten(2, (self.n_heads, -1))
        return torch.einsum("bth,bthc->bhc", weights, groups).flatten(1)
