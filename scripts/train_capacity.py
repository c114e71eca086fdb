"""Train the spectra's network on true or shuffled labels of few stars: how much rank that takes."""

import torch
from galaxy_lvm.core.config import section
from galaxy_lvm.core.config.layers import Capacity
from galaxy_lvm.core.config.spectra import SpectrumMethods
from galaxy_lvm.core.gpus import own_gpus
from galaxy_lvm.core.logs import job_log
from galaxy_lvm.layers.capacity import Labels, capacity_stars, train_capacity
from galaxy_lvm.spectra.stars import read_split
from galaxy_lvm.training.job import JobFiles


def main(
    spectra: str,
    pretrained: str,
    weights: str,
    history: str,
    state_root: str,
    recipe_version: int,
    labels: Labels,
    n_stars: int,
    settings: Capacity,
    methods: SpectrumMethods,
    seed: int,
    threads: int = 1,
) -> None:
    """Train and write the weights with their card.

    Parameters
    ----------
    spectra
        Store of spectra with labels.
    pretrained
        Weights of pretrain_spectra.
    weights, history
        Weights (safetensors) and losses per step (CSV) to write.
    state_root, recipe_version
        Folder for checkpoints; the version of the rule that it belongs to.
    labels, n_stars
        `true` or `shuffled`, and of how many training stars.
    settings, methods
        The config's section `layers.capacity`; labels and splits of `spectra`.
    seed, threads
        The run's seed; CPU threads.
    """
    torch.set_num_threads(threads)
    stars = capacity_stars(read_split(spectra, methods, seed), n_stars, labels, seed)
    files = JobFiles(state_root, recipe_version, weights, history)
    train_capacity(stars, pretrained, spectra, labels, settings, seed, files)


if __name__ == "__main__":
    gpus = own_gpus(snakemake.resources.get("gpu", 0))  # noqa: F821
    with job_log(snakemake.log[0]), gpus:  # noqa: F821
        main(
            spectra=snakemake.input.spectra,  # noqa: F821
            pretrained=snakemake.input.pretrained,  # noqa: F821
            weights=snakemake.output.weights,  # noqa: F821
            history=snakemake.output.history,  # noqa: F821
            state_root=snakemake.params.state_root,  # noqa: F821
            recipe_version=snakemake.params.recipe_version,  # noqa: F821
            labels=snakemake.wildcards.labels,  # noqa: F821
            n_stars=int(snakemake.wildcards.n_stars),  # noqa: F821
            settings=section(Capacity, snakemake.params.settings, "layers.capacity"),  # noqa: F821
            methods=section(SpectrumMethods, snakemake.params.methods, "spectra"),  # noqa: F821
            seed=snakemake.params.seed,  # noqa: F821
            threads=snakemake.threads,  # noqa: F821
        )
