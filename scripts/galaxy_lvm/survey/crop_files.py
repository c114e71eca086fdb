"""A store's cutouts as crops: one HDF5 file, and a table of what cannot be used."""

import logging
import os

import cv2
import h5py
import numpy as np

from galaxy_lvm.core.config.sky_survey import Stretch
from galaxy_lvm.core.config.survey import Crop
from galaxy_lvm.core.errors import DataError
from galaxy_lvm.core.logs import progress
from galaxy_lvm.core.tables import as_text
from galaxy_lvm.survey.crop_store import STRETCH
from galaxy_lvm.survey.cropping import crop_frames
from galaxy_lvm.survey.crops import FLAG_NAMES
from galaxy_lvm.survey.hdf5 import new_hdf5
from galaxy_lvm.survey.rejected import rejection, write_rejected
from galaxy_lvm.survey.shards import row_name
from galaxy_lvm.survey.store import CutoutStore

log = logging.getLogger("galaxy_lvm.crops")

CHUNK_IMAGES = 128
# A dataset in one file is one job, which a kill costs whole: so many take two hours by the rate in
# docs/scale.md, half of what crop_cutouts may take.
MOST_IN_ONE_FILE = 4_000_000


def crop_store(
    cutouts: str | os.PathLike,
    crops: str | os.PathLike,
    rejected: str | os.PathLike,
    settings: Crop,
    shard: str = "",
    stretch: Stretch | None = None,
) -> None:
    """Crop a cutout store.

    Parameters
    ----------
    cutouts
        Store with `images` or `images_rgb`.
    crops
        HDF5 file to write: `images`, `box`, `id`, `label`, `flag` (bits; see its attributes) and
        `cutout_index`, the row in `cutouts`; `stretch`, as JSON, is an attribute of the file.
    rejected
        CSV file to write.
    settings
        The config's section `crop` with what differs for the dataset.
    shard
        Name of the shard that the store is of its dataset; "" for a whole dataset.
    stretch
        How fluxes become colours; the sky viewer's mapping of g, r, z where None.

    Raises
    ------
    DataError
        If no cutout can be used, the stretch is for another number of bands, or a dataset of more
        than `MOST_IN_ONE_FILE` galaxies lies in one file.
    """
    stretch = stretch or Stretch()
    cv2.setNumThreads(1)
    rejections, flags = [], []
    with CutoutStore(cutouts) as store, new_hdf5(crops) as new:
        if not shard:
            _refuse_large(store)
        table, out = store.catalogue(), new.file
        out.attrs[STRETCH] = stretch.model_dump_json()
        if shard and not store.has_ids:
            table["id"] = [row_name(shard, row) for row in range(len(store))]
        _create(out, len(store), settings.side_pix)
        starts = range(0, len(store), CHUNK_IMAGES)
        for start in progress(starts, desc=f"crop ({CHUNK_IMAGES} images each)", unit="chunks"):
            frames = store.images[start : start + CHUNK_IMAGES]
            found = crop_frames(frames, store.rgb, settings, stretch)
            rows = start + found.rows
            _append(out, images=found.images, box=found.boxes, flag=found.flags, cutout_index=rows)
            new.check()
            flags.append(found.flags)
            for i, reason in sorted(found.reasons.items()):
                record = table.iloc[start + i]
                file, row = record.get("file", ""), record.get("row")
                rejections.append(rejection("crop", reason, record["id"], file, row))
        if not len(out["images"]):
            raise DataError(f"{cutouts}: no cutout can be used; first: {rejections[:1]}")
        kept = table.iloc[out["cutout_index"][:]]
        for name in ("id", "label"):
            values = as_text(kept[name], cutouts) if name in kept else [""] * len(kept)
            out.create_dataset(name, data=list(values), dtype=h5py.string_dtype("utf-8"))
    write_rejected(rejected, rejections)
    _report(np.concatenate(flags), len(rejections))


def _refuse_large(store: CutoutStore) -> None:
    """Refuse a dataset in one file that a job could not crop within its time."""
    if not store.sharded and len(store) > MOST_IN_ONE_FILE:
        raise DataError(
            f"{store.path}: {len(store)} galaxies in one file, which one job would have to crop at "
            f"one go ({MOST_IN_ONE_FILE} at most); give datasets.*.path as a pattern of files of a "
            "million each (docs/scale.md says how one file becomes several)"
        )


def crop_or_leave_out(
    cutouts: str | os.PathLike,
    crops: str | os.PathLike,
    rejected: str | os.PathLike,
    settings: Crop,
    shard: str,
    stretch: Stretch | None = None,
) -> None:
    """Crop a shard as `crop_store` does; one that is damaged becomes a file without crops.

    Its one line in `rejected` names the shard and says what is wrong. What is wrong elsewhere, such
    as a full disk, stops the job.
    """
    try:
        crop_store(cutouts, crops, rejected, settings, shard, stretch)
    except DataError:
        damage = _damage(cutouts)
        if not damage:
            raise
        with new_hdf5(crops) as new:
            new.file.attrs[STRETCH] = (stretch or Stretch()).model_dump_json()
            _create(new.file, 0, settings.side_pix)
            for name in ("id", "label"):
                new.file.create_dataset(name, (0,), dtype=h5py.string_dtype("utf-8"))
        reason = f"shard {shard} is left out; {damage}"
        write_rejected(rejected, [rejection("crop", reason, file=str(cutouts))])
        log.warning("%s", reason)


def _damage(cutouts: str | os.PathLike) -> str:
    """Return what is wrong with a store, read from its first to its last byte; "" if nothing."""
    try:
        with CutoutStore(cutouts) as store:
            store.catalogue()
            for start in range(0, len(store), CHUNK_IMAGES):
                store.images[start : start + CHUNK_IMAGES]
    except DataError as error:
        return str(error)
    return ""


def _create(out: h5py.File, count: int, side_pix: int) -> None:
    shapes = {
        "images": ((side_pix, side_pix, 3), np.uint8),
        "box": ((4,), np.int32),
        "flag": ((), np.uint8),
        "cutout_index": ((), np.int64),
    }
    for name, (shape, dtype) in shapes.items():
        chunks = (1, *shape) if name == "images" else (min(max(count, 1), 4096), *shape)
        out.create_dataset(name, (0, *shape), dtype, maxshape=(None, *shape), chunks=chunks)
    for bit, name in FLAG_NAMES.items():
        out["flag"].attrs[name] = bit


def _append(out: h5py.File, **columns: np.ndarray) -> None:
    for name, values in columns.items():
        dataset = out[name]
        dataset.resize(len(dataset) + len(values), axis=0)
        if len(values):
            dataset[-len(values) :] = values


def _report(flags: np.ndarray, rejected: int) -> None:
    counts = [f"{int(((flags & bit) > 0).sum())} {name}" for bit, name in FLAG_NAMES.items()]
    log.info("%d crops (%s); %d rejected", len(flags), ", ".join(counts), rejected)
