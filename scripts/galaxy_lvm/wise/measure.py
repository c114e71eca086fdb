"""From cutouts to what classifiers read: 8-bit crops, photometry, splits."""

import os

import h5py
import numpy as np
import pandas as pd

from galaxy_lvm.core.config.wise import WiseCutout, WiseSplits
from galaxy_lvm.core.logs import log
from galaxy_lvm.core.tables import save_table
from galaxy_lvm.survey.given_splits import given_splits
from galaxy_lvm.survey.hdf5 import new_hdf5
from galaxy_lvm.survey.rejected import write_rejected
from galaxy_lvm.survey.splits import make_splits
from galaxy_lvm.survey.store import CutoutStore
from galaxy_lvm.wise.levels import to_levels
from galaxy_lvm.wise.photometry import psf_photometry

_AT_A_TIME = 1000
_TEXT = h5py.string_dtype("utf-8")


def measure(
    cutouts: str | os.PathLike, crops: str | os.PathLike, settings: WiseCutout
) -> pd.DataFrame:
    """Write the crops of a store, which whole cutouts become; return ids and photometry.

    Parameters
    ----------
    cutouts
        Store of W1, W2, W3 in Vega nanomaggies.
    crops
        HDF5 to write, in the form of other crops: `images` uint8 (N, side, side, 3), `id`, `label`,
        `box`, `flag`, `cutout_index`.
    settings
        Side and depth.
    """
    with CutoutStore(cutouts) as store, new_hdf5(crops) as new:
        n, side = len(store), store.images.shape[-1]
        images = new.file.create_dataset(
            "images", (n, side, side, 3), np.uint8, chunks=(1, side, side, 3)
        )
        parts = []
        for start in range(0, n, _AT_A_TIME):
            part = store.images[start : start + _AT_A_TIME]
            images[start : start + len(part)] = to_levels(part, settings.depth_mag)
            parts.append(psf_photometry(part, settings.depth_mag))
            new.check()
        table = store.catalogue()
        for name in ("id", "label"):
            new.file.create_dataset(name, data=[str(v) for v in table[name]], dtype=_TEXT)
        new.file["box"] = np.tile(np.array([0, 0, side, side], np.int32), (n, 1))
        new.file["flag"] = np.zeros(n, np.uint8)
        new.file["cutout_index"] = np.arange(n)
    photometry = pd.concat(parts, ignore_index=True)
    log.info("%d sources measured, median chi^2 per pixel in W1 %.2f", n,
             photometry["w1_chi2"].median())  # fmt: skip
    return pd.concat([table[["id", "label"]], photometry], axis=1)


def divide(
    cutouts: str | os.PathLike,
    splits: str | os.PathLike,
    rejected: str | os.PathLike,
    settings: WiseSplits,
    seed: int,
) -> None:
    """Write training, validation and test sources; a table's own column of splits is honoured."""
    with CutoutStore(cutouts) as store:
        table = store.catalogue()
    sources = pd.DataFrame({"index": range(len(table)), "id": table["id"], "label": table["label"]})
    sources["given"] = given_splits(table, settings.column, cutouts, True)
    sources["group"] = range(len(table))
    found, rejections = make_splits(sources, settings, seed)
    save_table(splits, found)
    write_rejected(rejected, rejections)
    log.info("%s", found.groupby(["label", "split"]).size().unstack(fill_value=0).to_string())
