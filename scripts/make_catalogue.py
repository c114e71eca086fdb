"""Ask a trained model about every galaxy of a dataset: one table in three forms."""

from collections.abc import Sequence
from pathlib import Path

import torch
from galaxy_lvm.core.gpus import own_gpus
from galaxy_lvm.core.logs import job_log
from galaxy_lvm.core.state import state_folder
from galaxy_lvm.core.tables import save_table
from galaxy_lvm.features.store import FeatureStore
from galaxy_lvm.multitask.catalogue import EXPERIMENT, CatalogueColumns, LearnedFrom, Recipe
from galaxy_lvm.multitask.catalogue_parts import (
    CatalogueFiles,
    Galaxies,
    join_shards,
    write_catalogue,
)
from galaxy_lvm.report.results import long_rows, write_results
from galaxy_lvm.survey.crop_store import CropStore
from galaxy_lvm.survey.store import CutoutStore


def main(
    crops: str,
    cutouts: str,
    features: str,
    weights: str,
    learned_from: LearnedFrom,
    files: CatalogueFiles,
    metrics: str,
    predictions: str,
    recipe: Recipe,
    state_root: str,
    recipe_version: int,
    threads: int = 1,
    shards: Sequence[str] = (),
) -> None:
    """Write the catalogue, how well its columns do on test galaxies, and these one by one.

    Parameters
    ----------
    crops, cutouts, features
        The dataset whose galaxies are asked about.
    weights, learned_from
        The multitask model and the dataset that it learned from.
    files
        The catalogue to write.
    metrics, predictions
        Long-format CSV; probabilities of test galaxies, raw and calibrated (parquet).
    recipe
        How.
    state_root, recipe_version
        Folder for finished parts; the version of the rule that it belongs to.
    threads
        CPU threads. A GPU is used where there is one.
    shards
        What catalogue_shard wrote for every shard; without any the galaxies are asked about here.
    """
    torch.set_num_threads(threads)
    columns = CatalogueColumns(weights, learned_from, recipe)
    about = {
        "FEATURES": features,
        "WEIGHTS": weights,
        "TEMPERAT": f"{columns.temperature:.4g}",
        "UNLIKE": f"distance above {columns.unlike_above:.4g}",
    }
    own = Path(crops) == Path(learned_from.crops)
    with CropStore(crops) as cropped, CutoutStore(cutouts) as cut:
        if shards:
            n_rows, n_unlike = join_shards(shards, files, columns, about, len(cropped))
        else:
            inputs = [crops, cutouts, features, weights, *vars(learned_from).values()]
            folder = state_folder(state_root, recipe_version, repr(recipe), inputs)
            galaxies = Galaxies(cropped, cut, FeatureStore.open(features), columns, own)
            size = recipe.settings.chunk_galaxies
            n_rows, n_unlike = write_catalogue(galaxies, files, folder, size, about)
    head = EXPERIMENT, "catalogue", columns.classify.strategy, "", recipe.seed
    found = long_rows(*head, {"n_galaxies": n_rows, "n_unlike": n_unlike})
    write_results(metrics, [*columns.checked.rows, *found])
    save_table(predictions, columns.checked.predictions)


if __name__ == "__main__":
    gpus = own_gpus(snakemake.resources.get("gpu", 0))  # noqa: F821
    with job_log(snakemake.log[0]), gpus:  # noqa: F821
        given, into = snakemake.input, snakemake.output  # noqa: F821
        params = snakemake.params  # noqa: F821
        main(
            crops=given.crops,
            cutouts=given.cutouts,
            features=given.features,
            weights=given.weights,
            learned_from=LearnedFrom.handed(given),
            files=CatalogueFiles(into.parquet, into.csv, into.fits),
            metrics=into.metrics,
            predictions=into.predictions,
            recipe=Recipe.handed(params),
            state_root=params.state_root,
            recipe_version=snakemake.params.recipe_version,  # noqa: F821
            threads=snakemake.threads,  # noqa: F821
            shards=list(given.shards),
        )
