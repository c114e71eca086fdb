"""A Transformer that reads spectra as sequences of patches; labels with uncertainties."""

import math
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional

from galaxy_lvm.spectra.digits import DigitTokens
from galaxy_lvm.spectra.labels import BASIC
from galaxy_lvm.spectra.network import SpectrumNetwork


@dataclass(frozen=True)
class Architecture:
    """What a spectrum Transformer is built of; its card holds it."""

    n_pixels: int
    patch_pix: int
    width: int
    depth: int
    n_heads: int
    n_components: int
    dropout: float
    token_width: int = 16
    tokens: str = "patches"
    n_digits: int = 0
    labels: tuple[str, ...] = BASIC


class SpectrumTransformer(SpectrumNetwork):
    """Patches of fluxes, self-attention between them, and one head for all labels.

    A patch is a part of the whitened spectrum (`Whitening`). It becomes a token by one linear map
    (`patches`) or digit by digit (`digits`, `DigitTokens`; both after Lu et al. 2026). The head
    reads all tokens side by side: where a line stands in the spectrum is known.

    Parameters
    ----------
    about
        Sizes.
    """

    def __init__(self, about: Architecture) -> None:
        super().__init__(about.n_pixels, about.n_components, about.labels)
        self.about = about
        self.n_tokens = n_tokens = math.ceil(about.n_pixels / about.patch_pix)
        self.n_missing = n_tokens * about.patch_pix - about.n_pixels
        self.embed = (
            DigitTokens(about.patch_pix, about.n_digits, about.width)
            if about.tokens == "digits"
            else nn.Linear(about.patch_pix, about.width)
        )
        self.positions = nn.Parameter(0.02 * torch.randn(n_tokens, about.width))
        layer = nn.TransformerEncoderLayer(
            about.width, about.n_heads, 2 * about.width, dropout=about.dropout, activation="gelu",
            batch_first=True, norm_first=True,
        )  # fmt: skip
        self.layers = nn.TransformerEncoder(layer, about.depth, enable_nested_tensor=False)
        self.narrow = nn.Sequential(
            nn.LayerNorm(about.width), nn.Linear(about.width, about.token_width), nn.GELU()
        )
        self.add_head(n_tokens * about.token_width, about.width, about.dropout)

    def pooled(self, flux: Tensor) -> Tensor:
        """Return a vector (B, tokens x token_width) for spectra (B, L); NaN counts as the mean."""
        inputs = functional.pad(self.whiten(flux), (0, self.n_missing))
        tokens = self.embed(inputs.unflatten(1, (-1, self.about.patch_pix))) + self.positions
        return self.narrow(self.layers(tokens)).flatten(1)
