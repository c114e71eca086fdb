"""Labels that leave: a table for others, and a training set that the workflow reads."""

import datetime
import shlex
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from astropy.io import fits
from astropy.table import Table

from galaxy_lvm.core.errors import DataError
from galaxy_lvm.core.fits_text import CARD, CARD_COMMENT, encoded
from galaxy_lvm.core.tables import save_table
from galaxy_lvm.hitl.majority import by_majority
from galaxy_lvm.hitl.store import NEGATIVE, POSITIVE
from galaxy_lvm.ui.images import Images, png_of
from galaxy_lvm.ui.labelling import Labelling

EXPORT_COLUMNS = (
    "id", "ra", "dec", "label", "annotator", "time", "round", "model_version", "score",
)  # fmt: skip
SUFFIXES = ("csv", "fits", "parquet")


def label_table(labelling: Labelling) -> pd.DataFrame:
    """Return one row per galaxy and annotator, in the order in which they were given.

    Returns
    -------
    DataFrame
        `EXPORT_COLUMNS`: `ra`, `dec` in degrees and `score` (of the newest model, 0 to 1) are NaN
        where they are not known, as of galaxies that are not in the pool any more; `time` is UTC,
        `round` 0 for examples.
    """
    table = labelling.current().rename(columns={"value": "label"})
    known, model = labelling.place.catalogue.set_index("id"), labelling.model.latest
    for name in ("ra", "dec"):
        there = known[name].astype(float) if name in known else pd.Series(dtype=float)
        table[name] = there.reindex(table["id"]).to_numpy()
    scores = np.full(len(known), np.nan) if model is None else model.scores.values.astype(float)
    table["score"] = pd.Series(scores, known.index).reindex(table["id"]).to_numpy()
    return table[list(EXPORT_COLUMNS)]


def exported(table: pd.DataFrame, suffix: str) -> bytes:
    """Return a table as the content of a file: csv, fits or parquet."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / f"labels.{suffix}"
        if suffix == "fits":
            columns = {name: _fits_column(table[name]) for name in table.columns}
            Table(columns, meta={CARD: (True, CARD_COMMENT)}).write(path, format="fits")
        else:
            save_table(path, table)
        return path.read_bytes()


def _fits_column(values: pd.Series) -> np.ndarray:
    if pd.api.types.is_numeric_dtype(values):
        return values.to_numpy()
    return np.array([encoded(str(value)) for value in values], dtype=bytes)


def write_training_set(labelling: Labelling, images: Images, root: Path) -> dict[str, Any]:
    """Write images and a table of labels as the `folder` source reads them.

    Parameters
    ----------
    labelling
        Its labels count by majority: positives are called as what is looked for, negatives the
        same with `not_` in front, unsure ones have no label.
    images
        Of the galaxies: FITS cubes where there are fluxes, else PNG.
    root
        A folder that bears the time of now is made in it.

    Returns
    -------
    dict
        `folder`, `n_images`, `n_left_out` (images that are gone or cannot be read, in
        `left_out.csv`) and `command`, which goes on from it.

    Raises
    ------
    DataError
        If nothing is labelled, or the folder cannot be written.
    """
    table = by_majority(labelling.current())
    if table.empty:
        raise DataError("no galaxy has a label yet; label some, then write the training set")
    name = f"{Path(labelling.store.path).stem}_training_{datetime.datetime.now():%Y%m%d_%H%M%S_%f}"
    folder = (root / name).resolve()
    rows, left_out = [], []
    try:
        (folder / "images").mkdir(parents=True)
        for number, galaxy in enumerate(table.itertuples(index=False)):
            try:
                file = _write_image(images, labelling, galaxy.id, folder / "images", number)
            except DataError as error:
                left_out.append({"id": galaxy.id, "reason": str(error)})
                continue
            label = _class_of(galaxy.value, labelling.place.name)
            rows.append({"id": galaxy.id, "file": f"images/{file}", "label": label})
        save_table(folder / "labels.csv", _with_positions(pd.DataFrame(rows), labelling))
        if left_out:
            save_table(folder / "left_out.csv", pd.DataFrame(left_out))
    except OSError as error:
        reason = error.strerror or error
        raise DataError(f"{folder}: cannot be written ({reason}); make room, try again") from error
    given = shlex.quote(f"data_dir={folder}")
    command = f"snakemake --cores 2 --configfile config/folder.yaml --config {given}"
    counts = {"n_images": len(rows), "n_left_out": len(left_out)}
    return {"folder": str(folder), **counts, "command": command}


def _class_of(value: str, target: str) -> str:
    return {POSITIVE: target, NEGATIVE: f"not_{target}"}.get(value, "")


def _with_positions(table: pd.DataFrame, labelling: Labelling) -> pd.DataFrame:
    known = labelling.place.catalogue
    if table.empty or "ra" not in known or "dec" not in known:
        return table
    rows = labelling.pool.rows_of(table["id"])
    return table.assign(ra=known["ra"].to_numpy()[rows], dec=known["dec"].to_numpy()[rows])


def _write_image(
    images: Images, labelling: Labelling, galaxy: str, folder: Path, number: int
) -> str:
    """Write the image of a galaxy; return the file's name, which no id can spoil."""
    row = int(labelling.pool.rows_of([galaxy])[0])
    image, bands = images.cutout(row)
    if bands[0] == "red":
        name = f"{number:06d}.png"
        (folder / name).write_bytes(png_of(image))
        return name
    name = f"{number:06d}.fits"
    known = labelling.place.catalogue
    about = known.iloc[row] if "ra" in known else {}
    header = _header(bands, image.shape, images.pixel_scale_arcsec, about)
    fits.writeto(folder / name, image.astype(np.float32), header)
    return name


def _header(
    bands: tuple[str, ...], shape: tuple[int, ...], scale_arcsec: float, about: Any
) -> fits.Header:
    """Return what the reader of cubes has to know: bands, pixel scale, position of the centre."""
    separator = "" if all(len(band) == 1 for band in bands) else ","
    header = fits.Header({"BANDS": separator.join(bands)})
    header["CTYPE1"], header["CTYPE2"] = "RA---TAN", "DEC--TAN"
    header["CRPIX1"], header["CRPIX2"] = (shape[2] + 1) / 2, (shape[1] + 1) / 2
    header["CD1_1"], header["CD2_2"] = -scale_arcsec / 3600, scale_arcsec / 3600
    header["CD1_2"] = header["CD2_1"] = 0.0
    for key, column in (("CRVAL1", "ra"), ("CRVAL2", "dec")):
        value = float(about.get(column, np.nan))
        if np.isfinite(value):
            header[key] = value
    return header
