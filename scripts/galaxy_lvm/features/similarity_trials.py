"""What is searched for, what was found, and how well the fast search does against the exact one."""

import difflib
from collections.abc import Sequence

import numpy as np
import pandas as pd

from galaxy_lvm.core.config.extensions import Similarity
from galaxy_lvm.core.errors import ConfigError
from galaxy_lvm.core.logs import log
from galaxy_lvm.core.seeds import derive_seed
from galaxy_lvm.features.similarity import drop_self, neighbour_recall
from galaxy_lvm.features.similarity_parts import Found
from galaxy_lvm.features.store import FeatureStore
from galaxy_lvm.report.metrics import bootstrap_interval
from galaxy_lvm.report.results import long_rows
from galaxy_lvm.survey.classes import class_order
from galaxy_lvm.survey.rows import sample_rows


def choose_queries(
    galaxies: pd.DataFrame, query_ids: Sequence[str], n_per_class: int, seed: int
) -> pd.DataFrame:
    """Return the galaxies to search for: those asked for, or test galaxies of each class.

    Parameters
    ----------
    galaxies
        `id`, `split`, `label`.
    query_ids
        Identifiers; may be empty.
    n_per_class
        Test galaxies of each class that are drawn where `query_ids` is empty.
    seed
        The run's seed.

    Raises
    ------
    ConfigError
        If a galaxy is not in the dataset; the nearest names are given.
    """
    ids = galaxies["id"].astype(str)
    if query_ids:
        wanted = [str(name) for name in query_ids]
        unknown = sorted(set(wanted) - set(ids))
        if unknown:
            near = difflib.get_close_matches(unknown[0], list(ids), n=3)
            hint = f"; nearest: {', '.join(near)}" if near else ""
            raise ConfigError(f"extensions.query_ids: no galaxy {unknown[0]!r}{hint}")
        return galaxies.set_index(ids).loc[wanted].reset_index(drop=True)
    test = galaxies[galaxies["split"] == "test"]
    chosen = []
    for name in class_order(test["label"]):
        of_class = np.flatnonzero(test["label"] == name)
        rows = sample_rows(len(of_class), n_per_class, derive_seed(seed, "queries", name))
        chosen.append(test.iloc[of_class[rows]])
    return pd.concat(chosen, ignore_index=True)


def choose_all(
    galaxies: pd.DataFrame, query_ids: Sequence[str], settings: Similarity, seed: int
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Return the galaxies to search for, and those on which the index is tried.

    Parameters
    ----------
    galaxies, query_ids, seed
        As of `choose_queries`.
    settings
        How many of both.
    """
    wanted = choose_queries(galaxies, query_ids, settings.n_queries_per_class, seed)
    return wanted, trial_queries(galaxies, settings.n_test_queries, seed)


def trial_queries(galaxies: pd.DataFrame, n: int, seed: int) -> pd.DataFrame:
    """Return at most n galaxies of the test split, on which the index is tried."""
    test = galaxies[galaxies["split"] == "test"]
    return test.iloc[sample_rows(len(test), n, derive_seed(seed, "test queries"))]


def neighbour_table(
    queries: pd.DataFrame,
    rows: np.ndarray,
    distances: np.ndarray,
    pool: FeatureStore,
    labels: pd.Series | None,
) -> pd.DataFrame:
    """Return one line per query and neighbour.

    Parameters
    ----------
    queries
        `id`, `index` and `label` of every query.
    rows, distances
        (n, k), rows of the pool, -1 where nothing was found.
    pool
        What was searched.
    labels
        Label by identifier; None where the pool has none.

    Returns
    -------
    DataFrame
        `query`, `query_index`, `query_label`, `rank` (from 1), `id`, `index` (row of the pool's
        crops), `distance`, `label` ('' for none).
    """
    position, rank = np.nonzero(rows >= 0)
    found = rows[position, rank]
    names, index = pool.named(found)
    query = queries.iloc[position]
    return pd.DataFrame(
        {
            "query": query["id"].to_numpy(),
            "query_index": query["index"].to_numpy(),
            "query_label": query["label"].fillna("").to_numpy(),
            "rank": rank + 1,
            "id": names,
            "index": index,
            "distance": distances[position, rank],
            "label": [""] * len(names) if labels is None else labels.reindex(names).fillna(""),
        }
    )


def search_rows(found: Found, own: np.ndarray, k: int, seed: int) -> tuple[list[dict], np.ndarray]:
    """Compare the index with the exact search.

    Parameters
    ----------
    found
        What both found for test galaxies.
    own
        Their rows in what was searched (-1 for none), (n,).
    k
        Neighbours.
    seed
        The run's seed.

    Returns
    -------
    rows : list of dict
        Rows of the long table: recall of the index with its interval over queries, and seconds
        per query of both, summed over shards.
    neighbours : numpy.ndarray
        (n, k) rows of the true neighbours, without the queries themselves.
    """
    true, tried = drop_self(*found.exact, own, k)[0], drop_self(*found.index, own, k)[0]
    recalls = np.array(
        [neighbour_recall(a[None], b[None]) for a, b in zip(true, tried, strict=True)]
    )
    low, high = bootstrap_interval(recalls, np.mean, derive_seed(seed, "recall"))
    log.info("the index finds %.3f of the %d nearest", recalls.mean(), k)
    index = {
        "recall": recalls.mean(),
        "recall_low95": low,
        "recall_high95": high,
        "seconds_per_query": found.index_seconds / len(own),
        "n_queries": len(own),
    }
    rows = long_rows("similarity", "search", "index", f"k={k}", seed, index)
    timing = {"seconds_per_query": found.exact_seconds / len(own)}
    return rows + long_rows("similarity", "search", "exact", f"k={k}", seed, timing), true


def purity_rows(
    query_labels: np.ndarray, pool_labels: np.ndarray, neighbours: np.ndarray, seed: int
) -> list[dict]:
    """Return how often neighbours share the query's class, beside what chance gives.

    Parameters
    ----------
    query_labels, pool_labels
        Labels (n,) and (N,), '' for none. Queries without a label are left out and counted;
        neighbours without one count as different.
    neighbours
        (n, k) rows of the pool.
    seed
        The run's seed.
    """
    known = query_labels != ""
    rows = []
    for name in (*class_order(pd.Series(query_labels[known])), ""):
        chosen = known & (query_labels == name) if name else known
        if not chosen.any():
            continue
        same = pool_labels[neighbours[chosen]] == query_labels[chosen][:, None]
        share = same.mean(axis=1)
        low, high = bootstrap_interval(share, np.mean, derive_seed(seed, "purity"))
        chance = np.mean([(pool_labels == label).mean() for label in query_labels[chosen]])
        scores = {"same_class": share.mean(), "same_class_low95": low, "same_class_high95": high}
        scores |= {"chance": float(chance), "n_queries": int(chosen.sum())}
        scores |= {} if name else {"n_without_label": int((~known).sum())}
        rows += long_rows("similarity", "classes", "exact", name or "all classes", seed, scores)
    return rows
