"""The store of spectra: HDF5, one wavelength grid, fluxes, errors and a catalogue (DESIGN.md)."""

import os
from collections.abc import Mapping
from pathlib import Path

import h5py
import numpy as np
import pandas as pd

from galaxy_lvm.core.errors import DataError
from galaxy_lvm.survey.hdf5 import (
    StoredRows,
    attributes_of,
    columns_in,
    new_hdf5,
    open_hdf5,
    read_column,
)

RESERVED = ("flux", "error", "wavelength")
_REMEDY = "simulate or import the spectra again"
_STRING = h5py.string_dtype("utf-8")


def write_spectra(
    path: str | os.PathLike,
    wavelength: np.ndarray,
    flux: np.ndarray,
    error: np.ndarray,
    catalogue: pd.DataFrame,
    attributes: Mapping[str, object] | None = None,
) -> None:
    """Write a store; it bears its name only once it is complete.

    Parameters
    ----------
    path
        File to write.
    wavelength
        (L,) Angstrom in vacuum, ascending.
    flux, error
        (N, L) in one unit per spectrum; NaN where a pixel has none.
    catalogue
        N rows with a column `id`; numbers stay numbers, all else is text.
    attributes
        File attributes.

    Raises
    ------
    DataError
        If shapes do not agree, or a column bears the name of a dataset.
    """
    if flux.shape != error.shape or flux.shape != (len(catalogue), len(wavelength)):
        raise DataError(
            f"{path}: fluxes {flux.shape}, errors {error.shape}, {len(catalogue)} catalogue rows, "
            f"{len(wavelength)} wavelengths do not go together"
        )
    taken = sorted(set(RESERVED) & set(catalogue))
    if taken:
        raise DataError(f"{path}: catalogue columns {taken} need another name")
    with new_hdf5(path) as new:
        new.file.attrs.update({"wavelength_unit": "Angstrom", "medium": "vacuum"})
        new.file.attrs.update(attributes or {})
        new.file["wavelength"] = np.asarray(wavelength, dtype=float)
        for name, values in (("flux", flux), ("error", error)):
            new.file.create_dataset(name, data=values.astype(np.float32), chunks=True)
            new.check()
        for name in catalogue:
            values = catalogue[name].to_numpy()
            if values.dtype.kind in "biuf" and name != "id":
                new.file[name] = values
            else:
                text = ["" if value is None else str(value) for value in values]
                new.file.create_dataset(name, data=text, dtype=_STRING)


class SpectrumStore:
    """Read a store of spectra.

    Parameters
    ----------
    path
        HDF5 file of `write_spectra`, or any with `flux` (N, L), `wavelength` (L,) in Angstrom
        (vacuum) and columns beside; `error` may be absent.

    Raises
    ------
    DataError
        If the file is missing, damaged, or its shapes do not agree.
    """

    def __init__(self, path: str | os.PathLike) -> None:
        self.path = Path(path)
        self._file = open_hdf5(self.path, _REMEDY)
        try:
            self._shapes = columns_in(self._file, _REMEDY)
            missing = [name for name in ("flux", "wavelength") if name not in self._shapes]
            if missing:
                raise DataError(
                    f"{self.path}: no {' and no '.join(missing)} in it, but {sorted(self._shapes)}"
                )
            self.wavelength = read_column(self._file, "wavelength", _REMEDY)
            self._flux = StoredRows(self._file, "flux", _REMEDY)
            if self._flux.shape != (len(self._flux), *self.wavelength.shape):
                raise DataError(
                    f"{self.path}: flux {self._flux.shape} and wavelength {self.wavelength.shape} "
                    "do not go together"
                )
        except DataError:
            self._file.close()
            raise

    def __len__(self) -> int:
        return len(self._flux)

    def __enter__(self) -> "SpectrumStore":
        return self

    def __exit__(self, *error: object) -> None:
        self._file.close()

    @property
    def attributes(self) -> dict[str, object]:
        """File attributes."""
        return attributes_of(self._file, _REMEDY)

    def flux(self) -> np.ndarray:
        """Return all fluxes (N, L) float32, NaN where a pixel has none."""
        return self._flux[:]

    def error(self) -> np.ndarray:
        """Return all errors (N, L) float32, NaN where a pixel has none."""
        if self._shapes.get("error") != self._flux.shape:
            return np.full(self._flux.shape, np.nan, np.float32)
        return read_column(self._file, "error", _REMEDY)

    def catalogue(self) -> pd.DataFrame:
        """Return the 1-D columns, one row per spectrum; `id` is the row where none is kept."""
        names = [
            name
            for name, shape in self._shapes.items()
            if shape == (len(self),) and name not in RESERVED
        ]
        table = pd.DataFrame({name: read_column(self._file, name, _REMEDY) for name in names})
        if "id" not in table:
            table.insert(0, "id", [str(row) for row in range(len(self))])
        return table.assign(id=table["id"].astype(str))
