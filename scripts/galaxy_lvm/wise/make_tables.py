"""Make wise_tables.npz anew from three public packages; run by hand, not by a rule.

PYTHONPATH=scripts python -m galaxy_lvm.wise.make_tables PSF_FOLDER RESPONSE_FOLDER TEMPLATES_FITS

PSF_FOLDER: unwise_psf/data of github.com/legacysurvey/unwise_psf (psf_model_w1.fits ...);
RESPONSE_FOLDER: data/filters of the package speclite (wise2010-W1.ecsv ...); TEMPLATES_FITS:
kcorrect-default-v4.fits of the package kcorrect. All are BSD-3.
"""

import sys
from pathlib import Path

import numpy as np
from astropy.io import fits
from astropy.table import Table

from galaxy_lvm.core.state import atomic_path
from galaxy_lvm.wise.bands import BANDS, VEGA_K, blackbody

PSF_SIDE_PIX = 63
# Coarser than the tables of the responses, finer than what they change over.
WAVELENGTH_MICRON = np.geomspace(2.6, 17.5, 360)
REDSHIFTS = np.linspace(0, 1.2, 61)


def point_spread(folder: Path) -> np.ndarray:
    """Return the inner part of the functions (3, side, side); the whole of each sums to 1."""
    parts = []
    for band in BANDS:
        model = fits.getdata(folder / f"psf_model_{band}.fits").astype(float)
        margin = (len(model) - PSF_SIDE_PIX) // 2
        inner = model[margin : margin + PSF_SIDE_PIX, margin : margin + PSF_SIDE_PIX]
        parts.append(inner / model.sum())
    return np.array(parts)


def responses(folder: Path) -> np.ndarray:
    """Return the responses (3, L) on WAVELENGTH_MICRON, largest 1; 0 outside of their tables."""
    found = []
    for band in BANDS:
        table = Table.read(folder / f"wise2010-{band.upper()}.ecsv", format="ascii.ecsv")
        values = np.interp(
            WAVELENGTH_MICRON, table["wavelength"], table["response"], left=0, right=0
        )
        found.append(values / values.max())
    return np.array(found)


def template_fluxes(path: Path, response: np.ndarray) -> np.ndarray:
    """Return photons (z, template, band) of the templates at REDSHIFTS, in units of Vega's.

    Sums run over the templates' own wavelengths: narrow lines lie between those that are kept.
    """
    table = fits.getdata(path, "FLUX")
    wavelength = table["wave"][0].astype(float) / 1e4
    flux = table["flux"][0].astype(float).reshape(-1, len(wavelength)) * wavelength**2
    flux /= np.median(flux, axis=1, keepdims=True)
    found = []
    for z in REDSHIFTS:
        observed = wavelength * (1 + z)
        weights = [np.interp(observed, WAVELENGTH_MICRON, r, left=0, right=0) for r in response]
        weights = np.array(weights) * np.gradient(observed) / observed
        vega = weights @ blackbody(observed, VEGA_K)
        found.append(flux @ weights.T / vega)
    return np.array(found)


def main(psf_folder: str, response_folder: str, templates: str, out: str) -> None:
    """Write the tables; the licences beside them are kept by hand."""
    response = responses(Path(response_folder))
    with atomic_path(out) as temporary, open(temporary, "wb") as file:
        np.savez_compressed(
            file,
            psf=point_spread(Path(psf_folder)).astype(np.float32),
            wavelength_micron=WAVELENGTH_MICRON.astype(np.float32),
            response=response.astype(np.float32),
            template_redshift=REDSHIFTS.astype(np.float32),
            template_flux=template_fluxes(Path(templates), response).astype(np.float32),
        )


if __name__ == "__main__":
    main(*sys.argv[1:4], out=str(Path(__file__).with_name("wise_tables.npz")))
