"""One Swin layer: attention within windows of a feature map, then an MLP (Liu et al. 2021).

Weights carry the names of timm's `SwinTransformerBlock`, start from the same draws and give the
same numbers (a test compares them). It stands here because timm imports torchvision, which imports
torch's compiler: 2 of the 4 CPU seconds in which a command that uses the LVM started.
"""

import math

import torch
from torch import Tensor, nn
from torch.nn import functional

_MLP_RATIO = 4
_BIAS_STD, _LARGEST_BIAS = 0.02, 2.0
# Added to the score of two tokens that are no neighbours before a shift; a softmax makes it 0.
_APART = -100.0


class WindowAttention(nn.Module):
    """Multi-head attention among the tokens of a window, with a bias for their distance.

    Parameters
    ----------
    dim, num_heads
        Channels C and attention heads; C is a multiple of the heads.
    window
        Side of the largest window in tokens.
    """

    def __init__(self, dim: int, num_heads: int, window: int) -> None:
        super().__init__()
        self.num_heads, self.window = num_heads, window
        self.scale = (dim // num_heads) ** -0.5
        n_distances = (2 * window - 1) ** 2
        self.relative_position_bias_table = nn.Parameter(torch.empty(n_distances, num_heads))
        self.register_buffer("places", _distance_numbers(window), persistent=False)
        self.qkv = nn.Linear(dim, 3 * dim)
        self.proj = nn.Linear(dim, dim)
        table = self.relative_position_bias_table
        if not table.is_meta:  # without values; torch would load its compiler to find that out
            with torch.no_grad():
                # A normal distribution by its inverse, as timm draws it.
                table.uniform_(-1, 1).erfinv_()
                table.mul_(_BIAS_STD * math.sqrt(2)).clamp_(-_LARGEST_BIAS, _LARGEST_BIAS)

    def forward(self, x: Tensor, mask: Tensor | None = None) -> Tensor:
        """Let tokens attend to each other.

        Parameters
        ----------
        x
            (n, height, width, C): n windows, none larger than `window`.
        mask
            (k, N, N), added to the scores of the N = height x width tokens of every k-th window,
            where n is a multiple of k; None for none.

        Returns
        -------
        Tensor
            (n, height, width, C)
        """
        n, height, width, dim = x.shape
        n_tokens = height * width
        qkv = self.qkv(x.reshape(n, n_tokens, dim))
        q, k, v = qkv.reshape(n, n_tokens, 3, self.num_heads, -1).permute(2, 0, 3, 1, 4)
        scores = (q * self.scale) @ k.transpose(-2, -1) + self._bias(height, width)
        if mask is not None:
            apart = scores.view(-1, len(mask), *scores.shape[1:]) + mask.unsqueeze(1)
            scores = apart.view_as(scores)
        y = scores.softmax(dim=-1).to(v.dtype) @ v
        return self.proj(y.transpose(1, 2).reshape(n, height, width, dim))

    def _bias(self, height: int, width: int) -> Tensor:
        """Return what is added to scores (heads, N, N) of windows of this size."""
        places = self.places[:height, :width, :height, :width].reshape(-1)
        n_tokens = height * width
        bias = self.relative_position_bias_table[places].view(n_tokens, n_tokens, -1)
        return bias.permute(2, 0, 1).contiguous()


class MLP(nn.Module):
    """Two linear layers with a GELU between.

    Parameters
    ----------
    dim, hidden_dim
        Channels C in and out, and between.
    """

    def __init__(self, dim: int, hidden_dim: int) -> None:
        super().__init__()
        self.fc1 = nn.Linear(dim, hidden_dim)
        self.act = nn.GELU()
        self.fc2 = nn.Linear(hidden_dim, dim)

    def forward(self, x: Tensor) -> Tensor:
        """Map (..., C) to (..., C)."""
        return self.fc2(self.act(self.fc1(x)))


class DropPath(nn.Module):
    """Leave a branch out for some images of a batch (stochastic depth, Huang et al. 2016).

    Parameters
    ----------
    rate
        Share of the images in [0, 1); the others are scaled up, so that the mean stays.
    """

    def __init__(self, rate: float) -> None:
        super().__init__()
        self.rate = rate

    def forward(self, x: Tensor) -> Tensor:
        """Map (B, ...) to the same shape; nothing is left out in evaluation."""
        if not (self.training and self.rate):
            return x
        kept = x.new_empty((len(x),) + (1,) * (x.ndim - 1)).bernoulli_(1 - self.rate)
        return x * kept.div_(1 - self.rate)


class SwinLayer(nn.Module):
    """Attention within windows and an MLP, each beside a shortcut.

    A map that fits into one window attends to its own tokens alone. timm fills it up with zeros,
    attends to them as well, and shifts a map that has nothing to be shifted against. Small views
    meet this in every deeper stage: without it a contrastive step on views of 32 pixels takes half
    the time. At the nominal image size both are the same.

    Parameters
    ----------
    dim, num_heads
        Channels C and attention heads.
    side
        Height and width of the map at the nominal image size; the window shrinks to it.
    window
        Side of a window in tokens.
    shift
        By how many tokens the windows are shifted; 0 where one window holds the nominal map.
    drop_path
        Stochastic-depth rate.
    """

    def __init__(
        self,
        dim: int,
        num_heads: int,
        side: int,
        window: int,
        shift: int = 0,
        drop_path: float = 0.0,
    ) -> None:
        super().__init__()
        self.side, self.window = side, min(window, side)
        self.shift = shift if side > window else 0
        self.norm1 = nn.LayerNorm(dim)
        self.attn = WindowAttention(dim, num_heads, self.window)
        self.drop_path1 = DropPath(drop_path)
        self.norm2 = nn.LayerNorm(dim)
        self.mlp = MLP(dim, _MLP_RATIO * dim)
        self.drop_path2 = DropPath(drop_path)

    def forward(self, x: Tensor) -> Tensor:
        """Map (B, H, W, C) to (B, H, W, C), of any height and width."""
        x = x + self.drop_path1(self._attend(self.norm1(x)))
        return x + self.drop_path2(self.mlp(self.norm2(x)))

    def _attend(self, x: Tensor) -> Tensor:
        height, width = x.shape[1:3]
        if max(height, width) <= self.window:
            return self.attn(x)
        x = torch.roll(x, (-self.shift, -self.shift), dims=(1, 2)) if self.shift else x
        more = -height % self.window, -width % self.window
        x = functional.pad(x, (0, 0, 0, more[1], 0, more[0])) if any(more) else x
        mask = window_mask(x, self.window, self.shift) if self.shift else None
        y = from_windows(self.attn(to_windows(x, self.window), mask), x.shape[1:3])
        y = y[:, :height, :width]
        return torch.roll(y, (self.shift, self.shift), dims=(1, 2)) if self.shift else y


def to_windows(x: Tensor, window: int) -> Tensor:
    """Cut a map (B, H, W, C) into windows (B x H/window x W/window, window, window, C)."""
    batch, height, width, dim = x.shape
    x = x.view(batch, height // window, window, width // window, window, dim)
    return x.transpose(2, 3).reshape(-1, window, window, dim)


def from_windows(windows: Tensor, size: tuple[int, int]) -> Tensor:
    """Put windows together to the map (B, height, width, C) that they were cut of."""
    (height, width), (window, dim) = size, windows.shape[2:]
    x = windows.view(-1, height // window, width // window, window, window, dim)
    return x.transpose(2, 3).reshape(-1, height, width, dim)


def window_mask(x: Tensor, window: int, shift: int) -> Tensor:
    """Return what keeps tokens apart that a cyclic shift has brought together.

    Parameters
    ----------
    x
        The shifted map (B, H, W, C); H and W are multiples of the window.
    window, shift
        In tokens, shift < window.

    Returns
    -------
    Tensor
        (number of windows, N, N) for the N tokens of a window: 0 for two from one side of the
        map's border, -100 else; device and type of the map.
    """
    sides = []
    for length in x.shape[1:3]:
        place = torch.arange(length, device=x.device)
        sides.append((place >= length - window).to(x.dtype) + (place >= length - shift))
    groups = 3 * sides[0][:, None] + sides[1]
    tokens = to_windows(groups[None, :, :, None], window).flatten(1)
    return _APART * (tokens[:, None] != tokens[:, :, None]).to(x.dtype)


def _distance_numbers(window: int) -> Tensor:
    """Return a number for the distance of every two places of a window, (window,) * 4."""
    place = torch.arange(window)
    apart = place[:, None] - place + window - 1
    rows, columns = apart[:, None, :, None], apart[None, :, None, :]
    return rows * (2 * window - 1) + columns
