"""Networks on both sides of a pair: a shared and a private part, rebuilt and translated spectra."""

import math
import os
from dataclasses import asdict, dataclass

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from galaxy_lvm.align.pairs import SIDES, Pairs, Side
from galaxy_lvm.core.cards import read_card_of
from galaxy_lvm.core.config.align import AlignShape
from galaxy_lvm.lvm.weights import load_into, save_weights, shape_from_card
from galaxy_lvm.spectra.whitening import Whitening

# What the card calls the networks.
_KIND = "aligned_networks"
# Of cosine similarities, at the start (that of SpecCLIP) and at most.
_FIRST_SCALE, _LARGEST_SCALE = 15.5, 100.0


@dataclass(frozen=True)
class Architecture:
    """What the networks are built of; the card holds it."""

    n_pixels_a: int
    n_pixels_b: int
    n_components: int
    width: int
    n_shared: int
    n_private: int
    dropout: float


def architecture(shape: AlignShape, pairs: Pairs) -> Architecture:
    """Return the architecture for these pairs."""
    return Architecture(pairs.a.flux.shape[1], pairs.b.flux.shape[1], **shape.model_dump())


class Mixed(nn.Module):
    """A linear map beside a perceptron: the first learns what the floors know, soon."""

    def __init__(self, n_in: int, n_out: int, about: Architecture) -> None:
        super().__init__()
        self.linear = nn.Linear(n_in, n_out)
        hidden = nn.GELU(), nn.Dropout(about.dropout)
        self.perceptron = nn.Sequential(
            nn.Linear(n_in, about.width), *hidden,
            nn.Linear(about.width, about.width), *hidden,
            nn.Linear(about.width, n_out),
        )  # fmt: skip

    def forward(self, values: Tensor) -> Tensor:
        """Return (B, n_out)."""
        return self.linear(values) + self.perceptron(values)


class SideNetwork(nn.Module):
    """Reads and makes the spectra of one side."""

    def __init__(self, n_pixels: int, about: Architecture) -> None:
        super().__init__()
        self.n_shared = about.n_shared
        self.whiten = Whitening(n_pixels, about.n_components)
        n_kept = self.whiten.n_components
        self.register_buffer("unit", torch.ones(n_pixels))
        self.encode = Mixed(n_kept, about.n_shared + about.n_private, about)
        self.rebuild = Mixed(about.n_shared + about.n_private, n_kept, about)
        self.translate = Mixed(about.n_shared, n_kept, about)

    def fit(self, side: Side, added_noise: float) -> "SideNetwork":
        """Take components and each pixel's typical error (n_pixels,) from training spectra."""
        noise = added_noise * np.nan_to_num(side.error)
        self.whiten.fit(side.flux, noise)
        known = np.isfinite(side.error).any(axis=0)
        unit = self.whiten.spread.double().numpy().copy()
        unit[known] = np.nanmedian(side.error[:, known], axis=0)
        self.unit.copy_(torch.from_numpy(np.where(unit > 0, unit, 1.0)))
        return self

    def forward(self, flux: Tensor) -> tuple[Tensor, Tensor]:
        """Return the shared and the private part of spectra (B, L)."""
        found = self.encode(self.whiten.parts(flux))
        return found[:, : self.n_shared], found[:, self.n_shared :]

    def error(self, parts: Tensor, flux: Tensor) -> Tensor:
        """Return the mean absolute error of made spectra, in units of the pixels' errors."""
        known = torch.isfinite(flux)
        missed = (self.whiten.spectra(parts) - torch.nan_to_num(flux)).abs() / self.unit
        return torch.where(known, missed, 0.0).sum() / known.sum().clamp(min=1)


class AlignedNetworks(nn.Module):
    """Both sides, trained by InfoNCE on shared parts and by spectra rebuilt and translated.

    After SpecCLIP (Zhao et al. 2025): symmetric InfoNCE with a learned scale; a spectrum is rebuilt
    from its shared and private part, the other one made from the shared part alone.

    Parameters
    ----------
    about
        Sizes.
    translation_weight
        Weight of the spectra beside InfoNCE.
    """

    def __init__(self, about: Architecture, translation_weight: float = 0.0) -> None:
        super().__init__()
        self.about, self.translation_weight = about, translation_weight
        self.a = SideNetwork(about.n_pixels_a, about)
        self.b = SideNetwork(about.n_pixels_b, about)
        self.log_scale = nn.Parameter(torch.tensor(math.log(_FIRST_SCALE)))

    def fit(self, train: Pairs, added_noise: float) -> "AlignedNetworks":
        """Take what both sides need from training spectra."""
        self.a.fit(train.a, added_noise)
        self.b.fit(train.b, added_noise)
        return self

    def forward(
        self, seen_a: Tensor, seen_b: Tensor, a: Tensor, b: Tensor, star: Tensor
    ) -> dict[str, Tensor]:
        """Return the losses of a batch.

        Parameters
        ----------
        seen_a, seen_b
            (B, L) spectra with added noise.
        a, b
            The same without it: what is to be made.
        star
            (B,) number of the star; one that occurs twice is no counterexample of itself.
        """
        (shared_a, private_a), (shared_b, private_b) = self.a(seen_a), self.b(seen_b)
        contrast = self._contrast(shared_a, shared_b, star)
        rebuilt = self.a.error(self.a.rebuild(torch.cat([shared_a, private_a], dim=1)), a)
        rebuilt = rebuilt + self.b.error(self.b.rebuild(torch.cat([shared_b, private_b], dim=1)), b)
        translated = self.a.error(self.a.translate(shared_b), a)
        translated = translated + self.b.error(self.b.translate(shared_a), b)
        loss = contrast + self.translation_weight * (rebuilt + translated)
        return {"loss": loss, "contrast": contrast, "rebuilt": rebuilt, "translated": translated}

    def _contrast(self, a: Tensor, b: Tensor, star: Tensor) -> Tensor:
        similarity = functional.normalize(a.float(), dim=1) @ functional.normalize(b.float()).T
        logits = self.log_scale.exp().clamp(max=_LARGEST_SCALE) * similarity
        own = torch.arange(len(star), device=star.device)
        twice = (star[:, None] == star[None, :]) & (own[:, None] != own[None, :])
        logits = logits.masked_fill(twice, -torch.inf)
        loss = functional.cross_entropy(logits, own) + functional.cross_entropy(logits.T, own)
        return loss / 2

    @torch.no_grad()
    def vectors(self, pairs: Pairs) -> tuple[np.ndarray, np.ndarray]:
        """Return the shared parts (n, n_shared) of both sides, of unit length."""
        self.eval()
        both = (side(torch.from_numpy(flux))[0] for side, flux in self._sides(pairs))
        return tuple(functional.normalize(shared, dim=1).double().numpy() for shared in both)

    @torch.no_grad()
    def translated(self, pairs: Pairs) -> np.ndarray:
        """Return side b (n, L) made from side a."""
        self.eval()
        shared = self.a(torch.from_numpy(pairs.a.flux))[0]
        return self.b.whiten.spectra(self.b.translate(shared)).double().numpy()

    def turned(self) -> "AlignedNetworks":
        """Return the same networks with their sides exchanged."""
        about = self.about
        sizes = asdict(about) | {"n_pixels_a": about.n_pixels_b, "n_pixels_b": about.n_pixels_a}
        other = AlignedNetworks(Architecture(**sizes), self.translation_weight)
        other.a, other.b, other.log_scale = self.b, self.a, self.log_scale
        return other

    def _sides(self, pairs: Pairs) -> list[tuple[SideNetwork, np.ndarray]]:
        return [(getattr(self, name), getattr(pairs, name).flux) for name in SIDES]


def save_aligned(path: str | os.PathLike, module: AlignedNetworks, card: dict) -> None:
    """Write the weights and their card."""
    about = {"kind": _KIND, "architecture": asdict(module.about)}
    save_weights(path, module, {**about, **card})


def load_aligned(path: str | os.PathLike) -> AlignedNetworks:
    """Read weights of `save_aligned`.

    Raises
    ------
    DataError
        If the file or its card is missing, damaged or of another version, or holds another network.
    """
    card = read_card_of(path, ("architecture",), (_KIND,))
    module = AlignedNetworks(shape_from_card(path, Architecture, card["architecture"]))
    load_into(module, path)
    return module
