"""The crops of a dataset, read by row or by id; how many files they lie in is known only here."""

import os
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
from pydantic import ValidationError

from galaxy_lvm.core.config.sky_survey import Stretch
from galaxy_lvm.core.errors import DataError
from galaxy_lvm.survey.hdf5 import StoredRows
from galaxy_lvm.survey.shards import ShardedRows, Stored, refuse_twins, write_index
from galaxy_lvm.survey.splits_table import Galaxies

_REMEDY = "run crop_cutouts again"
# Attribute with the mapping to colours that the crops were made with, as JSON.
STRETCH = "stretch"


class CropStore:
    """Read crops as written by the rule crop_cutouts. A context manager: it holds the file open.

    Parameters
    ----------
    path
        HDF5 file with `images` uint8 (N, side, side, 3) and columns with one value per crop:
        `id`, `box`, `label`, `flag` and `cutout_index`; or the index of several (`shards`).

    Raises
    ------
    DataError
        If the file is no HDF5 or has no such images.
    """

    def __init__(self, path: str | os.PathLike) -> None:
        self.path = Path(path)
        self._stored = Stored(self.path, _REMEDY)
        try:
            self._names = set(self._stored.columns()) - {"images"}
            self._images = self._checked_images()
        except DataError:
            self.close()
            raise
        self._ids: np.ndarray | None = None

    def _checked_images(self) -> StoredRows | ShardedRows:
        names = sorted(set().union(*self._stored.files))
        if "images" not in names:
            raise DataError(f"{self.path}: no 'images' in it, but {names}; run crop_cutouts again")
        images = self._stored.rows("images")
        shape, dtype = images.shape, images.dtype
        if len(shape) != 4 or shape[1] != shape[2] or shape[3] != 3 or dtype != np.uint8:
            raise DataError(f"{self.path}: 'images': {dtype} {shape}, not uint8 (N, side, side, 3)")
        return images

    def __len__(self) -> int:
        return len(self._images)

    def __enter__(self) -> "CropStore":
        return self

    def __exit__(self, *error: object) -> None:
        self.close()

    def close(self) -> None:
        """Close the file; what was read stays."""
        self._stored.close()

    @property
    def shard_rows(self) -> np.ndarray:
        """Crops of every file of the dataset, int64 (n,); one where it lies in one."""
        one = np.array([len(self)], dtype=np.int64)
        return self._stored.numbers("rows") if self._stored.sharded else one

    def rows_of_shard(self, name: str) -> slice:
        """Return the rows of one file of a dataset that lies in several.

        Raises
        ------
        DataError
            If there is no such shard.
        """
        names = self._stored.names
        if not self._stored.sharded or name not in names:
            raise DataError(f"{self.path}: no shard {name!r}, but {names}; run gather_crops again")
        edges = np.concatenate([[0], np.cumsum(self.shard_rows)]).tolist()
        number = names.index(name)
        return slice(edges[number], edges[number + 1])

    @property
    def stretch(self) -> Stretch:
        """How fluxes became the colours of the crops; those of g, r, z where the file is older.

        Raises
        ------
        DataError
            If the attribute is damaged.
        """
        kept = self._stored.attributes().get(STRETCH)
        try:
            return Stretch() if kept is None else Stretch.model_validate_json(str(kept))
        except ValidationError as error:
            raise DataError(f"{self.path}: attribute {STRETCH!r} is damaged; {_REMEDY}") from error

    @property
    def side_pix(self) -> int:
        """Side of a crop."""
        return self._images.shape[1]

    @property
    def ids(self) -> np.ndarray:
        """Identifiers (N,), text; read once."""
        if self._ids is None:
            self._ids = self.column("id")
        return self._ids

    @property
    def boxes(self) -> np.ndarray:
        """Boxes (N, 4) that the crops were cut from: x0, y0, x1, y1 in pixels of the cutout."""
        return self.column("box")

    def column(self, name: str, rows: slice = slice(None)) -> np.ndarray:
        """Return what is known of every crop (N, ...), or of a slice of them; text as str.

        Raises
        ------
        DataError
            If there is no such column.
        """
        if name not in self._names:
            known = sorted(self._names)
            raise DataError(f"{self.path}: no column {name!r}, but {known}; run crop_cutouts again")
        values = self._stored.column(name, rows)
        if name == "cutout_index" and self._stored.sharded:
            # Each shard numbers the cutouts of its own.
            rows_of, before = (self._stored.numbers(n) for n in ("rows", "cutouts_before"))
            values = values + np.repeat(before, rows_of)[rows]
        return values

    def __getitem__(self, rows: int | slice) -> np.ndarray:
        """Return one crop or a slice of them, as an array would."""
        return self._images[rows]

    def take(self, rows: Sequence[int] | np.ndarray) -> np.ndarray:
        """Return crops (n, side, side, 3) uint8 of `rows`, in any order and with repeats.

        Raises
        ------
        DataError
            If there is no such row.
        """
        rows = np.asarray(rows, dtype=np.int64)
        self._check_rows(rows)
        return self._images.take(rows)

    def of(self, galaxies: Galaxies) -> np.ndarray:
        """Return the crops (n, side, side, 3) uint8 of galaxies of the splits, in their order.

        Raises
        ------
        DataError
            If a row holds another galaxy: crops and splits are not of the same run.
        """
        self.check(galaxies.ids, galaxies.index, "the splits")
        return self.take(galaxies.index)

    def check(self, ids: Sequence[str] | np.ndarray, rows: np.ndarray, where: str) -> None:
        """Refuse rows (n,) that hold other galaxies than `ids` (n,).

        Raises
        ------
        DataError
            Naming the first one, and `where` the rows were taken from.
        """
        self._check_rows(rows)
        different = np.flatnonzero(self.ids[rows] != np.asarray(ids, dtype=object))
        if len(different):
            row, name = rows[different[0]], ids[different[0]]
            raise DataError(
                f"{self.path}: row {row} is galaxy {self.ids[row]!r}, in {where} {name!r}: "
                "the two are not of the same run; make both again"
            )

    def _check_rows(self, rows: np.ndarray) -> None:
        outside = rows[(rows < 0) | (rows >= len(self))]
        if len(outside):
            raise DataError(
                f"row {outside[0]} of {self.path}, which has {len(self)} crops: it and the table "
                "that names the row are not of the same run; make both again"
            )

    def by_id(self, ids: Sequence[str]) -> dict[str, np.ndarray]:
        """Return id -> crop (side, side, 3) uint8.

        Raises
        ------
        DataError
            If there is no such galaxy.
        """
        rows = {name: row for row, name in enumerate(self.ids)}
        lost = [name for name in ids if name not in rows]
        if lost:
            raise DataError(
                f"{self.path}: no galaxy {lost[0]!r}; run again the job whose result names it"
            )
        return dict(zip(ids, self.take([rows[name] for name in ids]), strict=True))

    def blocks(self, size: int, start: int = 0, stop: int | None = None) -> Iterator[np.ndarray]:
        """Yield crops `start` to `stop` (all where None) in pieces of `size`, reading one ahead."""
        stop = len(self) if stop is None else stop
        with ThreadPoolExecutor(max_workers=1) as pool:
            ahead = None
            for first in range(start, stop, size):
                part = slice(first, min(first + size, stop))
                piece, ahead = ahead, pool.submit(self._images.__getitem__, part)
                if piece is not None:
                    yield piece.result()
            if ahead is not None:
                yield ahead.result()


def gather_crops(
    path: str | os.PathLike,
    shards: Sequence[str | os.PathLike],
    names: Sequence[str],
    cutouts: str | os.PathLike,
) -> None:
    """Write the index of crops that were cut shard by shard.

    Parameters
    ----------
    path
        Index to write.
    shards, names
        Crops of every shard, and what it is called.
    cutouts
        Index of the cutouts, with the same shards in the same order.

    Raises
    ------
    DataError
        If a shard is missing, damaged or unlike the others, two hold one galaxy, or the cutouts are
        of other shards.
    """
    of_cutouts = Stored(cutouts, "run list_shards again")
    of_cutouts.close()
    if of_cutouts.names != list(names):
        raise DataError(f"{cutouts}: lists {of_cutouts.names}, the crops are of {list(names)}; "
                        "run list_shards again")  # fmt: skip
    before = np.concatenate([[0], np.cumsum(of_cutouts.numbers("rows"))[:-1]])
    write_index(path, shards, names, _REMEDY, cutouts_before=before.tolist())
    refuse_twins(_ids_of, shards)


def _ids_of(path: str | os.PathLike) -> np.ndarray:
    with CropStore(path) as crops:
        return crops.ids


def read_crops(path: str | os.PathLike, rows: Sequence[int]) -> np.ndarray:
    """Return crops (n, side, side, 3) uint8 of a file that is opened for them alone."""
    with CropStore(path) as crops:
        return crops.take(rows)
