"""A catalogue written part by part: what a kill leaves is taken up, memory holds one part."""

import os
import shutil
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from galaxy_lvm.core.errors import DataError
from galaxy_lvm.core.logs import log, progress
from galaxy_lvm.core.state import atomic_path
from galaxy_lvm.core.table_stream import join_parts
from galaxy_lvm.features.rows import row_blocks
from galaxy_lvm.features.store import FeatureStore
from galaxy_lvm.multitask.catalogue import CatalogueColumns
from galaxy_lvm.survey.crop_store import CropStore
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
        if not np.array_equal(self.features.index[numbers], numbers):
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
    blocks = list(row_blocks(len(galaxies), chunk_galaxies))
    paths = [folder / f"part_{number:06d}.parquet" for number in range(len(blocks))]
    missing = [(p, b) for p, b in zip(paths, blocks, strict=True) if not p.exists()]
    if len(missing) < len(paths):
        log.info("continuing: %d of %d parts are there", len(paths) - len(missing), len(paths))
    for path, rows in progress(missing, desc=f"catalogue ({chunk_galaxies} each)", unit="parts"):
        table = _arrow(galaxies.part(rows))
        with atomic_path(path) as temporary:
            pq.write_table(table, temporary)
    units = {"ra": "deg", "dec": "deg"}
    n_rows = join_parts(paths, files.parquet, files.csv, files.fits, about, units)
    if n_rows != len(galaxies):
        raise DataError(
            f"{files.parquet}: {n_rows} rows for {len(galaxies)} galaxies; remove {folder} and run "
            "it again"
        )
    unlike = pq.read_table(files.parquet, columns=["unlike"])["unlike"]
    n_unlike = int(unlike.to_numpy().sum())
    log.info("%d galaxies, %d of them unlike those that the model learned from", n_rows, n_unlike)
    shutil.rmtree(folder)
    return n_rows, n_unlike


def _arrow(columns: dict[str, np.ndarray]) -> pa.Table:
    """Return columns as a table whose types do not depend on the values."""
    arrays = {}
    for name, values in columns.items():
        is_text = values.dtype.kind in "OUT"
        arrays[name] = pa.array([str(v) for v in values], pa.string()) if is_text else values
    return pa.table(arrays)
