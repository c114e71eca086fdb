"""Weights on disk: safetensors, and a JSON card that says what they are."""

import json
import os
import subprocess
from dataclasses import asdict, fields
from pathlib import Path
from typing import Any, TypeVar

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import nn

from galaxy_lvm import __version__
from galaxy_lvm.core.errors import DataError
from galaxy_lvm.core.state import atomic_path
from galaxy_lvm.lvm.model import LVM, LVMConfig

Shape = TypeVar("Shape")


def card_path(weights: str | os.PathLike) -> Path:
    """Return where the card of a weights file is kept: the same name with `.json`."""
    return Path(weights).with_suffix(".json")


def save_weights(path: str | os.PathLike, module: nn.Module, card: dict[str, Any]) -> None:
    """Write the weights of `module` and their card, both under a temporary name first.

    Parameters
    ----------
    path
        File ending in `.safetensors`.
    module
        What to keep.
    card
        Settings, data, seed, metrics; version, commit and device are added here.
    """
    state = {name: value.detach().cpu().contiguous() for name, value in module.state_dict().items()}
    with atomic_path(path) as temporary:
        save_file(state, temporary)
    origin = {
        "software": {"galaxy_lvm": __version__, "torch": torch.__version__},
        "git_commit": git_commit(),
        "device": torch.cuda.get_device_name() if torch.cuda.is_available() else "cpu",
        "n_parameters": sum(p.numel() for p in module.parameters()),
    }
    with atomic_path(card_path(path)) as temporary:
        temporary.write_text(json.dumps({**card, **origin}, indent=2, default=str) + "\n")


def read_card(weights: str | os.PathLike) -> dict[str, Any]:
    """Return the card of a weights file.

    Raises
    ------
    DataError
        If there is none, or it cannot be read.
    """
    path = card_path(weights)
    if not path.exists():
        raise DataError(f"{path}: missing; weights are only used together with their card")
    try:
        card = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise DataError(f"{path}: no readable card ({error}); copy it again") from error
    if not isinstance(card, dict):
        raise DataError(f"{path}: holds no card, but {type(card).__name__}; copy it again")
    return card


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


def load_into(module: nn.Module, path: str | os.PathLike) -> None:
    """Load weights into a module of the same shape.

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


def load_lvm(path: str | os.PathLike) -> LVM:
    """Return the LVM that a weights file and its card describe."""
    lvm = LVM(shape_from_card(path, LVMConfig, read_card(path).get("architecture", {})))
    load_into(lvm, path)
    return lvm


def git_commit() -> str:
    """Return the commit of the project's checkout, or 'unknown' outside one."""
    result = subprocess.run(
        ["git", "rev-parse", "HEAD"],
        cwd=Path(__file__).parent,
        capture_output=True,
        text=True,
        check=False,
    )
    return result.stdout.strip() if result.returncode == 0 else "unknown"
