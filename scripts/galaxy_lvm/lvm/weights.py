"""Weights on disk: safetensors, and a JSON card that says what they are."""

import json
import os
from dataclasses import asdict, fields
from pathlib import Path
from typing import Any, TypeVar

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from galaxy_lvm import __version__
from galaxy_lvm.core.cards import CARD_VERSION, card_path, read_card
from galaxy_lvm.core.checkout import git
from galaxy_lvm.core.errors import DataError
from galaxy_lvm.core.logs import log
from galaxy_lvm.core.state import atomic_path
from galaxy_lvm.lvm.low_rank import put_low_rank
from galaxy_lvm.lvm.model import LVM, Encoder, LVMConfig

Shape = TypeVar("Shape")

ENCODER_ALONE = "encoder"
# Cards from before the pooling was a part of the model have no such key: it was the mean.
_MAY_LACK = {"pooling"}
# Of a decoder that a file leaves out: the same random weights every time.
_DECODER_SEED = 0


def save_weights(
    path: str | os.PathLike, module: nn.Module, card: dict[str, Any], half: bool = False
) -> None:
    """Write the weights of `module` and their card, both under a temporary name first.

    Parameters
    ----------
    path
        File ending in `.safetensors`.
    module
        What to keep.
    card
        Settings, data, seed, metrics; version, commit and device are added here.
    half
        Write the parameters as float16, in half of the space; running statistics stay float32.

    Raises
    ------
    DataError
        If a parameter is too large for float16.
    """
    state = {name: value.detach().cpu().contiguous() for name, value in module.state_dict().items()}
    if half:
        state |= {name: _halved(name, p, path) for name, p in module.named_parameters()}
    with atomic_path(path) as temporary:
        save_file(state, temporary)
    origin = {
        "card_version": CARD_VERSION,
        "precision": "float16" if half else "float32",
        "software": {"galaxy_lvm": __version__, "torch": torch.__version__},
        "git_commit": git_commit(),
        "device": torch.cuda.get_device_name() if torch.cuda.is_available() else "cpu",
        "n_parameters": sum(p.numel() for p in module.parameters()),
    }
    with atomic_path(card_path(path)) as temporary:
        temporary.write_text(json.dumps({**card, **origin}, indent=2, default=str) + "\n")


def _halved(name: str, parameter: Tensor, path: str | os.PathLike) -> Tensor:
    narrow = parameter.detach().cpu().to(torch.float16).contiguous()
    if not torch.isfinite(narrow).all():
        raise DataError(f"{path}: {name!r} is not finite in float16; keep these weights in float32")
    return narrow


def shape_from_card(
    path: str | os.PathLike, kind: type[Shape], architecture: dict[str, Any]
) -> Shape:
    """Return the shape of a network that the card of a weights file describes.

    Raises
    ------
    DataError
        If the card lacks keys, or has some that this version does not know.
    """
    known = {field.name for field in fields(kind)}
    if unknown := sorted(set(architecture) - known):
        raise DataError(
            f"{card_path(path)}: architecture has {', '.join(unknown)}, which this version "
            f"({__version__}) does not know; use the version that wrote it"
        )
    try:
        return kind(**architecture)
    except TypeError as error:
        raise DataError(
            f"{card_path(path)}: architecture is not whole ({error}); copy the card again"
        ) from error


def lvm_shape(path: str | os.PathLike) -> LVMConfig:
    """Return the shape of the LVM whose weights a file holds, as its card says.

    Raises
    ------
    DataError
        If there is no card, or it describes something else than an LVM.
    """
    architecture = read_card(path).get("architecture")
    known = {field.name for field in fields(LVMConfig)}
    if not isinstance(architecture, dict) or not known & set(architecture):
        raise DataError(
            f"{card_path(path)}: describes no LVM; give the weights of one "
            "(models/pretrain/*/lvm.safetensors of a run) with the card beside them"
        )
    if "backbone" in architecture:
        raise DataError(
            f"{path}: weights of another architecture, a detector of lenses; give those of an LVM"
        )
    if lacking := sorted(known - _MAY_LACK - set(architecture)):
        raise DataError(
            f"{card_path(path)}: architecture lacks {', '.join(lacking)}; copy the card again"
        )
    return shape_from_card(path, LVMConfig, architecture)


def load_into(module: nn.Module, path: str | os.PathLike) -> None:
    """Load weights into a module of the same shape; float16 is widened to what the module has.

    Raises
    ------
    DataError
        If the file is damaged, or belongs to another architecture; the first differing weight is
        named.
    """
    try:
        state, own = load_file(path), module.state_dict()
    except (OSError, SafetensorError) as error:
        raise DataError(f"{path}: no readable weights ({error}); copy the file again") from error
    differing = [name for name in own if name not in state or state[name].shape != own[name].shape]
    differing += [name for name in state if name not in own]
    if differing:
        name = differing[0]
        raise DataError(
            f"{path}: weights of another architecture, {len(differing)} differ, first '{name}': "
            f"file {tuple(state[name].shape) if name in state else 'without it'}, "
            f"model {tuple(own[name].shape) if name in own else 'without it'}; "
            "use the config that the weights' card names"
        )
    module.load_state_dict(state)


def save_lvm(path: str | os.PathLike, lvm: LVM, card: dict[str, Any]) -> None:
    """Write an LVM; its shape goes into the card under `architecture`."""
    save_weights(path, lvm, {"architecture": asdict(lvm.config), **card})


def save_encoder(
    path: str | os.PathLike, encoder: Encoder, card: dict[str, Any], half: bool = True
) -> None:
    """Write the encoder of an LVM without the decoder; parameters as `save_weights`."""
    about = {"architecture": asdict(encoder.config), "parts": [ENCODER_ALONE]}
    save_weights(path, encoder, {**about, **card}, half)


def load_lvm(path: str | os.PathLike) -> LVM:
    """Return the LVM that a weights file and its card describe.

    Where the file holds an encoder alone, the decoder starts from random weights, the same every
    time, and the log says so.

    Raises
    ------
    DataError
        If the card is missing, of a newer version or of another architecture, or the weights do
        not fit it or are an encoder's of low rank.
    """
    shape = lvm_shape(path)
    _refuse_low_rank(path)
    if not _is_encoder_alone(path):
        lvm = LVM(shape)
        load_into(lvm, path)
        return lvm
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(_DECODER_SEED)
        lvm = LVM(shape)
    load_into(lvm.encoder, path)
    log.info("%s: the encoder alone; the decoder starts from random weights", path)
    return lvm


def load_encoder_of(path: str | os.PathLike) -> Encoder:
    """Return the encoder of a weights file, whether a decoder lies in it or not.

    Raises
    ------
    DataError
        As `load_lvm`.
    """
    if not _is_encoder_alone(path):
        return load_lvm(path).encoder
    encoder = Encoder(lvm_shape(path))
    put_low_rank(encoder, read_card(path).get("low_rank", {}), card_path(path))
    load_into(encoder, path)
    return encoder


def load_encoder_into(encoder: Encoder, path: str | os.PathLike) -> None:
    """Give an encoder the weights of a file, whether a decoder lies in it or not.

    Raises
    ------
    DataError
        As `load_lvm`; if the file's encoder has another shape, the first differing weight is named.
    """
    _refuse_low_rank(path)
    theirs, own = load_encoder_of(path).state_dict(), encoder.state_dict()
    differing = [
        name
        for name in (*own, *(set(theirs) - set(own)))
        if name not in own or name not in theirs or own[name].shape != theirs[name].shape
    ]
    if differing:
        raise DataError(
            f"{path}: an encoder of another shape, {len(differing)} weights differ, first "
            f"'{differing[0]}'; set the section lvm to what the card of these weights says"
        )
    encoder.load_state_dict(theirs)


def _refuse_low_rank(path: str | os.PathLike) -> None:
    if read_card(path).get("low_rank"):
        raise DataError(
            f"{path}: was made smaller by galaxy-lvm compress, for feature vectors alone; give the "
            "encoder that it was made of"
        )


def _is_encoder_alone(path: str | os.PathLike) -> bool:
    return read_card(path).get("parts") == [ENCODER_ALONE]


def git_commit() -> str:
    """Return the commit of the project's checkout, or 'unknown' outside one."""
    return git(Path(__file__).parent, "rev-parse", "HEAD") or "unknown"
