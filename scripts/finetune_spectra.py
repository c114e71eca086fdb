"""Train one member of the spectra's ensemble on stars with good labels."""

import torch
from galaxy_lvm.core.config import section
from galaxy_lvm.core.config.spectra import SpectrumMethods
from galaxy_lvm.core.gpus import own_gpus
from galaxy_lvm.core.logs import job_log
from galaxy_lvm.spectra.stars import read_split
from galaxy_lvm.spectra.train import finetune
from galaxy_lvm.training.job import JobFiles


def main(
    spectra: str,
    pretrained: str,
    weights: str,
    history: str,
    state_root: str,
    recipe_version: int,
    settings: SpectrumMethods,
    member: int,
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
    settings
        Labels, splits and training of the config's section `spectra`.
    member, seed, threads
        Number of the member; the run's seed; CPU threads.
    """
    torch.set_num_threads(threads)
    stars = read_split(spectra, settings, seed)
    files = JobFiles(state_root, recipe_version, weights, history)
    finetune(stars, pretrained, spectra, settings.finetune, member, seed, files)


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
            settings=section(SpectrumMethods, snakemake.params.settings, "spectra"),  # noqa: F821
            member=int(snakemake.wildcards.member),  # noqa: F821
            seed=snakemake.params.seed,  # noqa: F821
            threads=snakemake.threads,  # noqa: F821
        )
