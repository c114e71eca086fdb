"""Pretraining of the LVM on crops without labels (paper II.B)."""

import logging
import os
from collections.abc import Sequence
from hashlib import sha256
from typing import Any

import numpy as np
import torch
from torch import Tensor

from galaxy_lvm.core.config.training import LvmShape, Pretraining
from galaxy_lvm.core.encoder_files import weights_file
from galaxy_lvm.core.seeds import derive_seed
from galaxy_lvm.lvm.model import LVM, build_config
from galaxy_lvm.lvm.norms import calibrate
from galaxy_lvm.lvm.swin import recompute_layers
from galaxy_lvm.lvm.weights import load_encoder_into, save_lvm
from galaxy_lvm.survey.row_choice import Rows
from galaxy_lvm.training.augment import random_views, reduced_for_views, resize, to_float
from galaxy_lvm.training.feed import CropImages, JoinedCrops, ReadAhead, Sampler, local_share
from galaxy_lvm.training.job import JobFiles, TrainingJob
from galaxy_lvm.training.objectives import build_objective
from galaxy_lvm.training.teacher import TeacherVectors

log = logging.getLogger("galaxy_lvm")

# Batches of clean crops that running statistics are measured on: the mean of a thousand images
# is known to a few per cent, and it costs seconds.
N_CALIBRATION = 16


class PretrainFeed:
    """Makes the views of a step: a function of the step, so a killed run sees the same ones.

    Parameters
    ----------
    crops
        Crops to train on.
    settings
        How views are drawn; galaxies of one step, over all processes.
    n_views
        Views per galaxy, 2 for objectives that compare views.
    seed
        Seed of everything drawn.
    rank, world_size
        This process among all; each part of an accumulated step counts as one more.
    teacher
        Vectors of the same galaxies that the objective is told as `targets`; None for none.
    """

    def __init__(
        self,
        crops: CropImages | JoinedCrops,
        settings: Pretraining,
        n_views: int,
        seed: int,
        rank: int = 0,
        world_size: int = 1,
        teacher: TeacherVectors | None = None,
    ) -> None:
        self.teacher = teacher
        self.crops, self.settings, self.n_views, self.seed = crops, settings, n_views, seed
        self.rank, self.world_size = rank, world_size
        self.sampler = Sampler(len(crops), settings.batch_size, derive_seed(seed, "sampler"))
        self._images = self._read if crops.in_memory else ReadAhead(self._read).of

    def batch(self, step: int, device: torch.device | str = "cpu") -> list[dict[str, Any]]:
        """Return the arguments of an objective's `forward` for every part of this step."""
        shares, images = self._shares(step), self._images(step)
        parts = np.split(images, len(shares))
        return [
            self._part(step, *share, device) for share in enumerate(zip(shares, parts, strict=True))
        ]

    def _shares(self, step: int) -> list[np.ndarray]:
        """Return the positions of every part of a step that this process works on."""
        n_parts = self.settings.accumulate
        positions, world_size = self.sampler.positions(step), self.world_size * n_parts
        return [local_share(positions, self.rank * n_parts + k, world_size) for k in range(n_parts)]

    def _read(self, step: int) -> np.ndarray:
        return self.crops.take(np.concatenate(self._shares(step)))

    def _part(
        self,
        step: int,
        number: int,
        share: tuple[np.ndarray, np.ndarray],
        device: torch.device | str,
    ) -> dict[str, Any]:
        """Return the arguments for one part: positions and crops; its views are its own."""
        positions, crops = share
        images = to_float(crops, device)
        place = self.rank * self.settings.accumulate + number
        seed = derive_seed(self.seed, "views", step, place)
        generator = torch.Generator().manual_seed(seed)
        how, side = self.settings.views, self.settings.side_at(step)
        images = reduced_for_views(images, side)
        views = [random_views(images, how, side, generator) for _ in range(self.n_views)]
        batch = {"views": views, "seed": seed}
        if self.teacher is not None:
            batch["targets"] = torch.from_numpy(self.teacher.take(positions)).to(device)
        return batch

    def clean(self, step: int, device: torch.device | str = "cpu") -> Tensor:
        """Return whole crops (B, 3, side, side), reduced to the side of a view."""
        images = to_float(self.crops.take(self.sampler.positions(step)), device)
        return resize(images, self.settings.last_side_pix)


def pretrain(
    parts: Sequence[tuple[str | os.PathLike, Rows | Sequence[int] | None]],
    shape: LvmShape,
    settings: Pretraining,
    seed: int,
    files: JobFiles,
    teacher_paths: Sequence[str | os.PathLike] = (),
) -> None:
    """Train an LVM and write it; go on where an earlier run with the same settings was killed.

    Parameters
    ----------
    parts
        Crops file of each pretraining dataset, and its rows to train on; all where None.
    shape, settings
        The network, and how it is trained.
    seed
        The run's seed.
    files
        What to write, and where the unfinished lies.
    teacher_paths
        Objective `distilled`: the teacher's features (`.npy`) of each pretraining dataset.
    """
    teacher = _teacher(parts, settings, teacher_paths)
    job = TrainingJob(settings.optim, derive_seed(seed, "pretrain"), files)
    lvm = LVM(build_config(shape))
    start = None if settings.start is None else weights_file(settings.start)
    if start is not None:
        load_encoder_into(lvm.encoder, start)
    if settings.recompute:
        recompute_layers(lvm)
    objective = build_objective(lvm, settings, teacher.dim if teacher else 0)
    # Which rows, not how many: another split of the same size is another training.
    chosen = [_rows_hash(rows) for _, rows in parts]
    about = [shape.model_dump(), settings.model_dump(exclude={"recompute"}), job.seed, chosen]
    job.prepare(objective, about, [*(path for path, _ in parts), *teacher_paths, start])
    crops = JoinedCrops(parts)
    feed = PretrainFeed(crops, settings, objective.n_views, job.seed, **job.place, teacher=teacher)
    steps, size = settings.optim.steps, settings.batch_size
    log.info("pretraining (%s) on %d crops: %d steps of %d, %.1f epochs", settings.objective,
             len(crops), steps, size, steps * size / len(crops))  # fmt: skip
    job.run(feed.batch, "pretraining")
    with job.accelerator.autocast():
        calibrate(lvm.encoder, (feed.clean(k, job.device) for k in range(N_CALIBRATION)))
    # A card that names a teacher says that one has taught.
    unused = set() if teacher else {"teacher"}
    card = {
        "pretrain": settings.model_dump(exclude=unused),
        "seed": job.seed,
        "crops": [str(path) for path, _ in parts],
    }
    final = {"n_crops": len(crops), "final_loss": job.loop.history[-1]["loss"]}
    job.write(save_lvm, lvm, card | final)


def _rows_hash(rows: Rows | Sequence[int] | None) -> str | None:
    if rows is None:
        return None
    found = sha256()
    for block in (rows if isinstance(rows, Rows) else Rows([rows])).blocks():
        found.update(block)
    return found.hexdigest()


def _teacher(
    parts: Sequence[tuple[str | os.PathLike, Rows | Sequence[int] | None]],
    settings: Pretraining,
    paths: Sequence[str | os.PathLike],
) -> TeacherVectors | None:
    if settings.objective != "distilled":
        return None
    joined = [(path, rows) for path, (_, rows) in zip(paths, parts, strict=True)]
    return TeacherVectors(joined, settings.teacher.n_components)
