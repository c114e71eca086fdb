"""Small inputs that tests make themselves: galaxies as files, and an encoder of random weights."""

from pathlib import Path

import cv2
import numpy as np
import torch
from galaxy_lvm.lvm.model import LVM, PRESETS
from galaxy_lvm.lvm.weights import save_encoder, save_lvm


def galaxy(seed=0, side=96, axis_ratio=None):
    """Return a bright ellipse with a soft edge on a dark, noisy sky, uint8 (side, side, 3)."""
    rng = np.random.default_rng(seed)
    rows, columns = np.indices((side, side)) - (side - 1) / 2
    angle, ratio = rng.uniform(0, np.pi), axis_ratio or rng.uniform(0.3, 1)
    along = columns * np.cos(angle) + rows * np.sin(angle)
    across = (rows * np.cos(angle) - columns * np.sin(angle)) / ratio
    light = np.exp(-np.hypot(along, across) / (side * rng.uniform(0.05, 0.12)))
    image = 25 + 210 * light[..., None] * rng.uniform(0.6, 1, 3)
    return np.clip(image + rng.normal(0, 3, image.shape), 0, 255).astype(np.uint8)


def write_galaxies(folder, n=6, side=96, suffix=".png"):
    """Write n galaxies g0, g1, ...; return their paths."""
    folder.mkdir(parents=True, exist_ok=True)
    paths = [folder / f"g{i}{suffix}" for i in range(n)]
    for i, path in enumerate(paths):
        cv2.imwrite(str(path), galaxy(i, side)[..., ::-1])
    return paths


def write_encoder(path, whole=False, card=None):
    """Write an lvm_micro of random weights (its encoder alone in half precision, or all of it)."""
    torch.manual_seed(0)
    lvm = LVM(PRESETS["lvm_micro"]).eval()
    Path(path).parent.mkdir(parents=True, exist_ok=True)
    if whole:
        save_lvm(path, lvm, card or {})
    else:
        save_encoder(path, lvm.encoder, card or {})
    return lvm
