"""What the LVM is pretrained on: the paper's reconstruction and its alternatives."""

from collections.abc import Callable

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from galaxy_lvm.core.config.training import Pretraining
from galaxy_lvm.lvm.model import LVM
from galaxy_lvm.training.siamese import Byol, Momentum, Vicreg, projector


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
        return {"loss": hidden_error(output, image, hidden)}


def hidden_error(output: Tensor, image: Tensor, hidden: Tensor) -> Tensor:
    """Return the mean squared error of images (B, 3, H, W) over hidden pixels (B, 1, H, W)."""
    error = (output.float() - image).square() * hidden
    return error.sum() / (3 * hidden.sum())


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
        self.projector = projector(lvm.encoder.feature_dim, lvm.config.dims[-1], projection_dim)

    def forward(self, views: list[Tensor], seed: int) -> dict[str, Tensor]:
        """Return the loss of two views (B, 3, H, W) each of the same galaxies."""
        return self.contrast(self.lvm.encoder.pooled(torch.cat(views)))

    def contrast(self, features: Tensor) -> dict[str, Tensor]:
        """Return the loss of feature vectors (2 B, D), those of the first view first."""
        vectors = functional.normalize(self.projector(features).float(), dim=1)
        loss, accuracy = nt_xent(*vectors.chunk(2), self.temperature)
        return {"loss": loss, "matched": accuracy}


class Hybrid(Contrastive):
    """Contrast of a whole view with one whose squares are hidden, and what is hidden filled in.

    One pass through the encoder serves both: masked and contrastive together for the price of
    the decoder on half of the views.

    Parameters
    ----------
    lvm
        Model to train.
    temperature
        As `Contrastive`.
    fraction, patch_pix
        As `Masked`.
    mask_weight
        Weight of the mean squared error over the hidden pixels.
    """

    def __init__(
        self, lvm: LVM, temperature: float, fraction: float, patch_pix: int, mask_weight: float
    ) -> None:
        super().__init__(lvm, temperature)
        self.fraction, self.patch_pix, self.mask_weight = fraction, patch_pix, mask_weight

    def forward(self, views: list[Tensor], seed: int) -> dict[str, Tensor]:
        """Return the loss of two views (B, 3, H, W); `seed` draws the masks of the second."""
        whole, image = views
        hidden = square_mask(len(image), image.shape[-1], self.patch_pix, self.fraction, seed)
        hidden = hidden.to(image.device)
        seen = image * ~hidden
        encoder = self.lvm.encoder
        maps = encoder(torch.cat([whole, seen]))
        output = self.lvm.decoder([one[len(whole) :] for one in maps], seen)
        filled = hidden_error(output, image, hidden)
        losses = self.contrast(encoder.pool(maps))
        return {**losses, "loss": losses["loss"] + self.mask_weight * filled, "filled": filled}


class Distilled(Contrastive):
    """Predict a teacher's vector of the galaxy from every view, beside the contrast.

    The teacher saw the whole galaxy; a view, turned and changed, has to tell its vector all the
    same. What the teacher knows (of ImageNet's labels, say) is handed on: this is no
    self-supervised objective.

    Parameters
    ----------
    lvm
        Model whose encoder is trained.
    target_dim
        Length of the teacher's vectors, at least 1.
    temperature
        As `Contrastive`.
    contrast_weight
        Weight of the contrastive loss; 0 leaves it out, and one view a galaxy is drawn.
    """

    def __init__(
        self, lvm: LVM, target_dim: int, temperature: float, contrast_weight: float
    ) -> None:
        super().__init__(lvm, temperature)
        self.contrast_weight = contrast_weight
        self.n_views = 2 if contrast_weight else 1
        self.pupil = projector(lvm.encoder.feature_dim, lvm.config.dims[-1], target_dim)

    def forward(self, views: list[Tensor], seed: int, targets: Tensor) -> dict[str, Tensor]:
        """Return the loss of views (B, 3, H, W); `targets` (B, K) have unit variance over all."""
        features = self.lvm.encoder.pooled(torch.cat(views))
        told = self.pupil(features).float()
        taught = functional.mse_loss(told, targets.repeat(len(views), 1))
        if not self.contrast_weight:
            return {"loss": taught, "taught": taught}
        losses = self.contrast(features)
        loss = taught + self.contrast_weight * losses["loss"]
        return {**losses, "loss": loss, "taught": taught}


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


def build_objective(lvm: LVM, settings: Pretraining, target_dim: int = 0) -> nn.Module:
    """Return the module to train; its `n_views` says how many views a galaxy needs.

    Parameters
    ----------
    lvm
        Model to train.
    settings
        Which objective, and its keys.
    target_dim
        Length of a teacher's vectors, for the objective `distilled`.
    """
    masks = settings.mask_fraction, settings.mask_patch_pix
    makers: dict[str, Callable[[], nn.Module]] = {
        "reconstruct": lambda: Reconstruct(lvm),
        "masked": lambda: Masked(lvm, *masks),
        "contrastive": lambda: Contrastive(lvm, settings.temperature),
        "hybrid": lambda: Hybrid(lvm, settings.temperature, *masks, settings.mask_weight),
        "momentum": lambda: Momentum(
            lvm, settings.temperature, settings.target_decay, settings.queue_size
        ),
        "byol": lambda: Byol(lvm, settings.target_decay),
        "vicreg": lambda: Vicreg(lvm),
        "distilled": lambda: Distilled(
            lvm, target_dim, settings.temperature, settings.teacher.contrast_weight
        ),
    }
    return makers[settings.objective]()
