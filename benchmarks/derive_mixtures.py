"""Derive simulation/stellar_mixtures.npz of the library from the package kcorrect 5.1.9 (BSD-3).

Not part of a run: the file is kept. It holds the package's five templates, DECam's g, r and z, and
the mixture of the templates that fits each of the package's 10,000 SDSS galaxies (ugriz,
non-negative).

    pip download --no-deps kcorrect==5.1.9 && unzip kcorrect-5.1.9-*.whl -d FOLDER
    python benchmarks/derive_mixtures.py FOLDER scripts/galaxy_lvm/simulation/stellar_mixtures.npz
"""

import sys
from pathlib import Path

import numpy as np
from astropy.io import ascii as tables
from astropy.io import fits
from scipy.optimize import nnls

WAVELENGTHS = (1750.0, 12000.0)  # Angstrom at rest: 3600 to 10200 observed up to a redshift of 1
ERROR_FLOOR = np.array([0.05, 0.02, 0.02, 0.02, 0.03])  # of fluxes in u, g, r, i, z; kcorrect's own
MASSES = ("intsfh", "mremain", "mets", "m300", "m1000")


def response(folder: Path, name: str) -> tuple[np.ndarray, np.ndarray]:
    """Return wavelengths (Angstrom) and signal per photon of a band."""
    found = tables.read(folder / "data" / "responses" / f"{name}.dat", format="fixed_width")
    return tuple(np.asarray(found[key], dtype=float) for key in ("lambda", "pass"))


def maggies(wave: np.ndarray, flux: np.ndarray, band: tuple[np.ndarray, np.ndarray]) -> np.ndarray:
    """Return AB fluxes (5,) of spectra (5, L) through a band, in one arbitrary unit."""
    passed = np.interp(wave, *band, left=0, right=0)
    weight = np.trapezoid(passed / wave, wave)
    return np.trapezoid(flux * passed * wave, wave, axis=1) / weight


def main(folder: str, path: str) -> None:
    """Write the file."""
    package = Path(folder) / "kcorrect"
    with fits.open(package / "data" / "templates" / "kcorrect-default-v4.fits") as file:
        wave, flux = (file["FLUX"].data[key][0].astype(float) for key in ("wave", "flux"))
        masses = {name: file[name.upper()].data.astype(float) for name in MASSES}
    with fits.open(package / "data" / "test" / "gst_tests_small.fits") as file:
        table = file[1].data
        redshift = table["Z"].astype(float)
        dust = 10 ** (0.4 * table["EXTINCTION"].astype(float))
        seen = table["MODELFLUX"].astype(float) * dust
        error = dust / np.sqrt(np.maximum(table["MODELFLUX_IVAR"].astype(float), 1e-12))
    error = np.hypot(error, ERROR_FLOOR * np.abs(seen))
    bands = [response(package, f"sdss_{name}0") for name in "ugriz"]
    mixtures, misfits = np.zeros((len(redshift), len(flux))), np.zeros(len(redshift))
    unit = flux[:, (wave > 5500) & (wave < 6500)].mean(axis=1)  # numbers of about one size
    for row, z in enumerate(redshift):
        made = np.stack([maggies(wave * (1 + z), flux / unit[:, None], b) for b in bands])
        scale = seen[row, 2] / made[2].mean()
        found, misfits[row] = nnls(made * scale / error[row][:, None], seen[row] / error[row])
        mixtures[row] = found / unit
    mixtures /= mixtures.sum(axis=1, keepdims=True)
    chi2 = misfits**2
    good = np.isfinite(mixtures).all(axis=1) & (chi2 < np.percentile(chi2, 95))
    print(f"{good.sum()} of {len(good)} galaxies; chi2 of 5 bands, median {np.median(chi2):.2f}")
    kept = (wave >= WAVELENGTHS[0]) & (wave <= WAVELENGTHS[1])
    found = {"wave": wave[kept].astype(np.float32), "flux": flux[:, kept].astype(np.float32)}
    found |= {name: values.astype(np.float32) for name, values in masses.items()}
    for name in "grz":
        at, passed = response(package, f"decam_{name}")
        inside = passed > 1e-3 * passed.max()
        found[f"{name}_wave"] = at[inside].astype(np.float32)
        found[f"{name}_pass"] = passed[inside].astype(np.float32)
    found["mixtures"] = mixtures[good].astype(np.float32)
    found["redshift"] = redshift[good].astype(np.float32)
    np.savez_compressed(path, **found)


if __name__ == "__main__":
    main(*sys.argv[1:])
