"""Feeding crops to the training loops: which images a step sees, read from memory or from disk."""

import os
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor

import numpy as np

from galaxy_lvm.core.errors import ConfigError, DataError
from galaxy_lvm.core.seeds import derive_seed
from galaxy_lvm.survey.crop_store import CropStore
from galaxy_lvm.survey.row_choice import Rows
from galaxy_lvm.training.shuffle import shuffled_positions

# Above this the crops stay in the file and every batch is read from it.
IN_MEMORY_BYTES = 4 * 1024**3

# An order of more items is computed: that of the 76 million galaxies would take 600 MB.
KEPT_ORDERS_UP_TO = 4_000_000


class CropImages:
    """Crops by position: uint8 (N, H, W, 3), in memory when they fit, else read as needed.

    Parameters
    ----------
    path
        File with `images`, as written by the rule crop_cutouts.
    rows
        Rows to use, in this order; all where None.
    memory_bytes
        What they may take up in memory; IN_MEMORY_BYTES where None.
    """

    def __init__(
        self,
        path: str | os.PathLike,
        rows: Rows | Sequence[int] | None = None,
        memory_bytes: int | None = None,
    ) -> None:
        self._store = CropStore(path)
        self.side_pix = self._store.side_pix
        if not isinstance(rows, Rows):
            rows = Rows([range(len(self._store)) if rows is None else rows])
        self._rows = rows
        self._memory = None
        limit = IN_MEMORY_BYTES if memory_bytes is None else memory_bytes
        self.n_bytes = len(self._rows) * 3 * self.side_pix**2
        if self.n_bytes <= limit:
            self._memory = self._store.take(self._rows.at(np.arange(len(self._rows))))
            self._store.close()

    def __len__(self) -> int:
        return len(self._rows)

    @property
    def in_memory(self) -> bool:
        """Whether nothing is read from disk any more."""
        return self._memory is not None

    def __getitem__(self, part: slice) -> np.ndarray:
        """Return the crops of a slice, as an array would."""
        return self.take(np.arange(len(self))[part])

    def take(self, positions: np.ndarray) -> np.ndarray:
        """Return crops (n, H, W, 3) uint8 at `positions`, which may repeat."""
        if self._memory is not None:
            return self._memory[positions]
        return self._store.take(self._rows.at(np.asarray(positions, dtype=np.int64)))


class JoinedCrops:
    """The crops of several datasets, one behind the other; see `CropImages`.

    Parameters
    ----------
    parts
        Crops file and rows of each dataset; all rows where None.

    Raises
    ------
    DataError
        If the crops of two datasets differ in size.
    """

    def __init__(
        self, parts: Sequence[tuple[str | os.PathLike, Rows | Sequence[int] | None]]
    ) -> None:
        self._parts: list[CropImages] = []
        left = IN_MEMORY_BYTES
        for path, rows in parts:
            crops = CropImages(path, rows, left)
            left -= min(crops.n_bytes, left)
            self._parts.append(crops)
            if crops.side_pix != self._parts[0].side_pix:
                raise DataError(
                    f"{path}: crops of {crops.side_pix} pixels, those of {parts[0][0]} have "
                    f"{self._parts[0].side_pix}; give both datasets one crop.side_pix"
                )
        self._starts = np.cumsum([0, *map(len, self._parts)])

    def __len__(self) -> int:
        return int(self._starts[-1])

    @property
    def in_memory(self) -> bool:
        """Whether nothing is read from disk any more."""
        return all(crops.in_memory for crops in self._parts)

    def take(self, positions: np.ndarray) -> np.ndarray:
        """Return crops (n, H, W, 3) uint8 at `positions`, which may repeat."""
        positions = np.asarray(positions, dtype=np.int64)
        part_of = np.searchsorted(self._starts, positions, side="right") - 1
        side = self._parts[0].side_pix
        images = np.empty((len(positions), side, side, 3), np.uint8)
        for number in np.unique(part_of):
            here = part_of == number
            images[here] = self._parts[number].take(positions[here] - self._starts[number])
        return images


class ReadAhead:
    """Reads what the next steps need while a step is computed, in a thread.

    What a step gets is the same: `read` is a function of the step alone.

    Parameters
    ----------
    read
        Returns what a step needs.
    n_ahead
        Steps that are read ahead, and lie in memory.
    """

    def __init__(self, read: Callable[[int], np.ndarray], n_ahead: int = 2) -> None:
        self._read, self._n_ahead = read, n_ahead
        self._pool = ThreadPoolExecutor(max_workers=1)
        self._waiting: dict[int, Future] = {}

    def of(self, step: int) -> np.ndarray:
        """Return what a step needs."""
        wanted = range(step, step + 1 + self._n_ahead)
        self._waiting = {k: future for k, future in self._waiting.items() if k in wanted}
        for k in wanted:
            if k not in self._waiting:
                self._waiting[k] = self._pool.submit(self._read, k)
        return self._waiting.pop(step).result()


class Sampler:
    """Which of `n_items` a step trains on: shuffled epochs, a pure function of the step.

    Nothing to save: a run that was killed sees the same batches when it goes on.

    Parameters
    ----------
    n_items
        Size of the training set, at least 1.
    batch_size
        Items of one step, over all processes.
    seed
        Seed of the shuffles.
    """

    def __init__(self, n_items: int, batch_size: int, seed: int) -> None:
        self.n_items, self.batch_size, self.seed = n_items, batch_size, seed
        self._cache: dict[int, np.ndarray] = {}

    def positions(self, step: int) -> np.ndarray:
        """Return the positions (batch_size,) of step `step`, counted from 0."""
        first = step * self.batch_size
        wanted = np.arange(first, first + self.batch_size)
        epochs, offsets = np.divmod(wanted, self.n_items)
        items = np.empty(self.batch_size, dtype=np.int64)
        for epoch in np.unique(epochs).tolist():
            here = epochs == epoch
            items[here] = self._items_at(epoch, offsets[here])
        return items

    def _items_at(self, epoch: int, places: np.ndarray) -> np.ndarray:
        if self.n_items > KEPT_ORDERS_UP_TO:
            seed = derive_seed(self.seed, "epoch", epoch)
            return shuffled_positions(places, self.n_items, seed)
        return self._shuffled(epoch)[places]

    def _shuffled(self, epoch: int) -> np.ndarray:
        if epoch not in self._cache:
            if len(self._cache) > 2:
                self._cache.clear()
            rng = np.random.default_rng([self.seed, epoch])
            self._cache[epoch] = rng.permutation(self.n_items)
        return self._cache[epoch]


def local_share(items: np.ndarray, rank: int, world_size: int) -> np.ndarray:
    """Return the part of a step's items that process `rank` of `world_size` works on.

    Raises
    ------
    ConfigError
        If the parts would differ in size: their gradients are averaged with equal weight, so the
        items of a smaller part would count for more.
    """
    if len(items) % world_size:
        raise ConfigError(
            f"a batch of {len(items)} cannot be shared equally by {world_size} processes: set the "
            f"batch size (batch_size, image_batch_size) to a multiple of {world_size}, or `gpus` "
            "to a divisor of it"
        )
    return items[rank::world_size]
