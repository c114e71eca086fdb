"""What every network that reads spectra shares: whitened input, one head, its likelihood."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from galaxy_lvm.spectra.labels import LABELS
from galaxy_lvm.spectra.whitening import Whitening

# Standard deviations in units of the widths: a likelihood without limits runs off to either side.
_LOG_SIGMA = (-5.0, 2.0)
# Spectra that are read together at most, however short.
_AT_ONCE = 1024


class SpectrumNetwork(nn.Module):
    """Spectra in, labels with standard deviations out; what lies between is a subclass's.

    A subclass gives `pooled` and `n_tokens` and, last in its constructor, makes the head by
    `add_head`.

    Parameters
    ----------
    n_pixels
        Samples L of a spectrum.
    n_components
        Components that are brought to equal size; see `Whitening`.
    labels
        Names of the k labels.

    Attributes
    ----------
    about
        What a subclass is built of, a frozen dataclass with `labels`; its card holds it.
    n_tokens
        Length of the sequence that a spectrum becomes.
    tokens_at_once
        Tokens of the spectra that are read together outside of a training: memory grows with them.
    """

    about: Any
    n_tokens: int
    tokens_at_once = 2**15

    def __init__(self, n_pixels: int, n_components: int, labels: Sequence[str]) -> None:
        super().__init__()
        self.whiten = Whitening(n_pixels, n_components)
        self._set_labels(labels)

    def _set_labels(self, names: Sequence[str]) -> None:
        self.labels = tuple(names)
        scale = torch.tensor([[LABELS[name].centre, LABELS[name].width] for name in names])
        self.register_buffer("label_centre", scale[:, 0].clone())
        self.register_buffer("label_width", scale[:, 1].clone())

    def add_head(self, n_in: int, width: int, dropout: float) -> None:
        """Make what reads `pooled` vectors of `n_in` numbers."""
        self.head = nn.Sequential(
            nn.Linear(n_in, 2 * width),
            nn.GELU(),
            nn.Dropout(dropout),
            nn.Linear(2 * width, 2 * len(self.labels)),
        )

    @torch.no_grad()
    def add_labels(self, names: Sequence[str]) -> None:
        """Widen the head to labels that it lacks; what it has learned of others stays."""
        labels = tuple(dict.fromkeys((*self.labels, *names)))
        old, n_old, n_new = self.head[-1], len(self.labels), len(labels)
        if n_old == n_new:
            return
        wider = nn.Linear(old.in_features, 2 * n_new)
        for kept, fresh in ((old.weight, wider.weight), (old.bias, wider.bias)):
            # All means come first, then all logarithms of standard deviations.
            fresh[:n_old], fresh[n_new : n_new + n_old] = kept[:n_old], kept[n_old:]
        self.head[-1] = wider
        self._set_labels(labels)
        self.about = replace(self.about, labels=labels)

    def columns(self, names: Sequence[str]) -> list[int]:
        """Return where labels stand among those of the head."""
        return [self.labels.index(name) for name in names]

    def pooled(self, flux: Tensor) -> Tensor:
        """Return a vector (B, D) for spectra (B, L); NaN counts as the mean."""
        raise NotImplementedError

    def scaled(self, flux: Tensor) -> tuple[Tensor, Tensor]:
        """Return means and logarithms of standard deviations (B, k), in units of the widths."""
        mean, log_sigma = self.head(self.pooled(flux)).float().chunk(2, dim=1)
        return mean, log_sigma.clamp(*_LOG_SIGMA)

    def forward(self, flux: Tensor, labels: Tensor) -> dict[str, Tensor]:
        """Return the Gaussian negative log likelihood of labels (B, k); NaN ones do not count."""
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
    def _read(self, what: Callable[[Tensor], tuple[Tensor, ...]], flux: np.ndarray) -> list[Tensor]:
        """Return what a method says of spectra (n, L), as many at once as there is room for."""
        self.eval()
        device = self.label_width.device
        n_at_once = min(_AT_ONCE, max(1, self.tokens_at_once // self.n_tokens))
        parts = [
            what(torch.as_tensor(flux[first : first + n_at_once], device=device))
            for first in range(0, len(flux), n_at_once)
        ]
        return [torch.cat(part) for part in zip(*parts, strict=True)]

    def vectors(self, flux: np.ndarray) -> np.ndarray:
        """Return what the head reads (n, D) of spectra (n, L)."""
        (found,) = self._read(lambda part: (self.pooled(part),), flux)
        return found.float().cpu().numpy()

    def estimate(self, flux: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Return labels and standard deviations (n, k) of spectra (n, L), in K and dex."""
        mean, log_sigma = self._read(self.scaled, flux)
        labels = mean * self.label_width + self.label_centre
        sigma = torch.exp(log_sigma) * self.label_width
        return labels.double().cpu().numpy(), sigma.double().cpu().numpy()
