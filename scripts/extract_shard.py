"""Extract the features of one shard of a dataset, as extract_features does those of a whole one."""

from galaxy_lvm.core.config import section
from galaxy_lvm.core.config.fewshot import Features
from galaxy_lvm.core.gpus import own_gpus
from galaxy_lvm.core.logs import job_log
from galaxy_lvm.features.job import extract_shard as main

if __name__ == "__main__":
    gpus = own_gpus(snakemake.resources.get("gpu", 0))  # noqa: F821
    with job_log(snakemake.log[0]), gpus:  # noqa: F821
        main(
            model=snakemake.params.model,  # noqa: F821
            crops=snakemake.input.crops,  # noqa: F821
            features=snakemake.output.features,  # noqa: F821
            settings=section(Features, snakemake.params.settings, "features"),  # noqa: F821
            state_root=snakemake.params.state_root,  # noqa: F821
            recipe_version=snakemake.params.recipe_version,  # noqa: F821
            lvm=snakemake.input.get("lvm"),  # noqa: F821
            threads=snakemake.threads,  # noqa: F821
            n_gpus=snakemake.params.n_gpus,  # noqa: F821
        )
