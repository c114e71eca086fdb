"""A table's cutouts in a store: fetched or cut, checked and written shard by shard."""

import logging
import os
import shutil
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Protocol

import numpy as np
import pandas as pd

from galaxy_lvm.core.config.sky_survey import Survey
from galaxy_lvm.core.errors import DataError
from galaxy_lvm.core.logs import progress
from galaxy_lvm.core.state import config_hash
from galaxy_lvm.core.user_tables import LINE
from galaxy_lvm.survey.positions import read_positions
from galaxy_lvm.survey.rejected import rejection
from galaxy_lvm.survey.shard_writing import write_shards
from galaxy_lvm.survey.store import CUTOUT_SIDE_PIX, CutoutWriter, stored_names

log = logging.getLogger("galaxy_lvm.download")

_CHUNK_IMAGES = 64
# Names that the store itself uses.
_RESERVED = {"images", "images_rgb", "box", "flag", "row"}
_REMEDY = "run download_cutouts or cut_bricks again"


class CutoutSource(Protocol):
    """Where the cutouts of positions come from: `CutoutService`, `BrickFiles`."""

    @property
    def survey(self) -> Survey:
        """Bands and pixels."""

    @property
    def shard_galaxies(self) -> int:
        """Positions of a file."""

    @property
    def attributes(self) -> dict[str, object]:
        """What a store of the cutouts says of their origin."""

    def cutouts(
        self, positions: Sequence[tuple[float, float]], side_pix: int
    ) -> Iterator[np.ndarray | DataError]:
        """Yield the cutout of every position (ra, dec), or what is wrong with it, in order."""

    def key(self, side_pix: int) -> list[object]:
        """Return what the cutouts of a position depend on."""

    def needed_bytes(
        self, positions: Iterable[tuple[float, float]], side_pix: int
    ) -> dict[Path, int]:
        """Return by folder what is needed of the disk beside the store."""

    def forget(self, positions: Iterable[tuple[float, float]], side_pix: int) -> None:
        """Remove what is kept elsewhere by now."""


def store_table(
    table: str | os.PathLike,
    cutouts: str | os.PathLike,
    source: CutoutSource,
    side_pix: int = CUTOUT_SIDE_PIX,
) -> list[dict[str, object]]:
    """Bring the cutouts of a table of positions into a cutout store.

    Tables of more than `legacysurvey.shard_galaxies` rows end in shards: each is a file that is
    complete once it is there, what was fetched for it leaves the cache, and a job that is started
    again goes on behind it.

    Parameters
    ----------
    table
        CSV, TSV or parquet with `id`, `ra`, `dec` (degrees), perhaps `label`; see
        `positions.read_positions`. All columns go into the store, those whose names it uses
        itself as `table_...`; `row` is the line in the table.
    cutouts
        HDF5 file to write: `images` float32 (N, bands, S, S) in nanomaggies, in the table's order,
        or the index of the shards, which lie in the folder `shards` beside it.
    source
        Where they come from.
    side_pix
        Side S of the cutouts in pixels of the survey.

    Returns
    -------
    list of dict
        The rejections, for `rejected.write_rejected`.

    Raises
    ------
    DataError
        If the table cannot be read, nothing can be used, the disk has no room or the service does
        not answer.
    """
    rows, rejections = read_positions(table)
    if "label" not in rows:
        rows["label"] = ""
    rows = rows.rename(columns=stored_names(list(rows), _RESERVED) | {LINE: "row"})
    name = Path(table).name
    if len(rows) <= source.shard_galaxies:
        _check_room(rows, Path(cutouts).parent, source, side_pix)
        lost = _store(rows, cutouts, source, side_pix, name)
    else:
        lost = _store_shards(rows, Path(cutouts), source, side_pix, Path(table))
    rejections += lost
    if len(lost) == len(rows):
        Path(cutouts).unlink(missing_ok=True)
        reasons = "; ".join(f"line {r['row']}: {r['reason']}" for r in rejections[:3])
        raise DataError(f"{table}: no cutout can be used. First reasons: {reasons}")
    log.info("%d cutouts, %d rejected", len(rows) - len(lost), len(rejections))
    return rejections


def _store(
    rows: pd.DataFrame,
    cutouts: str | os.PathLike,
    source: CutoutSource,
    side_pix: int,
    table_name: str,
    what: str = "download",
) -> list[dict[str, object]]:
    """Write the cutouts of rows into one file; return the rejections."""
    results = source.cutouts(list(zip(rows["ra"], rows["dec"], strict=True)), side_pix)
    kept, images, lost = [], [], []
    size = side_pix, side_pix
    with CutoutWriter(cutouts, False, *size, source.attributes, source.survey) as writer:
        for number, result in enumerate(progress(results, len(rows), what, "cutouts")):
            if isinstance(result, DataError):
                row = rows.iloc[number]
                lost.append(rejection("import", str(result), row["id"], table_name, row["row"]))
                continue
            images.append(result)
            kept.append(number)
            if len(images) == _CHUNK_IMAGES:
                _append(writer, images, rows.iloc[kept[-_CHUNK_IMAGES:]])
                images = []
        if images:
            _append(writer, images, rows.iloc[kept[-len(images) :]])
    return lost


def _append(writer: CutoutWriter, images: list[np.ndarray], rows: pd.DataFrame) -> None:
    writer.append(np.stack(images), {name: rows[name].tolist() for name in rows})


def _store_shards(
    rows: pd.DataFrame, cutouts: Path, source: CutoutSource, side_pix: int, table: Path
) -> list[dict[str, object]]:
    """Write the shards that are not there yet, and the index; return the rejections of all."""
    about = source.key(side_pix)

    def write(part: pd.DataFrame, path: Path, which: str) -> list[dict[str, object]]:
        _check_room(part, path.parent, source, side_pix)
        return _store(part, path, source, side_pix, table.name, f"download, {which}")

    def forget(part: pd.DataFrame) -> None:
        # The shard keeps them; a kill may have come before this line.
        source.forget(zip(part["ra"], part["dec"], strict=True), side_pix)

    def key_of(part: pd.DataFrame) -> str:
        # The rows, not the file: one that was copied or continued fetches no shard again.
        return config_hash([part.to_dict("split", index=False), *about])

    return write_shards(rows, cutouts, source.shard_galaxies, key_of, write, _REMEDY, forget)


def _check_room(rows: pd.DataFrame, folder: Path, source: CutoutSource, side_pix: int) -> None:
    """Stop before cutouts that the disk cannot hold: the store, and what is to be fetched."""
    folder.mkdir(parents=True, exist_ok=True)
    places = zip(rows["ra"], rows["dec"], strict=True)
    store = 4 * len(source.survey.bands) * side_pix**2 * len(rows)
    needs: dict[int, tuple[Path, int]] = {}
    for place, needed in ((folder, store), *source.needed_bytes(places, side_pix).items()):
        disk = os.stat(place).st_dev
        first, before = needs.get(disk, (place, 0))
        needs[disk] = first, before + needed
    for place, needed in needs.values():
        free = shutil.disk_usage(place).free
        if free < needed:
            raise DataError(
                f"{place}: {len(rows)} cutouts of {side_pix} pixels need {needed / 1e9:.3g} GB, "
                f"and {free / 1e9:.3g} GB of its disk are free; make room, or lower "
                "legacysurvey.shard_galaxies: shards that are complete leave the cache"
            )
