"""Which crops of a large dataset show judging galaxies: found part by part, and kept at a kill."""

import hashlib
import os
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from galaxy_lvm.core.logs import progress
from galaxy_lvm.core.state import atomic_path, state_folder
from galaxy_lvm.core.workers import map_in_processes
from galaxy_lvm.survey.crop_store import CropStore
from galaxy_lvm.survey.duplicates import COMPARED_AT_ONCE, copies_across

# A minute beside 3300 judging galaxies. Whole blocks of the comparison: the same products are
# formed as in one piece, and rounded alike.
PART_CROPS = 48 * COMPARED_AT_ONCE
# To be raised when copies_across finds others: parts of an older comparison are not gone on from.
_RECIPE = 1
_JUDGES = "judges.npy"


@dataclass(frozen=True)
class _Part:
    folder: Path
    crops: Path
    start: int

    @property
    def path(self) -> Path:
        return self.folder / f"{self.start:012d}.npy"


def kept_copies(
    judges: np.ndarray, crops: CropStore, state_root: str | os.PathLike, cores: int = 1
) -> np.ndarray:
    """Return what `copies_across(judges, crops)` does; a job that was killed goes on.

    Parameters
    ----------
    judges
        uint8, shape (M, S, S, 3).
    crops
        Those of the dataset, N.
    state_root
        Folder for the pairs of every `PART_CROPS` crops; what is in it is used for the same judges
        beside the same file of crops only.
    cores
        Number of processes, which changes no result.

    Returns
    -------
    numpy.ndarray
        int64, shape (n, 2): row of a judge, row of its copy.
    """
    if not len(judges) or not len(crops):
        return copies_across(judges, crops)
    about = [judges.shape, hashlib.sha256(np.ascontiguousarray(judges)).hexdigest()]
    folder = state_folder(state_root, _RECIPE, about, [crops.path])
    if not (folder / _JUDGES).exists():
        with atomic_path(folder / _JUDGES) as temporary:
            np.save(temporary, judges)
    parts = [_Part(folder, crops.path, start) for start in range(0, len(crops), PART_CROPS)]
    left = [part for part in parts if not part.path.exists()]
    done = map_in_processes(_compare, left, cores)
    said = f"compare ({PART_CROPS} crops each)"
    for _ in progress(done, total=len(left), desc=said, unit="parts"):
        pass
    return np.concatenate([np.load(part.path) for part in parts])


def _compare(part: _Part) -> None:
    """Write the pairs of one part."""
    judges = np.load(part.folder / _JUDGES, mmap_mode="r")
    with CropStore(part.crops) as crops:
        pairs = copies_across(judges, crops, part.start, part.start + PART_CROPS)
    with atomic_path(part.path) as temporary:
        np.save(temporary, pairs)
