"""A search by shard finds what the search of the whole finds."""

import h5py
import numpy as np
import pandas as pd
import pytest
import search_similar
from galaxy_lvm.core.config.extensions import Similarity
from galaxy_lvm.core.errors import DataError
from galaxy_lvm.features.similarity import METRICS, SimilaritySearch, neighbour_recall
from galaxy_lvm.features.similarity_parts import Found, nearest_of, search_part, together
from galaxy_lvm.features.store import FeatureStore, write_features, write_ids
from galaxy_lvm.report.results import read_results
from galaxy_lvm.survey.crop_store import CropStore
from galaxy_lvm.survey.shards import write_index
from search_shard import main as search_shard
from train_index import main as train_index

SIZES, DIM = (250, 3, 347), 12
NAMES = ("000", "001", "002")
N = sum(SIZES)


def made_up(n, seed):
    """Return vectors in three groups; the group is the remainder of the number by three."""
    rng = np.random.default_rng(seed)
    return 3 * np.eye(DIM)[np.arange(n) % 3] + rng.normal(size=(n, DIM))


@pytest.fixture
def pool(tmp_path):
    """Return features of a dataset in three shards, and the index of its crops."""
    write_features(tmp_path / "pool.npy", made_up(N, 0), [f"p{i}" for i in range(N)], range(N))
    crops = []
    for number, size in enumerate(SIZES):
        crops.append(tmp_path / f"{number}_crops.h5")
        with h5py.File(crops[-1], "w") as file:
            file["images"] = np.zeros((size, 4, 4, 3), np.uint8)
    before = np.cumsum([0, *SIZES[:-1]])
    write_index(tmp_path / "crops.h5", crops, NAMES, "", cutouts_before=before)
    return FeatureStore.open(tmp_path / "pool.npy")


@pytest.fixture
def labelled(tmp_path):
    """Return the features file of the labelled galaxies; splits lie beside it."""
    ids = [f"g{i}" for i in range(90)]
    write_features(tmp_path / "lvm.npy", made_up(90, 1), ids, range(90))
    table = pd.DataFrame({"index": range(90), "id": ids, "group": range(90)})
    split = np.where(np.arange(90) % 3 == 0, "test", "train")
    label = np.array(["elliptical", "spiral"])[np.arange(90) % 2]
    table.assign(split=split, label=label).to_parquet(tmp_path / "splits.parquet")
    return str(tmp_path / "lvm.npy")


def edges():
    return [slice(a, b) for a, b in zip(np.cumsum([0, *SIZES]), np.cumsum(SIZES), strict=False)]


@pytest.mark.parametrize("metric", METRICS)
def test_the_nearest_of_all_shards_are_those_of_the_whole(pool, metric):
    settings = Similarity(metric=metric, block_rows=100)
    queries = made_up(20, 2).astype(np.float32)
    whole = SimilaritySearch(pool, settings, 1).exact(queries, 7)
    parts = [SimilaritySearch(pool, settings, 1, rows).exact(queries, 7) for rows in edges()]
    assert [part[0].shape[1] for part in parts] == [7, 3, 7]  # a small shard has fewer
    found = nearest_of(parts, 7)
    np.testing.assert_array_equal(found[0], whole[0])
    np.testing.assert_allclose(found[1], whole[1], rtol=1e-4, atol=1e-5)
    assert len({int(np.searchsorted(np.cumsum(SIZES), r, "right")) for r in found[0].ravel()}) > 1


def test_indices_of_shards_share_their_centres_and_hold_their_own_rows(pool, tmp_path):
    settings = Similarity(n_components=DIM, n_probes=3, block_rows=64)
    whole = SimilaritySearch(pool, settings, 1)
    whole.train(tmp_path / "centres.faiss", -(-N // 3))
    queries, found = made_up(60, 2).astype(np.float32), []
    for rows in edges():
        part = SimilaritySearch(pool, settings, 1, rows)
        part.build_index(tmp_path / "state", 1, trained=tmp_path / "centres.faiss")
        assert part.index.ntotal == len(part) and part.index.nlist == 200 // 39
        found.append(part.approximate(queries, 5))
        inside = found[-1][0][found[-1][0] >= 0]
        assert ((inside >= rows.start) & (inside < rows.stop)).all()
    exact, near = whole.exact(queries, 5), nearest_of(found, 5)
    same = exact[0] == near[0]
    assert neighbour_recall(exact[0], near[0]).mean() > 0.9
    np.testing.assert_allclose(near[1][same], exact[1][same], atol=1e-5)


def test_what_was_not_found_never_stands_before_what_was():
    inf = np.float32(np.inf)
    first = np.array([[4, -1, -1]]), np.array([[0.5, inf, inf]], np.float32)
    second = np.array([[9, 7]]), np.array([[0.2, 0.5]], np.float32)
    rows, distances = nearest_of([first, second], 4)
    assert rows.tolist() == [[9, 4, 7, -1]]
    np.testing.assert_array_equal(distances, np.array([[0.2, 0.5, 0.5, inf]], np.float32))


def by_shard(folder, labelled, settings, query_ids):
    """Search as the rules do; return the table and the metrics."""
    pool, centres = str(folder / "pool.npy"), str(folder / "centres.faiss")
    train_index(pool, centres, settings, len(NAMES), seed=1)
    parts = [str(folder / f"{name}_similar.npz") for name in NAMES]
    for name, part in zip(NAMES, parts, strict=True):
        search_shard(
            labelled, str(folder / "splits.parquet"), pool, str(folder / "crops.h5"), centres, part,
            name, settings, query_ids, str(folder / "state"), 1, seed=1,
        )  # fmt: skip
    return searched(folder, labelled, settings, query_ids, "shards", parts)


def searched(folder, labelled, settings, query_ids, name, parts=()):
    out = [str(folder / f"{name}_{what}.csv") for what in ("metrics", "table")]
    search_similar.main(
        labelled, str(folder / "splits.parquet"), str(folder / "pool.npy"), *out, settings,
        query_ids, str(folder / "state"), 1, seed=1, parts=parts,
    )  # fmt: skip
    keys = ["model", "condition", "metric"]
    return pd.read_csv(out[1]), read_results(out[0]).set_index(keys)["value"]


@pytest.mark.parametrize("query_ids", [[], ["g4", "g70"]])
def test_the_job_by_shard_writes_the_table_of_the_whole(pool, labelled, tmp_path, query_ids):
    settings = Similarity(n_neighbours=4, n_test_queries=20, n_queries_per_class=2, n_probes=3)
    table, metrics = by_shard(tmp_path, labelled, settings, query_ids)
    whole, known = searched(tmp_path, labelled, settings, query_ids, "whole")
    close = {"check_exact": False, "rtol": 1e-4, "atol": 1e-5}
    pd.testing.assert_frame_equal(table, whole, **close)
    assert (table["id"] == "p" + table["index"].astype(str)).all()
    assert table["query"].unique().tolist() == (query_ids or whole["query"].unique().tolist())
    assert set(metrics.index) == set(known.index)
    assert metrics["index", "k=4", "n_galaxies"] == known["index", "k=4", "n_galaxies"] == N
    assert metrics["index", "k=4", "recall"] > 0.9


def test_above_the_limit_all_shards_answer_by_their_index(pool, labelled, tmp_path):
    few = Similarity(n_neighbours=4, exact_up_to=max(SIZES), n_probes=1, rerank_factor=1,
                     n_components=2, n_test_queries=20)  # fmt: skip
    table, metrics = by_shard(tmp_path, labelled, few, ["g4"])
    assert metrics["index", "k=4", "in_use"] == 1  # no shard is above the limit, all are
    exact = searched(tmp_path, labelled, Similarity(n_neighbours=4), ["g4"], "exact")[0]
    assert table["id"].tolist() != exact["id"].tolist()  # two components and one group: not exact
    assert metrics["index", "k=4", "recall"] < 1


def test_only_names_that_are_needed_are_read(tmp_path):
    np.save(tmp_path / "f.npy", np.zeros((9, 2), np.float32))
    blocks = [(np.arange(a, a + 3) + 10, [f"n{i}" for i in range(a, a + 3)]) for a in (0, 3, 6)]
    write_ids(tmp_path / "f.npy", blocks)
    ids, index = FeatureStore.open(tmp_path / "f.npy").named(np.array([8, 0, 4, 8]))
    assert ids.tolist() == ["n8", "n0", "n4", "n8"] and index.tolist() == [18, 10, 14, 18]


def test_a_shard_that_is_missing_or_damaged_is_named(pool, tmp_path):
    settings = Similarity(n_components=4)
    search = SimilaritySearch(pool, settings, 1)
    size = search.build_index(tmp_path / "state", 1).stat().st_size
    found = search_part(search, size, pool.values[:2], pool.values[:3], 4)
    found.save(tmp_path / "f.npz")
    again = together([Found.load(tmp_path / "f.npz")], 4)
    np.testing.assert_array_equal(again.exact[0], found.exact[0])
    assert again.index_bytes == size and again.n_galaxies == N
    (tmp_path / "f.npz").write_bytes((tmp_path / "f.npz").read_bytes()[:100])
    with pytest.raises(DataError, match=r"f\.npz: damaged .*run search_shard again"):
        Found.load(tmp_path / "f.npz")
    with pytest.raises(DataError, match=r"g\.npz: missing; run search_shard again"):
        Found.load(tmp_path / "g.npz")
    with CropStore(tmp_path / "crops.h5") as crops:
        assert [crops.rows_of_shard(name) for name in NAMES] == edges()
        with pytest.raises(DataError, match=r"no shard '003', but \['000', '001', '002'\]"):
            crops.rows_of_shard("003")
