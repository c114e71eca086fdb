"""Datasets in several HDF5 files: a small index file lists the shards, readers see one dataset.

An index is an HDF5 file as any store is, with the shards' paths, names and numbers of rows in place
of images; it stands where a small dataset has its one file. Shards are read in place.
"""

import logging
import os
import re
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pandas as pd

from galaxy_lvm.core.errors import DataError
from galaxy_lvm.survey.hdf5 import (
    Rows,
    StoredRows,
    attributes_of,
    columns_in,
    new_hdf5,
    open_hdf5,
    read_column,
)

log = logging.getLogger("galaxy_lvm.shards")

_MARK = "galaxy_lvm_shards"
# Attribute with what is said of files that are not there.
_MISSING = "missing"
_STRING = h5py.string_dtype("utf-8")


def write_index(
    path: str | os.PathLike,
    shards: Sequence[str | os.PathLike],
    names: Sequence[str],
    remedy: str,
    leave_out: bool = False,
    missing: str = "",
    **numbers: Sequence[int],
) -> None:
    """Write an index of shards that each hold `images`.

    Parameters
    ----------
    path
        File to write.
    shards
        Their files; those beside the index or below it may be moved with it.
    names
        What each is called, in front of its rows' numbers where galaxies have no id.
    remedy
        What to do where a shard is missing or damaged.
    leave_out
        Go on without shards that cannot be used: they are listed without a row, and not opened.
    missing
        What is to be kept of shards that are not there.
    numbers
        Other integers that are kept of every shard.

    Raises
    ------
    DataError
        If a shard is missing, damaged or unlike the first, with its name, or all of them are where
        such are left out. All are looked at before.
    """
    counts, problems = _counted(shards, remedy)
    if problems:
        text = f"{len(problems)} of {len(shards)} shards: {'; '.join(problems)}"
        if not leave_out or not any(counts):
            raise DataError(text)
        log.warning("left out: %s", text)
    folder = Path(path).resolve().parent
    places = [_place(Path(shard).resolve(), folder) for shard in shards]
    with new_hdf5(path) as new:
        new.file.attrs[_MARK] = 1
        new.file.attrs[_MISSING] = missing
        new.file.create_dataset("shard_path", data=places, dtype=_STRING)
        new.file.create_dataset("shard_name", data=list(names), dtype=_STRING)
        new.file.create_dataset("shard_rows", data=np.asarray(counts, np.int64))
        for name, values in numbers.items():
            new.file.create_dataset(f"shard_{name}", data=np.asarray(values, np.int64))
    log.info("%d shards, %d images", len(shards), sum(counts))


def _counted(shards: Sequence[str | os.PathLike], remedy: str) -> tuple[list[int], list[str]]:
    """Return the images of every shard, 0 where it cannot be used, and what is wrong with these."""
    problems, counts, first = [], [], None
    for shard in shards:
        try:
            with open_hdf5(shard, remedy) as file:
                images, known = _images_in(file, shard, remedy), attributes_of(file, remedy)
        except DataError as error:
            problems.append(str(error))
            counts.append(0)
            continue
        about = _about(images.shape, known)
        first = first or (about, shard)
        counts.append(images.shape[0] if about == first[0] else 0)
        if about != first[0]:
            problems.append(
                f"{shard}: {about}, {first[1]} has {first[0]}; give each kind a dataset of its own"
            )
    return counts, problems


def _about(shape: Sequence[int], known: Mapping[str, object]) -> str:
    """Return what all shards of a dataset have alike: shape and, of fluxes, bands and pixels."""
    size = f"images of {tuple(shape[1:])}"
    if len(shape) != 4 or shape[3] == 3:
        return size
    # Files from elsewhere, and older ones, do not say it; they are of the Legacy Surveys.
    bands, scale = known.get("bands", "g,r,z"), known.get("pixel_scale_arcsec", 0.262)
    return f"{size}, {bands} at {scale:g} arcsec"


def check_number(shards: Sequence[str | os.PathLike], n_shards: int | None) -> None:
    """Stop where a dataset has other than `n_shards` files; None takes any number.

    Raises
    ------
    DataError
        With the names that were found, and the numbers that their row leaves out.
    """
    if n_shards is None or len(shards) == n_shards:
        return
    gaps = _left_out([str(shard) for shard in shards])
    hint = f"; their numbers leave out {', '.join(gaps)}" if gaps else ""
    raise DataError(
        f"{len(shards)} files where datasets.*.n_shards says {n_shards}{hint}. Copy what is "
        "missing, or correct n_shards or path. Found: " + ", ".join(str(s) for s in shards)
    )


def _left_out(paths: Sequence[str]) -> list[str]:
    """Return the numbers between the first and the last that no file has, of names alike."""
    split = [re.split(r"(\d+)", path) for path in paths]
    if len({len(parts) for parts in split}) != 1:
        return []
    differ = [n for n, parts in enumerate(zip(*split, strict=True)) if len(set(parts)) > 1]
    if len(differ) != 1 or not split[0][differ[0]].isdigit():
        return []
    there = [parts[differ[0]] for parts in split]
    numbers = {int(number) for number in there}
    width = min(len(number) for number in there)
    return [f"{n:0{width}d}" for n in range(min(numbers), max(numbers)) if n not in numbers]


def _images_in(file: h5py.File, path: str | os.PathLike, remedy: str) -> StoredRows:
    parts = columns_in(file, remedy)
    for name in ("images_rgb", "images"):
        if name in parts:
            return StoredRows(file, name, remedy)
    raise DataError(f"{path}: neither 'images' nor 'images_rgb' in it, but {sorted(parts)}")


def _place(shard: Path, folder: Path) -> str:
    return str(shard.relative_to(folder)) if shard.is_relative_to(folder) else str(shard)


class ShardedRows(Rows):
    """The rows of a dataset that lies in several files, one behind the other; as `StoredRows`."""

    def __init__(self, parts: Sequence[StoredRows]) -> None:
        self._parts = parts
        self._starts = np.concatenate([[0], np.cumsum([len(part) for part in parts])])
        self.shape = (int(self._starts[-1]), *parts[0].shape[1:])
        self.dtype = np.result_type(*[part.dtype for part in parts])

    def __getitem__(self, rows: int | slice) -> np.ndarray:
        if isinstance(rows, slice):
            start, stop, step = rows.indices(len(self))
            if step == 1:
                return self._between(start, max(start, stop))
            return self.take(np.arange(start, stop, step))
        number = range(len(self))[rows]
        shard = int(np.searchsorted(self._starts, number, side="right")) - 1
        return self._parts[shard][number - int(self._starts[shard])]

    def _between(self, start: int, stop: int) -> np.ndarray:
        values = np.empty((stop - start, *self.shape[1:]), self.dtype)
        for part, first in zip(self._parts, self._starts[:-1].tolist(), strict=True):
            low, high = max(start - first, 0), min(stop - first, len(part))
            if low < high:
                values[first + low - start : first + high - start] = part[low:high]
        return values

    def take(self, rows: Any) -> np.ndarray:
        """Return rows in any order and with repeats."""
        rows = np.asarray(rows, dtype=np.int64)
        shards = np.searchsorted(self._starts, rows, side="right") - 1
        values = np.empty((len(rows), *self.shape[1:]), self.dtype)
        for shard in np.unique(shards):
            here = shards == shard
            values[here] = self._parts[shard].take(rows[here] - self._starts[shard])
        return values


class Stored:
    """The datasets of an HDF5 file, or of all shards of an index, row after row.

    Parameters
    ----------
    path
        File or index.
    remedy
        What to do where it, or a shard, is missing or damaged.

    Raises
    ------
    DataError
        If it is, or a shard was made anew since with another number of rows.
    """

    def __init__(self, path: str | os.PathLike, remedy: str) -> None:
        self._remedy = remedy
        file = open_hdf5(path, remedy)
        self.files, self.names, self.missing = [file], [""], ""
        self._index: dict[str, np.ndarray] = {}
        if _MARK not in attributes_of(file, remedy):
            return
        with file:
            kept = columns_in(file, remedy)
            self._index = {name: read_column(file, name, remedy) for name in kept}
            self.missing = str(attributes_of(file, remedy).get(_MISSING, ""))
        self.files, self.names = [], self._index["shard_name"].tolist()
        folder = Path(path).resolve().parent
        try:
            for place, rows in zip(
                *(self._index[f"shard_{n}"] for n in ("path", "rows")), strict=True
            ):
                if not rows:  # left out: the file may be damaged
                    continue
                self.files.append(open_hdf5(folder / place, remedy))
                found = len(_images_in(self.files[-1], folder / place, remedy))
                if found != rows:
                    raise DataError(
                        f"{folder / place}: {found} images, {path} lists {rows}: it was made anew "
                        f"since; {remedy}"
                    )
        except DataError:
            self.close()
            raise

    @property
    def sharded(self) -> bool:
        """Whether the path is an index."""
        return bool(self._index)

    def numbers(self, name: str) -> np.ndarray:
        """Return what the index keeps of every shard, `rows` or another of its numbers."""
        return self._index[f"shard_{name}"]

    def close(self) -> None:
        """Close the files."""
        for file in self.files:
            file.close()

    def columns(self) -> dict[str, tuple[int, ...]]:
        """Return the shapes of the datasets by name; of shards those that all of them have."""
        found = [columns_in(file, self._remedy) for file in self.files]
        if not self.sharded:
            return found[0]
        common = {}
        for name, shape in found[0].items():
            shapes = [one.get(name, ()) for one in found]
            if shape and all(len(one) > 0 and one[1:] == shape[1:] for one in shapes):
                common[name] = (sum(one[0] for one in shapes), *shape[1:])
        lost = sorted(set().union(*found) - set(common))
        if lost:
            log.info("not in all %d shards, and left out: %s", len(found), ", ".join(lost))
        return common

    def rows(self, name: str) -> StoredRows | ShardedRows:
        """Return a dataset whose rows are read when they are asked for."""
        parts = [StoredRows(file, name, self._remedy) for file in self.files]
        return ShardedRows(parts) if self.sharded else parts[0]

    def column(self, name: str, rows: slice = slice(None)) -> np.ndarray:
        """Return a dataset (N, ...), or a slice of its rows, text as str."""
        if not self.sharded:
            return read_column(self.files[0], name, self._remedy, rows)
        counts = self.numbers("rows")
        counts = counts[counts > 0]  # those that are open
        starts = np.concatenate([[0], np.cumsum(counts)]).tolist()
        start, stop, step = rows.indices(starts[-1])
        parts = []
        for file, first, count in zip(self.files, starts, counts.tolist(), strict=False):
            inside = slice(max(start - first, 0), max(min(stop - first, count), 0))
            parts.append(read_column(file, name, self._remedy, inside))
        return np.concatenate(parts)[::step]

    def attributes(self) -> dict[str, object]:
        """Return the attributes of the file, or of the first shard."""
        return attributes_of(self.files[0], self._remedy)

    def numbered(self) -> list[str]:
        """Return a name for every row by its shard's name and its number there."""
        counts = self.numbers("rows") if self.sharded else []
        pairs = zip(self.names, counts, strict=True) if self.sharded else []
        return [row_name(name, row) for name, count in pairs for row in range(count)]


def missing_shards(path: str | os.PathLike) -> str:
    """Return what an index says of shards that are not there; "" where none is missing."""
    stored = Stored(path, "run list_shards again")
    stored.close()
    return stored.missing


def row_name(shard: str, row: int) -> str:
    """Return the id of a galaxy whose shard keeps none."""
    return f"{shard}-{row}" if shard else str(row)


def refuse_twins(
    read_ids: Callable[[str | os.PathLike], np.ndarray], shards: Sequence[str | os.PathLike]
) -> None:
    """Stop where two shards, or one twice, hold a galaxy of the same id.

    Parameters
    ----------
    read_ids
        Returns the identifiers (n,) of a shard, text; those of one are in memory at a time.
    shards
        Their files.

    Raises
    ------
    DataError
        With the id and both shards.
    """
    parts = [pd.util.hash_array(np.asarray(read_ids(shard), object)) for shard in shards]
    hashes = np.concatenate(parts)
    hashes.sort()
    again = np.unique(hashes[1:][hashes[1:] == hashes[:-1]])
    if not len(again):
        return
    # Few at most: a hash of 64 bits seldom stands for two names.
    seen: dict[str, str | os.PathLike] = {}
    for part, shard in zip(parts, shards, strict=True):
        rows = np.flatnonzero(np.isin(part, again))
        for name in read_ids(shard)[rows] if len(rows) else ():
            if name in seen:
                raise DataError(
                    f"galaxy {name!r} is in {seen[name]} and in {shard}; take it out of one, or "
                    "give the dataset one of both"
                )
            seen[name] = shard
