"""Feature vectors on disk: a memory-mapped `.npy` with a table of ids beside it."""

import os
import tokenize
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import cached_property
from pathlib import Path
from typing import BinaryIO

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from galaxy_lvm.core.errors import DataError, in_short
from galaxy_lvm.core.state import atomic_path
from galaxy_lvm.core.table_stream import rows_at
from galaxy_lvm.features.file_rows import FileRows
from galaxy_lvm.survey.file_errors import FILE_ERRORS

# numpy reads the head of its files as Python does.
_ERRORS = (*FILE_ERRORS, tokenize.TokenError)
_IDS_SCHEMA = pa.schema([("index", pa.int64()), ("id", pa.string())])


def ids_path(features: str | os.PathLike) -> Path:
    """Return where the ids of a features file are kept: the same name with `.parquet`."""
    return Path(features).with_suffix(".parquet")


class FeatureStore:
    """Feature vectors of galaxies, read only as far as they are used.

    Parameters
    ----------
    path
        Features file (`.npy`, float32); its ids lie beside it (`.parquet`).

    Attributes
    ----------
    values : numpy.memmap
        float32 (N, D), one vector per galaxy.

    Raises
    ------
    DataError
        If a file is missing, the array has another shape or type, or the two files differ in
        length.

    Examples
    --------
    >>> store = FeatureStore.open("results/demo/features/galaxies/lvm.npy")     # doctest: +SKIP
    >>> store.values[store.rows_of(["mock_000001"])].shape                       # doctest: +SKIP
    (1, 384)
    """

    def __init__(self, path: str | os.PathLike) -> None:
        self.path = Path(path)
        for needed in (self.path, ids_path(path)):
            if not needed.exists():
                raise DataError(f"{needed}: missing; run the rule extract_features again")
        self.values = self._mapped()
        if self.values.ndim != 2 or self.values.dtype != np.float32:
            raise DataError(
                f"{self.path}: {self.values.dtype} {self.values.shape}, expected float32 (N, D)"
            )
        with self._naming(ids_path(path)):
            self._file = pq.ParquetFile(ids_path(path))
        missing = set(_IDS_SCHEMA.names) - set(self._file.schema_arrow.names)
        if missing:
            raise DataError(f"{ids_path(path)}: no column {sorted(missing)}")
        n_ids = self._file.metadata.num_rows
        if n_ids != len(self.values):
            raise DataError(
                f"{self.path} has {len(self.values)} vectors, {ids_path(path).name} {n_ids} ids; "
                "the two are not of the same run, extract the features again"
            )

    @staticmethod
    @contextmanager
    def _naming(path: Path) -> Iterator[None]:
        # Neither numpy nor arrow says which file it means.
        try:
            yield
        except _ERRORS as error:
            raise DataError(
                f"{path}: damaged or not what extract_features writes ({in_short(error)}); run the "
                "rule again"
            ) from error

    def _mapped(self) -> np.ndarray:
        with self._naming(self.path):
            values = np.load(self.path, mmap_mode="r")
            if not isinstance(values, np.ndarray):
                raise ValueError("an archive of several arrays")
        return values

    @classmethod
    def open(cls, path: str | os.PathLike) -> "FeatureStore":
        """Return the store of a features file; nothing but the head of the files is read."""
        return cls(path)

    def __len__(self) -> int:
        return len(self.values)

    @property
    def dim(self) -> int:
        """Length D of a vector."""
        return self.values.shape[1]

    @property
    def rows(self) -> FileRows:
        """The same vectors, mapped only while they are read."""
        return FileRows(str(self.path), self.values.shape)

    @cached_property
    def ids(self) -> np.ndarray:
        """Identifiers (N,), in the order of `values`."""
        return np.asarray(self._ids.to_pylist(), dtype=object)

    @cached_property
    def index(self) -> np.ndarray:
        """Row in the crops file of every vector, int64 (N,)."""
        with self._naming(ids_path(self.path)):
            return self._file.read(columns=["index"])["index"].to_numpy()

    @cached_property
    def _ids(self) -> pa.ChunkedArray:
        # Arrow's strings: 76 million Python strings would need several times the memory.
        with self._naming(ids_path(self.path)):
            ids = self._file.read(columns=["id"])["id"]
        n_twice = len(ids) - pc.count_distinct(ids).as_py()
        if n_twice:
            raise DataError(f"{ids_path(self.path)}: {n_twice} ids occur more than once")
        return ids

    def named(self, rows: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Return identifiers (n,) and rows in the crops file (n,) of some vectors.

        Only the parts of the table that they lie in are read: all names of 76 million galaxies
        would fill the memory.
        """
        with self._naming(ids_path(self.path)):
            part = rows_at(self._file, rows, ["index", "id"])
        ids = np.empty(len(part), object)
        ids[:] = part["id"].to_pylist()
        return ids, part["index"].to_numpy()

    def rows_of(self, ids: Sequence[str]) -> np.ndarray:
        """Return the rows of galaxies, int64 (n,), in the order asked for.

        Raises
        ------
        DataError
            If a galaxy has no vector: features and labels are then not of the same galaxies.
        """
        wanted = pa.array([str(name) for name in ids], type=pa.string())
        found = pc.index_in(wanted, value_set=self._ids)
        if found.null_count:
            lost = wanted.filter(pc.is_null(found)).to_pylist()
            raise DataError(
                f"{self.path}: no feature vector for {len(lost)} of {len(wanted)} galaxies, first "
                f"{lost[0]!r}; features and labels do not belong together, extract the features "
                "from the crops that the splits were made of"
            )
        return found.to_numpy().astype(np.int64)

    def take(self, ids: Sequence[str]) -> np.ndarray:
        """Return the vectors of galaxies, float32 (n, D), in the order asked for."""
        return np.asarray(self.values[self.rows_of(ids)])


def write_features(
    path: str | os.PathLike, values: np.ndarray, ids: Sequence[str], index: Sequence[int]
) -> None:
    """Write a small set of feature vectors that is already in memory.

    Parameters
    ----------
    path
        Features file, ending in `.npy`; the ids are written beside it first.
    values
        (N, D); kept as float32.
    ids, index
        Identifier, and row in the crops file, of every vector.
    """
    if not len(values) == len(ids) == len(index):
        raise DataError(f"{len(values)} vectors, {len(ids)} ids and {len(index)} rows")
    write_ids(path, [(np.asarray(index), [str(name) for name in ids])])
    with atomic_path(path) as temporary:
        np.save(temporary, np.asarray(values, dtype=np.float32))


@contextmanager
def feature_writer(
    path: str | os.PathLike, dim: int
) -> Iterator[Callable[[np.ndarray, Sequence[str]], None]]:
    """Yield a function that appends vectors (n, dim) and their ids to a features file.

    For vectors whose number is not known before; only one block of them is in memory. The files
    appear under their names when all is written. `index` counts the vectors.

    Parameters
    ----------
    path
        Features file, ending in `.npy`; the ids are written beside it.
    dim
        Length of a vector.
    """
    ids: list[str] = []
    with atomic_path(path) as temporary, open(temporary, "wb") as file:
        start = _write_head(file, 0, dim)

        def append(values: np.ndarray, names: Sequence[str]) -> None:
            if values.shape != (len(names), dim):
                raise DataError(f"vectors {values.shape} for {len(names)} ids, expected D = {dim}")
            file.write(np.ascontiguousarray(values, dtype=np.float32).tobytes())
            ids.extend(names)

        yield append
        file.seek(0)
        # numpy leaves room in the head for a first axis that grows.
        if _write_head(file, len(ids), dim) != start:
            raise AssertionError(f"{path}: the head of the file changed its length")
        write_ids(path, [(np.arange(len(ids)), ids)])


def _write_head(file: BinaryIO, n: int, dim: int) -> int:
    about = {"descr": "<f4", "fortran_order": False, "shape": (n, dim)}
    np.lib.format.write_array_header_1_0(file, about)
    return file.tell()


def write_ids(
    features: str | os.PathLike, blocks: Iterator[tuple[np.ndarray, Sequence[str]]] | list
) -> None:
    """Write the ids of a features file block by block.

    Parameters
    ----------
    features
        The features file that the ids belong to.
    blocks
        (rows in the crops file, identifiers) of consecutive vectors.
    """
    with (
        atomic_path(ids_path(features)) as temporary,
        pq.ParquetWriter(temporary, _IDS_SCHEMA) as writer,
    ):
        for index, ids in blocks:
            columns = [pa.array(index, pa.int64()), pa.array([str(i) for i in ids], pa.string())]
            writer.write_table(pa.Table.from_arrays(columns, schema=_IDS_SCHEMA))
