"""Train one network to tell stars, galaxies and quasars apart; predict test sources."""

import torch
from galaxy_lvm.core.config import section
from galaxy_lvm.core.config.wise import WiseNetworks
from galaxy_lvm.core.gpus import own_gpus
from galaxy_lvm.core.logs import job_log
from galaxy_lvm.core.tables import load_table, save_table
from galaxy_lvm.report.results import write_results
from galaxy_lvm.survey.crop_store import CropStore
from galaxy_lvm.survey.splits_table import Splits
from galaxy_lvm.training.job import NetworkFiles
from galaxy_lvm.training.model_specs import model_specs
from galaxy_lvm.wise.classify import network_rows, train_network
from galaxy_lvm.wise.floors import prediction_table


def main(
    crops: str,
    splits: str,
    photometry: str,
    metrics: str,
    predictions: str,
    sky: str,
    model: dict,
    settings: WiseNetworks,
    state_root: str,
    recipe_version: int,
    seed: int,
    threads: int = 1,
) -> None:
    """Write what is known of the network (CSV) and the predictions of test sources (parquet).

    Parameters
    ----------
    crops, splits, photometry
        Of measure_wise.
    metrics, predictions
        Files to write.
    sky
        Name of the sky.
    model
        Entry of the config's list `wise.models`.
    settings
        The config's section `wise.networks`.
    state_root, recipe_version
        Folder for checkpoints; the version of the rule that it belongs to.
    seed, threads
        Seed of the training; CPU threads. A GPU is used where there is one.
    """
    torch.set_num_threads(threads)
    spec = model_specs([model], "wise.models")[0]
    with CropStore(crops) as store:
        side = store.side_pix
    files = NetworkFiles(splits, crops, state_root, recipe_version)
    shares, known = train_network(spec, files, side, settings, seed)
    table = Splits(splits)
    found = prediction_table(
        spec.label, seed, table.labelled("test"), shares, table.class_names, load_table(photometry)
    )
    save_table(predictions, found)
    write_results(metrics, network_rows(sky, spec, seed, known))


if __name__ == "__main__":
    gpus = own_gpus(snakemake.resources.get("gpu", 0))  # noqa: F821
    with job_log(snakemake.log[0]), gpus:  # noqa: F821
        main(
            crops=snakemake.input.crops,  # noqa: F821
            splits=snakemake.input.splits,  # noqa: F821
            photometry=snakemake.input.photometry,  # noqa: F821
            metrics=snakemake.output.metrics,  # noqa: F821
            predictions=snakemake.output.predictions,  # noqa: F821
            sky=snakemake.wildcards.sky,  # noqa: F821
            model=snakemake.params.model,  # noqa: F821
            settings=section(WiseNetworks, snakemake.params.settings, "wise.networks"),  # noqa: F821
            state_root=snakemake.params.state_root,  # noqa: F821
            recipe_version=snakemake.params.recipe_version,  # noqa: F821
            seed=snakemake.params.seed,  # noqa: F821
            threads=snakemake.threads,  # noqa: F821
        )
