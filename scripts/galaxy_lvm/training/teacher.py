"""Vectors of a network that teaches: read where they lie, brought to a few independent numbers."""

import os
from collections.abc import Sequence

import numpy as np

from galaxy_lvm.core.errors import DataError
from galaxy_lvm.survey.row_choice import Rows
from galaxy_lvm.survey.rows import sample_rows

# Of so many galaxies mean, deviation and components are known well enough.
_FIT_ROWS = 20_000
_SEED = 0


class TeacherVectors:
    """A teacher's vectors of galaxies by position: float32 (n, K), each number of unit variance.

    Parameters
    ----------
    parts
        Features file (`.npy`, one row a crop) of each pretraining dataset, and its rows in use;
        all where None. Positions are those of `JoinedCrops` of the same parts.
    n_components
        Principal components K of the standardised vectors, at most their length and number.

    Raises
    ------
    DataError
        If two files differ in the length of their vectors, or one has fewer rows than asked for.
    """

    def __init__(
        self,
        parts: Sequence[tuple[str | os.PathLike, Rows | Sequence[int] | None]],
        n_components: int,
    ) -> None:
        # A second of every training's start, and few have a teacher.
        from sklearn.decomposition import PCA
        from sklearn.pipeline import make_pipeline
        from sklearn.preprocessing import StandardScaler

        self._values, self._rows = [], []
        for path, rows in parts:
            values = np.load(path, mmap_mode="r")
            chosen = _as_rows(rows, len(values))
            if (last := max((block.max() for block in chosen.blocks()), default=-1)) >= len(values):
                raise DataError(
                    f"{path}: {len(values)} vectors, row {last} is asked for; extract the "
                    "features of these crops again"
                )
            if self._values and values.shape[1] != self._values[0].shape[1]:
                raise DataError(
                    f"{path}: vectors of {values.shape[1]} numbers, those of {parts[0][0]} have "
                    f"{self._values[0].shape[1]}; extract both with one network"
                )
            self._values.append(values)
            self._rows.append(chosen)
        self._starts = np.cumsum([0, *map(len, self._rows)])
        sample = self._sample()
        n_kept = min(n_components, *sample.shape)
        self.space = make_pipeline(
            StandardScaler(), PCA(n_kept, whiten=True, random_state=_SEED)
        ).fit(sample)
        self.dim = n_kept

    def __len__(self) -> int:
        return int(self._starts[-1])

    def take(self, positions: np.ndarray) -> np.ndarray:
        """Return vectors (n, K) at `positions`, which may repeat."""
        return self.space.transform(self._read(positions)).astype(np.float32)

    def _read(self, positions: np.ndarray) -> np.ndarray:
        positions = np.asarray(positions, dtype=np.int64)
        part_of = np.searchsorted(self._starts, positions, side="right") - 1
        found = np.empty((len(positions), self._values[0].shape[1]), np.float32)
        for number in np.unique(part_of):
            here = part_of == number
            rows = self._rows[number].at(positions[here] - self._starts[number])
            found[here] = self._values[number][rows]
        return found

    def _sample(self) -> np.ndarray:
        return self._read(sample_rows(len(self), _FIT_ROWS, _SEED))


def _as_rows(rows: Rows | Sequence[int] | None, n_rows: int) -> Rows:
    """Return rows that are read where they lie: a list of 76 million takes 600 MB a process."""
    if rows is None:
        return Rows([range(n_rows)])
    return rows if isinstance(rows, Rows) else Rows([rows])
