"""One training from its seed to its files: what pretraining, the tasks and the detectors share."""

import logging
import os
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd
import torch
from torch import nn

from galaxy_lvm.core.config.training import Optim
from galaxy_lvm.core.state import state_folder, writable_folder
from galaxy_lvm.core.tables import save_table
from galaxy_lvm.training.accelerator import make_accelerator
from galaxy_lvm.training.loop import Batch, TrainingLoop

log = logging.getLogger("galaxy_lvm")

SaveWeights = Callable[[str | os.PathLike, nn.Module, dict[str, Any]], None]
"""Writes a module and its card: `save_weights`, `save_lvm` or `save_detector`."""


@dataclass(frozen=True)
class JobFiles:
    """Where a training keeps what is unfinished, and what it writes in the end."""

    state_root: str | os.PathLike
    """Folder for checkpoints; one sub-folder per combination of settings and inputs."""
    recipe_version: int
    """Of the rule; what other versions left unfinished is not taken up."""
    weights: str | os.PathLike
    """Weights (safetensors), their card beside them."""
    history: str | os.PathLike
    """Record of the training (CSV)."""

    def state(self, settings: Any, inputs: Iterable[str | os.PathLike | None]) -> Path:
        """Return the folder of the unfinished training; see `state_folder`."""
        return state_folder(self.state_root, self.recipe_version, settings, inputs)


@dataclass(frozen=True)
class NetworkFiles:
    """The labelled dataset that networks are trained on, and where the unfinished lies."""

    splits: str | os.PathLike
    """Splits with the labels."""
    crops: str | os.PathLike
    """Crops file."""
    state_root: str | os.PathLike
    """Folder for finished trainings and checkpoints."""
    recipe_version: int
    """Of the rule; what other versions left unfinished is not taken up."""

    def state(self, settings: Any, more: Iterable[str | os.PathLike | None] = ()) -> Path:
        """Return the folder of a job that reads the dataset and `more`; see `state_folder`."""
        inputs = [self.splits, self.crops, *more]
        return state_folder(self.state_root, self.recipe_version, settings, inputs)


class TrainingJob:
    """A training in one process or several, which goes on where an earlier run was killed.

    Make the job, then the module and what it is fed (both may draw numbers: the job has seeded the
    generators), `prepare`, `run` and `write`.

    Parameters
    ----------
    optim
        How weights are updated.
    seed
        Seed of the starting weights and of what layers draw in training.
    files
        Where results and checkpoints lie.
    """

    loop: TrainingLoop

    def __init__(self, optim: Optim, seed: int, files: JobFiles) -> None:
        self._start = time.monotonic()
        self.optim, self.seed, self.files = optim, seed, files
        self.accelerator = make_accelerator(optim.precision)
        torch.manual_seed(seed)

    @property
    def device(self) -> torch.device:
        """Device of this process."""
        return self.accelerator.device

    @property
    def place(self) -> dict[str, int]:
        """Rank and number of processes, as every feed takes them."""
        return {
            "rank": self.accelerator.process_index,
            "world_size": self.accelerator.num_processes,
        }

    @property
    def is_main(self) -> bool:
        """Whether this is the process that writes."""
        return self.accelerator.is_main_process

    def prepare(
        self,
        module: nn.Module,
        settings: Any,
        inputs: Iterable[str | os.PathLike | None],
        extra_state: Any = None,
    ) -> None:
        """Take up the checkpoint of a training with the same settings and inputs, if there is one.

        Parameters
        ----------
        module
            What is trained; see `TrainingLoop`.
        settings, inputs
            All that the result depends on: values, and files (None for one that is not used).
        extra_state
            What travels with the checkpoint.

        Raises
        ------
        DataError
            If checkpoints could not be written.
        """
        state = writable_folder(self.files.state(settings, inputs))
        self.loop = TrainingLoop(
            module, self.optim, state, self.seed, self.accelerator, extra_state
        )

    def run(
        self,
        batch: Callable[[int, torch.device], Batch | Sequence[Batch]],
        desc: str,
        after_step: Callable[[int], None] | None = None,
    ) -> None:
        """Train to the end and put the weights to keep into the module.

        Parameters
        ----------
        batch
            Returns the module's arguments for a step, made on a device; see `TrainingLoop.run`.
        desc
            What the log calls the training.
        after_step
            Called behind every update.
        """
        self.loop.run(lambda step: batch(step, self.device), after_step, desc)
        self.loop.finish()
        log.info("%s took %.0f s", desc, self._seconds())

    def write(
        self,
        save: SaveWeights,
        module: nn.Module,
        card: dict[str, Any],
        record: list[dict[str, float]] | None = None,
    ) -> None:
        """Write the record, the weights and their card, then forget the checkpoint.

        One process writes. The checkpoint goes last: a job that is killed before all is written
        does not train again.

        Parameters
        ----------
        save
            Writes weights and card.
        module
            What is kept of the training.
        card
            What the card says, beside the seconds and `went_on`, where another machine went on.
        record
            Rows of the history; the losses of every step where None.
        """
        if not self.is_main:
            return
        rows = self.loop.history if record is None else record
        save_table(self.files.history, pd.DataFrame(rows))
        changes = {"went_on": self.loop.changes} if self.loop.changes else {}
        card = {**card, **changes, "seconds": round(self._seconds(), 1)}
        save(self.files.weights, module, card)
        self.loop.forget()

    def _seconds(self) -> float:
        return time.monotonic() - self._start
