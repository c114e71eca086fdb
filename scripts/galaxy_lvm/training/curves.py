"""Curves of a training under way, in TensorBoard's format, where somebody asked to watch.

An environment variable and no key of the config: who looks changes no training and reruns none.
"""

import os
import time
from collections.abc import Mapping
from pathlib import Path

import torch

from galaxy_lvm.core.errors import ConfigError
from galaxy_lvm.core.peak_memory import peak_memory_bytes

FOLDER_VARIABLE = "GALAXY_LVM_TENSORBOARD"


class Curves:
    """Writes events; does nothing where `GALAXY_LVM_TENSORBOARD` is not set.

    Parameters
    ----------
    state_dir
        Folder of the training's checkpoints: events lie under the same two last names in the folder
        that the variable says, so that a training that goes on continues its curves.
    first_step
        Events of this step and later ones, of a run that was killed, are dropped.

    Raises
    ------
    ConfigError
        If curves are asked for and the package tensorboard is not installed.
    """

    def __init__(self, state_dir: str | os.PathLike, first_step: int = 0) -> None:
        self._writer = None
        folder = os.environ.get(FOLDER_VARIABLE)
        if not folder:
            return
        try:
            from torch.utils.tensorboard import SummaryWriter
        except ImportError:
            raise ConfigError(
                f"{FOLDER_VARIABLE} asks for curves, and the package tensorboard is not installed: "
                f"pip install tensorboard, or unset {FOLDER_VARIABLE}"
            ) from None
        state = Path(state_dir)
        path = Path(folder) / state.parent.name / state.name
        self._writer = SummaryWriter(path, purge_step=first_step)
        self._step, self._time = first_step, time.monotonic()

    def add(self, records: Mapping[int, Mapping[str, float]], learning_rate: float) -> None:
        """Write the losses of steps, and the state of the last of them.

        Parameters
        ----------
        records
            Losses by step, in rising order.
        learning_rate
            Of the first group of weights at the last of the steps.
        """
        if self._writer is None or not records:
            return
        for step, losses in records.items():
            for name, value in losses.items():
                self._writer.add_scalar(f"losses/{name}", value, step)
        last, now = max(records), time.monotonic()
        state = {
            "learning_rate": learning_rate,
            "steps_per_s": (last + 1 - self._step) / max(now - self._time, 1e-9),
            "peak_memory_gb": peak_memory_bytes() / 1e9,
        }
        if torch.cuda.is_available():
            state["peak_gpu_memory_gb"] = torch.cuda.max_memory_allocated() / 1e9
        for name, value in state.items():
            self._writer.add_scalar(f"training/{name}", value, last)
        self._writer.flush()
        self._step, self._time = last + 1, now
