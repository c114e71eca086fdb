"""Pretraining of the LVM on crops without labels (paper II.B)."""

import logging
import os
import time
from collections.abc import Sequence
from typing import Any

import pandas as pd
import torch
from torch import Tensor

from galaxy_lvm.core.seeds import derive_seed
from galaxy_lvm.core.state import atomic_path, state_folder
from galaxy_lvm.lvm.model import LVM, build_config
from galaxy_lvm.lvm.norms import calibrate
from galaxy_lvm.lvm.weights import save_lvm
from galaxy_lvm.training.augment import ViewRecipe, random_views, resize, to_float
from galaxy_lvm.training.feed import CropImages, Sampler, local_share
from galaxy_lvm.training.loop import OptimSettings, TrainingLoop, make_accelerator
from galaxy_lvm.training.objectives import build_objective

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
    recipe
        How views are drawn.
    n_views
        Views per galaxy, 2 for the contrastive objective.
    batch_size
        Galaxies of one step, over all processes.
    seed
        Seed of everything drawn.
    rank, world_size
        This process among all.
    """

    def __init__(
        self,
        crops: CropImages,
        recipe: ViewRecipe,
        n_views: int,
        batch_size: int,
        seed: int,
        rank: int = 0,
        world_size: int = 1,
    ) -> None:
        self.crops, self.recipe, self.n_views, self.seed = crops, recipe, n_views, seed
        self.rank, self.world_size = rank, world_size
        self.sampler = Sampler(len(crops), batch_size, derive_seed(seed, "sampler"))

    def batch(self, step: int, device: torch.device | str = "cpu") -> dict[str, Any]:
        """Return the arguments of an objective's `forward` for this step."""
        positions = local_share(self.sampler.positions(step), self.rank, self.world_size)
        images = to_float(self.crops.take(positions), device)
        seed = derive_seed(self.seed, "views", step, self.rank)
        generator = torch.Generator().manual_seed(seed)
        views = [random_views(images, self.recipe, generator) for _ in range(self.n_views)]
        return {"views": views, "seed": seed}

    def clean(self, step: int, device: torch.device | str = "cpu") -> Tensor:
        """Return whole crops (B, 3, side, side), reduced to the side of a view."""
        images = to_float(self.crops.take(self.sampler.positions(step)), device)
        return resize(images, self.recipe.side_pix)


def pretrain(
    crops_path: str | os.PathLike,
    rows: Sequence[int] | None,
    lvm_settings: dict[str, Any],
    settings: dict[str, Any],
    seed: int,
    state_root: str | os.PathLike,
    recipe_version: int,
    weights_path: str | os.PathLike,
    history_path: str | os.PathLike,
) -> None:
    """Train an LVM and write it; go on where an earlier run with the same settings was killed.

    Parameters
    ----------
    crops_path
        Crops file of the pretraining dataset.
    rows
        Rows to train on; all where None.
    lvm_settings, settings
        The config's sections `lvm` and `pretrain`.
    seed
        The run's seed.
    state_root
        Folder for checkpoints; one sub-folder per combination of settings.
    recipe_version
        Of the rule; what other versions left unfinished is not taken up.
    weights_path, history_path
        Weights (safetensors, a card beside it) and losses per step (CSV) to write.
    """
    start = time.monotonic()
    seed = derive_seed(seed, "pretrain")
    torch.manual_seed(seed)
    lvm = LVM(build_config(lvm_settings))
    objective = build_objective(lvm, settings)
    optim = OptimSettings(**settings["optim"])
    accelerator = make_accelerator(optim.precision)
    n_rows = None if rows is None else len(rows)
    state = state_folder(
        state_root, recipe_version, [lvm_settings, settings, seed, n_rows], [crops_path]
    )
    loop = TrainingLoop(objective, optim, state, seed, accelerator)
    crops = CropImages(crops_path, rows)
    recipe = ViewRecipe(side_pix=settings["view_side_pix"], **settings["views"])
    feed = PretrainFeed(
        crops,
        recipe,
        objective.n_views,
        settings["batch_size"],
        seed,
        accelerator.process_index,
        accelerator.num_processes,
    )
    log.info(
        "pretraining (%s) on %d crops: %d steps of %d, %.1f epochs",
        settings["objective"],
        len(crops),
        optim.steps,
        settings["batch_size"],
        optim.steps * settings["batch_size"] / len(crops),
    )
    loop.run(lambda step: feed.batch(step, accelerator.device), desc="pretraining")
    loop.finish()
    with accelerator.autocast():
        calibrate(lvm.encoder, (feed.clean(k, accelerator.device) for k in range(N_CALIBRATION)))
    seconds = time.monotonic() - start
    log.info("pretraining took %.0f s", seconds)
    if accelerator.is_main_process:
        with atomic_path(history_path) as temporary:
            pd.DataFrame(loop.history).to_csv(temporary, index=False)
        card = {"pretrain": settings, "seed": seed, "crops": str(crops_path)}
        timing = {"n_crops": len(crops), "seconds": round(seconds, 1)}
        save_lvm(weights_path, lvm, {**card, **timing, "final_loss": loop.history[-1]["loss"]})
        loop.forget()
