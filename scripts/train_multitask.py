"""Train classification, restoration and reconstruction on one encoder, with one strategy."""

from galaxy_lvm.core.config import section
from galaxy_lvm.core.config.tasks import MultitaskRun
from galaxy_lvm.core.gpus import own_gpus
from galaxy_lvm.core.logs import job_log
from galaxy_lvm.multitask.train import train_multitask
from galaxy_lvm.training.job import JobFiles
from galaxy_lvm.training.launch import launch


def main(
    crops: str,
    splits: str,
    lvm: str,
    weights: str,
    history: str,
    state_root: str,
    recipe_version: int,
    settings: MultitaskRun,
    threads: int = 1,
    n_gpus: int = 0,
) -> None:
    """Train and write the weights with their card and the validation record.

    Parameters
    ----------
    crops, splits
        Labelled dataset.
    lvm
        Pretrained weights.
    weights, history
        Weights (safetensors) and validation record (CSV) to write.
    state_root, recipe_version
        Folder for checkpoints; the version of the rule that it belongs to.
    settings
        Strategy, seed, and the config's sections of the tasks.
    threads, n_gpus
        What the job may use.
    """
    launch(
        train_multitask,
        n_gpus,
        threads,
        crops_path=crops,
        splits_path=splits,
        lvm_path=lvm,
        settings=settings,
        files=JobFiles(state_root, recipe_version, weights, history),
    )


if __name__ == "__main__":
    gpus = own_gpus(snakemake.resources.get("gpu", 0))  # noqa: F821
    with job_log(snakemake.log[0]), gpus:  # noqa: F821
        about = {
            "strategy": snakemake.wildcards.strategy,  # noqa: F821
            "seed": snakemake.params.seed,  # noqa: F821
        }
        main(
            crops=snakemake.input.crops,  # noqa: F821
            splits=snakemake.input.splits,  # noqa: F821
            lvm=snakemake.input.lvm,  # noqa: F821
            weights=snakemake.output.weights,  # noqa: F821
            history=snakemake.output.history,  # noqa: F821
            state_root=snakemake.params.state_root,  # noqa: F821
            recipe_version=snakemake.params.recipe_version,  # noqa: F821
            settings=section(MultitaskRun, {**snakemake.params.sections, **about}),  # noqa: F821
            threads=snakemake.threads,  # noqa: F821
            n_gpus=snakemake.params.n_gpus,  # noqa: F821
        )
