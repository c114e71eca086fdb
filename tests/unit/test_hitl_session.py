"""Ranker, pools and sessions: learning from few labels, and every bad input with its answer."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from galaxy_lvm.core.config import load_config, section
from galaxy_lvm.core.config.hitl import Comparison, Hitl
from galaxy_lvm.core.errors import ConfigError, DataError
from galaxy_lvm.features.store import write_features
from galaxy_lvm.hitl.pools import Pool, Target, rare_rows, resolve_targets, truth_of
from galaxy_lvm.hitl.ranker import BLOCK_ROWS, Ranker, RankerSettings, Whitening
from galaxy_lvm.hitl.session import Session
from galaxy_lvm.hitl.settings import SessionSettings, settings_from
from sklearn.metrics import roc_auc_score

DEMO = Path(__file__).parents[2] / "config" / "demo.yaml"
SMALL = RankerSettings(hidden_dim=64, steps=20, n_components=10)
SETTINGS = SessionSettings(ranker=SMALL)


@pytest.fixture
def features():
    """Two blobs in 12 dimensions, of which two matter; the second half are positives."""
    rng = np.random.default_rng(3)
    values = rng.normal(size=(200, 12)).astype(np.float32)
    values[100:, :2] += 2
    return values


@pytest.fixture
def pool(features):
    return Pool([f"g{i}" for i in range(len(features))], features)


@pytest.fixture
def session(pool):
    return Session(pool, ":memory:", SETTINGS)


TRUTH = np.arange(200) >= 100


def names(rows):
    return [f"g{i}" for i in rows]


def test_whitening_halves_the_spread_of_the_components(features):
    features = features * np.array([100.0] + [1.0] * 11, dtype=np.float32)
    made = Whitening.of(features, 12).apply(features)
    scatter = made.std(axis=0)
    raw = np.sqrt(np.linalg.eigvalsh(np.cov(features.T))[::-1])
    np.testing.assert_allclose(scatter / scatter[0], np.sqrt(raw / raw[0]), rtol=0.05)
    assert np.square(made).mean() == pytest.approx(1, rel=0.01)


def test_ranker_learns_and_does_not_depend_on_the_order_of_blocks(features):
    whitening = Whitening.of(features, 10)
    rows = np.r_[0:10, 100:110]
    ranker = Ranker(whitening, SMALL, seed=1).fit(features[rows], TRUTH[rows])
    scores = ranker.score(features)
    assert roc_auc_score(TRUTH, scores) > 0.85
    many = np.tile(features, (BLOCK_ROWS // 100, 1))
    np.testing.assert_allclose(ranker.score(many)[:200], scores, atol=1e-6)
    again = Ranker(whitening, SMALL, seed=1).fit(features[rows], TRUTH[rows])
    assert np.array_equal(again.score(features), scores)


def test_training_is_that_of_an_autograd_framework(features):
    whitening, rows = Whitening.of(features, 10), np.r_[0:10, 100:130]
    settings = RankerSettings(hidden_dim=16, steps=7, learning_rate=0.01, weight_decay=0.5)
    ranker = Ranker(whitening, settings, seed=2)
    start = [torch.tensor(ranker._first), torch.zeros(16), torch.zeros(16), torch.zeros(1)]
    parts = [part.clone().requires_grad_() for part in start]
    adam = torch.optim.AdamW(parts, 0.01, weight_decay=0.5)
    x = torch.tensor(whitening.apply(features[rows]))
    y = torch.tensor(TRUTH[rows], dtype=torch.float32)
    weight = torch.where(y == 1, 30**-0.5, 10**-0.5)
    for _ in range(settings.steps):
        adam.zero_grad()
        logits = torch.relu(x @ parts[0] + parts[1]) @ parts[2] + parts[3]
        errors = torch.nn.functional.binary_cross_entropy_with_logits(logits, y, reduction="none")
        (errors * weight / weight.sum()).sum().backward()
        adam.step()
    with torch.no_grad():
        logits = torch.relu(x @ parts[0] + parts[1]) @ parts[2] + parts[3]
    scores = ranker.fit(features[rows], TRUTH[rows]).score(features[rows])
    np.testing.assert_allclose(scores, torch.sigmoid(logits).numpy(), atol=1e-4)


def test_balance_raises_the_scores_of_the_rarer_class(features):
    whitening, rows = Whitening.of(features, 10), np.r_[0:30, 100:103]
    means = []
    for balance in (0.0, 0.5, 1.0):
        settings = RankerSettings(hidden_dim=64, steps=20, balance=balance, n_components=10)
        ranker = Ranker(whitening, settings, 0).fit(features[rows], TRUTH[rows])
        means.append(ranker.score(features).mean())
    assert means[0] < means[1] < means[2]


def test_ranker_refuses_one_class_and_what_is_not_finite(features):
    ranker = Ranker(Whitening.of(features, 10), SMALL)
    with pytest.raises(DataError, match="not trained yet"):
        ranker.score(features)
    with pytest.raises(DataError, match="3 positives and 0 negatives"):
        ranker.fit(features[:3], [1, 1, 1])
    bad = features[:4].copy()
    bad[1, 1] = np.nan
    with pytest.raises(DataError, match="not finite"):
        ranker.fit(bad, [0, 1, 0, 1])
    with pytest.raises(ValueError, match="steps"):
        RankerSettings(steps=0)


def test_a_round_finds_positives_from_positives_alone(session):
    session.label(names([110, 120, 130]), ["positive"] * 3)
    for _ in range(4):
        asked = session.suggest(8)
        session.label(asked, ["positive" if TRUTH[int(n[1:])] else "negative" for n in asked])
    assert roc_auc_score(TRUTH, session.score()) > 0.9
    table = session.labels()
    assert len(table) == 35 and set(table["value"]) == {"positive", "negative"}


def test_first_question_without_negatives_is_below_the_boundary(session):
    session.label(names([110, 120, 130]), ["positive"] * 3)
    rows = session.pool.rows_of(session.suggest(5))
    scores = session.score()
    assert (scores[rows] < 0.5).all()
    left = np.setdiff1d(np.flatnonzero(scores < 0.5), [*rows, 110, 120, 130])
    assert scores[left].max() <= scores[rows].min()


def test_ids_not_in_the_pool(session):
    with pytest.raises(DataError, match="1 of 2 ids are not in the pool of 200.*'star'"):
        session.label(["g1", "star"], ["positive", "negative"])
    assert session.labels().empty


def test_label_outside_the_allowed_set(session):
    with pytest.raises(DataError, match="'spiral' of 'g1' is none of positive"):
        session.label(["g1"], ["spiral"])


def test_features_that_are_not_finite_are_left_out_and_counted(features, caplog):
    features[[150, 151, 7]] = np.array([[np.nan], [np.inf], [-np.inf]])
    session = Session(Pool(names(range(200)), features), ":memory:", SETTINGS)
    session.label(names([110, 120, 3]), ["positive", "positive", "negative"])
    with caplog.at_level("WARNING"):
        scores = session.score()
    assert np.flatnonzero(np.isnan(scores)).tolist() == [7, 150, 151]
    assert "3 of 200 galaxies have features that are not finite" in caplog.text
    assert len(session.suggest(500)) == 200 - 3 - 3
    with pytest.raises(DataError, match="'g150' has features that are not finite"):
        session.label(["g1", "g150"], ["positive", "positive"])
    rule = SessionSettings(rule="random", ranker=SMALL)
    blind = Session(session.pool, ":memory:", rule)
    assert not {"g150", "g151", "g7"} & set(blind.suggest(500))
    features[:] = np.nan
    with pytest.raises(DataError, match="0 of 200 galaxies of the pool have finite features"):
        Whitening.of(features, 4)


def test_empty_positive_set(session, pool):
    session.label(["g1"], ["negative"])
    for call in (session.fit, session.score, session.export, lambda: session.suggest(3)):
        with pytest.raises(DataError, match="no galaxy is labelled positive"):
            call()
    for rule in ("random", "k_centre"):  # these do not ask the ranker
        blind = Session(pool, ":memory:", SessionSettings(rule=rule, ranker=SMALL))
        assert len(blind.suggest(3)) == 3


def test_k_larger_than_what_is_left_and_every_object_labelled(session):
    session.label(names(range(195)), ["positive" if t else "negative" for t in TRUTH[:195]])
    asked = session.suggest(50)
    assert sorted(asked) == names(range(195, 200))
    session.label(asked, ["positive"] * 5)
    assert session.suggest(10) == []
    assert session.export()["n_positive"].notna().all()
    with pytest.raises(DataError, match="0 galaxies asked for"):
        session.suggest(0)


def test_all_positive_and_nothing_left_to_stand_in(features):
    session = Session(Pool(["a", "b"], features[:2]), ":memory:", SETTINGS)
    session.label(["a", "b"], ["positive", "positive"])
    with pytest.raises(DataError, match="no negative is labelled and no other galaxy is left"):
        session.fit()


def test_unfinished_rounds_come_back_and_unsure_ones_do_not(session):
    session.label(names([110, 3]), ["positive", "negative"])
    asked = session.suggest(6)
    session.label(asked[:2], ["unsure", "negative"])
    assert session.suggest(6) == asked[2:]
    assert session.suggest(2) == asked[2:4]
    session.undo()
    assert session.suggest(6) == asked[1:]
    session.label(asked[1:], ["negative"] * 5)
    assert not set(session.suggest(6)) & set(asked)
    assert session.latest_counts() == (0, 5)


def test_two_annotators_disagree_and_the_majority_decides(pool):
    me = Session(pool, ":memory:", SETTINGS, "me")
    you = Session(pool, me.store, annotator="you")
    they = Session(pool, me.store, annotator="they")
    me.label(["g1", "g2", "g3"], ["positive", "positive", "negative"])
    you.label(["g1", "g2"], ["negative", "positive"])
    table = me.labels().set_index("id")
    assert table.loc["g1", "value"] == "unsure" and table.loc["g1", "disputed"]
    assert set(me.disagreements()["annotator"]) == {"me", "you"}
    they.label(["g1"], ["positive"])
    assert you.labels().set_index("id").loc["g1", "value"] == "positive"
    assert you.settings == me.settings  # read from the store
    assert not {"g1", "g2", "g3"} & set(you.suggest(190))


def test_export_puts_labels_above_scores(session, tmp_path):
    session.label(names([110, 3, 120]), ["positive", "negative", "unsure"])
    table = session.export(tmp_path / "export.csv").set_index("id")
    assert table.loc["g110", "is_positive"] and not table.loc["g3", "is_positive"]
    rest = table.drop(index=["g110", "g3"])
    assert (rest["is_positive"] == (rest["score"] >= 0.5)).all()
    assert len(pd.read_csv(tmp_path / "export.csv")) == 200
    with pytest.raises(DataError, match=r"\.csv or a \.parquet"):
        session.export(tmp_path / "export.txt")


def test_a_store_of_another_pool_or_other_settings_is_refused(session, pool):
    session.label(["g199"], ["positive"])
    with pytest.raises(DataError, match="not in the pool of 100"):
        Session(pool.subset(np.arange(100)), session.store)
    with pytest.raises(ConfigError, match=r"alpha = 0\.5, not 0\.1"):
        Session(pool, session.store, SessionSettings(alpha=0.1, ranker=SMALL))


def test_settings_out_of_range():
    for change, message in (
        ({"alpha": 1.5}, "alpha"), ({"lower": "low"}, "lower"), ({"rule": "best"}, "rule"),
        ({"assumed_negatives": 0}, "assumed_negatives"), ({"assumed_weight": -1}, "assumed_weight"),
    ):  # fmt: skip
        with pytest.raises(ValueError, match=message):
            SessionSettings(**change)


def test_config_defaults_are_those_of_the_code():
    config = load_config(DEMO)
    assert settings_from(section(Hitl, config["hitl"], "hitl")) == SessionSettings()


def test_pool_of_a_features_file_reads_only_what_it_needs(tmp_path, features):
    path = tmp_path / "lvm.npy"
    write_features(path, features, names(range(200)), range(200))
    pool = Pool.open(path, ["g9", "g5"])
    assert isinstance(Pool.open(path).features, np.memmap)
    np.testing.assert_array_equal(pool.features[0:2], features[[9, 5]])
    assert pool.rows_of(["g5"]).tolist() == [1]
    with pytest.raises(DataError, match="'g1' more than once"):
        Pool(["g1", "g1"], features[:2])
    with pytest.raises(DataError, match="3 ids and 2 feature"):
        Pool(["a", "b", "c"], features[:2])


def test_targets_and_rarity():
    table = pd.DataFrame(
        {"barred": [True, False, True], "p_bar": [0.9, np.nan, 0.2], "label": ["a", "b", "a"]}
    )
    target = Target.of("bar", [{"column": "barred", "min": 1}, {"column": "p_bar", "min": 0.5}])
    assert target.truth(table).tolist() == [True, False, False]
    with pytest.raises(DataError, match=r"hitl\.targets\.lens: the catalogue has no column"):
        Target.of("lens", [{"column": "lens", "min": 1}]).truth(table)
    truth = np.arange(1000) < 300
    for wanted in (0.015, 0.2, 0.6):
        rows = rare_rows(truth, wanted, 0)
        assert truth[rows].mean() == pytest.approx(wanted, abs=0.001) and len(set(rows)) == len(
            rows
        )
    assert len(rare_rows(truth, None, 0)) == 1000
    typed = Hitl(targets=None, comparison=Comparison(target=None))
    resolved = resolve_targets(typed, table)
    assert list(resolved.targets) == ["a", "b"] and resolved.comparison.target == "a"
    for name in ("a", "b"):
        of_labels = truth_of(table, resolved, name)
        assert of_labels.tolist() == (table["label"] == name).tolist()
    with pytest.raises(DataError, match="needs labels"):
        resolve_targets(typed, table.assign(label=""))
    with pytest.raises(ConfigError, match="'c' is none of"):
        resolve_targets(Hitl(targets=None, comparison=Comparison(target="c")), table)
