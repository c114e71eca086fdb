"""Training of lens detectors, and what they find in the validation and test fields (paper IV.B)."""

import logging
import os
from dataclasses import asdict
from typing import Any

import numpy as np
import pandas as pd
import torch
from torch import Tensor

from galaxy_lvm.core.config.lenses import DetectorTraining
from galaxy_lvm.core.errors import DataError
from galaxy_lvm.core.logs import progress
from galaxy_lvm.core.seeds import derive_seed
from galaxy_lvm.core.tables import save_table
from galaxy_lvm.lenses.detector import (
    DetectorConfig,
    LensDetector,
    anchor_cover,
    anchor_sides,
    save_detector,
)
from galaxy_lvm.lvm.model import LVM
from galaxy_lvm.lvm.weights import load_lvm
from galaxy_lvm.survey.fields import (
    BOX_COLUMNS,
    DETECTION_COLUMNS,
    FieldStore,
    box_of_mask,
    encode_mask,
)
from galaxy_lvm.training.augment import dihedral, to_float
from galaxy_lvm.training.feed import Sampler, local_share
from galaxy_lvm.training.job import JobFiles, TrainingJob

log = logging.getLogger("galaxy_lvm")

N_ORIENTATIONS = 8
# Below this share the anchors, not the network, would decide what can be found.
MIN_ANCHOR_COVER = 0.9


class FieldFeed:
    """Fields and their lenses for every step: turned, mirrored, a little brighter or redder.

    Parameters
    ----------
    store
        Fields.
    rows
        Rows to train on.
    settings
        Batch size and how much levels change.
    seed
        Seed of everything drawn; a step's batch depends on it and on the step alone.
    rank, world_size
        This process among all.
    """

    def __init__(
        self,
        store: FieldStore,
        rows: np.ndarray,
        settings: DetectorTraining,
        seed: int,
        rank: int = 0,
        world_size: int = 1,
    ) -> None:
        self.images = store.images(rows)
        self.masks = [torch.from_numpy(store.masks(row)) for row in rows]
        self.settings, self.seed = settings, seed
        self.rank, self.world_size = rank, world_size
        self.sampler = Sampler(len(rows), settings.batch_size, derive_seed(seed, "sampler"))

    def batch(self, step: int, device: torch.device | str = "cpu") -> dict[str, Any]:
        """Return `images` and `targets` of a step, as `LensDetector.forward` takes them."""
        positions = local_share(self.sampler.positions(step), self.rank, self.world_size)
        seed = derive_seed(self.seed, "fields", step, self.rank)
        generator = torch.Generator().manual_seed(seed)
        images = to_float(self.images[positions], device)
        gain = 1 + self.settings.brightness * _symmetric(len(images), 1, generator)
        tint = 1 + self.settings.colour * _symmetric(len(images), 3, generator)
        images = (images * (gain * tint)[:, :, None, None].to(device)).clamp(0, 1)
        turns = torch.randint(0, N_ORIENTATIONS, (len(images),), generator=generator).tolist()
        masks = [dihedral(self.masks[i], turn) for i, turn in zip(positions, turns, strict=True)]
        turned = [dihedral(image, turn) for image, turn in zip(images, turns, strict=True)]
        return {"images": turned, "targets": [_target(item, device) for item in masks]}


def train_detector(
    fields_path: str | os.PathLike,
    backbone: str,
    n_train: int,
    lvm_path: str | os.PathLike | None,
    settings: DetectorTraining,
    seed: int,
    files: JobFiles,
    detections_path: str | os.PathLike,
) -> None:
    """Train one detector and search the validation and test fields; resumes after a kill.

    Parameters
    ----------
    fields_path
        Field store.
    backbone
        `lvm`, or a residual network of torchvision, trained from scratch.
    n_train
        Training fields to use; smaller sets are part of the larger ones.
    lvm_path
        Pretrained weights of the LVM; used with that backbone only.
    settings
        Shape and protocol.
    seed
        Seed of this repetition.
    files
        What to write, and where the unfinished lies.
    detections_path
        Detections (parquet) to write.

    Raises
    ------
    DataError
        If there are fewer training fields than asked for, or no lens in them.
    """
    store = FieldStore(fields_path)
    rows = training_rows(store, n_train, derive_seed(seed, "lenses", "subset"))
    job = TrainingJob(settings.optim, derive_seed(seed, "lenses", backbone), files)
    lvm = load_lvm(lvm_path) if backbone == "lvm" else None
    detector = LensDetector(detector_config(store, rows, backbone, lvm, settings))
    if lvm is not None:
        detector.levels.encoder.load_state_dict(lvm.encoder.state_dict())
    about = settings.model_dump()
    job.prepare(detector, [backbone, n_train, about, seed], [fields_path, lvm_path])
    feed = FieldFeed(store, rows, settings, derive_seed(seed, "lenses", "feed"), **job.place)
    log.info("%s: %d training fields, %d steps of %d", backbone, n_train, settings.optim.steps,
             settings.batch_size)  # fmt: skip
    job.run(feed.batch, f"{backbone} on {n_train}")
    if job.is_main:
        table = pd.concat([detect_in(store, split, detector) for split in ("val", "test")])
        table = table.assign(model=backbone, n_train=n_train, seed=seed)
        save_table(detections_path, table)
    card = {"detector": about, "n_train": n_train, "seed": seed}
    card |= {"fields": str(fields_path), "lvm_weights": str(lvm_path) if lvm else None}
    job.write(save_detector, detector, card)


def training_rows(store: FieldStore, n_train: int, seed: int) -> np.ndarray:
    """Return `n_train` rows of the training split; a smaller set is part of every larger one.

    Raises
    ------
    DataError
        If there are too few fields, or none of those drawn holds a lens.
    """
    rows = store.rows("train")
    if n_train > len(rows):
        raise DataError(
            f"{store.path}: {len(rows)} training fields, lenses.detector.train_sizes wants "
            f"{n_train}; raise lenses.fields.n_train or lower train_sizes"
        )
    drawn = np.random.default_rng(seed).permutation(rows)[:n_train]
    if not store.lenses["field"].isin(drawn).any():
        raise DataError(f"{store.path}: no lens in the {n_train} training fields; use more")
    return drawn


def detector_config(
    store: FieldStore,
    rows: np.ndarray,
    backbone: str,
    lvm: LVM | None,
    settings: DetectorTraining,
) -> DetectorConfig:
    """Return the shape of a detector for these fields: anchors measured, their cover logged."""
    lenses = store.lenses[store.lenses["field"].isin(rows)]
    boxes = lenses[list(BOX_COLUMNS)].to_numpy(float)
    sides = settings.anchor_sides_pix or anchor_sides(boxes, settings.n_levels)
    cover = anchor_cover(boxes, sides, max(store.side_pix))
    log.info("anchors of %s pixels: %.0f %% of the training boxes have one of IoU > 0.5",
             ", ".join(map(str, sides)), 100 * cover)  # fmt: skip
    if cover < MIN_ANCHOR_COVER:
        log.warning("change lenses.detector.anchor_sides_pix or n_levels: %.0f %% of the boxes "
                    "fit no anchor", 100 * (1 - cover))  # fmt: skip
    names = ("backend", "fpn_dim", "head_dim", "rois_per_field", "n_proposals", "max_detections")
    chosen = {name: getattr(settings, name) for name in (*names, "score_floor")}
    return DetectorConfig(backbone, sides, asdict(lvm.config) if lvm else None, **chosen)


def detect_in(store: FieldStore, split: str, detector: LensDetector) -> pd.DataFrame:
    """Return what a detector finds in the fields of a split, one row per detection."""
    rows = store.rows(split)
    ids = store.columns["id"]
    found = []
    blocks = [rows[i : i + 16] for i in range(0, len(rows), 16)]
    for block in progress(blocks, desc=f"searching {split} fields", unit="blocks of 16"):
        for row, item in zip(block, detector.detect(store.images(block)), strict=True):
            for box, score, mask in zip(item.boxes, item.scores, item.masks, strict=True):
                edges = dict(zip(BOX_COLUMNS, map(float, box), strict=True))
                place = {"split": split, "field": int(row), "id": ids[row], "score": float(score)}
                found.append({**place, **edges, "mask_rle": encode_mask(mask)})
    return pd.DataFrame(found, columns=list(DETECTION_COLUMNS))


def _symmetric(n: int, width: int, generator: torch.Generator) -> Tensor:
    return 2 * torch.rand(n, width, generator=generator) - 1


def _target(masks: Tensor, device: torch.device | str) -> dict[str, Tensor]:
    boxes = [box_of_mask(mask.numpy()) for mask in masks]
    return {
        "boxes": torch.tensor(boxes, dtype=torch.float32, device=device).reshape(-1, 4),
        "labels": torch.ones(len(masks), dtype=torch.int64, device=device),
        "masks": masks.contiguous().to(device),
    }
