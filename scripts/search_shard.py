"""Find the galaxies of one shard that are most similar to given ones."""

from galaxy_lvm.core.config.extensions import Similarity
from galaxy_lvm.core.config.handed import section
from galaxy_lvm.core.logs import job_log
from galaxy_lvm.features.similarity import SimilaritySearch
from galaxy_lvm.features.similarity_parts import Found, search_part
from galaxy_lvm.features.similarity_trials import choose_all
from galaxy_lvm.features.store import FeatureStore
from galaxy_lvm.survey.crop_store import CropStore
from galaxy_lvm.survey.splits_table import Splits
from threadpoolctl import threadpool_limits


def main(
    features: str,
    splits: str,
    pool_features: str,
    pool_crops: str,
    centres: str,
    found: str,
    shard: str,
    settings: Similarity,
    query_ids: list[str],
    state_root: str,
    recipe_version: int,
    seed: int,
    threads: int = 1,
) -> None:
    """Write what the shard has to say to search_similar, which puts all shards together.

    Parameters
    ----------
    features, splits
        Vectors of the labelled dataset, which the queries are taken from, and its splits.
    pool_features, pool_crops, shard
        Vectors of all shards, index of their crops and the shard's name.
    centres
        What train_index wrote.
    found
        Neighbours (.npz) to write.
    settings, query_ids, state_root, recipe_version, seed, threads
        As of search_similar.
    """
    galaxies = Splits(splits).table
    store, pool = FeatureStore.open(features), FeatureStore.open(pool_features)
    wanted, test = choose_all(galaxies, query_ids, settings, seed)
    with CropStore(pool_crops) as crops:
        rows = crops.rows_of_shard(shard)
    if rows.start == rows.stop:  # the shard was left out
        Found.nothing(len(wanted), len(test)).save(found)
        return
    with threadpool_limits(threads):
        search = SimilaritySearch(pool, settings, seed, rows)
        index = search.build_index(state_root, recipe_version, threads, centres)
        asked = store.take(wanted["id"]), store.take(test["id"])
        search_part(search, index.stat().st_size, *asked, settings.n_neighbours + 1).save(found)


if __name__ == "__main__":
    with job_log(snakemake.log[0]):  # noqa: F821
        main(
            features=snakemake.input.features,  # noqa: F821
            splits=snakemake.input.splits,  # noqa: F821
            pool_features=snakemake.input.pool_features,  # noqa: F821
            pool_crops=snakemake.input.pool_crops,  # noqa: F821
            centres=snakemake.input.centres,  # noqa: F821
            found=snakemake.output.found,  # noqa: F821
            shard=snakemake.wildcards.shard,  # noqa: F821
            settings=section(Similarity, snakemake.params.settings, "extensions.similarity"),  # noqa: F821
            query_ids=snakemake.params.query_ids,  # noqa: F821
            state_root=snakemake.params.state_root,  # noqa: F821
            recipe_version=snakemake.params.recipe_version,  # noqa: F821
            seed=snakemake.params.seed,  # noqa: F821
            threads=snakemake.threads,  # noqa: F821
        )
