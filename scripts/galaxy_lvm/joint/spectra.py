"""The spectrum of every simulated galaxy, of the mixture of populations that colours its image."""

import os

import numpy as np
import pandas as pd

from galaxy_lvm.core.config.joint import GalaxySpectra, JointSimulation
from galaxy_lvm.core.errors import DataError
from galaxy_lvm.core.logs import log
from galaxy_lvm.core.seeds import derive_seed
from galaxy_lvm.joint.names import MEASURED
from galaxy_lvm.simulation.physics import magnitudes, nanomaggies
from galaxy_lvm.simulation.populations import MIXTURE_COLUMNS, populations
from galaxy_lvm.spectra.store import write_spectra
from galaxy_lvm.survey.store import BANDS, CutoutStore

_NEEDED = ("id", "split", "redshift", *(f"flux_{band}" for band in BANDS), *MIXTURE_COLUMNS)
KEPT = (
    "id", "label", "split", "redshift", "log_mass_to_light_r", "halpha_angstrom",
    "half_light_radius_arcsec", *(f"mag_{band}" for band in BANDS),
)  # fmt: skip


def sample_wavelengths(settings: GalaxySpectra) -> np.ndarray:
    """Return the observed wavelengths (L,) in Angstrom, vacuum."""
    ends = settings.wavelength_min_angstrom, settings.wavelength_max_angstrom
    return np.geomspace(*ends, settings.n_samples)


def noise_free_spectra(table: pd.DataFrame, wavelength: np.ndarray) -> np.ndarray:
    """Return the light (n, L) of whole galaxies in nanomaggies, an AB flux per frequency.

    Parameters
    ----------
    table
        Catalogue of a dataset of source populations: redshift, flux in r, mixture.
    wavelength
        (L,) Angstrom, observed.
    """
    known = populations()
    mixtures = table[list(MIXTURE_COLUMNS)].to_numpy(dtype=float)
    redshift = table["redshift"].to_numpy(dtype=float)
    r = BANDS.index("r")
    made = [m @ known.band_fluxes(z)[:, r] for m, z in zip(mixtures, redshift, strict=True)]
    scale = table["flux_r"].to_numpy(dtype=float) / np.array(made)
    return known.spectra(mixtures, redshift, wavelength) * scale[:, None]


def noise_of(flux: np.ndarray, settings: GalaxySpectra) -> np.ndarray:
    """Return the standard deviation (n, L) of the noise of spectra in nanomaggies.

    Photons of sky and galaxy: a galaxy of `sky_mag` brings as many as the sky, which is as bright
    at all wavelengths. Its level is set by the median signal-to-noise of a flat spectrum of 18 mag.
    """
    sky, bright = (float(nanomaggies(mag)) for mag in (settings.sky_mag, 18.0))
    at_18 = bright / settings.snr_at_mag_18
    return at_18 * np.sqrt((1 + np.maximum(flux, 0) / sky) / (1 + bright / sky))


def write_galaxy_spectra(
    cutouts: str | os.PathLike, path: str | os.PathLike, settings: JointSimulation, seed: int
) -> None:
    """Write a store of spectra whose rows are the galaxies of a cutout store.

    Parameters
    ----------
    cutouts
        Dataset of source populations.
    path
        HDF5 store to write; columns `KEPT`, `MEASURED` (magnitudes with errors) and `snr`, the
        median over a spectrum, lie beside.
    settings
        Wavelengths and noise.
    seed
        The run's seed, of the noise.

    Raises
    ------
    DataError
        If the dataset has no mixtures of populations.
    """
    with CutoutStore(cutouts) as store:
        table = store.catalogue()
    missing = [name for name in _NEEDED if name not in table]
    if missing:
        raise DataError(
            f"{cutouts}: no column {', '.join(missing)}; spectra are made of datasets of source "
            "populations, simulate one"
        )
    wavelength = sample_wavelengths(settings.spectra)
    clean = noise_free_spectra(table, wavelength)
    error = noise_of(clean, settings.spectra)
    rng = np.random.default_rng(derive_seed(seed, "joint", "spectra"))
    flux = clean + error * rng.standard_normal(clean.shape)
    snr = np.median(clean / error, axis=1)
    columns = table[list(KEPT)].assign(snr=snr)
    for name, band in zip(MEASURED, BANDS, strict=True):
        off = settings.magnitude_error_mag * rng.standard_normal(len(table))
        columns[name] = table[f"mag_{band}"].to_numpy(dtype=float) + off
    about = {"source": "populations", "seed": seed, "unit": "nanomaggies"}
    write_spectra(path, wavelength, flux, error, columns, about | settings.spectra.model_dump())
    faint = float(magnitudes(table["flux_r"].to_numpy(dtype=float)).max())
    log.info("%d spectra to r = %.1f mag, S/N per sample %.1f to %.1f (median %.1f)",
             len(table), faint, snr.min(), snr.max(), np.median(snr))  # fmt: skip
