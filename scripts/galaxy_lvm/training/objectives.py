"""What the LVM is pretrained on: reconstruct (the paper's), masked or contrastive."""

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from galaxy_lvm.core.config.training import Pretraining
from galaxy_lvm.lvm.model import LVM


class Reconstruct(nn.Module):
    """Give the image back; mean squared error over all pixels (paper II.B).

    With skip connections the decoder can do this without the encoder's deepest features.

    Parameters
    ----------
    lvm
        Model to train.
    """

    n_views = 1

    def __init__(self, lvm: LVM) -> None:
        super().__init__()
        self.lvm = lvm

    def forward(self, views: list[Tensor], seed: int) -> dict[str, Tensor]:
        """Return the loss of one view (B, 3, H, W) of every image."""
        loss = functional.mse_loss(self.lvm(views[0]).float(), views[0])
        return {"loss": loss}


class Masked(nn.Module):
    """Fill in hidden squares; mean squared error over the hidden pixels (SimMIM's idea).

    Parameters
    ----------
    lvm
        Model to train.
    fraction
        Share of the squares that is hidden, in (0, 1).
    patch_pix
        Side of a square in pixels.
    """

    n_views = 1

    def __init__(self, lvm: LVM, fraction: float, patch_pix: int) -> None:
        super().__init__()
        self.lvm, self.fraction, self.patch_pix = lvm, fraction, patch_pix

    def forward(self, views: list[Tensor], seed: int) -> dict[str, Tensor]:
        """Return the loss of one view (B, 3, H, W) of every image; `seed` draws the masks."""
        image = views[0]
        hidden = square_mask(len(image), image.shape[-1], self.patch_pix, self.fraction, seed)
        hidden = hidden.to(image.device)
        # Nothing else is seen in this training, so the statistics are measured here; those of
        # clean images take their place at its end (`norms.calibrate`).
        output = self.lvm(image * ~hidden, domain="clean")
        error = (output.float() - image).square() * hidden
        return {"loss": error.sum() / (3 * hidden.sum())}


class Contrastive(nn.Module):
    """Tell two views of one galaxy from views of the others (NT-Xent, as ssl-legacysurvey).

    Trains the encoder only; the decoder keeps its random start and learns with the tasks.

    Parameters
    ----------
    lvm
        Model whose encoder is trained.
    temperature
        Softmax temperature on cosine similarities, > 0.
    projection_dim
        Length of the vectors that are compared.
    """

    n_views = 2

    def __init__(self, lvm: LVM, temperature: float, projection_dim: int = 128) -> None:
        super().__init__()
        self.lvm, self.temperature = lvm, temperature
        hidden = lvm.config.dims[-1]
        self.projector = nn.Sequential(
            nn.Linear(lvm.encoder.feature_dim, hidden),
            nn.BatchNorm1d(hidden),
            nn.ReLU(),
            nn.Linear(hidden, projection_dim),
        )

    def forward(self, views: list[Tensor], seed: int) -> dict[str, Tensor]:
        """Return the loss of two views (B, 3, H, W) each of the same galaxies."""
        features = self.lvm.encoder.pooled(torch.cat(views))
        vectors = functional.normalize(self.projector(features).float(), dim=1)
        loss, accuracy = nt_xent(*vectors.chunk(2), self.temperature)
        return {"loss": loss, "matched": accuracy}


def nt_xent(first: Tensor, second: Tensor, temperature: float) -> tuple[Tensor, Tensor]:
    """Return the contrastive loss and the share of views whose partner is the nearest.

    Parameters
    ----------
    first, second
        Unit vectors (B, P); row i of both belongs to galaxy i.
    temperature
        Softmax temperature.
    """
    n = len(first)
    vectors = torch.cat([first, second])
    logits = vectors @ vectors.T / temperature
    logits.fill_diagonal_(float("-inf"))
    partner = torch.arange(2 * n, device=logits.device).roll(n)
    loss = functional.cross_entropy(logits, partner)
    return loss, (logits.argmax(dim=1) == partner).float().mean()


def square_mask(n: int, side_pix: int, patch_pix: int, fraction: float, seed: int) -> Tensor:
    """Return masks (n, 1, side, side), True where hidden: whole squares, `fraction` of them."""
    per_side = -(-side_pix // patch_pix)
    rng = np.random.default_rng(seed)
    order = rng.random((n, per_side**2)).argsort(axis=1).argsort(axis=1)
    hidden = (order < round(fraction * per_side**2)).reshape(n, per_side, per_side)
    hidden = hidden.repeat(patch_pix, axis=1).repeat(patch_pix, axis=2)
    return torch.from_numpy(hidden[:, None, :side_pix, :side_pix])


def build_objective(lvm: LVM, settings: Pretraining) -> Reconstruct | Masked | Contrastive:
    """Return the module to train."""
    if settings.objective == "reconstruct":
        return Reconstruct(lvm)
    if settings.objective == "masked":
        return Masked(lvm, settings.mask_fraction, settings.mask_patch_pix)
    return Contrastive(lvm, settings.temperature)
