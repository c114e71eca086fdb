"""Toy fields with bright rings, and a training on them, for the tests of lens detectors."""

from pathlib import Path

import numpy as np
import torch
from galaxy_lvm.core.config.lenses import DetectorTraining
from galaxy_lvm.core.config.training import Optim
from galaxy_lvm.lenses.train import train_detector
from galaxy_lvm.lvm.model import LVM, PRESETS
from galaxy_lvm.lvm.weights import save_lvm
from galaxy_lvm.survey.fields import lens_row, write_fields
from galaxy_lvm.training.job import JobFiles

SIDE_PIX = 64
OPTIM = {"steps": 6, "learning_rate": 1e-3, "ema_decay": 0.9, "precision": "float32"}
SETTINGS = DetectorTraining(
    batch_size=2, n_levels=2, fpn_dim=16, head_dim=32, rois_per_field=16, optim=Optim(**OPTIM)
)


def ring_field(rng: np.random.Generator, n_lenses: int) -> tuple[np.ndarray, list[np.ndarray]]:
    """Return a noisy field and the masks of the bright rings in it."""
    y, x = np.mgrid[:SIDE_PIX, :SIDE_PIX] + 0.5
    light = rng.normal(0.1, 0.02, (SIDE_PIX, SIDE_PIX))
    masks = []
    for number in range(n_lenses):
        radius = rng.uniform(6, 9)
        centre = rng.uniform([12, 12], [20, 52]) + [28 * number, 0]
        mask = np.abs(np.hypot(x - centre[0], y - centre[1]) - radius) < 2
        light[mask] = 0.9
        masks.append(mask)
    image = np.clip(light, 0, 1)[..., None] * [0.5, 0.7, 1.0]
    return (255 * image).astype(np.uint8), masks


def write_ring_fields(path: Path, n_train: int, n_val: int, n_test: int) -> None:
    """Write a store of fields with one or two rings; every fourth is empty."""
    rng = np.random.default_rng(3)
    splits = ["train"] * n_train + ["val"] * n_val + ["test"] * n_test
    images, lenses = [], []
    for row in range(len(splits)):
        image, masks = ring_field(rng, 0 if row % 4 == 3 else 1 + row % 2)
        images.append(image)
        lenses += [lens_row(row, f"lens_{row}_{k}", mask) for k, mask in enumerate(masks)]
    ids = [f"field_{row}" for row in range(len(splits))]
    write_fields(path, np.stack(images), {"id": ids, "split": splits}, lenses)


def write_small_lvm(path: Path) -> None:
    """Write the weights of a very small LVM."""
    torch.manual_seed(0)
    save_lvm(path, LVM(PRESETS["lvm_micro"]), {})


def train_on(fields, folder, backbone="lvm", lvm=None, settings=SETTINGS, n_train=16, seed=1):
    """Train into a folder and return it."""
    train_detector(
        fields,
        backbone,
        n_train,
        lvm,
        settings,
        seed,
        JobFiles(folder / "state", 1, folder / "weights.safetensors", folder / "history.csv"),
        folder / "found.parquet",
    )
    return folder
