"""HDF5 files, read and written: what goes wrong names the file and what to do.

HDF5's own errors name neither. A file that opens may still be damaged: its parts are read only when
they are asked for. A full disk makes HDF5 end the whole process, unless it never hears of it.
"""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import h5py
import numpy as np

from galaxy_lvm.core.errors import DataError, in_short
from galaxy_lvm.core.sink import Sink
from galaxy_lvm.core.state import atomic_path, cannot_write

_READ_ERRORS = (OSError, RuntimeError)
# Of names, types, shapes and texts that are not what was written.
_PART_ERRORS = (*_READ_ERRORS, KeyError, TypeError, ValueError, AttributeError, MemoryError)


@contextmanager
def _naming(
    path: str | os.PathLike, remedy: str, what: str, errors: tuple[type[Exception], ...]
) -> Iterator[None]:
    try:
        yield
    except DataError:
        raise
    except errors as error:
        raise DataError(f"{path}: {what} ({in_short(error)}); {remedy}") from error


def open_hdf5(path: str | os.PathLike, remedy: str) -> h5py.File:
    """Open an HDF5 file for reading.

    Parameters
    ----------
    path
        File.
    remedy
        What to do where it is missing or damaged.

    Raises
    ------
    DataError
        If it is.
    """
    if not os.path.exists(path):
        raise DataError(f"{path}: no such file; {remedy}")
    with _naming(path, remedy, "not HDF5, or damaged", _READ_ERRORS):
        return h5py.File(path, "r")


def columns_in(file: h5py.File, remedy: str) -> dict[str, tuple[int, ...]]:
    """Return the shapes of the datasets at the top of a file by their names; groups are none.

    Raises
    ------
    DataError
        If one of them is damaged.
    """
    with _naming(file.filename, remedy, "is damaged", _PART_ERRORS):
        parts = {name: file[name] for name in file}
        return {name: part.shape for name, part in parts.items() if isinstance(part, h5py.Dataset)}


def attributes_of(file: h5py.File, remedy: str) -> dict[str, object]:
    """Return the file's attributes.

    Raises
    ------
    DataError
        If one of them is damaged.
    """
    with _naming(file.filename, remedy, "its attributes are damaged", _PART_ERRORS):
        return dict(file.attrs)


def read_column(file: h5py.File, name: str, remedy: str, rows: slice = slice(None)) -> np.ndarray:
    """Return a dataset (N, ...), or a slice of its rows, text as str.

    Raises
    ------
    DataError
        If it is missing or damaged, or its text is not UTF-8.
    """
    with _naming(file.filename, remedy, f"'{name}' is missing or damaged", _PART_ERRORS):
        dataset = file[name]
        is_text = h5py.check_string_dtype(dataset.dtype) is not None
        return dataset.asstr()[rows] if is_text else dataset[rows]


class Rows:
    """Images or other values (N, ...) that are read when they are asked for.

    Attributes
    ----------
    shape, dtype
        Of all of them.
    """

    shape: tuple[int, ...]
    dtype: np.dtype

    def __len__(self) -> int:
        return self.shape[0]

    @property
    def ndim(self) -> int:
        """Number of axes."""
        return len(self.shape)


class StoredRows(Rows):
    """The rows of a dataset (N, ...) in a file, read when they are asked for.

    Parameters
    ----------
    file
        Open file.
    name
        Of the dataset.
    remedy
        What to do where it is damaged.

    Raises
    ------
    DataError
        If there is no such dataset; when rows are read, if they are damaged.
    """

    def __init__(self, file: h5py.File, name: str, remedy: str) -> None:
        self._about = file.filename, remedy, f"'{name}' is damaged", _READ_ERRORS
        with _naming(file.filename, remedy, f"'{name}' is missing or damaged", _PART_ERRORS):
            self._dataset = file[name]
            self.shape, self.dtype = self._dataset.shape, self._dataset.dtype

    def __getitem__(self, rows: int | slice) -> np.ndarray:
        with _naming(*self._about):
            return self._dataset[rows]

    def take(self, rows: Any) -> np.ndarray:
        """Return rows in any order and with repeats.

        Runs of neighbours are read as slices: a list of rows costs HDF5 the square of its length
        (4000 crops of 128 pixels 59 s, in runs 1.4 s).
        """
        unique, inverse = np.unique(np.asarray(rows, dtype=np.int64), return_inverse=True)
        values = np.empty((len(unique), *self.shape[1:]), self.dtype)
        ends = np.flatnonzero(np.diff(unique, append=-1) != 1) + 1
        start = 0
        with _naming(*self._about):
            for end in ends:
                first = unique[start]
                values[start:end] = self._dataset[first : first + end - start]
                start = end
        return values[inverse]


class NewHdf5:
    """An HDF5 file that is being written; see `new_hdf5`."""

    def __init__(self, path: str | os.PathLike, sink: Sink) -> None:
        self._path, self._sink = path, sink
        self.file = h5py.File(sink, "w")

    def check(self) -> None:
        """Stop where something could not be written; long work asks after each part of it.

        Raises
        ------
        DataError
            If the disk is full or fails.
        """
        error = self._sink.error
        if error is not None:
            raise DataError(cannot_write(self._path, error)) from error


@contextmanager
def new_hdf5(path: str | os.PathLike) -> Iterator[NewHdf5]:
    """Yield an HDF5 file to write, which bears its name only once it is complete.

    Parameters
    ----------
    path
        File to write.

    Raises
    ------
    DataError
        If the disk is full or fails.
    """
    with atomic_path(path) as temporary, Sink(temporary) as sink:
        new = NewHdf5(path, sink)
        try:
            with new.file:
                yield new
        except Exception:
            new.check()  # what came of it is not the cause
            raise
        sink.close()
        new.check()
