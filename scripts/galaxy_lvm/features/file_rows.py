"""Rows of a features file for those that read a few of them now and then, for hours."""

from dataclasses import dataclass

import numpy as np

# Rows that lie far apart are read few at a time: each brings its neighbours into the map.
_PIECE = 128


@dataclass(frozen=True)
class FileRows:
    """Rows of a features file (.npy), mapped only while they are read.

    A map that stays counts every page it ever read, and its neighbours, to the process's memory.

    Parameters
    ----------
    path
        The file.
    shape
        Rows and length of a row.
    """

    path: str
    shape: tuple[int, int]

    def __getitem__(self, key: slice | np.ndarray) -> np.ndarray:
        """Return a copy of rows (n, D)."""
        if isinstance(key, slice):
            return np.array(np.load(self.path, mmap_mode="r")[key])
        if key.dtype == bool:
            key = np.flatnonzero(key)
        pieces = [key[first : first + _PIECE] for first in range(0, len(key), _PIECE)]
        read = [np.load(self.path, mmap_mode="r")[piece] for piece in pieces]
        return np.concatenate(read) if read else np.empty((0, self.shape[1]), np.float32)


@dataclass(frozen=True)
class ChosenRows:
    """Some rows of a features file in an order of their own, read when they are asked for.

    Parameters
    ----------
    file
        The file's rows.
    rows
        Their numbers (n,).
    """

    file: FileRows
    rows: np.ndarray

    def __len__(self) -> int:
        return len(self.rows)

    def __getitem__(self, key: slice | np.ndarray) -> np.ndarray:
        """Return a copy (m, D) of those that a slice, numbers or truth values (n,) choose."""
        return self.file[self.rows[key]]
