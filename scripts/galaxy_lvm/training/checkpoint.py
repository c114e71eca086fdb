"""What an unfinished training keeps on disk: its last state and the one before."""

import logging
import os
import pickle
import zipfile
from pathlib import Path
from typing import Any

import torch

from galaxy_lvm.core.errors import DataError, in_short
from galaxy_lvm.core.sink import Sink
from galaxy_lvm.core.state import atomic_path, cannot_write

log = logging.getLogger("galaxy_lvm")

# What reading a damaged file raises, by torch version and by where the damage lies.
_DAMAGE = (RuntimeError, ValueError, KeyError, EOFError, zipfile.BadZipFile, pickle.UnpicklingError)


class Checkpoints:
    """The last two states of one training in a folder of its own.

    A new state takes the place of the last one only once it is whole on disk; the last one then
    becomes the one before. So a kill, a full disk or a damaged file costs the time between two
    checkpoints, never the training.

    Parameters
    ----------
    folder
        Folder of the training, named after a hash of its settings (see `state_folder`); a state
        is refused in any other.
    """

    def __init__(self, folder: str | os.PathLike) -> None:
        self.path = Path(folder) / "checkpoint.pt"
        self.before = self.path.with_name("checkpoint_before.pt")

    def save(self, state: dict[str, Any]) -> None:
        """Write a state.

        Raises
        ------
        DataError
            If the disk takes no more of it; the last states stay as they are.
        """
        with atomic_path(self.path) as temporary:
            with Sink(temporary) as sink:
                torch.save({**state, "training": self.path.parent.name}, sink)
                if sink.error is None:
                    os.fsync(sink.fileno())  # a node that loses power had not written it yet
            if sink.error is not None:
                raise DataError(cannot_write(self.path, sink.error)) from sink.error
            if self.path.exists():
                os.replace(self.path, self.before)

    def load(self) -> dict[str, Any] | None:
        """Return the last state that is whole; None where there is none at all.

        Raises
        ------
        DataError
            If a state belongs to another training.
        """
        for path in (self.path, self.before):
            if not path.exists():
                continue
            try:
                state = _read(path)
            except _DAMAGE as error:
                log.warning("%s is damaged (%s); %s", path, in_short(error), self._loss(path))
                continue
            self._check(path, state)
            return state
        return None

    def forget(self) -> None:
        """Remove the states, once what was trained is safely written."""
        for path in (self.path, self.before):
            path.unlink(missing_ok=True)

    def _loss(self, damaged: Path) -> str:
        """Return what a damaged file costs."""
        if damaged == self.before or not self.before.exists():
            return "there is no other: the training starts anew"
        seconds = damaged.stat().st_mtime - self.before.stat().st_mtime
        return f"the one before is taken: what was trained in the {seconds:.0f} s between is lost"

    def _check(self, path: Path, state: dict[str, Any]) -> None:
        found, own = state.get("training"), path.parent.name
        if found not in (None, own):  # None: written before states knew their training
            raise DataError(
                f"{path}: a checkpoint of another training ({found}, here {own}), which would end "
                "with other weights; remove it, or put it back where it was"
            )


def _read(path: Path) -> dict[str, Any]:
    with zipfile.ZipFile(path) as archive:  # torch itself does not look at the checksums
        if (damaged := archive.testzip()) is not None:
            raise zipfile.BadZipFile(f"wrong checksum of {damaged}")
    return torch.load(path, map_location="cpu", weights_only=True)
