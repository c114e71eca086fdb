"""A table's cutouts in a store: fetched, checked and written shard by shard."""

import logging
import os
import shutil
from pathlib import Path

import numpy as np
import pandas as pd

from galaxy_lvm.core.config.sky_survey import pixels_key
from galaxy_lvm.core.errors import DataError
from galaxy_lvm.core.logs import progress
from galaxy_lvm.core.state import config_hash, file_version
from galaxy_lvm.core.user_tables import LINE
from galaxy_lvm.survey.legacysurvey import CutoutService
from galaxy_lvm.survey.positions import read_positions
from galaxy_lvm.survey.rejected import rejection
from galaxy_lvm.survey.shard_writing import write_shards
from galaxy_lvm.survey.store import CUTOUT_SIDE_PIX, CutoutWriter, stored_names

log = logging.getLogger("galaxy_lvm.download")

_CHUNK_IMAGES = 64
# Names that the store itself uses.
_RESERVED = {"images", "images_rgb", "box", "flag", "row"}
# Of a FITS file beside its pixels: header and filling.
_FITS_BYTES = 2 * 2880
_REMEDY = "run download_cutouts again"


def download_cutouts(
    table: str | os.PathLike,
    cutouts: str | os.PathLike,
    service: CutoutService,
    side_pix: int = CUTOUT_SIDE_PIX,
) -> list[dict[str, object]]:
    """Fetch the cutouts of a table of positions into a cutout store.

    Tables of more than `legacysurvey.shard_galaxies` rows end in shards: each is a file that is
    complete once it is there, its cutouts leave the cache, and a download that is started again
    goes on behind it.

    Parameters
    ----------
    table
        CSV, TSV or parquet with `id`, `ra`, `dec` (degrees), perhaps `label`; see
        `positions.read_positions`. All columns go into the store, those whose names it uses
        itself as `table_...`; `row` is the line in the table.
    cutouts
        HDF5 file to write: `images` float32 (N, bands, S, S) in nanomaggies, in the table's order,
        or the index of the shards, which lie in the folder `shards` beside it.
    service
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
    if len(rows) <= service.settings.shard_galaxies:
        _check_room(rows, Path(cutouts).parent, service, side_pix)
        lost = _store(rows, cutouts, service, side_pix, name)
    else:
        lost = _store_shards(rows, Path(cutouts), service, side_pix, Path(table))
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
    service: CutoutService,
    side_pix: int,
    table_name: str,
    what: str = "download",
) -> list[dict[str, object]]:
    """Write the cutouts of rows into one file; return the rejections."""
    results = service.cutouts(list(zip(rows["ra"], rows["dec"], strict=True)), side_pix)
    kept, images, lost = [], [], []
    attributes = {"source": "legacysurvey", "layer": service.settings.layer}
    size = side_pix, side_pix
    with CutoutWriter(cutouts, False, *size, attributes, service.survey) as writer:
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
    rows: pd.DataFrame, cutouts: Path, service: CutoutService, side_pix: int, table: Path
) -> list[dict[str, object]]:
    """Write the shards that are not there yet, and the index; return the rejections of all."""
    settings = service.settings
    about = [settings.layer, settings.max_bad_fraction, side_pix, settings.shard_galaxies]
    about += pixels_key(service.survey)
    key = config_hash([*file_version(table)[1:], *about])

    def write(part: pd.DataFrame, path: Path, which: str) -> list[dict[str, object]]:
        _check_room(part, path.parent, service, side_pix)
        return _store(part, path, service, side_pix, table.name, f"download, {which}")

    def forget(part: pd.DataFrame) -> None:
        # The shard keeps them; a kill may have come before this line.
        service.forget(zip(part["ra"], part["dec"], strict=True), side_pix)

    size = settings.shard_galaxies
    return write_shards(rows, cutouts, size, lambda _: key, write, _REMEDY, forget)


def _check_room(rows: pd.DataFrame, folder: Path, service: CutoutService, side_pix: int) -> None:
    """Stop before a download that the disk cannot hold: the store, and what is to be fetched."""
    folder.mkdir(parents=True, exist_ok=True)
    service.cache_dir.mkdir(parents=True, exist_ok=True)
    image_bytes = 4 * len(service.survey.bands) * side_pix**2
    places = zip(rows["ra"], rows["dec"], strict=True)
    missing = sum(not service.cached(ra, dec, side_pix).exists() for ra, dec in places)
    needs = {
        folder: len(rows) * image_bytes,
        service.cache_dir: missing * (image_bytes + _FITS_BYTES),
    }
    if os.stat(folder).st_dev == os.stat(service.cache_dir).st_dev:
        needs = {folder: sum(needs.values())}
    for place, needed in needs.items():
        free = shutil.disk_usage(place).free
        if free < needed:
            raise DataError(
                f"{place}: {len(rows)} cutouts of {side_pix} pixels need {needed / 1e9:.3g} GB, "
                f"and {free / 1e9:.3g} GB of its disk are free; make room, or lower "
                "legacysurvey.shard_galaxies: shards that are complete leave the cache"
            )
