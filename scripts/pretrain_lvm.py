"""Pretrain the LVM on crops without labels, with one objective."""

from collections.abc import Sequence

from galaxy_lvm.core.config import section
from galaxy_lvm.core.config.training import LvmShape, Pretraining
from galaxy_lvm.core.gpus import own_gpus
from galaxy_lvm.core.logs import job_log
from galaxy_lvm.survey.pool import rows_by_dataset
from galaxy_lvm.training.job import JobFiles
from galaxy_lvm.training.launch import launch
from galaxy_lvm.training.nodes import launch_nodes
from galaxy_lvm.training.pretrain import pretrain


def main(
    pool: str,
    names: Sequence[str],
    crops: Sequence[str],
    weights: str,
    history: str,
    state_root: str,
    recipe_version: int,
    shape: LvmShape,
    settings: Pretraining,
    seed: int,
    threads: int = 1,
    n_gpus: int = 0,
    teacher: Sequence[str] = (),
    n_nodes: int = 1,
) -> None:
    """Train and write the weights with their card.

    Parameters
    ----------
    pool
        Table of the galaxies to pretrain on.
    names, crops
        The pretraining datasets, and their crops in the same order.
    weights, history
        Weights (safetensors) and losses per step (CSV) to write.
    state_root, recipe_version
        Folder for checkpoints; the version of the rule that it belongs to.
    shape, settings
        The network, and how it is trained.
    seed
        The run's seed.
    threads, n_gpus, n_nodes
        What the job may use: CPU threads on each node, GPUs over all nodes.
    teacher
        Objective `distilled`: the teacher's features of every dataset, in the order of `names`.
    """
    rows = rows_by_dataset(pool)
    crops_of = dict(zip(names, crops, strict=True))
    teacher_of = dict(zip(names, teacher, strict=True)) if teacher else {}
    call = {
        "parts": [(crops_of[name], rows[name]) for name in names if name in rows],
        "shape": shape,
        "settings": settings,
        "seed": seed,
        "files": JobFiles(state_root, recipe_version, weights, history),
        "teacher_paths": [teacher_of[name] for name in names if name in rows and teacher_of],
    }
    if n_nodes > 1:
        launch_nodes(pretrain, n_nodes, n_gpus, threads, shared=state_root, **call)
    else:
        launch(pretrain, n_gpus, threads, **call)


if __name__ == "__main__":
    gpus = own_gpus(snakemake.resources.get("gpu", 0))  # noqa: F821
    with job_log(snakemake.log[0]), gpus:  # noqa: F821
        main(
            pool=snakemake.input.pool,  # noqa: F821
            names=snakemake.params.names,  # noqa: F821
            crops=list(snakemake.input.crops),  # noqa: F821
            weights=snakemake.output.weights,  # noqa: F821
            history=snakemake.output.history,  # noqa: F821
            state_root=snakemake.params.state_root,  # noqa: F821
            recipe_version=snakemake.params.recipe_version,  # noqa: F821
            shape=section(LvmShape, snakemake.params.lvm, "lvm"),  # noqa: F821
            settings=section(Pretraining, snakemake.params.settings, "pretrain"),  # noqa: F821
            seed=snakemake.params.seed,  # noqa: F821
            threads=snakemake.threads,  # noqa: F821
            n_gpus=snakemake.params.n_gpus,  # noqa: F821
            teacher=list(snakemake.input.teacher),  # noqa: F821
            n_nodes=snakemake.params.n_nodes,  # noqa: F821
        )
