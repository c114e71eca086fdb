"""Pairs of spectra of one star: the two ends of a spectrum, or a real one and a simulated twin."""

import os
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import pandas as pd

from galaxy_lvm.core.config.align import Experiment, Pairing
from galaxy_lvm.core.config.spectra import SpectrumSplits
from galaxy_lvm.core.errors import DataError
from galaxy_lvm.core.logs import log
from galaxy_lvm.core.seeds import derive_seed
from galaxy_lvm.spectra.emulator import LABELS, LIMITS, emulator
from galaxy_lvm.spectra.simulate import noise_shape
from galaxy_lvm.spectra.stars import SPLITS, first_usable, normalised, split_of
from galaxy_lvm.spectra.store import SpectrumStore, write_spectra

SIDES = ("a", "b")
SIDE_NAMES = {
    "ends": ("blue end", "red end"),
    "twins": ("XP", "simulated LAMOST"),
    "galaxies": ("image", "spectrum"),
}
_LEAST_PIXELS = 5


@dataclass(frozen=True)
class Side:
    """One spectrum of every star.

    Attributes
    ----------
    flux, error
        (n, L) float32 in units of the spectrum's own median; NaN where a pixel has none.
    scale
        (n,) that median, in a unit that both sides of a star share.
    wavelength
        (L,) Angstrom in vacuum.
    """

    flux: np.ndarray
    error: np.ndarray
    scale: np.ndarray
    wavelength: np.ndarray

    def take(self, rows: np.ndarray) -> "Side":
        """Return some stars."""
        return Side(self.flux[rows], self.error[rows], self.scale[rows], self.wavelength)


@dataclass(frozen=True)
class Pairs:
    """Stars with two spectra each.

    Attributes
    ----------
    ids
        (n,) text.
    a, b
        Their two sides.
    split
        (n,) train, val or test where the stores say so, else None.
    """

    ids: np.ndarray
    a: Side
    b: Side
    split: np.ndarray | None = None

    def __len__(self) -> int:
        return len(self.ids)

    def take(self, rows: np.ndarray) -> "Pairs":
        """Return some stars, by numbers or one bool each."""
        split = None if self.split is None else self.split[rows]
        return Pairs(self.ids[rows], self.a.take(rows), self.b.take(rows), split)

    def turned(self) -> "Pairs":
        """Return the pairs with their sides exchanged."""
        return replace(self, a=self.b, b=self.a)

    def error_level(self) -> np.ndarray:
        """Return the median error (n,) of the noisier side, in units of the median flux.

        A side whose errors are the same for all tells nothing of them.
        """
        levels = [_row_medians(side.error) for side in (self.a, self.b)]
        told = [level if _varies(level) else np.full_like(level, np.nan) for level in levels]
        return np.fmax(*told)


@dataclass(frozen=True)
class SplitPairs:
    """Pairs to learn from, to choose by and to ask."""

    train: Pairs
    val: Pairs
    test: Pairs


def write_pairs(
    stars: str | os.PathLike,
    paths: Sequence[str | os.PathLike],
    experiment: Experiment,
    settings: Pairing,
    seed: int,
) -> None:
    """Write two stores whose rows are the same stars; see `Experiment`.

    Parameters
    ----------
    stars
        Store of spectra; of a star with several the first is taken.
    paths
        The two HDF5 stores to write.
    experiment
        What makes a pair.
    settings
        The config's section `align.pairing`.
    seed
        The run's seed, for the noise of simulated twins.

    Raises
    ------
    DataError
        If the spectra have too few pixels on a side, or twins lack their labels.
    """
    with SpectrumStore(stars) as store:
        table, wavelength = store.catalogue(), store.wavelength
        flux, error = normalised(store.flux(), store.error())
    first = first_usable(table["id"], np.isfinite(flux).any(axis=1))
    if not first.all():
        log.info("%d spectra are of a star that has one, or empty: left out", np.sum(~first))
    flux, error, table = flux[first], error[first], table[first].reset_index(drop=True)
    make = _ends if experiment == "ends" else _twins
    sides, table = make(flux, error, table, wavelength, settings, seed)
    known = table[["id"]]
    for path, side in zip(paths, sides, strict=True):
        about = {"experiment": experiment, **settings.model_dump(exclude={"twin_noise"})}
        columns = known.assign(scale=side.scale)
        write_spectra(path, side.wavelength, side.flux, side.error, columns, about)
    log.info("%d pairs of %s", len(known), " and ".join(SIDE_NAMES[experiment]))


def read_pairs(paths: Sequence[str | os.PathLike]) -> Pairs:
    """Read the two stores of `write_pairs`.

    Raises
    ------
    DataError
        If their rows are not the same stars.
    """
    sides, names = [], []
    for path in paths:
        with SpectrumStore(path) as store:
            table = store.catalogue()
            scale = table["scale"].to_numpy(dtype=float)
            sides.append(Side(store.flux(), store.error(), scale, store.wavelength))
        names.append(table["id"].to_numpy(object))
    if not np.array_equal(*names):
        n = min(map(len, names))
        row = next((k for k in range(n) if names[0][k] != names[1][k]), n)
        raise DataError(
            f"{paths[1]}: row {row + 1} is not the star of {paths[0]}; both sides need the same "
            "stars in the same order"
        )
    split = table["split"].to_numpy(object) if "split" in table else None
    return Pairs(names[0], *sides, split)


def splits_of(pairs: Pairs, settings: SpectrumSplits, seed: int) -> np.ndarray:
    """Return the split (n,) of every pair: that of the stores, or else one by a hash of names."""
    return split_of(pairs.ids, settings, seed) if pairs.split is None else pairs.split


def split_pairs(pairs: Pairs, settings: SpectrumSplits, seed: int) -> SplitPairs:
    """Return the three parts, drawn as those of the stellar parameters are, among these stars."""
    split = splits_of(pairs, settings, seed)
    return SplitPairs(*(pairs.take(split == name) for name in SPLITS))


def _varies(level: np.ndarray) -> bool:
    return bool(np.isfinite(level).any() and np.nanmin(level) < np.nanmax(level))


def _row_medians(values: np.ndarray) -> np.ndarray:
    """Return medians (n,) of the finite values; NaN for a row without any."""
    found = np.full(len(values), np.nan)
    some = np.isfinite(values).any(axis=1)
    found[some] = np.nanmedian(values[some], axis=1)
    return found


def _own_side(flux: np.ndarray, error: np.ndarray, wavelength: np.ndarray) -> Side:
    """Return a side in units of its own median: the whole spectrum's would join both."""
    return Side(*normalised(flux, error), _row_medians(flux), wavelength)


def _ends(
    flux: np.ndarray,
    error: np.ndarray,
    table: pd.DataFrame,
    wavelength: np.ndarray,
    settings: Pairing,
    seed: int,
) -> tuple[tuple[Side, Side], pd.DataFrame]:
    blue, red = wavelength < 10 * settings.gap_low_nm, wavelength > 10 * settings.gap_high_nm
    for name, there in (("below gap_low_nm", blue), ("above gap_high_nm", red)):
        if there.sum() < _LEAST_PIXELS:
            raise DataError(
                f"{there.sum()} of {len(wavelength)} samples are {name}; choose align.pairing "
                f"within {wavelength[0] / 10:.0f} to {wavelength[-1] / 10:.0f} nm"
            )
    sides = [_own_side(flux[:, there], error[:, there], wavelength[there]) for there in (blue, red)]
    good = np.all([side.scale > 0 for side in sides], axis=0)
    if not good.all():
        log.warning("%d stars without light in one of the ends are left out", np.sum(~good))
    return tuple(side.take(good) for side in sides), table[good].reset_index(drop=True)


def _twins(
    flux: np.ndarray,
    error: np.ndarray,
    table: pd.DataFrame,
    wavelength: np.ndarray,
    settings: Pairing,
    seed: int,
) -> tuple[tuple[Side, Side], pd.DataFrame]:
    missing = [name for name in LABELS if name not in table]
    if missing:
        raise DataError(
            f"no column {', '.join(missing)}: a twin is simulated from {', '.join(LABELS)}; leave "
            "twins out of align.experiments"
        )
    labels = table[list(LABELS)].to_numpy(dtype=float)
    low, high = np.array([LIMITS[name] for name in LABELS]).T
    inside = ((labels >= low) & (labels <= high)).all(axis=1)
    if not inside.all():
        log.info("%d stars outside of the emulator's grid have no twin", np.sum(~inside))
    make, noise = emulator("lamost"), settings.twin_noise
    rng = np.random.default_rng(derive_seed(seed, "align", "twins"))
    clean = make(labels[inside])
    snr = np.exp(rng.uniform(np.log(noise.snr_min), np.log(noise.snr_max), len(clean)))
    sigma = noise_shape("lamost", make.wavelength)[None, :] / snr[:, None]
    noisy = clean + sigma * rng.standard_normal(clean.shape)
    # What a binary's two continua weigh: the light of the real spectrum where LAMOST looks.
    covered = (wavelength >= make.wavelength[0]) & (wavelength <= make.wavelength[-1])
    continuum = _row_medians(flux[inside][:, covered])
    twin = replace(_own_side(noisy, sigma, make.wavelength), scale=continuum)
    real = _own_side(flux[inside], error[inside], wavelength)
    good = (real.scale > 0) & (continuum > 0)
    return (real.take(good), twin.take(good)), table[inside][good].reset_index(drop=True)
