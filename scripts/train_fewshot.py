"""Train one model on few labels: all sizes, some seeds."""

from collections.abc import Sequence

import torch
from galaxy_lvm.core.config import section
from galaxy_lvm.core.config.fewshot import FewShotSections
from galaxy_lvm.core.gpus import own_gpus
from galaxy_lvm.core.logs import job_log
from galaxy_lvm.fewshot.protocol import train_few_shot
from galaxy_lvm.training.job import NetworkFiles
from galaxy_lvm.training.model_specs import model_specs


def main(
    crops: str,
    splits: str,
    metrics: str,
    predictions: str,
    model: dict,
    seeds: Sequence[int],
    sections: FewShotSections,
    state_root: str,
    recipe_version: int,
    features: str | None = None,
    lvm: str | None = None,
    threads: int = 1,
) -> None:
    """Write the metrics (CSV) and the class probabilities of the test galaxies (parquet).

    Parameters
    ----------
    crops, splits
        Labelled dataset.
    metrics, predictions
        Files to write.
    model
        Entry of the config's list `fewshot.models`.
    seeds
        Repetitions of this job.
    sections
        The config's sections `fewshot` and `features`.
    state_root, recipe_version
        Folder for finished trainings and checkpoints; the version of the rule that it belongs to.
    features, lvm
        Features of a frozen encoder; the run's LVM. Only for models that need them.
    threads
        CPU threads; a GPU is used where there is one.
    """
    torch.set_num_threads(threads)
    train_few_shot(
        model_specs([model])[0],
        NetworkFiles(splits, crops, state_root, recipe_version),
        features,
        lvm,
        sections,
        seeds,
        metrics,
        predictions,
    )


if __name__ == "__main__":
    gpus = own_gpus(snakemake.resources.get("gpu", 0))  # noqa: F821
    with job_log(snakemake.log[0]), gpus:  # noqa: F821
        main(
            crops=snakemake.input.crops,  # noqa: F821
            splits=snakemake.input.splits,  # noqa: F821
            metrics=snakemake.output.metrics,  # noqa: F821
            predictions=snakemake.output.predictions,  # noqa: F821
            model=snakemake.params.model,  # noqa: F821
            seeds=snakemake.params.seeds,  # noqa: F821
            sections=section(FewShotSections, snakemake.params.sections),  # noqa: F821
            state_root=snakemake.params.state_root,  # noqa: F821
            recipe_version=snakemake.params.recipe_version,  # noqa: F821
            features=snakemake.input.get("features"),  # noqa: F821
            lvm=snakemake.input.get("lvm"),  # noqa: F821
            threads=snakemake.threads,  # noqa: F821
        )
