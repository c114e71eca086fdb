"""The networks that read spectra: built by the config, saved and loaded by their cards."""

import os
from collections.abc import Sequence
from dataclasses import asdict

import torch

from galaxy_lvm.core.cards import read_card, read_card_of
from galaxy_lvm.core.config.spectra import TransformerShape
from galaxy_lvm.core.errors import DataError
from galaxy_lvm.lvm.weights import load_into, save_weights, shape_from_card
from galaxy_lvm.spectra.labels import BASIC
from galaxy_lvm.spectra.language import LanguageArchitecture, LanguageNetwork, files_of
from galaxy_lvm.spectra.network import SpectrumNetwork
from galaxy_lvm.spectra.stars import Stars
from galaxy_lvm.spectra.transformer import Architecture, SpectrumTransformer

# What a card calls the network -> what it is built of, and the network.
_KINDS = {
    "spectrum_transformer": (Architecture, SpectrumTransformer),
    "spectrum_language_model": (LanguageArchitecture, LanguageNetwork),
}


def architecture(
    shape: TransformerShape, n_pixels: int, labels: Sequence[str] = BASIC
) -> Architecture | LanguageArchitecture:
    """Return the architecture for spectra of `n_pixels`; its head has at least the basic labels.

    Raises
    ------
    DataError
        If a language model is named, and its folder holds none.
    """
    given = shape.model_dump(exclude={"language_model"})
    given["labels"] = tuple(dict.fromkeys((*BASIC, *labels)))
    if (path := shape.language_model.path) is None:
        return Architecture(n_pixels=n_pixels, **given)
    shared = ("patch_pix", "n_components", "n_digits", "width", "dropout", "labels")
    return LanguageArchitecture(
        n_pixels=n_pixels,
        files=files_of(path),
        **{name: given[name] for name in shared},
        **shape.language_model.model_dump(),
    )


def build(about: Architecture | LanguageArchitecture) -> SpectrumNetwork:
    """Return a network that has learned nothing; a language model has learned its language."""
    kinds = dict(_KINDS.values())
    return kinds[type(about)](about)


def save_network(path: str | os.PathLike, module: SpectrumNetwork, card: dict) -> None:
    """Write the weights and their card; of a language model the adapters and the head alone."""
    kind = next(name for name, (_, network) in _KINDS.items() if isinstance(module, network))
    about = {"architecture": asdict(module.about), "labels": module.labels}
    save_weights(path, module, {"kind": kind, **about, **card})


def load_network(path: str | os.PathLike, device: torch.device | str = "cpu") -> SpectrumNetwork:
    """Read weights of `save_network` onto a device.

    Raises
    ------
    DataError
        If the file, its card or its language model is missing, damaged or of another version, or
        holds another network.
    """
    card = read_card_of(path, ("architecture",), tuple(_KINDS))
    described, network = _KINDS[card["kind"]]
    module = network(shape_from_card(path, described, card["architecture"]))
    load_into(module, path)
    return module.to(device)


def load_for(
    path: str | os.PathLike, stars: Stars, device: torch.device | str = "cpu"
) -> SpectrumNetwork:
    """Read weights of `save_network` that are to read the spectra of these stars.

    Raises
    ------
    DataError
        As `load_network`; if the network learned from spectra over another continuum.
    """
    known = read_card(path).get("continuum_angstrom", stars.continuum_angstrom)
    if known != stars.continuum_angstrom:
        raise DataError(
            f"{path}: learned from spectra over a running mean of {known:g} Angstrom, and these "
            f"are over one of {stars.continuum_angstrom:g} (0 is none); set "
            "spectra.continuum_angstrom to what it was, or train anew"
        )
    return load_network(path, device)


def usual_device() -> str:
    """Return the device that networks are asked on: this job's GPU, else the CPU."""
    return "cuda" if torch.cuda.is_available() else "cpu"
