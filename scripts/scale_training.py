"""Train the spectra's Transformer on a number of stars, from stage 1 or from scratch."""

import torch
from galaxy_lvm.core.config import section
from galaxy_lvm.core.config.spectra import Scaling, SpectrumMethods, TransformerShape
from galaxy_lvm.core.gpus import own_gpus
from galaxy_lvm.core.logs import job_log
from galaxy_lvm.spectra.scaling import first_stars
from galaxy_lvm.spectra.stars import read_split
from galaxy_lvm.spectra.train import finetune
from galaxy_lvm.training.job import JobFiles


def main(
    spectra: str,
    pretrained: str | None,
    weights: str,
    history: str,
    state_root: str,
    recipe_version: int,
    settings: SpectrumMethods,
    scaling: Scaling,
    shape: TransformerShape,
    n_stars: int,
    seed: int,
    threads: int = 1,
) -> None:
    """Train and write the weights with their card.

    Parameters
    ----------
    spectra
        Store of spectra with labels.
    pretrained
        Weights of pretrain_spectra; None learns from scratch.
    weights, history
        Weights (safetensors) and losses per step (CSV) to write.
    state_root, recipe_version
        Folder for checkpoints; the version of the rule that it belongs to.
    settings, scaling, shape
        Of the config's section `spectra`: labels, splits and training; updates; sizes of a network
        from scratch.
    n_stars
        Training stars.
    seed, threads
        The run's seed; CPU threads.
    """
    torch.set_num_threads(threads)
    stars = read_split(spectra, settings, seed)
    stars = first_stars(stars, n_stars, seed)
    optim = settings.finetune.optim.model_copy(update={"steps": scaling.steps})
    training = settings.finetune.model_copy(update={"optim": optim})
    files = JobFiles(state_root, recipe_version, weights, history)
    finetune(stars, pretrained or shape, spectra, training, 0, seed, files)


if __name__ == "__main__":
    gpus = own_gpus(snakemake.resources.get("gpu", 0))  # noqa: F821
    with job_log(snakemake.log[0]), gpus:  # noqa: F821
        main(
            spectra=snakemake.input.spectra,  # noqa: F821
            pretrained=snakemake.input.get("pretrained"),  # noqa: F821
            weights=snakemake.output.weights,  # noqa: F821
            history=snakemake.output.history,  # noqa: F821
            state_root=snakemake.params.state_root,  # noqa: F821
            recipe_version=snakemake.params.recipe_version,  # noqa: F821
            settings=section(SpectrumMethods, snakemake.params.settings, "spectra"),  # noqa: F821
            scaling=section(Scaling, snakemake.params.scaling, "spectra.scaling"),  # noqa: F821
            shape=section(TransformerShape, snakemake.params.shape, "spectra.pretrain.shape"),  # noqa: F821
            n_stars=int(snakemake.wildcards.n_stars),  # noqa: F821
            seed=snakemake.params.seed,  # noqa: F821
            threads=snakemake.threads,  # noqa: F821
        )
