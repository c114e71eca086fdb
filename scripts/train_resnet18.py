"""Train ResNet18 on images, from scratch, with figure 10's two larger training sets."""

import torch
from galaxy_lvm.core.config import section
from galaxy_lvm.core.config.fewshot import NetworkSections
from galaxy_lvm.core.config.hitl import ImageSets
from galaxy_lvm.core.gpus import own_gpus
from galaxy_lvm.core.logs import job_log
from galaxy_lvm.hitl.resnet18 import train_resnet18
from galaxy_lvm.training.job import NetworkFiles


def main(
    crops: str,
    splits: str,
    cutouts: str,
    metrics: str,
    scored: str,
    state_root: str,
    recipe_version: int,
    settings: ImageSets,
    sections: NetworkSections,
    seed: int,
    threads: int = 1,
) -> None:
    """Write the scores of ResNet18 on the test split.

    Parameters
    ----------
    crops, splits, cutouts
        The dataset: images, splits, and the store with the catalogue.
    metrics
        Long-format CSV to write, experiment `hitl`.
    scored
        Parquet to write: the scores of single test galaxies.
    state_root, recipe_version
        Folder for checkpoints and finished trainings; the version of the rule that it belongs to.
    settings
        Of the config's section `hitl`.
    sections
        The protocol of networks.
    seed, threads
        The run's seed; CPU threads.
    """
    torch.set_num_threads(threads)
    files = NetworkFiles(splits, crops, state_root, recipe_version)
    train_resnet18(files, cutouts, settings, sections, seed, metrics, scored)


if __name__ == "__main__":
    gpus = own_gpus(snakemake.resources.get("gpu", 0))  # noqa: F821
    with job_log(snakemake.log[0]), gpus:  # noqa: F821
        main(
            crops=snakemake.input.crops,  # noqa: F821
            splits=snakemake.input.splits,  # noqa: F821
            cutouts=snakemake.input.cutouts,  # noqa: F821
            metrics=snakemake.output.metrics,  # noqa: F821
            scored=snakemake.output.scored,  # noqa: F821
            state_root=snakemake.params.state_root,  # noqa: F821
            recipe_version=snakemake.params.recipe_version,  # noqa: F821
            settings=section(ImageSets, snakemake.params.settings, "hitl"),  # noqa: F821
            sections=section(NetworkSections, snakemake.params.sections),  # noqa: F821
            seed=snakemake.params.seed,  # noqa: F821
            threads=snakemake.threads,  # noqa: F821
        )
