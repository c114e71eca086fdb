"""A Transformer that reads spectra as sequences of patches; labels with uncertainties."""

import math
import os
from dataclasses import asdict, dataclass

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from galaxy_lvm.core.cards import read_card
from galaxy_lvm.core.config.spectra import TransformerShape
from galaxy_lvm.lvm.weights import load_into, save_weights, shape_from_card
from galaxy_lvm.spectra.whitening import Whitening

# Centre and width of what the head predicts: about those of stars of types F to M, fixed, so that
# one head serves simulated and real stars. Not fitted to any sample.
LABEL_SCALE = {
    "teff": (4900.0, 1000.0),
    "logg": (2.7, 1.3),
    "fe_h": (-0.5, 0.6),
    "alpha_m": (0.1, 0.15),
}
LABELS = tuple(LABEL_SCALE)
# Standard deviations in units of the widths: a likelihood without limits runs off to either side.
_LOG_SIGMA = (-5.0, 2.0)


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


def architecture(shape: TransformerShape, n_pixels: int) -> Architecture:
    """Return the architecture for spectra of `n_pixels`."""
    return Architecture(n_pixels, **shape.model_dump())


class SpectrumTransformer(nn.Module):
    """Patches of fluxes, self-attention between them, and one head for all labels.

    A patch is a part of the whitened spectrum (`Whitening`), and one linear map away from a token
    (after Lu et al. 2026; the patches are continuous, not words). The head reads all tokens side
    by side: where a line stands in the spectrum is known.

    Parameters
    ----------
    about
        Sizes.
    """

    def __init__(self, about: Architecture) -> None:
        super().__init__()
        self.about = about
        n_tokens = math.ceil(about.n_pixels / about.patch_pix)
        self.n_missing = n_tokens * about.patch_pix - about.n_pixels
        self.whiten = Whitening(about.n_pixels, about.n_components)
        scale = torch.tensor(list(LABEL_SCALE.values()), dtype=torch.float32)
        self.register_buffer("label_centre", scale[:, 0].clone())
        self.register_buffer("label_width", scale[:, 1].clone())
        self.embed = nn.Linear(about.patch_pix, about.width)
        self.positions = nn.Parameter(0.02 * torch.randn(n_tokens, about.width))
        layer = nn.TransformerEncoderLayer(
            about.width, about.n_heads, 2 * about.width, dropout=about.dropout, activation="gelu",
            batch_first=True, norm_first=True,
        )  # fmt: skip
        self.layers = nn.TransformerEncoder(layer, about.depth, enable_nested_tensor=False)
        self.narrow = nn.Sequential(
            nn.LayerNorm(about.width), nn.Linear(about.width, about.token_width), nn.GELU()
        )
        self.head = nn.Sequential(
            nn.Linear(n_tokens * about.token_width, 2 * about.width),
            nn.GELU(),
            nn.Dropout(about.dropout),
            nn.Linear(2 * about.width, 2 * len(LABELS)),
        )

    def pooled(self, flux: Tensor) -> Tensor:
        """Return a vector (B, tokens x token_width) for spectra (B, L); NaN counts as the mean."""
        inputs = functional.pad(self.whiten(flux), (0, self.n_missing))
        tokens = self.embed(inputs.unflatten(1, (-1, self.about.patch_pix))) + self.positions
        return self.narrow(self.layers(tokens)).flatten(1)

    def scaled(self, flux: Tensor) -> tuple[Tensor, Tensor]:
        """Return means and logarithms of standard deviations (B, 4), in units of `LABEL_SCALE`."""
        mean, log_sigma = self.head(self.pooled(flux)).float().chunk(2, dim=1)
        return mean, log_sigma.clamp(*_LOG_SIGMA)

    def forward(self, flux: Tensor, labels: Tensor) -> dict[str, Tensor]:
        """Return the Gaussian negative log likelihood of labels (B, 4); NaN ones do not count."""
        mean, log_sigma = self.scaled(flux)
        targets = (labels - self.label_centre) / self.label_width
        known = torch.isfinite(targets)
        residual = torch.where(known, mean - torch.nan_to_num(targets), 0.0)
        each = 0.5 * (residual * torch.exp(-log_sigma)) ** 2 + log_sigma
        n = known.sum().clamp(min=1)
        return {
            "loss": torch.where(known, each, 0.0).sum() / n,
            "absolute": residual.abs().sum() / n,
        }

    @torch.no_grad()
    def estimate(self, flux: np.ndarray, batch_size: int = 1024) -> tuple[np.ndarray, np.ndarray]:
        """Return labels and standard deviations (n, 4) of spectra (n, L), in K and dex."""
        self.eval()
        device = self.label_width.device
        parts = [
            self.scaled(torch.as_tensor(flux[first : first + batch_size], device=device))
            for first in range(0, len(flux), batch_size)
        ]
        mean, log_sigma = (torch.cat(part) for part in zip(*parts, strict=True))
        labels = mean * self.label_width + self.label_centre
        sigma = torch.exp(log_sigma) * self.label_width
        return labels.double().cpu().numpy(), sigma.double().cpu().numpy()


def save_transformer(path: str | os.PathLike, module: SpectrumTransformer, card: dict) -> None:
    """Write the weights and their card."""
    about = {"architecture": asdict(module.about), "labels": LABELS}
    save_weights(path, module, {"kind": "spectrum_transformer", **about, **card})


def load_transformer(path: str | os.PathLike) -> SpectrumTransformer:
    """Read weights of `save_transformer`.

    Raises
    ------
    DataError
        If the file or its card is missing, damaged or of another version.
    """
    module = SpectrumTransformer(
        shape_from_card(path, Architecture, read_card(path)["architecture"])
    )
    load_into(module, path)
    return module
