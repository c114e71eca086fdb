"""Two stages: many simulated stars with cheap labels, then few real ones with good labels."""

import os
from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

import numpy as np
import pandas as pd
import torch
from torch import Tensor

from galaxy_lvm.core.config.spectra import (
    Finetuning,
    Grid,
    SpectrumNoise,
    SpectrumPretraining,
    TransformerShape,
)
from galaxy_lvm.core.logs import log
from galaxy_lvm.core.seeds import derive_seed
from galaxy_lvm.spectra.continuum import continuum_scale, over_continuum
from galaxy_lvm.spectra.labels import BASIC
from galaxy_lvm.spectra.networks import (
    architecture,
    build,
    load_for,
    save_network,
    usual_device,
)
from galaxy_lvm.spectra.simulate import simulate_stars
from galaxy_lvm.spectra.stars import SplitStars, Stars, normalised
from galaxy_lvm.spectra.wavelengths import grid_wavelengths
from galaxy_lvm.training.feed import Sampler, local_share
from galaxy_lvm.training.job import JobFiles, TrainingJob

# Simulated stars that say what a pixel's mean and spread are.
_N_SCALE = 2000
_WITHIN_SIGMA = 0.6827


def all_labels(
    names: Sequence[str], values: np.ndarray, wanted: Sequence[str] = BASIC
) -> np.ndarray:
    """Return labels (n, k) in the order that a head wants them, NaN where there is none."""
    found = np.full((len(values), len(wanted)), np.nan)
    for column, name in enumerate(names):
        found[:, wanted.index(name)] = values[:, column]
    return found


class SimulatedFeed:
    """New simulated stars for every step: a function of seed, step and rank alone."""

    def __init__(
        self,
        grid: Grid,
        noise: SpectrumNoise,
        batch_size: int,
        seed: int,
        rank: int,
        world_size: int,
        continuum_angstrom: float | None = None,
    ) -> None:
        self.grid, self.noise, self.seed, self.rank = grid, noise, seed, rank
        self.continuum_angstrom = continuum_angstrom
        self.n_stars = batch_size // world_size

    def batch(self, step: int, device: torch.device | str = "cpu") -> dict[str, Tensor]:
        """Return the arguments of the network's `forward`."""
        seed = derive_seed(self.seed, "stars", step, self.rank)
        flux, table = _as_read(self.n_stars, self.grid, self.noise, self.continuum_angstrom, seed)
        names = [name for name in BASIC if name in table]
        labels = all_labels(names, table[names].to_numpy())
        return _tensors(flux, labels, device)


class StarFeed:
    """Shuffled epochs of given stars, each with new noise as large as a share of its errors."""

    def __init__(
        self,
        stars: Stars,
        settings: Finetuning,
        seed: int,
        rank: int,
        world_size: int,
        wanted: Sequence[str] = BASIC,
    ) -> None:
        self.stars, self.settings, self.seed = stars, settings, seed
        self.rank, self.world_size = rank, world_size
        self.labels = all_labels(stars.label_names, stars.labels, wanted)
        self.sampler = Sampler(len(stars), settings.batch_size, derive_seed(seed, "sampler"))

    def batch(self, step: int, device: torch.device | str = "cpu") -> dict[str, Tensor]:
        """Return the arguments of the network's `forward`."""
        rows = local_share(self.sampler.positions(step), self.rank, self.world_size)
        rng = np.random.default_rng(derive_seed(self.seed, "noise", step, self.rank))
        flux = self.stars.flux[rows]
        size = self.settings.added_noise * np.nan_to_num(self.stars.error[rows])
        flux = flux + size * rng.standard_normal(flux.shape, np.float32)
        return _tensors(flux, self.labels[rows], device)


def _as_read(
    n_stars: int, grid: Grid, noise: SpectrumNoise, continuum_angstrom: float | None, seed: int
) -> tuple[np.ndarray, pd.DataFrame]:
    """Return simulated stars as `read_stars` would read them, and their catalogue."""
    wavelength = grid_wavelengths(grid)
    flux, error, table = simulate_stars(n_stars, grid, noise, seed)
    scale = continuum_scale(wavelength, continuum_angstrom)
    flux, _ = over_continuum(wavelength, *normalised(flux, error), scale)
    return flux, table


def _tensors(flux: np.ndarray, labels: np.ndarray, device: Any) -> dict[str, Tensor]:
    values = {"flux": flux, "labels": labels}
    return {
        name: torch.from_numpy(value.astype(np.float32)).to(device)
        for name, value in values.items()
    }


def pretrain(
    grid: Grid,
    noise: SpectrumNoise,
    settings: SpectrumPretraining,
    seed: int,
    files: JobFiles,
    continuum_angstrom: float | None = None,
) -> None:
    """Train on simulated stars, new ones at every step; go on where an earlier run was killed.

    Parameters
    ----------
    grid
        Wavelengths.
    noise
        Signal-to-noise and extinction of the stars.
    settings
        Sizes, batch, updates.
    seed
        The run's seed.
    files
        What to write, and where the unfinished lies.
    continuum_angstrom
        As in `read_stars`, for the spectra of stage 2.
    """
    job = TrainingJob(settings.optim, derive_seed(seed, "spectra", "pretrain"), files)
    flux, _ = _as_read(_N_SCALE, grid, noise, continuum_angstrom, derive_seed(job.seed, "scale"))
    about = architecture(settings.shape, flux.shape[1])
    module = build(about)
    module.whiten.fit(flux, np.zeros_like(flux))  # their noise is in them
    settled = [
        grid,
        noise.model_dump(),
        continuum_angstrom,
        settings.model_dump(),
        asdict(about),
        job.seed,
    ]
    job.prepare(module, settled, [])
    feed = SimulatedFeed(
        grid,
        noise,
        settings.batch_size,
        job.seed,
        **job.place,
        continuum_angstrom=continuum_angstrom,
    )
    log.info("pretraining on %d simulated stars", settings.optim.steps * settings.batch_size)
    job.run(feed.batch, "pretraining on simulated stars")
    card = {"grid": grid, "noise": noise.model_dump(), "pretrain": settings.model_dump()}
    card["continuum_angstrom"] = continuum_scale(grid_wavelengths(grid), continuum_angstrom)
    job.write(save_network, module, {**card, "seed": job.seed})


def finetune(
    stars: SplitStars,
    start: str | os.PathLike | TransformerShape,
    origin: str | os.PathLike,
    settings: Finetuning,
    member: int,
    seed: int,
    files: JobFiles,
) -> None:
    """Train one member of an ensemble on stars with good labels.

    Parameters
    ----------
    stars
        The three parts.
    start
        Weights of `pretrain`, on the same grid; or a shape, to learn from scratch.
    origin
        Store that the stars are from; written anew, the training starts anew.
    settings
        Batch, updates, noise.
    member
        Its number; all start alike, each with its own order of stars and noise.
    seed
        The run's seed.
    files
        What to write, and where the unfinished lies.
    """
    job = TrainingJob(settings.optim, derive_seed(seed, "spectra", "finetune", member), files)
    scratch = isinstance(start, TransformerShape)
    n_pixels = stars.train.flux.shape[1]
    names = stars.train.label_names
    module = (
        build(architecture(start, n_pixels, names)) if scratch else load_for(start, stars.train)
    )
    module.add_labels(names)
    # What real spectra vary in is not what the simulated ones do; labels are not looked at.
    module.whiten.fit(stars.train.flux, settings.added_noise * stars.train.error)
    # How the stars were read is in no file that the training starts from.
    read = [stars.train.ids.tolist(), names, stars.train.continuum_angstrom]
    settled = [settings.model_dump(), job.seed, *read, asdict(module.about)]
    job.prepare(module, settled, [origin] if scratch else [origin, start])
    feed = StarFeed(stars.train, settings, job.seed, **job.place, wanted=module.labels)
    job.run(feed.batch, f"training on {len(stars.train)} stars")
    card = {"finetune": settings.model_dump(), "seed": job.seed, "n_train": len(stars.train)}
    card |= {"member": member, "continuum_angstrom": stars.train.continuum_angstrom}
    job.write(save_network, module, card)


def ensemble(
    weights: Sequence[str | os.PathLike], stars: SplitStars
) -> tuple[np.ndarray, np.ndarray]:
    """Return the mean prediction of all members for the test stars, with its uncertainty.

    One member is in memory at a time. The variance for a star is the mean of the members' own and
    the variance between their means.
    One factor a label then brings 68 % of the validation stars within one standard deviation.

    Parameters
    ----------
    weights
        Of `finetune`, one file a member.
    stars
        The three parts.

    Returns
    -------
    tuple
        Labels and standard deviations (n_test, k), in K and dex.
    """
    names = stars.train.label_names
    of_members = [_of_member(path, (stars.val, stars.test), names) for path in weights]

    def joint(found: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        variance = np.square(found[:, 1]).mean(axis=0) + found[:, 0].var(axis=0)
        return found[:, 0].mean(axis=0), np.sqrt(variance)

    on_val, on_test = (np.stack(part) for part in zip(*of_members, strict=True))
    factor = sigma_factors(*joint(on_val), stars.val)
    told = ", ".join(f"{name} {value:.2f}" for name, value in zip(names, factor, strict=True))
    log.info("%d members; factors of the standard deviations: %s", len(of_members), told)
    mean, sigma = joint(on_test)
    return mean, sigma * factor


def _of_member(
    weights: str | os.PathLike, parts: Sequence[Stars], names: Sequence[str]
) -> list[np.ndarray]:
    """Return a member's labels and standard deviations (2, n, k) of each part."""
    module = load_for(weights, parts[0], usual_device())
    return [np.array(module.estimate(part.flux))[..., module.columns(names)] for part in parts]


def sigma_factors(mean: np.ndarray, sigma: np.ndarray, val: Stars) -> np.ndarray:
    """Return the factors (k,) that bring 68.27 % of stars within one standard deviation."""
    return np.quantile(np.abs(mean - val.labels) / sigma, _WITHIN_SIGMA, axis=0)
