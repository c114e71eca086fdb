"""Train one network on the whole training split, for Table 1."""

from galaxy_lvm.core.logs import job_log
from galaxy_lvm.multitask.reference import reference_settings, train_reference
from galaxy_lvm.training.launch import launch
from galaxy_lvm.training.model_specs import reference_specs


def main(
    crops: str,
    splits: str,
    metrics: str,
    per_galaxy: str,
    model: dict,
    sections: dict,
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
    launch(
        train_reference,
        0,  # one process: a small network on thousands of galaxies does not gain from several
        threads,
        spec=reference_specs([model])[0],
        splits_path=splits,
        crops_path=crops,
        settings=reference_settings(sections),
        seed=seed,
        state_root=state_root,
        recipe_version=recipe_version,
        metrics_path=metrics,
        per_galaxy_path=per_galaxy,
    )


if __name__ == "__main__":
    with job_log(snakemake.log[0]):  # noqa: F821
        main(
            crops=snakemake.input.crops,  # noqa: F821
            splits=snakemake.input.splits,  # noqa: F821
            metrics=snakemake.output.metrics,  # noqa: F821
            per_galaxy=snakemake.output.per_galaxy,  # noqa: F821
            model=snakemake.params.model,  # noqa: F821
            sections=snakemake.params.sections,  # noqa: F821
            state_root=snakemake.params.state_root,  # noqa: F821
            recipe_version=snakemake.params.recipe_version,  # noqa: F821
            seed=snakemake.params.seed,  # noqa: F821
            threads=snakemake.threads,  # noqa: F821
        )
