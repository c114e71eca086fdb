"""Stars as the methods see them: normalised spectra, labels, and a split by star."""

import hashlib
import os
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from galaxy_lvm.core.config.spectra import SpectrumMethods, SpectrumSplits
from galaxy_lvm.core.errors import DataError
from galaxy_lvm.core.logs import log
from galaxy_lvm.spectra.continuum import continuum_scale, over_continuum
from galaxy_lvm.spectra.labels import LABELS
from galaxy_lvm.spectra.store import SpectrumStore

SPLITS = ("train", "val", "test")
MIN_STARS = {"train": 10, "val": 3, "test": 5}


@dataclass(frozen=True)
class Stars:
    """Spectra with labels.

    Attributes
    ----------
    ids
        (n,) text.
    flux, error
        (n, L) float32 in units of the spectrum's median flux; NaN where a pixel has none.
    labels
        (n, k) float64: K for Teff, dex for the others.
    label_names
        Their k names.
    wavelength
        (L,) Angstrom in vacuum.
    continuum_angstrom
        Width of the running mean that the spectra are divided by, 0 for none.
    """

    ids: np.ndarray
    flux: np.ndarray
    error: np.ndarray
    labels: np.ndarray
    label_names: tuple[str, ...]
    wavelength: np.ndarray
    continuum_angstrom: float = 0.0

    def __len__(self) -> int:
        return len(self.ids)

    def take(self, rows: np.ndarray) -> "Stars":
        """Return some of them, by numbers or one bool each."""
        parts = (self.ids[rows], self.flux[rows], self.error[rows], self.labels[rows])
        return Stars(*parts, self.label_names, self.wavelength, self.continuum_angstrom)


def normalised(flux: np.ndarray, error: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return spectra (n, L) and their errors in units of their median flux.

    Brightness and distance are no label; a spectrum without a positive median becomes NaN.
    """
    median = np.full((len(flux), 1), np.nan)
    some = np.isfinite(flux).any(axis=1)
    median[some, 0] = np.nanmedian(flux[some], axis=1)
    scale = np.where(median > 0, median, np.nan)
    return (flux / scale).astype(np.float32), (error / scale).astype(np.float32)


def read_stars(
    path: str | os.PathLike, labels: Sequence[str], continuum_angstrom: float | None = None
) -> Stars:
    """Read the stars of a store that have all labels.

    Parameters
    ----------
    path
        Store of spectra.
    labels
        Wanted columns of its catalogue; one that it lacks is left out with a note. Values beyond
        a label's range count as missing.
    continuum_angstrom
        Width of the running mean that spectra are divided by; see `continuum_scale`.

    Raises
    ------
    DataError
        If the catalogue has none of the labels, or no star has all of them.
    """
    with SpectrumStore(path) as store:
        table, wavelength = store.catalogue(), store.wavelength
        flux, error = normalised(store.flux(), store.error())
    scale = continuum_scale(wavelength, continuum_angstrom)
    flux, error = over_continuum(wavelength, flux, error, scale)
    kept = tuple(name for name in labels if name in table and table[name].dtype.kind in "iuf")
    for name in labels:
        if name not in kept:
            log.warning("%s: no numbers in a column %s; it is left out", path, name)
    if not kept:
        raise DataError(
            f"{path}: none of the labels {', '.join(labels)} is a column of numbers of the "
            f"catalogue {sorted(table)}; join them to the spectra's table"
        )
    values = star_labels(path, kept, table)
    usable = np.isfinite(values).all(axis=1) & np.isfinite(flux).any(axis=1)
    if not usable.any():
        raise DataError(f"{path}: no star has all of the labels {', '.join(kept)}")
    if not usable.all():
        log.warning("%s: %d of %d spectra lack a label and are left out",
                    path, np.sum(~usable), len(usable))  # fmt: skip
    ids = table["id"].to_numpy(object)
    return Stars(ids, flux, error, values, kept, wavelength, scale).take(usable)


def star_labels(path: str | os.PathLike, names: Sequence[str], table: pd.DataFrame) -> np.ndarray:
    """Return columns of a catalogue (n, k) as float64, NaN beyond the range of their label.

    Parameters
    ----------
    path
        The store, for the log.
    names, table
        Labels, and the catalogue that has them as numbers.
    """
    limits = [(LABELS[name].lowest, LABELS[name].highest, LABELS[name].unit) for name in names]
    columns = [within(path, n, table[n], *its) for n, its in zip(names, limits, strict=True)]
    return np.stack(columns, axis=1)


def within(
    path: str | os.PathLike,
    name: str,
    column: pd.Series,
    lowest: float,
    highest: float,
    unit: str,
) -> np.ndarray:
    """Return a column (n,) as float64, NaN where it holds no star's value: catalogues write -9999.

    Parameters
    ----------
    path, name
        The store and its column, for the log.
    column
        Numbers.
    lowest, highest, unit
        What a star may have.

    Raises
    ------
    DataError
        If the column holds text.
    """
    if column.dtype.kind not in "iuf":
        raise DataError(f"{path}: {name} is no column of numbers; the first is {column.iloc[0]!r}")
    values = column.to_numpy(dtype=float)
    wrong = np.isfinite(values) & ((values < lowest) | (values > highest))
    if wrong.any():
        log.warning("%s: %s of %d spectra is beyond %g to %g %s, the first %g; counts as missing",
                    path, name, wrong.sum(), lowest, highest, unit, values[wrong][0])  # fmt: skip
    return np.where(wrong, np.nan, values)


def first_usable(keys: pd.Series | pd.DataFrame, usable: np.ndarray) -> np.ndarray:
    """Return which rows to take so that everything that has a usable row is there once.

    Parameters
    ----------
    keys
        What a row is of: a star's id, a place (N rows).
    usable
        bool (N,): rows that may be taken. One that may not never hides a later one that may.
    """
    first = usable.copy()
    first[usable] = ~keys[usable].duplicated().to_numpy()
    return first


def split_of(ids: Sequence[str], settings: SpectrumSplits, seed: int) -> np.ndarray:
    """Return the split (n,) of every spectrum, the same for all spectra of a star.

    Stars are put in the order of a hash of seed and id, which tells nothing of them; the first are
    the test stars.

    Parameters
    ----------
    ids
        Name of the star of each spectrum.
    settings
        Shares of the splits.
    seed
        The run's seed.

    Raises
    ------
    DataError
        If a split has too few stars.
    """
    stars = pd.unique(np.asarray(ids, dtype=object))
    order = sorted(stars, key=lambda name: hashlib.sha256(f"{seed} {name}".encode()).digest())
    n_test, n_val = (round(s * len(order)) for s in (settings.test_share, settings.val_share))
    counts = {"test": n_test, "val": n_val, "train": len(order) - n_test - n_val}
    for name, least in MIN_STARS.items():
        if counts[name] < least:
            raise DataError(
                f"{len(order)} stars give {counts[name]} of split {name}, {least} are needed; more "
                "spectra with labels, or other shares of spectra.test_share and val_share"
            )
    names = np.repeat(list(counts), list(counts.values()))
    of_star = dict(zip(order, names, strict=True))
    return np.array([of_star[name] for name in ids])


@dataclass(frozen=True)
class SplitStars:
    """Stars to learn from, to choose by and to ask."""

    train: Stars
    val: Stars
    test: Stars


def split_stars(stars: Stars, settings: SpectrumSplits, seed: int) -> SplitStars:
    """Return the three parts; see `split_of`."""
    split = split_of(stars.ids, settings, seed)
    return SplitStars(*(stars.take(split == name) for name in SPLITS))


def read_split(path: str | os.PathLike, settings: SpectrumMethods, seed: int) -> SplitStars:
    """Read the stars of a store as the config wants them, in three parts; see `read_stars`."""
    stars = read_stars(path, settings.labels, settings.continuum_angstrom)
    return split_stars(stars, settings, seed)
