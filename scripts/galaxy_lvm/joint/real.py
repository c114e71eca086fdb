"""Real data by the same regressors: redshifts from photometry, stars from XP with magnitudes."""

import io
import os
import zipfile
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import pandas as pd
from astropy.io import fits

from galaxy_lvm.core.config.spectra import SpectrumSplits
from galaxy_lvm.core.errors import DataError
from galaxy_lvm.core.logs import log
from galaxy_lvm.joint.galaxies import Galaxies
from galaxy_lvm.spectra.stars import first_usable, normalised, split_of, star_labels, within
from galaxy_lvm.spectra.store import SpectrumStore
from galaxy_lvm.survey.fits_errors import FITS_ERRORS
from galaxy_lvm.survey.positions import first_of_each

# Where the package kcorrect keeps the galaxies (its wheel is an archive).
_IN_WHEEL = "kcorrect/data/test/gst_tests_small.fits"
_NEEDED = ("RA", "DEC", "MODELFLUX", "EXTINCTION", "Z", "J_M_EXT", "H_M_EXT", "K_M_EXT")
# No star is brighter in any band, and none so faint was measured; catalogues write 99 and -9.999.
_MAGNITUDES = (-6.0, 40.0, "mag")
_SAME_ARCSEC = 2.0  # galaxies closer than this on the sky are one

PHOTOMETRY_MODELS: Mapping[str, tuple[str, ...]] = {
    "grz": ("grz",),
    "ugriz": ("ugriz",),
    "ugriz_jhk": ("ugriz", "jhk"),
}
STAR_MODELS: Mapping[str, tuple[str, ...]] = {
    "colours": ("colours",),
    "xp": ("xp",),
    "xp_colours": ("xp", "colours"),
}
MODELS = {"photometry": PHOTOMETRY_MODELS, "stars": STAR_MODELS}


def read_photometry(path: str | os.PathLike, splits: SpectrumSplits, seed: int) -> Galaxies:
    """Read magnitudes and redshifts of the SDSS galaxies of the package kcorrect.

    Parameters
    ----------
    path
        Its file gst_tests_small.fits, or the package's wheel.
    splits, seed
        Shares of the splits; the run's seed.

    Raises
    ------
    DataError
        If the file cannot be read or has other columns.
    """
    table = _photometry_table(Path(path))
    with np.errstate(divide="ignore", invalid="ignore"):
        flux = np.asarray(table["MODELFLUX"], dtype=float)
        magnitudes = 22.5 - 2.5 * np.log10(np.where(flux > 0, flux, np.nan))
    magnitudes -= np.asarray(table["EXTINCTION"], dtype=float)
    infrared = np.stack([np.asarray(table[f"{b}_M_EXT"], dtype=float) for b in "JHK"], axis=1)
    infrared = np.where(infrared > 0, infrared, np.nan)
    redshift = np.asarray(table["Z"], dtype=float)
    places = pd.DataFrame({n.lower(): np.asarray(table[n], dtype=float) for n in ("RA", "DEC")})
    kept = np.isfinite(magnitudes[:, 1:]).all(axis=1) & np.isfinite(redshift) & (redshift > 0)
    usable = np.flatnonzero(kept & np.isfinite(places).all(axis=1).to_numpy())
    firsts = first_of_each(places.iloc[usable], _SAME_ARCSEC) == np.arange(len(usable))
    kept = np.isin(np.arange(len(kept)), usable[firsts])
    log.info("%d of %d galaxies have g, r, i, z and a redshift, and are there once",
             kept.sum(), len(kept))  # fmt: skip
    names = np.array([f"sdss_{row:05d}" for row in np.flatnonzero(kept)], dtype=object)
    views = {
        "grz": with_colours(magnitudes[:, [1, 2, 4]]),
        "ugriz": with_colours(magnitudes),
        "jhk": -np.diff(np.concatenate([magnitudes[:, 4:], infrared], axis=1), axis=1),
    }
    views = {name: view[kept] for name, view in views.items()}
    return Galaxies(
        names, split_of(names, splits, seed), redshift[kept, None], views, ("redshift",)
    )


def _photometry_table(path: Path) -> fits.FITS_rec:
    try:
        content: str | io.BytesIO = str(path)
        if path.suffix == ".whl":
            with zipfile.ZipFile(path) as archive:
                content = io.BytesIO(archive.read(_IN_WHEEL))
        with fits.open(content, memmap=False) as file:
            table = file[1].data
    except (*FITS_ERRORS, zipfile.BadZipFile, KeyError, IndexError) as error:
        raise DataError(
            f"{path}: not gst_tests_small.fits of the package kcorrect, nor its wheel ({error}); "
            "get it by `pip download --no-deps kcorrect==5.1.9`"
        ) from error
    missing = [name for name in _NEEDED if name not in table.names]
    if missing:
        raise DataError(f"{path}: no column {', '.join(missing)}, but {', '.join(table.names)}")
    return table


def with_colours(magnitudes: np.ndarray) -> np.ndarray:
    """Return the second magnitude and all neighbouring colours (n, D) of magnitudes (n, D)."""
    return np.concatenate([magnitudes[:, [1]], -np.diff(magnitudes, axis=1)], axis=1)


def read_star_views(
    path: str | os.PathLike,
    labels: Sequence[str],
    magnitudes: Sequence[str],
    splits: SpectrumSplits,
    seed: int,
) -> Galaxies:
    """Read stars with a spectrum, magnitudes and labels.

    Parameters
    ----------
    path
        Store of spectra.
    labels, magnitudes
        Columns of its catalogue; of the magnitudes neighbouring colours are taken. Values that no
        star has (-9999 and the like) count as missing.
    splits, seed
        Shares of the splits; the run's seed.

    Raises
    ------
    DataError
        If a column is missing or holds text, or no star has all.
    """
    with SpectrumStore(path) as store:
        table = store.catalogue()
        flux, _ = normalised(store.flux(), store.error())
    missing = [name for name in (*labels, *magnitudes) if name not in table]
    if missing:
        raise DataError(
            f"{path}: no column {', '.join(missing)} beside the spectra; import files that have "
            "them (spectra.source: files), or name others in joint.real.magnitudes and "
            "spectra.labels"
        )
    values = star_labels(path, labels, table)
    seen = np.stack([within(path, n, table[n], *_MAGNITUDES) for n in magnitudes], axis=1)
    kept = np.isfinite(values).all(axis=1) & np.isfinite(seen).all(axis=1)
    kept = first_usable(table["id"], kept & np.isfinite(flux).any(axis=1))
    if not kept.any():
        raise DataError(f"{path}: no star has all of {', '.join((*labels, *magnitudes))}")
    log.info("%d of %d spectra are of a star with all labels and magnitudes, the first of each",
             kept.sum(), len(kept))  # fmt: skip
    ids = table["id"].to_numpy(object)[kept]
    views = {"xp": flux[kept], "colours": -np.diff(seen[kept], axis=1)}
    return Galaxies(ids, split_of(ids, splits, seed), values[kept], views, tuple(labels))
