"""Align two kinds of spectra: networks that put both spectra of a star in one place."""

import torch
from galaxy_lvm.align.pairs import read_pairs, split_pairs
from galaxy_lvm.align.train import align
from galaxy_lvm.core.config import section
from galaxy_lvm.core.config.align import AlignTraining, Experiment
from galaxy_lvm.core.config.spectra import SpectrumSplits
from galaxy_lvm.core.gpus import own_gpus
from galaxy_lvm.core.logs import job_log
from galaxy_lvm.training.job import JobFiles


def main(
    a: str,
    b: str,
    weights: str,
    history: str,
    state_root: str,
    recipe_version: int,
    experiment: Experiment,
    settings: AlignTraining,
    splits: SpectrumSplits,
    seed: int,
    threads: int = 1,
) -> None:
    """Train and write the weights with their card.

    Parameters
    ----------
    a, b
        Stores of pair_spectra.
    weights, history
        Weights (safetensors) and losses per step (CSV) to write.
    state_root, recipe_version
        Folder for checkpoints; the version of the rule that it belongs to.
    experiment, settings, splits
        What makes a pair; the config's section `align`; the shares of `spectra`.
    seed, threads
        The run's seed; CPU threads.
    """
    torch.set_num_threads(threads)
    train = split_pairs(read_pairs((a, b)), splits, seed).train
    files = JobFiles(state_root, recipe_version, weights, history)
    align(train, (a, b), experiment, settings, seed, files)


if __name__ == "__main__":
    gpus = own_gpus(snakemake.resources.get("gpu", 0))  # noqa: F821
    with job_log(snakemake.log[0]), gpus:  # noqa: F821
        main(
            a=snakemake.input.a,  # noqa: F821
            b=snakemake.input.b,  # noqa: F821
            weights=snakemake.output.weights,  # noqa: F821
            history=snakemake.output.history,  # noqa: F821
            state_root=snakemake.params.state_root,  # noqa: F821
            recipe_version=snakemake.params.recipe_version,  # noqa: F821
            experiment=snakemake.wildcards.experiment,  # noqa: F821
            settings=section(AlignTraining, snakemake.params.settings, "align"),  # noqa: F821
            splits=section(SpectrumSplits, snakemake.params.splits, "spectra"),  # noqa: F821
            seed=snakemake.params.seed,  # noqa: F821
            threads=snakemake.threads,  # noqa: F821
        )
