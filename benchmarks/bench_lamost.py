"""Real LAMOST spectra asked of networks that know simulated ones alone: order and repeats.

python benchmarks/bench_lamost.py FOLDER GROUPS.csv --work FOLDER: FOLDER holds low-resolution FITS
files (DR8), GROUPS.csv has `combined_file` and `GroupID`, which joins the spectra of a star. The
stars have no labels: what is measured is how Teff follows their subclass (rank correlation), how
far spectra of one star differ (1.4826 times the median absolute difference of its pairs over the
root of 2), and how often the likest of all other spectra is one of the same star.

Simulated and real spectra are divided by the same running mean over 50 Angstrom (as Ho et al.
2017), real ones brought to rest by their header's redshift at import; simulated ones are moved by
10 km/s, at random, for what that leaves. Numbers of components are chosen on simulated stars; the
real ones choose nothing. WORK keeps what is trained. Writes
benchmarks/results/spectra_lamost.json.
"""

import argparse
import json
import sys
from dataclasses import replace
from itertools import combinations
from pathlib import Path

import h5py
import numpy as np
import pandas as pd
import torch
from scipy import stats
from sklearn.decomposition import PCA

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT / "scripts"))

from galaxy_lvm.core.config.spectra import (  # noqa: E402
    Finetuning,
    SpectrumFiles,
    SpectrumMethods,
    SpectrumNoise,
    SpectrumOptim,
    TransformerShape,
)
from galaxy_lvm.core.tables import load_table  # noqa: E402
from galaxy_lvm.lvm.weights import git_commit  # noqa: E402
from galaxy_lvm.spectra.continuum import over_continuum  # noqa: E402
from galaxy_lvm.spectra.emulator import LABELS as SIMULATED  # noqa: E402
from galaxy_lvm.spectra.emulator import emulator  # noqa: E402
from galaxy_lvm.spectra.floors import floor_predictions  # noqa: E402
from galaxy_lvm.spectra.importing import import_spectra  # noqa: E402
from galaxy_lvm.spectra.networks import load_network  # noqa: E402
from galaxy_lvm.spectra.simulate import draw_labels  # noqa: E402
from galaxy_lvm.spectra.stars import SplitStars, Stars  # noqa: E402
from galaxy_lvm.spectra.train import finetune  # noqa: E402
from galaxy_lvm.training.job import JobFiles  # noqa: E402

RESULTS = Path(__file__).parent / "results" / "spectra_lamost.json"
SCALE_ANGSTROM = 50.0
LEFT_KM_S = 10.0
LIGHT_KM_S = 299792.458
N_TRAIN, N_VAL = 4000, 1000
COMPONENTS = (20, 60)
SEARCH_COMPONENTS = (5, 10, 15, 20, 30)
N_REPEATED = 110
SHAPE = TransformerShape(patch_pix=34)
TRAINING = Finetuning(optim=SpectrumOptim(steps=600))
FLOORS = ("ridge", "quadratic")


def moved(wavelength: np.ndarray, values: np.ndarray, velocity_km_s: np.ndarray) -> np.ndarray:
    """Return rows (n, L) whose light came from stars that receded so fast, brought to rest."""
    seen = wavelength * (1 + velocity_km_s[:, None] / LIGHT_KM_S)
    return np.array([np.interp(at, wavelength, row) for at, row in zip(seen, values, strict=True)])


def simulated(n_stars: int, seed: int, noisy: bool) -> Stars:
    """Return simulated stars; a training adds the noise of stars that are not noisy by itself."""
    rng, noise = np.random.default_rng(seed), SpectrumNoise(snr_min=20, snr_max=280)
    make = emulator("lamost")
    labels = draw_labels(n_stars, "lamost", rng)
    snr = np.exp(rng.uniform(np.log(noise.snr_min), np.log(noise.snr_max), n_stars))
    flux = moved(make.wavelength, make(labels), LEFT_KM_S * rng.standard_normal(n_stars))
    error = np.repeat(1 / snr[:, None], flux.shape[1], axis=1)
    if noisy:
        flux = flux + error * rng.standard_normal(flux.shape)
    flux, error = over_continuum(make.wavelength, flux, error, SCALE_ANGSTROM)
    ids = np.array([f"star_{seed}_{k}" for k in range(n_stars)], object)
    return Stars(ids, flux, error, labels, SIMULATED, make.wavelength, SCALE_ANGSTROM)


def observed(folder: Path, groups: Path, work: Path) -> tuple[Stars, pd.DataFrame]:
    """Return the real spectra, without labels, and their table with the star's number."""
    store = work / "observed.h5"
    import_spectra(folder, "lamost", SpectrumFiles(id_column="file"), store)
    with h5py.File(store) as kept:
        flux, error = kept["flux"][()], kept["error"][()]
        wavelength = kept["wavelength"][()]
        table = pd.DataFrame({n: kept[n].asstr()[()] for n in ("file", "subclass")})
        table = table.assign(snr=kept["snrg"][()])
    known = load_table(groups, numbers=("GroupID",))
    known = known.assign(file=known["combined_file"].map(lambda name: Path(name).name))
    table["star"] = table["file"].map(known.set_index("file")["GroupID"]).to_numpy()
    flux, error = over_continuum(wavelength, flux, error, SCALE_ANGSTROM)
    unknown = np.full((len(flux), len(SIMULATED)), np.nan)
    return Stars(table["file"].to_numpy(object), flux, error, unknown, SIMULATED, wavelength), table


def asked(found: np.ndarray, table: pd.DataFrame) -> dict:
    """Return the order with subclass and the scatter between repeats of predictions (n, 3)."""
    number = table["subclass"].map(lambda text: 10 * "OBAFGKM".index(text[0]) + int(text[1]))
    order = stats.spearmanr(number, found[:, 0])
    pairs = [
        pair for rows in table.groupby("star").indices.values() for pair in combinations(rows, 2)
    ]
    first, second = np.array(pairs).T
    apart = np.abs(found[first] - found[second]) / 2**0.5
    means = pd.Series(found[:, 0]).groupby(table["subclass"].str[0]).agg(["mean", "size"])
    return {
        "rank_correlation_of_teff_with_subclass": round(float(order.statistic), 3),
        "n_pairs": len(pairs),
        "repeats": dict(
            zip(SIMULATED, np.median(1.4826 * apart, axis=0).round(4).tolist(), strict=True)
        ),
        "repeats_rms": dict(
            zip(SIMULATED, np.sqrt((apart**2).mean(axis=0)).round(4).tolist(), strict=True)
        ),
        "mean_teff_by_class": {k: round(v) for k, v in means["mean"].items()},
        "outside_of_the_grid": int(np.sum((found[:, 0] < 3500) | (found[:, 0] > 8000))),
    }


def same_star(stars: Stars, population: PCA) -> np.ndarray:
    """Return log p(b | a) - log p(b) of spectra b (columns) by spectra a (rows).

    Stars are a Gaussian in the components of simulated ones, spectra have noise as large as their
    errors; `a` tells of its star what its errors leave.
    """
    good = np.isfinite(stars.flux) & np.isfinite(stars.error)
    at = population.transform(np.where(good, stars.flux, population.mean_))
    noise = np.square(np.where(good, stars.error, 0)) @ np.square(population.components_).T
    spread = population.explained_variance_
    apriori = -0.5 * (at**2 / (spread + noise) + np.log(spread + noise)).sum(axis=1)
    kept = spread / (spread + noise)
    found = np.empty((len(at), len(at)))
    for a in range(len(at)):
        variance = spread * (1 - kept[a]) + noise
        away = at - kept[a] * at[a]
        found[a] = -0.5 * (away**2 / variance + np.log(variance)).sum(axis=1) - apriori
    return found


def found_again(likeness: np.ndarray, star: np.ndarray) -> dict:
    """Return the share of spectra whose likest other one is of the same star, over the stars."""
    likeness = np.where(np.eye(len(star), dtype=bool), -np.inf, likeness)
    hit = pd.Series(star[likeness.argmax(axis=1)] == star)
    repeated = pd.Series(star).duplicated(keep=False)
    # A star's spectra hit or miss together: stars are resampled.
    of_star = hit[repeated].groupby(star[repeated]).agg(["sum", "size"]).to_numpy()
    rng = np.random.default_rng(1)
    draws = of_star[rng.integers(len(of_star), size=(1000, len(of_star)))].sum(axis=1)
    low, high = np.percentile(draws[:, 0] / draws[:, 1], (2.5, 97.5))
    share = of_star[:, 0].sum() / of_star[:, 1].sum()
    return {"share": round(share, 3), "low95": round(low, 3), "high95": round(high, 3)}


def search_repeats(real: Stars, table: pd.DataFrame) -> dict:
    """Search each star's other spectra; the components are chosen on simulated repeats."""
    star = table["star"].to_numpy()
    population = simulated(N_TRAIN, 7, noisy=False)
    population = population.take(np.isfinite(population.flux).all(axis=1))
    twice = np.repeat(np.arange(N_REPEATED), 2)
    rng, seen = np.random.default_rng(9), simulated(N_REPEATED, 8, noisy=False).take(twice)
    # As noisy as the real ones.
    size = rng.choice(np.nanmedian(real.error, axis=1), len(seen))[:, None]
    noisy = seen.flux + size * rng.standard_normal(seen.flux.shape)
    seen = replace(seen, flux=noisy, error=np.broadcast_to(size, noisy.shape))
    by_number = {n: PCA(n, random_state=0).fit(population.flux) for n in SEARCH_COMPONENTS}
    of_simulated = {
        n: found_again(same_star(seen, fitted), twice)["share"] for n, fitted in by_number.items()
    }
    best = max(of_simulated, key=of_simulated.get)  # the first of equal ones
    plain = np.nan_to_num(real.flux - np.nanmean(real.flux, axis=0))
    return {
        "n_spectra": len(star),
        "n_with_another": int(pd.Series(star).duplicated(keep=False).sum()),
        "simulated": of_simulated,
        "chosen_components": best,
        "gaussian": found_again(same_star(real, by_number[best]), star),
        "gaussian_by_components": {
            n: found_again(same_star(real, fitted), star)["share"]
            for n, fitted in by_number.items()
        },
        "correlation_of_pixels": found_again(np.corrcoef(plain), star),
    }


def transformers(stars: SplitStars, origin: Path, work: Path) -> tuple[Path, dict]:
    """Return the weights that are best on simulated validation stars, and all of their errors."""
    errors, scale = {}, stars.train.labels.std(axis=0)
    for n_components in COMPONENTS:
        weights = work / f"components_{n_components}.safetensors"
        if not weights.exists():
            shape = SHAPE.model_copy(update={"n_components": n_components})
            files = JobFiles(work / "state", 1, weights, weights.with_suffix(".csv"))
            finetune(stars, shape, origin, TRAINING, 0, 1, files)
        found = load_network(weights).estimate(stars.val.flux)[0][:, : len(SIMULATED)]
        errors[n_components] = np.abs(found - stars.val.labels).mean(axis=0)
    best = min(errors, key=lambda n: (errors[n] / scale).mean())
    told = {f"{n} components": e.round(4).tolist() for n, e in errors.items()}
    return work / f"components_{best}.safetensors", {"chosen": best, "simulated_val_mae": told}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", nargs="?", type=Path)
    parser.add_argument("groups", nargs="?", type=Path)
    parser.add_argument("--work", type=Path)
    given = parser.parse_args()
    if given.groups is None or given.work is None:
        print("not run: needs FOLDER, GROUPS.csv and --work; the project contains no real spectra")
        return
    torch.set_num_threads(1)
    given.work.mkdir(parents=True, exist_ok=True)
    real, table = observed(given.folder, given.groups, given.work)
    train, val = simulated(N_TRAIN, 1, noisy=False), simulated(N_VAL, 2, noisy=True)
    stars = SplitStars(train, val, val)
    origin = given.work / "observed.h5"
    weights, chosen = transformers(stars, origin, given.work)
    columns = slice(0, len(SIMULATED))
    result: dict = {"commit": git_commit(), "n_spectra": len(real), "transformer": chosen}
    result["n_stars_with_repeats"] = int((table["star"].value_counts() > 1).sum())
    result["transformer"] |= asked(load_network(weights).estimate(real.flux)[0][:, columns], table)
    # Floors learn from spectra with the noise in them.
    noisy = simulated(N_TRAIN, 3, noisy=True)
    of_val, of_real = (
        dict(floor_predictions(SplitStars(noisy, val, test), SpectrumMethods(), 1))
        for test in (val, real)
    )
    for floor in FLOORS:
        errors = np.abs(of_val[floor] - val.labels).mean(axis=0).round(4).tolist()
        result[floor] = {"simulated_val_mae": errors, **asked(of_real[floor], table)}
    result["same_star_found_again"] = search_repeats(real, table)
    RESULTS.write_text(json.dumps(result, indent=1) + "\n")
    print(json.dumps(result, indent=1))


if __name__ == "__main__":
    main()
