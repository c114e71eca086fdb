"""Train one network on the whole training split, for Table 1."""

import torch
from galaxy_lvm.core.config import section
from galaxy_lvm.core.config.tasks import ReferenceSections
from galaxy_lvm.core.gpus import own_gpus
from galaxy_lvm.core.logs import job_log
from galaxy_lvm.multitask.reference import train_reference
from galaxy_lvm.training.job import NetworkFiles
from galaxy_lvm.training.model_specs import reference_specs
from galaxy_lvm.training.network_settings import reference_protocol


def main(
    crops: str,
    splits: str,
    metrics: str,
    per_galaxy: str,
    model: dict,
    sections: ReferenceSections,
    state_root: str,
    recipe_version: int,
    seed: int,
    threads: int = 1,
) -> None:
    """Write the scores on the test split (CSV) and those of its galaxies (parquet).

    Parameters
    ----------
    crops, splits
        Labelled dataset.
    metrics, per_galaxy
        Files to write.
    model
        Entry of the config's list `reference.models`.
    sections
        The config's sections reference, classification and multitask.
    state_root, recipe_version
        Folder for checkpoints; the version of the rule that it belongs to.
    seed, threads
        The run's seed; CPU threads. A GPU is used where there is one.
    """
    torch.set_num_threads(threads)
    files = NetworkFiles(splits, crops, state_root, recipe_version)
    spec, protocol = reference_specs([model])[0], reference_protocol(sections)
    train_reference(spec, files, protocol, seed, metrics, per_galaxy)


if __name__ == "__main__":
    gpus = own_gpus(snakemake.resources.get("gpu", 0))  # noqa: F821
    with job_log(snakemake.log[0]), gpus:  # noqa: F821
        main(
            crops=snakemake.input.crops,  # noqa: F821
            splits=snakemake.input.splits,  # noqa: F821
            metrics=snakemake.output.metrics,  # noqa: F821
            per_galaxy=snakemake.output.per_galaxy,  # noqa: F821
            model=snakemake.params.model,  # noqa: F821
            sections=section(ReferenceSections, snakemake.params.sections),  # noqa: F821
            state_root=snakemake.params.state_root,  # noqa: F821
            recipe_version=snakemake.params.recipe_version,  # noqa: F821
            seed=snakemake.params.seed,  # noqa: F821
            threads=snakemake.threads,  # noqa: F821
        )
