"""Find the galaxies most similar to given ones, and how well the fast search does."""

from collections.abc import Sequence

import numpy as np
import pandas as pd
from galaxy_lvm.core.config.extensions import Similarity
from galaxy_lvm.core.config.handed import section
from galaxy_lvm.core.logs import job_log
from galaxy_lvm.core.tables import save_table
from galaxy_lvm.features.similarity import SimilaritySearch, drop_self
from galaxy_lvm.features.similarity_parts import Found, search_part, together
from galaxy_lvm.features.similarity_trials import (
    choose_all,
    neighbour_table,
    purity_rows,
    search_rows,
)
from galaxy_lvm.features.store import FeatureStore
from galaxy_lvm.report.results import long_rows, write_results
from galaxy_lvm.survey.splits_table import Splits
from threadpoolctl import threadpool_limits


def main(
    features: str,
    splits: str,
    pool_features: str,
    metrics: str,
    table: str,
    settings: Similarity,
    query_ids: list[str],
    state_root: str,
    recipe_version: int,
    seed: int,
    threads: int = 1,
    parts: Sequence[str] = (),
) -> None:
    """Write the neighbours of the queries, and recall, speed and class purity of the search.

    Parameters
    ----------
    features, splits
        Vectors of the labelled dataset, which the queries are taken from, and its splits.
    pool_features
        Vectors that are searched; may be the same file.
    metrics, table
        Long-format CSV; neighbours of every query (CSV) to write.
    settings
        The config's section `extensions.similarity`.
    query_ids
        Galaxies to search for; where empty, a few of each class are drawn from the test split.
    state_root, recipe_version
        Folder in which the index is kept; the version of the rule that it belongs to.
    seed, threads
        The run's seed; CPU threads.
    parts
        What search_shard found in every shard; without any the vectors are searched here.
    """
    galaxies, k = Splits(splits).table, settings.n_neighbours
    queries, test = choose_all(galaxies, query_ids, settings, seed)
    store, pool = FeatureStore.open(features), FeatureStore.open(pool_features)
    same = store.path.resolve() == pool.path.resolve()
    labels = galaxies.set_index("id")["label"] if same else None
    with threadpool_limits(threads):
        if parts:
            found = together([Found.load(part) for part in parts], k + 1)
        else:
            search = SimilaritySearch(pool, settings, seed)
            index = search.build_index(state_root, recipe_version, threads)
            asked = store.take(queries["id"]), store.take(test["id"])
            found = search_part(search, index.stat().st_size, *asked, k + 1)
    rows, neighbours = search_rows(found, _own_rows(pool, test["id"], same), k, seed)
    if labels is not None:
        pool_labels = labels.reindex(pool.ids).fillna("").to_numpy(dtype=object)
        rows += purity_rows(test["label"].to_numpy(), pool_labels, neighbours, seed)
    facts = {"bytes_per_galaxy": found.index_bytes / len(pool), "n_galaxies": found.n_galaxies}
    facts |= {"in_use": len(pool) > settings.exact_up_to}
    write_results(metrics, rows + long_rows("similarity", "search", "index", f"k={k}", seed, facts))
    own = _own_rows(pool, queries["id"], same)
    save_table(table, neighbour_table(queries, *drop_self(*found.wanted, own, k), pool, labels))


def _own_rows(pool: FeatureStore, ids: pd.Series, same: bool) -> np.ndarray:
    return pool.rows_of(ids) if same else np.full(len(ids), -1)


if __name__ == "__main__":
    with job_log(snakemake.log[0]):  # noqa: F821
        main(
            features=snakemake.input.features,  # noqa: F821
            splits=snakemake.input.splits,  # noqa: F821
            pool_features=snakemake.input.pool_features,  # noqa: F821
            metrics=snakemake.output.metrics,  # noqa: F821
            table=snakemake.output.table,  # noqa: F821
            settings=section(Similarity, snakemake.params.settings, "extensions.similarity"),  # noqa: F821
            query_ids=snakemake.params.query_ids,  # noqa: F821
            state_root=snakemake.params.state_root,  # noqa: F821
            recipe_version=snakemake.params.recipe_version,  # noqa: F821
            seed=snakemake.params.seed,  # noqa: F821
            threads=snakemake.threads,  # noqa: F821
            parts=list(snakemake.input.parts),  # noqa: F821
        )
