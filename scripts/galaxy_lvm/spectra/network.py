"""What every network that reads spectra shares: whitened input, one head, its likelihood."""

import numpy as np
import torch
from torch import Tensor, nn

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


class SpectrumNetwork(nn.Module):
    """Spectra in, labels with standard deviations out; what lies between is a subclass's.

    A subclass gives `pooled` and, last in its constructor, makes the head by `add_head`.

    Parameters
    ----------
    n_pixels
        Samples L of a spectrum.
    n_components
        Components that are brought to equal size; see `Whitening`.
    """

    def __init__(self, n_pixels: int, n_components: int) -> None:
        super().__init__()
        self.whiten = Whitening(n_pixels, n_components)
        scale = torch.tensor(list(LABEL_SCALE.values()), dtype=torch.float32)
        self.register_buffer("label_centre", scale[:, 0].clone())
        self.register_buffer("label_width", scale[:, 1].clone())

    def add_head(self, n_in: int, width: int, dropout: float) -> None:
        """Make what reads `pooled` vectors of `n_in` numbers."""
        self.head = nn.Sequential(
            nn.Linear(n_in, 2 * width),
            nn.GELU(),
            nn.Dropout(dropout),
            nn.Linear(2 * width, 2 * len(LABELS)),
        )

    def pooled(self, flux: Tensor) -> Tensor:
        """Return a vector (B, D) for spectra (B, L); NaN counts as the mean."""
        raise NotImplementedError

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
