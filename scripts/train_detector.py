"""Train one lens detector and search the validation and test fields with it (paper IV.B)."""

from galaxy_lvm.core.config import section
from galaxy_lvm.core.config.lenses import DetectorTraining
from galaxy_lvm.core.gpus import own_gpus
from galaxy_lvm.core.logs import job_log
from galaxy_lvm.lenses.train import train_detector
from galaxy_lvm.training.job import JobFiles
from galaxy_lvm.training.launch import launch


def main(
    fields: str,
    lvm: str | None,
    weights: str,
    history: str,
    detections: str,
    state_root: str,
    recipe_version: int,
    backbone: str,
    n_train: int,
    settings: DetectorTraining,
    seed: int,
    threads: int = 1,
    n_gpus: int = 0,
) -> None:
    """Train and write the weights with their card, the losses and the detections.

    Parameters
    ----------
    fields
        Field store.
    lvm
        Pretrained LVM weights; None for other backbones.
    weights, history, detections
        Weights (safetensors), losses per step (CSV) and detections (parquet) to write.
    state_root, recipe_version
        Folder for checkpoints; the version of the rule that it belongs to.
    backbone
        `lvm`, or a residual network of torchvision.
    n_train
        Training fields to use.
    settings
        How the detector is built and trained.
    seed
        Seed of this repetition.
    threads, n_gpus
        What the job may use.
    """
    launch(
        train_detector,
        n_gpus,
        threads,
        fields_path=fields,
        backbone=backbone,
        n_train=n_train,
        lvm_path=lvm,
        settings=settings,
        seed=seed,
        files=JobFiles(state_root, recipe_version, weights, history),
        detections_path=detections,
    )


if __name__ == "__main__":
    gpus = own_gpus(snakemake.resources.get("gpu", 0))  # noqa: F821
    with job_log(snakemake.log[0]), gpus:  # noqa: F821
        main(
            fields=snakemake.input.fields,  # noqa: F821
            lvm=snakemake.input.get("lvm"),  # noqa: F821
            weights=snakemake.output.weights,  # noqa: F821
            history=snakemake.output.history,  # noqa: F821
            detections=snakemake.output.detections,  # noqa: F821
            state_root=snakemake.params.state_root,  # noqa: F821
            recipe_version=snakemake.params.recipe_version,  # noqa: F821
            backbone=snakemake.wildcards.backbone,  # noqa: F821
            n_train=int(snakemake.wildcards.n_train),  # noqa: F821
            settings=section(DetectorTraining, snakemake.params.settings),  # noqa: F821
            seed=snakemake.params.seed,  # noqa: F821
            threads=snakemake.threads,  # noqa: F821
            n_gpus=snakemake.params.n_gpus,  # noqa: F821
        )
