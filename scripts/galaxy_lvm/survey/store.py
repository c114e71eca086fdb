"""The cutout store: HDF5 files with the schema of ssl-legacysurvey (DESIGN.md, data contract)."""

import math
import os
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType

import h5py
import numpy as np
import pandas as pd

from galaxy_lvm.core.config.sky_survey import Survey
from galaxy_lvm.core.errors import DataError
from galaxy_lvm.survey.hdf5 import NewHdf5, StoredRows, new_hdf5
from galaxy_lvm.survey.position_columns import position_columns
from galaxy_lvm.survey.shards import ShardedRows, Stored

LEGACY = Survey()
BANDS, PIXEL_SCALE_ARCSEC = LEGACY.bands, LEGACY.pixel_scale_arcsec
CUTOUT_SIDE_PIX = 152
COLOURS = ("red", "green", "blue")

_REMEDY = "import, download or simulate the survey again"
_STRING = h5py.string_dtype("utf-8")


def stored_names(columns: Sequence[str], reserved: Collection[str]) -> dict[str, str]:
    """Return names for a table's columns that HDF5 takes and that nothing else bears.

    Parameters
    ----------
    columns
        The table's, all different.
    reserved
        Names that the store or an import uses itself; a column of that name gets `table_` in front.
    """
    taken, names = {*reserved, *columns}, {}
    for name in columns:
        safe = name.replace("/", "_") or "unnamed"
        safe = f"table_{safe}" if safe in reserved else safe
        while safe != name and safe in taken:
            safe += "_"
        taken.add(safe)
        names[name] = safe
    return names


class CutoutWriter:
    """Write a cutout store piece by piece; the file appears under its name when it is complete.

    Parameters
    ----------
    path
        File to write.
    rgb
        False: `images` float32 (N, bands, H, W) in nanomaggies.
        True: `images_rgb` uint8 (N, H, W, 3).
    height_pix, width_pix
        Size of every cutout.
    attributes
        File attributes, for instance the simulation's settings.
    survey
        Bands and pixel scale of fluxes.

    Examples
    --------
    >>> with CutoutWriter("cutouts.h5") as writer:      # doctest: +SKIP
    ...     writer.append(images, {"id": ids, "flux_r": flux_r})
    """

    def __init__(
        self,
        path: str | os.PathLike,
        rgb: bool = False,
        height_pix: int = CUTOUT_SIDE_PIX,
        width_pix: int = CUTOUT_SIDE_PIX,
        attributes: Mapping[str, object] | None = None,
        survey: Survey = LEGACY,
    ) -> None:
        self.rgb = rgb
        n_bands = len(survey.bands)
        self.shape = (height_pix, width_pix, 3) if rgb else (n_bands, height_pix, width_pix)
        self.dataset = "images_rgb" if rgb else "images"
        self.dtype = np.dtype(np.uint8 if rgb else np.float32)
        self._path = path
        self._attributes: dict[str, object] = {"bands": "rgb" if rgb else ",".join(survey.bands)}
        if not rgb:
            self._attributes["pixel_scale_arcsec"] = survey.pixel_scale_arcsec
        self._attributes |= attributes or {}
        self._columns: dict[str, list] = {}
        self._n = 0

    def __enter__(self) -> "CutoutWriter":
        self._context = self._open()
        self._new = self._context.__enter__()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> bool | None:
        return self._context.__exit__(kind, error, trace)

    @contextmanager
    def _open(self) -> Iterator[NewHdf5]:
        with new_hdf5(self._path) as new:
            new.file.attrs.update(self._attributes)
            new.file.create_dataset(
                self.dataset,
                shape=(0, *self.shape),
                maxshape=(None, *self.shape),
                dtype=self.dtype,
                chunks=(1, *self.shape),  # one image a chunk: random access reads no neighbour
            )
            yield new
            self._write_columns()

    def append(self, images: np.ndarray, columns: Mapping[str, Sequence]) -> None:
        """Add `images` (n, *shape) and one value per image for every catalogue column."""
        images = np.asarray(images)
        if images.shape[1:] != self.shape:
            raise DataError(f"cutouts have shape {images.shape[1:]}, the store takes {self.shape}")
        if self._n and set(columns) != set(self._columns):
            raise DataError(f"columns changed: {sorted(set(columns) ^ set(self._columns))}")
        for name, values in columns.items():
            if len(values) != len(images):
                raise DataError(f"column {name!r}: {len(values)} values for {len(images)} images")
            self._columns.setdefault(name, []).extend(values)
        dataset = self._new.file[self.dataset]
        dataset.resize(self._n + len(images), axis=0)
        dataset[self._n :] = images.astype(self.dtype, copy=False)
        self._n += len(images)
        self._new.check()

    def _write_columns(self) -> None:
        for name, values in self._columns.items():
            array = np.asarray(values)
            if array.dtype.kind in "OUS":
                text = [str(value) for value in values]
                self._new.file.create_dataset(name, data=text, dtype=_STRING)
            else:
                self._new.file.create_dataset(name, data=array)


class CutoutStore:
    """Read a cutout store, one written here or files of the ssl-legacysurvey set.

    Parameters
    ----------
    path
        HDF5 file with `images` (N, bands, H, W) or `images_rgb` (N, H, W, 3), or the index of
        several (`shards`).

    Attributes
    ----------
    bands
        Of `images`, in their order: g, r, z where the file names none; red, green, blue of colours.
    pixel_scale_arcsec
        Side of a pixel; 0.262 where the file does not say, NaN of colours.

    Raises
    ------
    DataError
        If the file is missing, no HDF5, or holds neither dataset or one of another shape.
    """

    def __init__(self, path: str | os.PathLike) -> None:
        self.path = Path(path)
        self._stored = Stored(self.path, _REMEDY)
        try:
            self._shapes = self._stored.columns()
            self.rgb = "images_rgb" in self._shapes
            self.bands, self.pixel_scale_arcsec = self._pixels()
            self.images = self._checked("images_rgb" if self.rgb else "images")
        except DataError:
            self._stored.close()
            raise

    def _pixels(self) -> tuple[tuple[str, ...], float]:
        if self.rgb:
            return COLOURS, math.nan
        known = self.attributes
        scale = known.get("pixel_scale_arcsec", PIXEL_SCALE_ARCSEC)
        if not isinstance(scale, int | float | np.number) or not scale > 0:
            raise DataError(f"{self.path}: pixel_scale_arcsec = {scale!r}, no scale; {_REMEDY}")
        return tuple(str(known.get("bands", ",".join(BANDS))).split(",")), float(scale)

    def _checked(self, name: str) -> StoredRows | ShardedRows:
        if name not in self._shapes:
            raise DataError(
                f"{self.path}: neither 'images' nor 'images_rgb' in it, but "
                f"{sorted(self._shapes)}; see the data contract in the README"
            )
        images = self._stored.rows(name)
        n_bands = len(self.bands)
        if images.ndim != 4 or images.shape[3 if self.rgb else 1] != n_bands:
            which = "" if self.rgb else f" ({', '.join(self.bands)})"
            raise DataError(
                f"{self.path}: '{name}' has shape {images.shape}, not {n_bands} channels{which}"
            )
        return images

    def __len__(self) -> int:
        return self.images.shape[0]

    def __enter__(self) -> "CutoutStore":
        return self

    def __exit__(self, *error: object) -> None:
        self._stored.close()

    @property
    def attributes(self) -> dict[str, object]:
        """Attributes of the file, or of the first shard."""
        return self._stored.attributes()

    @property
    def sharded(self) -> bool:
        """Whether it lies in several files."""
        return self._stored.sharded

    @property
    def has_ids(self) -> bool:
        """Whether the store itself names its galaxies."""
        return self._shapes.get("id") == (len(self),)

    def catalogue(self) -> pd.DataFrame:
        """Return the 1-D columns, one row per cutout.

        Where no `id` is kept it is the row's number, after the shard's name where there are shards.
        """
        names = [name for name, shape in self._shapes.items() if shape == (len(self),)]
        table = pd.DataFrame({name: self._stored.column(name) for name in names})
        if not self.has_ids:
            numbered = self._stored.sharded and self._stored.numbered()
            table.insert(0, "id", numbered or [str(i) for i in range(len(self))])
        return table

    def positions(self, rows: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Return right ascension and declination (n,) in degrees of `rows`, NaN where unknown."""
        names = [name for name, shape in self._shapes.items() if shape == (len(self),)]
        found = position_columns(names, self.path)
        if not found:
            return np.full(len(rows), np.nan), np.full(len(rows), np.nan)
        ra, dec = (
            self._stored.rows(found[name]).take(rows).astype(float) for name in ("ra", "dec")
        )
        return ra, dec
