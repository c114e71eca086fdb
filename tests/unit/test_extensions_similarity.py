"""Neighbours are the nearest ones, by either way; the map keeps groups together."""

import re
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from galaxy_lvm.core.config.extensions import Similarity
from galaxy_lvm.core.errors import ConfigError, DataError
from galaxy_lvm.features import similarity
from galaxy_lvm.features.embedding import embed, map_scores
from galaxy_lvm.features.neighbour_figures import draw_map, draw_similar, thumbnail_rows
from galaxy_lvm.features.similarity import SimilaritySearch, drop_self
from galaxy_lvm.features.similarity_trials import choose_queries
from galaxy_lvm.features.store import FeatureStore, write_features
from galaxy_lvm.features.tables import similar_html
from galaxy_lvm.report.class_looks import shortened
from galaxy_lvm.report.mosaic import draw_mosaic
from galaxy_lvm.report.results import read_results
from galaxy_lvm.report.style import plt
from galaxy_lvm.survey.rows import row_blocks, sample_rows
from sklearn.neighbors import NearestNeighbors

sys.path.append(str(Path(__file__).parents[2] / "scripts"))
import search_similar  # noqa: E402

N, DIM = 600, 12


@pytest.fixture
def store(tmp_path):
    """Return features in three groups; the group is the remainder of the number by three."""
    rng = np.random.default_rng(0)
    centres = 4 * rng.normal(size=(3, DIM))
    values = centres[np.arange(N) % 3] + rng.normal(size=(N, DIM))
    write_features(tmp_path / "lvm.npy", values, [f"g{i}" for i in range(N)], range(N))
    return FeatureStore.open(tmp_path / "lvm.npy")


def nearest_by_sklearn(store, metric, queries, k):
    values = np.asarray(store.values, dtype=np.float64)
    values = (values - values.mean(axis=0)) / values.std(axis=0)
    found = NearestNeighbors(n_neighbors=k, metric=metric).fit(values)
    distance, rows = found.kneighbors(values[queries])
    return rows, distance


@pytest.mark.parametrize("metric", similarity.METRICS)
def test_exact_search_agrees_with_scikit_learn_whatever_the_blocks(store, metric):
    queries = [0, 5, 77]
    rows, distance = nearest_by_sklearn(store, metric, queries, 6)
    for block_rows in (50, 7, 10_000):
        settings = Similarity(metric=metric, block_rows=block_rows)
        found = SimilaritySearch(store, settings, 1).exact(store.values[queries], 6)
        np.testing.assert_array_equal(found[0], rows)
        np.testing.assert_allclose(found[1], distance, atol=2e-3)


def test_the_index_finds_nearly_all_and_is_built_once(store, tmp_path, monkeypatch):
    settings = Similarity(n_components=DIM, n_probes=4, block_rows=64)
    search = SimilaritySearch(store, settings, 1)
    path = search.build_index(tmp_path / "state", 1)
    assert search.index.ntotal == N and search.index.nlist > 1
    queries = store.values[:100]
    exact, found = search.exact(queries, 5), search.approximate(queries, 5)
    recall = similarity.neighbour_recall(exact[0], found[0]).mean()
    assert recall > 0.9
    same = exact[0] == found[0]
    np.testing.assert_allclose(found[1][same], exact[1][same], atol=1e-5)
    monkeypatch.setattr(similarity, "_write_index", None)  # would fail if it were built again
    assert SimilaritySearch(store, settings, 1).build_index(tmp_path / "state", 1) == path
    path.write_bytes(path.read_bytes()[:500])
    with pytest.raises(DataError, match=r"index\.faiss: damaged .*remove it"):
        SimilaritySearch(store, settings, 1).build_index(tmp_path / "state", 1)


def test_an_index_in_segments_goes_on_after_a_kill(store, tmp_path, monkeypatch):
    settings = Similarity(n_components=6, block_rows=64)
    whole = SimilaritySearch(store, settings, 1)
    whole.build_index(tmp_path / "whole", 1)
    monkeypatch.setattr(similarity, "_SEGMENT_ROWS", 250)
    killed = SimilaritySearch(store, settings, 1)
    add, calls = killed._add, []

    def fail_at_the_last(index, segment):
        calls.append(segment.start)
        if segment.start == 500 and calls.count(500) == 1:
            raise KeyboardInterrupt
        add(index, segment)

    monkeypatch.setattr(killed, "_add", fail_at_the_last)
    with pytest.raises(KeyboardInterrupt):
        killed.build_index(tmp_path / "parts", 1)
    path = killed.build_index(tmp_path / "parts", 1)
    assert calls == [0, 250, 500, 500]
    assert [p.name for p in path.parent.iterdir()] == ["index.faiss"]
    queries = store.values[:50]
    np.testing.assert_array_equal(
        whole.approximate(queries, 5)[0], killed.approximate(queries, 5)[0]
    )


def test_the_query_itself_is_no_neighbour():
    rows = np.array([[4, 7, 1], [2, 3, 9]])
    distances = np.array([[0.0, 0.1, 0.2], [0.3, 0.4, 0.5]])
    found, far = drop_self(rows, distances, np.array([4, -1]), 2)
    assert found.tolist() == [[7, 1], [2, 3]]
    assert far.tolist() == [[0.1, 0.2], [0.3, 0.4]]


def test_the_query_itself_is_no_neighbour_where_it_is_one_of_all_that_there_are():
    """Asked beside an image from elsewhere, which has all three."""
    rows, distances = np.array([[0, 1, 2], [2, 1, 0]]), np.tile([0.0, 0.1, 0.2], (2, 1))
    found, _ = drop_self(rows, distances, np.array([0, -1]), 3)
    assert found.tolist() == [[1, 2, -1], [2, 1, 0]]


def test_queries_are_drawn_per_class_from_test_or_named():
    table = pd.DataFrame({"id": [f"g{i}" for i in range(20)], "index": range(20),
                          "split": ["train", "test"] * 10,
                          "label": ["spiral"] * 10 + ["other"] * 9 + [""]})  # fmt: skip
    drawn = choose_queries(table, [], 2, 1)
    assert drawn["label"].tolist() == ["spiral"] * 2 + ["other"] * 2
    assert set(drawn["split"]) == {"test"}
    named = choose_queries(table, ["g7", "g2"], 2, 1)
    assert named["id"].tolist() == ["g7", "g2"]
    with pytest.raises(ConfigError, match="extensions.query_ids: no galaxy 'g33'; nearest"):
        choose_queries(table, ["g3", "g33"], 2, 1)


@pytest.mark.parametrize("exact_up_to", [0, 10_000])
def test_the_job_tables_neighbours_and_scores(store, tmp_path, exact_up_to):
    labels = np.array(["elliptical", "edge_on", "spiral"])[np.arange(N) % 3]
    split = np.where(np.arange(N) % 5 == 0, "test", "train")
    splits = pd.DataFrame({"index": range(N), "id": [f"g{i}" for i in range(N)]})
    splits.assign(split=split, label=labels).to_parquet(tmp_path / "splits.parquet")
    settings = Similarity(
        n_neighbours=4, exact_up_to=exact_up_to, n_test_queries=40, n_queries_per_class=1
    )
    features = str(tmp_path / "lvm.npy")
    search_similar.main(
        features, str(tmp_path / "splits.parquet"), features, str(tmp_path / "m.csv"),
        str(tmp_path / "t.csv"), settings, ["g3", "g10"], str(tmp_path / "state"), 1, seed=1,
    )  # fmt: skip
    table = pd.read_csv(tmp_path / "t.csv")
    assert table["query"].tolist() == ["g3"] * 4 + ["g10"] * 4
    assert table["rank"].tolist() == [1, 2, 3, 4] * 2
    assert (table["id"] != table["query"]).all()
    assert (table["id"] == "g" + table["index"].astype(str)).all()
    true = nearest_by_sklearn(store, "cosine", [3], 5)[0][0, 1:]
    assert table["index"][:4].tolist() == true.tolist()
    results = read_results(tmp_path / "m.csv").set_index(["model", "condition", "metric"])["value"]
    assert results["index", "k=4", "in_use"] == (exact_up_to == 0)
    assert results["index", "k=4", "recall"] > 0.9
    assert results["exact", "all classes", "same_class"] > 0.95
    assert results["exact", "all classes", "chance"] == pytest.approx(1 / 3, abs=0.01)
    page = similar_html(table, read_results(tmp_path / "m.csv"))
    used = "by the approximate index" if exact_up_to == 0 else "exactly"
    assert f"Searched {used} among 600 galaxies" in page and "g10" in page


def test_samples_are_rising_distinct_and_blocks_cover_all():
    rows = sample_rows(76_000_000, 500, 1)
    assert len(set(rows.tolist())) == 500 and (np.diff(rows) > 0).all() and rows.max() > 70_000_000
    assert sample_rows(5, 10, 1).tolist() == [0, 1, 2, 3, 4]
    assert np.concatenate([np.arange(10)[b] for b in row_blocks(10, 4)]).tolist() == list(range(10))


def test_the_map_keeps_groups_together(store):
    values = np.asarray(store.values[:150])
    labels = np.array(["a", "b", "c"], dtype=object)[np.arange(150) % 3]
    places = embed(values, 20, 10, seed=1)
    scores = map_scores(values, places, labels, 1)
    assert scores["same_class"] > 0.9 and scores["trustworthiness"] > 0.8
    shuffled = np.random.default_rng(0).permutation(places)
    assert map_scores(values, shuffled, labels, 1)["trustworthiness"] < 0.7
    assert "same_class" not in map_scores(values, places, np.full(150, "", object), 1)
    with pytest.raises(DataError, match="too few"):
        embed(values[:5], 20, 10, seed=1)


def test_figures_show_every_neighbour_and_state_the_sample():
    lines = [(f"q{i}", "spiral", r, f"n{r}", 0.1 * r, "other") for i in range(2) for r in (1, 2, 3)]
    columns = ["query", "query_label", "rank", "id", "distance", "label"]
    table = pd.DataFrame(lines, columns=columns)
    crop = np.zeros((128, 128, 3), np.uint8)
    figure = draw_similar([crop] * 2, [[crop] * 3] * 2, table)
    texts = [" ".join(text.get_text().split()) for text in figure.axes[0].texts]
    assert {"q0", "n3", "query Spiral", "0.3000"} <= set(texts)
    assert len(figure.axes[0].patches) == 8  # a frame each
    rng = np.random.default_rng(0)
    places = pd.DataFrame({"x": rng.normal(size=50), "y": rng.normal(size=50), "label": "spiral"})
    cells = thumbnail_rows(places, 4)
    assert len(set(cells.values())) == len(cells) <= 16
    figure = draw_map(places, dict.fromkeys(cells, crop), 1000)
    assert figure.axes[0].get_title() == "t-SNE of the features, 50 of 1,000 galaxies"
    plt.close("all")


def test_long_names_lose_their_middle():
    assert shortened("short", 10) == "short"
    text = shortened("gz1_587739304749760777", 11)
    assert len(text) == 11 and re.match(r"gz1_5.*60777$", text)
    with pytest.raises(DataError, match="uint8"):
        draw_mosaic([np.zeros((8, 8, 3))], 1)
    plt.close("all")
