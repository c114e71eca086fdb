"""3 x 3 convolutions of NHWC maps; on the smallest maps as one matrix product."""

import torch
from torch import Tensor, nn
from torch.nn import functional

# Up to this side every place sees every other one through one of the nine taps.
_DENSE_UP_TO = 2


class LowRankConv(nn.Module):
    """A convolution onto few channels and a matrix that spreads them, for `conv_nhwc`.

    Parameters
    ----------
    conv
        The convolution that it stands in for: sizes, stride, padding.
    rank
        Channels in between.
    """

    def __init__(self, conv: nn.Conv2d, rank: int) -> None:
        super().__init__()
        how = {"stride": conv.stride, "padding": conv.padding}
        self.reduce = nn.Conv2d(conv.in_channels, rank, conv.kernel_size, bias=False, **how)
        self.expand = nn.Linear(rank, conv.out_channels)


def conv_nhwc(conv: nn.Conv2d | LowRankConv, x: Tensor) -> Tensor:
    """Apply a 3 x 3 convolution with padding 1 to a map (B, H, W, C).

    On maps of 2 x 2 and 1 x 1 tokens, which small views end in, most taps meet the padding alone:
    20 of 36, and 8 of 9. There the same sums are a matrix product of all places with all places
    (4 C inputs, 4 C outputs), which leaves these out.

    Parameters
    ----------
    conv
        Kernel 3, padding 1, stride 1 or 2; or what stands in for one.
    x
        Map (B, H, W, C), channels last.

    Returns
    -------
    Tensor
        (B, H / stride, W / stride, C'), rounded up.
    """
    if isinstance(conv, LowRankConv):
        return conv.expand(conv_nhwc(conv.reduce, x))
    height, width = x.shape[1:3]
    if max(height, width) > _DENSE_UP_TO or conv.groups > 1:
        return conv(x.permute(0, 3, 1, 2)).permute(0, 2, 3, 1)
    stride = conv.stride[0]
    out_height, out_width = -(-height // stride), -(-width // stride)
    n_in, n_out = height * width, out_height * out_width
    chosen = _taps(height, width, stride, x.device).to(conv.weight.dtype)
    # (C', C, 9) by (9, places out x places in): gathered by a product, whose gradient is one too.
    spread = (conv.weight.flatten(2) @ chosen).unflatten(2, (n_out, n_in))
    matrix = spread.permute(2, 0, 3, 1).reshape(n_out * conv.out_channels, n_in * conv.in_channels)
    bias = None if conv.bias is None else conv.bias.repeat(n_out)
    y = functional.linear(x.reshape(len(x), -1), matrix, bias)
    return y.reshape(len(x), out_height, out_width, conv.out_channels)


def _taps(height: int, width: int, stride: int, device: torch.device) -> Tensor:
    """Return (9, places out x places in), 1 where a tap joins the two places."""
    down, across = (_offsets(side, stride, device) for side in (height, width))
    # (out rows, out columns, rows, columns)
    tap = 3 * down[:, None, :, None] + across[None, :, None, :]
    return functional.one_hot(tap.flatten(), 9).T


def _offsets(side: int, stride: int, device: torch.device) -> Tensor:
    """Return the row of the kernel (out, in) that joins two places along one axis."""
    places = torch.arange(side, device=device)
    return places[None, :] - places[::stride, None] + 1
