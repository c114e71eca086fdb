"""Ask a trained model about the galaxies of one shard of a dataset."""

from pathlib import Path

import torch
from galaxy_lvm.core.gpus import own_gpus
from galaxy_lvm.core.logs import job_log
from galaxy_lvm.core.state import state_folder
from galaxy_lvm.features.store import FeatureStore
from galaxy_lvm.multitask.catalogue import CatalogueColumns, LearnedFrom, Recipe
from galaxy_lvm.multitask.catalogue_parts import Galaxies, write_shard
from galaxy_lvm.survey.crop_store import CropStore
from galaxy_lvm.survey.store import CutoutStore


def main(
    crops: str,
    cutouts: str,
    features: str,
    weights: str,
    learned_from: LearnedFrom,
    catalogue: str,
    shard: str,
    recipe: Recipe,
    state_root: str,
    recipe_version: int,
    threads: int = 1,
) -> None:
    """Write the shard's part of the catalogue, which make_catalogue joins.

    Parameters
    ----------
    crops, cutouts, features, shard
        The dataset in several files, and the name of the one whose galaxies are asked about.
    catalogue
        Parquet file to write.
    weights, learned_from, recipe, state_root, recipe_version, threads
        As of make_catalogue.
    """
    torch.set_num_threads(threads)
    columns = CatalogueColumns(weights, learned_from, recipe)
    inputs = [crops, cutouts, features, weights, *vars(learned_from).values()]
    folder = state_folder(state_root, recipe_version, [shard, repr(recipe)], inputs)
    own = Path(crops) == Path(learned_from.crops)
    with CropStore(crops) as cropped, CutoutStore(cutouts) as cut:
        galaxies = Galaxies(cropped, cut, FeatureStore.open(features), columns, own)
        rows = cropped.rows_of_shard(shard)
        write_shard(galaxies, catalogue, folder, recipe.settings.chunk_galaxies, rows)


if __name__ == "__main__":
    gpus = own_gpus(snakemake.resources.get("gpu", 0))  # noqa: F821
    with job_log(snakemake.log[0]), gpus:  # noqa: F821
        given, params = snakemake.input, snakemake.params  # noqa: F821
        main(
            crops=given.crops,
            cutouts=given.cutouts,
            features=given.features,
            weights=given.weights,
            learned_from=LearnedFrom.handed(given),
            catalogue=snakemake.output.catalogue,  # noqa: F821
            shard=snakemake.wildcards.shard,  # noqa: F821
            recipe=Recipe.handed(params),
            state_root=params.state_root,
            recipe_version=snakemake.params.recipe_version,  # noqa: F821
            threads=snakemake.threads,  # noqa: F821
        )
