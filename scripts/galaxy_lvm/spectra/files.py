"""Spectra in files: tables with arrays (Gaia XP), one FITS file a star (LAMOST, SDSS)."""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import h5py
import numpy as np
from astropy.io import fits

from galaxy_lvm.core.array_tables import read_array_rows
from galaxy_lvm.core.errors import DataError, in_short
from galaxy_lvm.core.fits_text import FITS_ENDINGS
from galaxy_lvm.spectra.wavelengths import grid_wavelengths

FLUX_NAMES = ("flux",)
ERROR_NAMES = ("error", "flux_error", "flux_err", "e_flux")
WAVELENGTH_NAMES = ("wavelength", "wave", "wave_nm", "wave_angstrom", "lambda", "sampling")
_UNITS = {"wave_nm": "nm", "wave_angstrom": "angstrom"}
_HEADER_COLUMNS = ("CLASS", "SUBCLASS", "Z", "SNRG", "SNRR", "OBSID", "DESIG", "RA", "DEC")
_XP_SAMPLES = 343


class Unreadable(DataError):
    """One spectrum that cannot be read; the others can."""


@dataclass
class RawSpectrum:
    """A spectrum as its file has it."""

    wavelength: np.ndarray
    flux: np.ndarray
    error: np.ndarray | None
    """None where the file has no errors."""
    columns: dict[str, Any]
    """Catalogue values beside it, numbers or text."""
    where: tuple[str, int | None]
    """File, and row in it (the first is 1)."""
    unit: str | None = None
    """Of the wavelengths, where the file says it."""
    medium: str | None = None
    """air or vacuum, where the file says it."""
    redshift: Any = None
    """What the observatory found, in the files of LAMOST and SDSS alone."""
    notes: list[str] = field(default_factory=list)
    """What was done to it."""


def read_spectra(path: str | Path) -> Iterator[RawSpectrum | tuple[str, str]]:
    """Yield the spectra of a table or of a folder of FITS files, in order.

    Parameters
    ----------
    path
        HDF5 or npz (`flux` (N, L), `wavelength` (L,), perhaps `error`, columns beside), FITS,
        VOTable, ECSV or CSV with arrays in cells, or a folder with one FITS file a star.

    Yields
    ------
    RawSpectrum, or (file, reason) for a file of a folder that cannot be read

    Raises
    ------
    DataError
        If nothing can be read.
    """
    path = Path(path)
    if not path.exists():
        raise DataError(f"{path}: no such file or folder; see spectra.files.path")
    if path.is_dir():
        yield from _from_folder(path)
    elif path.suffix == ".npz":
        yield from _from_arrays(path, _npz(path))
    elif h5py.is_hdf5(path):
        yield from _from_arrays(path, _hdf5(path))
    else:
        yield from _from_rows(path)


def _npz(path: Path) -> dict[str, np.ndarray]:
    try:
        with np.load(path, allow_pickle=False) as kept:
            return {name: kept[name] for name in kept.files}
    except (OSError, ValueError) as error:
        raise DataError(f"{path}: not a readable npz file ({in_short(error)})") from error


def _hdf5(path: Path) -> dict[str, np.ndarray]:
    with h5py.File(path, "r") as file:
        parts = {name: part for name, part in file.items() if isinstance(part, h5py.Dataset)}
        is_text = {n: h5py.check_string_dtype(part.dtype) is not None for n, part in parts.items()}
        return {n: part.asstr()[()] if is_text[n] else part[()] for n, part in parts.items()}


def _first(names: tuple[str, ...], there: Mapping[str, Any]) -> str | None:
    """Return the first of the names that a table has, whatever its letters' case."""
    known = {name.lower(): name for name in there}
    return next((known[name] for name in names if name in known), None)


def _from_arrays(path: Path, arrays: dict[str, np.ndarray]) -> Iterator[RawSpectrum]:
    flux_name, error_name = _first(FLUX_NAMES, arrays), _first(ERROR_NAMES, arrays)
    wave_name = _first(WAVELENGTH_NAMES, arrays)
    if flux_name is None or wave_name is None:
        raise DataError(f"{path}: needs flux (N, L) and wavelength (L,); it has {sorted(arrays)}")
    flux, wave = arrays[flux_name], arrays[wave_name]
    if flux.ndim != 2 or wave.shape not in (flux.shape, flux.shape[1:]):
        raise DataError(f"{path}: flux {flux.shape} and {wave_name} {wave.shape} do not fit")
    error = arrays[error_name] if error_name else None
    if error is not None and error.shape != flux.shape:
        raise DataError(f"{path}: {error_name} {error.shape} is not of flux's shape {flux.shape}")
    beside = {n: v for n, v in arrays.items() if v.shape == (len(flux),) and n != wave_name}
    for row in range(len(flux)):
        yield RawSpectrum(
            np.asarray(wave[row] if wave.ndim == 2 else wave, dtype=float),
            np.asarray(flux[row], dtype=float),
            None if error is None else np.asarray(error[row], dtype=float),
            {name: values[row] for name, values in beside.items()},
            (path.name, row + 1),
            _UNITS.get(wave_name.lower()),
        )


def _from_rows(path: Path) -> Iterator[RawSpectrum]:
    """Yield the rows of a table that holds arrays in its cells."""
    table = read_array_rows(path)
    names = table[0] if table else {}
    flux_name, error_name = _first(FLUX_NAMES, names), _first(ERROR_NAMES, names)
    wave_name = _first(WAVELENGTH_NAMES, names)
    if flux_name is None:
        raise DataError(
            f"{path}: no column flux; its columns are {sorted(names)}. Coefficients of Gaia XP "
            "become samples with GaiaXPy's `convert` first"
        )
    arrays = {flux_name, error_name, wave_name} - {None}
    for number, row in enumerate(table, start=1):
        flux = _array(row[flux_name])
        beside = {n: v for n, v in row.items() if n not in arrays and np.ndim(v) == 0}
        if wave_name is not None:
            wave, unit = _array(row[wave_name]), _UNITS.get(wave_name.lower())
        elif len(flux) == _XP_SAMPLES:
            wave, unit = grid_wavelengths("xp"), "angstrom"
        else:
            raise DataError(
                f"{path}: row {number}: {len(flux)} fluxes and no column of wavelengths; only "
                f"Gaia's {_XP_SAMPLES} samples need none"
            )
        error = _array(row[error_name]) if error_name else None
        yield RawSpectrum(wave, flux, error, beside, (path.name, number), unit)


def _array(value: Any) -> np.ndarray:
    """Return a cell as numbers; text such as "(1.0, null, 2e-16)" as the Gaia archive writes it."""
    if not isinstance(value, str):
        return np.ma.filled(np.ma.asarray(value, dtype=float), np.nan).ravel()
    cells = re.split(r"[,\s]+", value.strip("[]() \"'"))
    try:
        return np.array([np.nan if c.lower() in ("null", "") else float(c) for c in cells])
    except ValueError as error:
        raise DataError(f"a cell of fluxes is no list of numbers: {value[:60]!r}") from error


def _from_folder(folder: Path) -> Iterator[RawSpectrum | tuple[str, str]]:
    files = sorted(p for p in folder.rglob("*") if p.name.lower().endswith(FITS_ENDINGS))
    if not files:
        raise DataError(f"{folder}: no file that ends in {', '.join(FITS_ENDINGS)}")
    for path in files:
        name = path.relative_to(folder).as_posix()
        try:
            with fits.open(path) as opened:
                yield _star(opened, name)
        except (OSError, DataError, KeyError, TypeError, ValueError, IndexError) as error:
            yield name, f"not a spectrum of LAMOST or SDSS ({in_short(error)})"


def _star(opened: fits.HDUList, name: str) -> RawSpectrum:
    """Read a file of LAMOST (up to DR7: one image; later: a table) or SDSS (a table)."""
    header = opened[0].header
    columns = _of_catalogue(opened)
    columns |= {key.lower(): header[key] for key in _HEADER_COLUMNS if key in header}
    columns["file"] = name
    medium = {True: "vacuum", False: "air"}.get(header.get("VACUUM"))
    if opened[0].data is not None:
        flux, ivar, wave = (np.asarray(opened[0].data[row], dtype=float) for row in range(3))
    else:
        table = opened[1].data
        known = {column.lower(): column for column in table.columns.names}
        flux, ivar = (_cell(table, known[key]) for key in ("flux", "ivar"))
        if "loglam" in known:
            wave, medium = 10 ** _cell(table, known["loglam"]), medium or "vacuum"
        else:
            wave = _cell(table, known["wavelength"])
    with np.errstate(divide="ignore"):
        error = np.where(ivar > 0, 1 / np.sqrt(np.maximum(ivar, 0)), np.nan)
    return RawSpectrum(
        wave, flux, error, columns, (name, None), "angstrom", medium, columns.get("z")
    )


def _of_catalogue(opened: fits.HDUList) -> dict[str, Any]:
    """Return what SDSS tells of the star: the one row of a table behind the spectrum."""
    for table in opened[2:]:
        names = getattr(getattr(table, "columns", None), "names", ())
        if "Z" in names and len(table.data) == 1:
            return {n.lower(): table.data[n][0] for n in ("CLASS", "SUBCLASS", "Z") if n in names}
    return {}


def _cell(table: fits.FITS_rec, column: str) -> np.ndarray:
    """Return a column of one row with an array (LAMOST), or of a row a pixel (SDSS)."""
    return np.asarray(table[column], dtype=float).ravel()
