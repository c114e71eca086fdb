"""A catalogue written part by part: what a kill leaves is taken up, memory holds one part."""

import os
import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from galaxy_lvm.core.errors import DataError, in_short
from galaxy_lvm.core.logs import log, progress
from galaxy_lvm.core.state import atomic_path
from galaxy_lvm.core.table_stream import join_parts
from galaxy_lvm.features.store import FeatureStore
from galaxy_lvm.multitask.catalogue import CatalogueColumns
from galaxy_lvm.survey.crop_store import CropStore
from galaxy_lvm.survey.file_errors import FILE_ERRORS
from galaxy_lvm.survey.rows import row_blocks
from galaxy_lvm.survey.store import CutoutStore


@dataclass(frozen=True)
class CatalogueFiles:
    """The three forms of a catalogue."""

    parquet: str | os.PathLike
    csv: str | os.PathLike
    fits: str | os.PathLike


class Galaxies:
    """The galaxies of a dataset, with or without labels, in the order of their crops.

    Parameters
    ----------
    crops, cutouts, features
        The dataset's.
    known
        Columns that make a galaxy's, and the splits that they were set on.
    own
        Whether the model learned from this dataset: labels and splits are then those of its
        splits, where they have the galaxy.

    Raises
    ------
    DataError
        If crops and features are not of the same galaxies.
    """

    def __init__(
        self, crops: CropStore, cutouts: CutoutStore, features: FeatureStore,
        known: CatalogueColumns, own: bool,
    ) -> None:  # fmt: skip
        if len(crops) != len(features):
            raise DataError(
                f"{crops.path} has {len(crops)} galaxies, {features.path} {len(features)} vectors; "
                "extract the features again"
            )
        self.crops, self.cutouts, self.features, self.known = crops, cutouts, features, known
        self.own = own
        self._table = known.splits.table.set_index("index")[["split", "label"]]

    def __len__(self) -> int:
        return len(self.crops)

    def part(self, rows: slice) -> dict[str, np.ndarray]:
        """Return the columns of a slice of the galaxies, as they stand in the catalogue."""
        numbers = np.arange(rows.start, rows.stop)
        ra, dec = self.cutouts.positions(self.crops.column("cutout_index", rows))
        label, split = self.crops.column("label", rows), np.full(len(numbers), "", dtype=object)
        in_reference = np.zeros(len(numbers), bool)
        if self.own:
            found = self._table.reindex(numbers)
            label = found["label"].where(found["label"].notna(), label).to_numpy(object)
            split = found["split"].fillna("").to_numpy(object)
            in_reference = np.isin(numbers, self.known.reference_rows)
        boxes = self.crops.column("box", rows)
        side_pix = (boxes[:, 2] - boxes[:, 0]).astype(float)
        images, values = self.crops[rows], np.asarray(self.features.values[rows])
        head = {"id": self.crops.column("id", rows), "ra": ra, "dec": dec}
        head |= {"label": label, "split": split}
        columns = self.known(images, values, side_pix, in_reference)
        return head | columns | {"feature_row": self.features_rows(numbers)}

    def features_rows(self, numbers: np.ndarray) -> np.ndarray:
        """Return the rows of galaxies in the features file, which lists all crops in order."""
        if not np.array_equal(self.features.named(numbers)[1], numbers):
            raise DataError(
                f"{self.features.path}: its rows are not those of {self.crops.path}; extract the "
                "features again"
            )
        return numbers


def write_catalogue(
    galaxies: Galaxies,
    files: CatalogueFiles,
    folder: Path,
    chunk_galaxies: int,
    about: dict[str, str],
) -> tuple[int, int]:
    """Write the catalogue of all galaxies of a dataset; go on after a kill with what is missing.

    Parameters
    ----------
    galaxies
        Whose.
    files
        What to write.
    folder
        For the parts, until the catalogue is complete; see `state_folder`.
    chunk_galaxies
        Galaxies of a part.
    about
        Facts that the table itself should tell.

    Returns
    -------
    tuple of int
        Galaxies in the catalogue, and how many of them are unlike those of the training.

    Raises
    ------
    DataError
        If there is no galaxy, or what was written has not as many rows as the dataset.
    """
    paths = _write_parts(galaxies, folder, chunk_galaxies, slice(0, len(galaxies)))
    counts = _join(paths, files, about, len(galaxies), f"remove {folder}")
    shutil.rmtree(folder)
    return counts


def write_shard(
    galaxies: Galaxies, path: str | os.PathLike, folder: Path, chunk_galaxies: int, rows: slice
) -> None:
    """Write the catalogue of some galaxies of a dataset, one shard's, for `join_shards`.

    Parameters
    ----------
    galaxies, folder, chunk_galaxies
        As of `write_catalogue`.
    path
        Parquet file to write.
    rows
        Of the galaxies.
    """
    parts = _write_parts(galaxies, folder, chunk_galaxies, rows)
    # A shard that was left out has no galaxies, and no columns.
    schema = pq.read_schema(parts[0]) if parts else pa.schema([])
    schema = schema.with_metadata(_settled(galaxies.known))
    with atomic_path(path) as temporary, pq.ParquetWriter(temporary, schema) as writer:
        for part in parts:
            writer.write_table(pq.read_table(part).replace_schema_metadata(schema.metadata))
    shutil.rmtree(folder)


def join_shards(
    shards: Sequence[str | os.PathLike],
    files: CatalogueFiles,
    known: CatalogueColumns,
    about: dict[str, str],
    n_galaxies: int,
) -> tuple[int, int]:
    """Put the catalogues of all shards together.

    Parameters
    ----------
    shards
        Of `write_shard`, in the order of the dataset.
    files, about
        As of `write_catalogue`.
    known
        What makes the columns.
    n_galaxies
        Of the dataset.

    Returns
    -------
    tuple of int
        As of `write_catalogue`.

    Raises
    ------
    DataError
        If a shard is missing or damaged, was made by another model, or galaxies are missing.
    """
    again, settled = "run catalogue_shard again", _settled(known)
    for shard in shards:
        try:
            found = pq.read_schema(shard).metadata or {}
        except FILE_ERRORS as error:
            raise DataError(f"{shard}: missing or damaged ({in_short(error)}); {again}") from error
        values = {key: float(found.get(key.encode(), "nan")) for key in settled}
        # Machines differ in the last digits of what they fit.
        if not all(np.isclose(values[key], float(settled[key]), rtol=1e-4) for key in settled):
            raise DataError(
                f"{shard}: made with {values}, the model here has {settled}; {again} for it"
            )
    used = [Path(shard) for shard in shards if pq.read_metadata(shard).num_rows]
    return _join(used, files, about, n_galaxies, again)


def _settled(known: CatalogueColumns) -> dict[str, str]:
    """Return what validation galaxies have set, by which a shard is known again."""
    return {"temperature": repr(known.temperature), "unlike_above": repr(known.unlike_above)}


def _write_parts(galaxies: Galaxies, folder: Path, chunk_galaxies: int, rows: slice) -> list[Path]:
    """Write the parts that are not there yet; return the paths of all."""
    blocks = list(row_blocks(rows.stop - rows.start, chunk_galaxies))
    paths = [folder / f"part_{number:06d}.parquet" for number in range(len(blocks))]
    missing = [(p, b) for p, b in zip(paths, blocks, strict=True) if not p.exists()]
    if len(missing) < len(paths):
        log.info("continuing: %d of %d parts are there", len(paths) - len(missing), len(paths))
    for path, block in progress(missing, desc=f"catalogue ({chunk_galaxies} each)", unit="parts"):
        table = _arrow(galaxies.part(slice(rows.start + block.start, rows.start + block.stop)))
        with atomic_path(path) as temporary:
            pq.write_table(table, temporary)
    return paths


def _join(
    paths: list[Path], files: CatalogueFiles, about: dict[str, str], n_galaxies: int, remedy: str
) -> tuple[int, int]:
    """Write the three forms; return the number of galaxies, and of those that are unlike."""
    units = {"ra": "deg", "dec": "deg"}
    n_rows = join_parts(paths, files.parquet, files.csv, files.fits, about, units)
    if n_rows != n_galaxies:
        raise DataError(
            f"{files.parquet}: {n_rows} rows for {n_galaxies} galaxies; {remedy} and make it again"
        )
    unlike = pq.read_table(files.parquet, columns=["unlike"])["unlike"]
    n_unlike = int(unlike.to_numpy().sum())
    log.info("%d galaxies, %d of them unlike those that the model learned from", n_rows, n_unlike)
    return n_rows, n_unlike


def _arrow(columns: dict[str, np.ndarray]) -> pa.Table:
    """Return columns as a table whose types do not depend on the values."""
    arrays = {}
    for name, values in columns.items():
        is_text = values.dtype.kind in "OUT"
        arrays[name] = pa.array([str(v) for v in values], pa.string()) if is_text else values
    return pa.table(arrays)
