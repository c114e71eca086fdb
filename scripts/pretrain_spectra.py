"""Pretrain the Transformer on simulated spectra: many stars, new ones at every update."""

from galaxy_lvm.core.config import section
from galaxy_lvm.core.config.spectra import Grid, SimulatedSpectra, SpectrumPretraining
from galaxy_lvm.core.gpus import own_gpus
from galaxy_lvm.core.logs import job_log
from galaxy_lvm.spectra.train import pretrain
from galaxy_lvm.training.job import JobFiles
from galaxy_lvm.training.launch import launch


def main(
    weights: str,
    history: str,
    state_root: str,
    recipe_version: int,
    grid: Grid,
    noise: SimulatedSpectra,
    settings: SpectrumPretraining,
    seed: int,
    threads: int = 1,
    n_gpus: int = 0,
    continuum_angstrom: float | None = None,
) -> None:
    """Train and write the weights with their card.

    Parameters
    ----------
    weights, history
        Weights (safetensors) and losses per step (CSV) to write.
    state_root, recipe_version
        Folder for checkpoints; the version of the rule that it belongs to.
    grid, noise, settings
        Wavelengths, stars and training: the config's `spectra.grid`, `.simulated`, `.pretrain`.
    seed
        The run's seed.
    threads, n_gpus
        What the job may use.
    continuum_angstrom
        The config's `spectra.continuum_angstrom`.
    """
    files = JobFiles(state_root, recipe_version, weights, history)
    about = {"grid": grid, "noise": noise, "settings": settings, "seed": seed}
    about["continuum_angstrom"] = continuum_angstrom
    launch(pretrain, n_gpus, threads, **about, files=files)


if __name__ == "__main__":
    gpus = own_gpus(snakemake.resources.get("gpu", 0))  # noqa: F821
    with job_log(snakemake.log[0]), gpus:  # noqa: F821
        given = snakemake.params  # noqa: F821
        main(
            weights=snakemake.output.weights,  # noqa: F821
            history=snakemake.output.history,  # noqa: F821
            state_root=given.state_root,
            recipe_version=snakemake.params.recipe_version,  # noqa: F821
            grid=given.grid,
            noise=section(SimulatedSpectra, given.noise, "spectra.simulated"),
            settings=section(SpectrumPretraining, given.settings, "spectra.pretrain"),
            seed=given.seed,
            threads=snakemake.threads,  # noqa: F821
            n_gpus=given.n_gpus,
            continuum_angstrom=given.continuum_angstrom,
        )
