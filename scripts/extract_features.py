"""Extract the feature vector of every crop, once, for all that works on frozen features."""

from galaxy_lvm.core.config import section
from galaxy_lvm.core.config.fewshot import Features
from galaxy_lvm.core.gpus import own_gpus
from galaxy_lvm.core.logs import job_log
from galaxy_lvm.features.extract import extract_features
from galaxy_lvm.training.launch import launch
from galaxy_lvm.training.model_specs import model_specs


def main(
    crops: str,
    model: dict,
    features: str,
    state_root: str,
    recipe_version: int,
    settings: Features,
    lvm: str | None = None,
    threads: int = 1,
    n_gpus: int = 0,
) -> None:
    """Write the features (`.npy`) and their ids (`.parquet`).

    Parameters
    ----------
    crops
        Crops file.
    model
        Entry of the config's list `fewshot.models`.
    features
        `.npy` to write; the ids lie beside it.
    state_root, recipe_version
        Folder for finished shards; the version of the rule that it belongs to.
    settings
        The config's section `features`.
    lvm
        The run's LVM, for the models that need it.
    threads, n_gpus
        What the job may use.
    """
    launch(
        extract_features,
        n_gpus,
        threads,
        crops_path=crops,
        spec=model_specs([model])[0],
        lvm_weights=lvm,
        features_path=features,
        state_root=state_root,
        recipe_version=recipe_version,
        settings=settings,
    )


if __name__ == "__main__":
    gpus = own_gpus(snakemake.resources.get("gpu", 0))  # noqa: F821
    with job_log(snakemake.log[0]), gpus:  # noqa: F821
        main(
            crops=snakemake.input.crops,  # noqa: F821
            model=snakemake.params.model,  # noqa: F821
            features=snakemake.output.features,  # noqa: F821
            state_root=snakemake.params.state_root,  # noqa: F821
            recipe_version=snakemake.params.recipe_version,  # noqa: F821
            settings=section(Features, snakemake.params.settings, "features"),  # noqa: F821
            lvm=snakemake.input.get("lvm"),  # noqa: F821
            threads=snakemake.threads,  # noqa: F821
            n_gpus=snakemake.params.n_gpus,  # noqa: F821
        )
