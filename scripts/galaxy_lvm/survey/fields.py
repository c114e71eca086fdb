"""Fields with strong lenses: images, true boxes and masks, and what a detector found in them.

A store is an HDF5 file with `images` uint8 (N, S, S, 3) after the survey's colour mapping and one
1-D dataset per column (`id`, `split`, `ra`, `dec`, ...), and a parquet beside it with one row per
lens. Boxes are edges in pixels, [x_min, x_max) with pixel centres at half-integers: a mask that
covers columns 3 to 5 has x_min = 3 and x_max = 6. Masks are compressed run lengths as in COCO.
"""

import os
from collections.abc import Mapping, Sequence
from pathlib import Path

import h5py
import numpy as np
import pandas as pd
from pycocotools import mask as coco_mask

from galaxy_lvm.core.errors import DataError
from galaxy_lvm.core.tables import load_table, save_table
from galaxy_lvm.survey.hdf5 import (
    StoredRows,
    attributes_of,
    columns_in,
    new_hdf5,
    open_hdf5,
    read_column,
)
from galaxy_lvm.survey.store import PIXEL_SCALE_ARCSEC

SPLITS = ("train", "val", "test")
BOX_COLUMNS = ("x_min_pix", "y_min_pix", "x_max_pix", "y_max_pix")
# One row per lens; the last four are NaN where nobody knows them.
LENS_COLUMNS = (
    *("field", "id", *BOX_COLUMNS, "area_pix", "mask_rle"),
    *("einstein_radius_arcsec", "arc_mag_r", "arc_snr", "grade"),
)
# One row per detection: which field (row and id), how sure, where.
DETECTION_COLUMNS = ("split", "field", "id", "score", *BOX_COLUMNS, "mask_rle")
CATEGORY = {"id": 1, "name": "strong_lens", "supercategory": "galaxy"}

_REMEDY = "run simulate_fields or import_fields again"
_STRING = h5py.string_dtype("utf-8")


def encode_mask(mask: np.ndarray) -> str:
    """Return the run lengths of a mask (H, W) as text."""
    return coco_mask.encode(np.asfortranarray(mask, dtype=np.uint8))["counts"].decode("ascii")


def decode_mask(mask_rle: str, height_pix: int, width_pix: int) -> np.ndarray:
    """Return the mask (H, W) uint8 of run lengths made by `encode_mask`."""
    return coco_mask.decode(coco_rle(mask_rle, height_pix, width_pix))


def coco_rle(mask_rle: str, height_pix: int, width_pix: int) -> dict[str, object]:
    """Return run lengths in the form that pycocotools works with."""
    return {"size": [height_pix, width_pix], "counts": mask_rle.encode("ascii")}


def box_of_mask(mask: np.ndarray) -> tuple[float, float, float, float]:
    """Return the edges (x_min, y_min, x_max, y_max) of a mask (H, W) in pixels.

    Raises
    ------
    DataError
        If the mask is empty.
    """
    rows, columns = np.flatnonzero(mask.any(axis=1)), np.flatnonzero(mask.any(axis=0))
    if not len(rows):
        raise DataError("a mask without any pixel has no box")
    return float(columns[0]), float(rows[0]), float(columns[-1] + 1), float(rows[-1] + 1)


def lens_row(field: int, id: str, mask: np.ndarray, **known: object) -> dict[str, object]:
    """Return one row of the lens table, box and area measured on the mask (H, W)."""
    row = {"field": field, "id": id, **dict(zip(BOX_COLUMNS, box_of_mask(mask), strict=True))}
    row |= {"area_pix": int(np.count_nonzero(mask)), "mask_rle": encode_mask(mask)}
    unknown = set(known) - set(LENS_COLUMNS)
    if unknown:
        raise ValueError(f"unknown columns {sorted(unknown)}")
    return {**dict.fromkeys(LENS_COLUMNS, np.nan), **row, **known}


def lenses_path(path: str | os.PathLike) -> Path:
    """Return where the lenses of a field store are listed: the same name with `.parquet`."""
    return Path(path).with_suffix(".parquet")


def write_fields(
    path: str | os.PathLike,
    images: np.ndarray,
    columns: Mapping[str, Sequence],
    lenses: Sequence[Mapping[str, object]],
    attributes: Mapping[str, object] | None = None,
) -> None:
    """Write a field store; both files appear when they are complete.

    Parameters
    ----------
    path
        HDF5 file to write; the lenses go to the parquet beside it.
    images
        (N, S, S, 3) uint8.
    columns
        One value per field; `id` (unique) and `split` (train, val or test) at least.
    lenses
        Rows made by `lens_row`.
    attributes
        File attributes.

    Raises
    ------
    DataError
        If an id stands twice, a split is unknown, or a box is not inside its field.
    """
    table = pd.DataFrame(list(lenses), columns=list(LENS_COLUMNS))
    table["grade"] = table["grade"].map(lambda value: "" if pd.isna(value) else str(value))
    _check(path, images, columns, table)
    save_table(lenses_path(path), table)
    with new_hdf5(path) as new:
        file = new.file
        file.attrs.update({"pixel_scale_arcsec": PIXEL_SCALE_ARCSEC, **(attributes or {})})
        file.create_dataset("images", data=images, chunks=(1, *images.shape[1:]))
        for name, values in columns.items():
            array = np.asarray(values)
            if array.dtype.kind in "OUS":
                file.create_dataset(name, data=[str(v) for v in values], dtype=_STRING)
            else:
                file.create_dataset(name, data=array)


def _check(
    path: str | os.PathLike,
    images: np.ndarray,
    columns: Mapping[str, Sequence],
    lenses: pd.DataFrame,
) -> None:
    for name, values in columns.items():
        if len(values) != len(images):
            raise DataError(f"{path}: {len(values)} values of {name!r} for {len(images)} fields")
    ids = pd.Series([str(v) for v in columns["id"]])
    if ids.duplicated().any():
        raise DataError(f"{path}: field id {ids[ids.duplicated()].iloc[0]!r} stands twice")
    unknown = sorted(set(columns["split"]) - set(SPLITS))
    if unknown:
        raise DataError(f"{path}: split {unknown[0]!r} is none of {SPLITS}")
    height, width = images.shape[1:3]
    x_min, y_min, x_max, y_max = (lenses[name].to_numpy(float) for name in BOX_COLUMNS)
    inside = (x_min >= 0) & (y_min >= 0) & (x_max <= width) & (y_max <= height)
    good = inside & (x_min < x_max) & (y_min < y_max) & (lenses["area_pix"].to_numpy() > 0)
    good &= lenses["field"].between(0, len(images) - 1).to_numpy()
    if not good.all():
        bad = lenses[~good].iloc[0]
        raise DataError(
            f"{path}: lens {bad['id']!r} has no box inside field {bad['field']}: "
            f"{[bad[name] for name in BOX_COLUMNS]} in {width} x {height} pixels"
        )


class FieldStore:
    """Read a field store.

    Parameters
    ----------
    path
        HDF5 file written by `write_fields`.

    Raises
    ------
    DataError
        If the file has no images or its list of lenses is missing.
    """

    def __init__(self, path: str | os.PathLike) -> None:
        self.path = Path(path)
        if not lenses_path(path).exists():
            raise DataError(f"{lenses_path(path)}: the list of lenses of {path} is missing")
        with open_hdf5(self.path, _REMEDY) as file:
            shapes = columns_in(file, _REMEDY)
            if len(shapes.get("images", ())) != 4:
                raise DataError(
                    f"{self.path}: no dataset 'images' (N, S, S, 3), but {shapes}; {_REMEDY}"
                )
            self.shape = shapes["images"]
            self.attributes = attributes_of(file, _REMEDY)
            names = [name for name, shape in shapes.items() if shape == self.shape[:1]]
            self.columns = pd.DataFrame({name: read_column(file, name, _REMEDY) for name in names})
        lost = {"id", "split"} - set(names)
        if lost:
            raise DataError(f"{self.path}: no column {sorted(lost)} of all fields; {_REMEDY}")
        self.lenses = load_table(lenses_path(path))

    def __len__(self) -> int:
        return self.shape[0]

    @property
    def side_pix(self) -> tuple[int, int]:
        """Height and width of the fields."""
        return self.shape[1], self.shape[2]

    def rows(self, split: str) -> np.ndarray:
        """Return the row numbers of the fields of a split."""
        return np.flatnonzero((self.columns["split"] == split).to_numpy())

    def images(self, rows: Sequence[int]) -> np.ndarray:
        """Return images (n, H, W, 3) uint8 in the order of `rows`."""
        with open_hdf5(self.path, _REMEDY) as file:
            return StoredRows(file, "images", _REMEDY).take(rows)

    def lenses_in(self, row: int) -> pd.DataFrame:
        """Return the lenses of one field."""
        return self.lenses[self.lenses["field"] == row]

    def masks(self, row: int) -> np.ndarray:
        """Return the masks (n, H, W) uint8 of one field's lenses, in the order of `lenses_in`."""
        masks = [decode_mask(rle, *self.side_pix) for rle in self.lenses_in(row)["mask_rle"]]
        return np.stack(masks) if masks else np.zeros((0, *self.side_pix), dtype=np.uint8)


def coco_ground_truth(store: FieldStore, rows: Sequence[int]) -> dict[str, object]:
    """Return the COCO dictionary of some fields; image ids are the row numbers.

    Fields without a lens are in it as well: what a detector claims there counts against it.
    """
    height, width = store.side_pix
    wanted = {int(row) for row in rows}
    annotations = []
    for number, lens in enumerate(store.lenses.itertuples(), start=1):
        if lens.field not in wanted:
            continue
        box = [lens.x_min_pix, lens.y_min_pix]
        box += [lens.x_max_pix - lens.x_min_pix, lens.y_max_pix - lens.y_min_pix]
        rle = {"size": [height, width], "counts": lens.mask_rle}
        annotation = {"id": number, "image_id": int(lens.field), "category_id": CATEGORY["id"]}
        annotation |= {"bbox": [float(v) for v in box], "area": float(lens.area_pix)}
        annotations.append({**annotation, "segmentation": rle, "iscrowd": 0})
    ids = store.columns["id"]
    images = [
        {"id": row, "file_name": ids[row], "height": height, "width": width}
        for row in sorted(wanted)
    ]
    info = {"description": f"lens fields of {store.path.name}", "version": "1"}
    return {
        **{"info": info, "licenses": [], "categories": [dict(CATEGORY)]},
        **{"images": images, "annotations": annotations},
    }
