"""Spectra of files on one grid: what is wrong with one is named, refused or marked, and counted."""

import os
from collections import Counter
from pathlib import Path

import numpy as np
import pandas as pd

from galaxy_lvm.core.config.spectra import Grid, SpectrumFiles
from galaxy_lvm.core.errors import DataError
from galaxy_lvm.core.logs import log
from galaxy_lvm.core.tables import typed
from galaxy_lvm.spectra.files import RawSpectrum, read_spectra
from galaxy_lvm.spectra.store import RESERVED, write_spectra
from galaxy_lvm.spectra.wavelengths import grid_wavelengths, in_vacuum_angstrom
from galaxy_lvm.survey.rejected import rejection

ID_COLUMNS = ("source_id", "gaiaedr3_source_id", "id", "designation", "desig", "file")
# A step this many times the median one is a gap that nothing is interpolated over.
_GAP_STEPS = 3.0
_SAME_ANGSTROM = 1e-3
# spectra.files.redshift_column: spectra stay as they were observed.
NOT_MOVED = "none"
# 3,000 km/s, more than any known star; catalogues write -9999 for what they lack.
_LARGEST_REDSHIFT = 0.01


def import_spectra(
    path: str | os.PathLike, grid: Grid, settings: SpectrumFiles, store: str | os.PathLike
) -> list[dict[str, object]]:
    """Write the store of a user's spectra; return what could not be used.

    Parameters
    ----------
    path
        See `read_spectra`.
    grid
        Wavelengths of the store.
    settings
        Unit and medium of the wavelengths, the columns of ids and redshifts, the share of pixels
        that is enough.
    store
        HDF5 file to write; its columns `n_bad_pixels`, `n_negative_pixels` and `notes` say what
        is marked.

    Returns
    -------
    list
        Rows of the table of rejected spectra.

    Raises
    ------
    DataError
        If no spectrum can be used.
    """
    wanted = grid_wavelengths(grid)
    fluxes, errors, rows, rejected = [], [], [], []
    for raw in read_spectra(path):
        if not isinstance(raw, RawSpectrum):
            rejected.append(rejection("import", raw[1], file=raw[0]))
            continue
        file, row = raw.where
        name = ""
        try:
            name = star_id(raw.columns, settings.id_column)
            flux, error = on_grid(raw, wanted, settings)
        except DataError as problem:
            rejected.append(rejection("import", str(problem), name, file, row))
            continue
        fluxes.append(flux)
        errors.append(error)
        rows.append(_catalogue_row(raw, flux, name))
    if not rows:
        first = rejected[0]["reason"] if rejected else "it is empty"
        raise DataError(f"{path}: no spectrum can be used; the first: {first}")
    table = _typed(pd.DataFrame(rows))
    about = {"source": Path(path).name, "grid": grid, "n_rejected": len(rejected)}
    write_spectra(store, wanted, np.array(fluxes), np.array(errors), table, about)
    _tell(table, rejected)
    return rejected


def star_id(columns: dict, wanted: str | None) -> str:
    """Return what names the star, as text.

    Raises
    ------
    DataError
        If the column is missing or empty.
    """
    known = {name.lower(): name for name in columns}
    names = [wanted.lower()] if wanted else ID_COLUMNS
    found = next((known[name] for name in names if name in known), None)
    if found is None:
        raise DataError(
            f"no column {' or '.join(names)} names the star; set spectra.files.id_column"
        )
    text = str(columns[found]).strip()
    if text in ("", "nan", "--"):
        raise DataError(f"column {found} is empty; every star needs a name")
    return text


def on_grid(
    raw: RawSpectrum, wanted: np.ndarray, settings: SpectrumFiles
) -> tuple[np.ndarray, np.ndarray]:
    """Return flux and error (L,) on the wanted wavelengths, NaN where the spectrum has none.

    Linear interpolation between good neighbours; nothing is made up in gaps and beyond the ends.

    Raises
    ------
    DataError
        If the spectrum cannot be used.
    """
    error = np.full(raw.flux.shape, np.nan) if raw.error is None else raw.error
    if not raw.wavelength.shape == raw.flux.shape == error.shape:
        raise DataError(
            f"{len(raw.wavelength)} wavelengths, {len(raw.flux)} fluxes and {len(error)} errors"
        )
    unit = raw.unit if settings.unit == "auto" and raw.unit else settings.unit
    medium = settings.medium if settings.medium != "auto" else raw.medium or "vacuum"
    wave = in_vacuum_angstrom(raw.wavelength, unit, medium)
    wave = wave / (1 + star_redshift(raw, settings.redshift_column))
    flux = raw.flux
    if wave[0] > wave[-1]:
        wave, flux, error = wave[::-1], flux[::-1], error[::-1]
        raw.notes.append("descending wavelengths turned")
    good = np.isfinite(flux) & ((error > 0) | (raw.error is None))
    if not np.any(flux[good]):
        raise DataError("all fluxes are zero or missing; leave the spectrum out")
    if raw.error is None:
        raw.notes.append("no errors")
    if medium == "air":
        raw.notes.append("air to vacuum")
    flux, error = _interpolated(wave, flux, error, good, wanted)
    share = np.isfinite(flux).mean()
    if share < settings.min_good_share:
        raise DataError(
            f"covers {100 * share:.0f} % of the grid's {wanted[0]:.0f} to {wanted[-1]:.0f} "
            f"Angstrom ({wave[0]:.0f} to {wave[-1]:.0f} with {np.sum(~good)} bad pixels), under "
            "spectra.files.min_good_share; check unit and grid"
        )
    if np.nanmedian(flux) <= 0:
        raise DataError("the median flux is not positive: no star, or too much sky was subtracted")
    return flux, error


def star_redshift(raw: RawSpectrum, wanted: str | None) -> float:
    """Return the redshift that a spectrum is brought to rest by, 0 for none; noted in `raw.notes`.

    Parameters
    ----------
    raw
        The spectrum.
    wanted
        Column with the redshift; None takes what a file of LAMOST or SDSS says of itself, `none`
        moves nothing.

    Raises
    ------
    DataError
        If the column is missing, or holds a text that is no number.
    """
    if wanted == NOT_MOVED or (wanted is None and raw.redshift is None):
        return 0.0
    given = raw.redshift
    if wanted is not None:
        known = {name.lower(): name for name in raw.columns}
        if wanted.lower() not in known:
            raise DataError(f"no column {wanted}; set spectra.files.redshift_column")
        given = raw.columns[known[wanted.lower()]]
    try:
        redshift = float(np.ma.filled(np.ma.asarray(given, dtype=float), np.nan))
    except (TypeError, ValueError) as error:
        raise DataError(
            f"the redshift {given!r} is no number; see spectra.files.redshift_column"
        ) from error
    if not abs(redshift) <= _LARGEST_REDSHIFT:
        raw.notes.append("no redshift of a star, left as observed")
        return 0.0
    raw.notes.append("brought to rest by its redshift")
    return redshift


def _interpolated(
    wave: np.ndarray, flux: np.ndarray, error: np.ndarray, good: np.ndarray, wanted: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    if wave.shape == wanted.shape and np.abs(wave - wanted).max() < _SAME_ANGSTROM:
        return np.where(good, flux, np.nan), np.where(good, error, np.nan)
    step = np.median(np.diff(wave))
    wave, flux, error = wave[good], flux[good], error[good]
    right = np.searchsorted(wave, wanted)
    right_end = np.clip(right, 1, len(wave) - 1)
    outside = (wanted < wave[0] - step / 2) | (wanted > wave[-1] + step / 2)
    in_gap = (wave[right_end] - wave[right_end - 1]) > _GAP_STEPS * step
    lost = outside | in_gap
    values = (np.interp(wanted, wave, part) for part in (flux, error))
    return tuple(np.where(lost, np.nan, part) for part in values)


def _catalogue_row(raw: RawSpectrum, flux: np.ndarray, name: str) -> dict[str, object]:
    columns = {n: v for n, v in raw.columns.items() if n.lower() != "id" and n not in RESERVED}
    return {
        "id": name,
        **columns,
        "n_bad_pixels": int(np.sum(~np.isfinite(flux))),
        "n_negative_pixels": int(np.sum(flux < 0)),
        "notes": "; ".join(raw.notes),
    }


def _typed(table: pd.DataFrame) -> pd.DataFrame:
    """Return the catalogue with numbers as numbers where a text file had them."""
    texts = [n for n in table if n not in ("id", "notes") and table[n].dtype.kind not in "biuf"]
    return table.assign(**{name: typed(table[name]) for name in texts})


def _tell(table: pd.DataFrame, rejected: list[dict[str, object]]) -> None:
    log.info("%d spectra of %d stars imported", len(table), table["id"].nunique())
    counts = Counter(note for notes in table["notes"] for note in notes.split("; ") if note)
    for column, what in (("n_bad_pixels", "bad"), ("n_negative_pixels", "negative")):
        counts[f"with {what} pixels"] = int((table[column] > 0).sum())
    for what, n in counts.items():
        if n:
            log.info("%d spectra: %s", n, what)
    if rejected:
        log.warning("%d spectra are left out, see rejected_spectra.csv; the first: %s",
                    len(rejected), rejected[0]["reason"])  # fmt: skip
