"""What a label store knows of the features it was labelled by, and who holds which galaxy."""

import datetime
import shutil
import sqlite3
import time

import numpy as np
import pytest
from galaxy_lvm.core.errors import DataError
from galaxy_lvm.features.store import write_features
from galaxy_lvm.hitl.pools import Pool
from galaxy_lvm.hitl.ranker import RankerSettings
from galaxy_lvm.hitl.session import Session
from galaxy_lvm.hitl.settings import SessionSettings
from galaxy_lvm.hitl.store import LabelStore

SETTINGS = SessionSettings(ranker=RankerSettings(hidden_dim=16, steps=5, n_components=8))
RANDOM = SessionSettings(rule="random")
IDS = [f"g{i}" for i in range(60)]


def vectors(seed=3, shape=(60, 8)):
    return np.random.default_rng(seed).normal(size=shape).astype(np.float32)


@pytest.fixture
def path(tmp_path):
    return tmp_path / "labels.sqlite"


@pytest.fixture
def pool():
    return Pool(IDS, vectors())


@pytest.fixture
def other():
    """The same galaxies, seen by another network."""
    return Pool(IDS, vectors(4))


@pytest.fixture
def clock(monkeypatch):
    """Let time pass: `clock(31)` are 31 minutes."""
    now = [datetime.datetime(2026, 1, 1, tzinfo=datetime.UTC)]
    monkeypatch.setattr(LabelStore, "clock", staticmethod(lambda: now[0]))

    def passes(minutes):
        now[0] += datetime.timedelta(minutes=minutes)

    return passes


def test_a_copied_file_is_the_same_and_every_change_of_content_is_not(tmp_path):
    values, ids = vectors(), list(IDS)
    write_features(tmp_path / "lvm.npy", values, ids, range(60))
    (tmp_path / "elsewhere").mkdir()
    for name in ("lvm.npy", "lvm.parquet"):
        shutil.copy(tmp_path / name, tmp_path / "elsewhere" / name)
    first = Pool.open(tmp_path / "lvm.npy").fingerprint
    assert Pool.open(tmp_path / "elsewhere" / "lvm.npy").fingerprint == first
    assert Pool(ids, values).fingerprint == first  # in memory or mapped
    assert Pool(ids, values).subset(np.arange(60)).fingerprint == first
    swapped = [ids[1], ids[0], *ids[2:]]
    one_off = values.copy()
    one_off[17, 3] = np.nextafter(one_off[17, 3], np.float32(9))
    for changed in (
        Pool(swapped, values), Pool(ids, one_off), Pool(ids, values.astype(np.float64)),
        Pool(ids, values[:, :7]), Pool(ids[:59], values[:59]), Pool(["x", *ids[1:]], values),
    ):  # fmt: skip
        assert changed.fingerprint != first


def test_a_fingerprint_of_many_mapped_vectors_takes_less_than_a_second(tmp_path):
    path, n = tmp_path / "many.npy", 200_000
    values = np.lib.format.open_memmap(path, "w+", np.float32, (n, 768))
    values[::1000] = 1  # the rest stays a hole in the file
    pool = Pool(np.arange(n).astype(str), values)
    start = time.perf_counter()
    assert pool.fingerprint["n_galaxies"] == n
    assert time.perf_counter() - start < 1


def test_other_features_of_the_same_galaxies_are_refused(path, pool, other):
    Session(pool, path, SETTINGS).label(["g1", "g2"], ["positive", "negative"])
    with pytest.raises(DataError, match=r"(?s)labels\.sqlite: .*values.*new_features=True"):
        Session(other, path)
    with pytest.raises(DataError, match=r"vectors of length 8, now 6"):
        Session(Pool(IDS, vectors(shape=(60, 6))), path)
    with pytest.raises(DataError, match=r"60 galaxies, now 50"):
        Session(Pool(IDS[:50], vectors()[:50]), path)
    assert len(Session(Pool(IDS, vectors()), path).labels()) == 2  # a copy is welcome


def test_new_features_go_on_with_all_labels_and_are_written_down(path, pool, other):
    session = Session(pool, path, SETTINGS)
    session.label(["g1", "g2"], ["positive", "negative"])
    version = session.fit()
    again = Session(other, path, new_features=True)
    assert again.labels().equals(session.labels())
    assert again.fit() != version and not np.allclose(again.score(), session.score())
    events = again.store.events()
    changes = events[events["kind"] == "features"]
    assert len(changes) == 2 and changes["time"].is_monotonic_increasing
    assert Session(other, path).store.features() == other.fingerprint
    Session(other, path, new_features=True)  # nothing new, nothing written
    assert len(Session(other, path).store.events()) == len(events)
    with sqlite3.connect(path) as raw:
        for statement in ("UPDATE events SET value = ''", "DELETE FROM events"):
            with pytest.raises(sqlite3.DatabaseError, match="only ever added"):
                raw.execute(statement)
    with pytest.raises(DataError, match="new_features=True"):
        Session(pool, path)


def test_labels_of_galaxies_that_are_gone_stay_and_teach_nothing(path, pool, caplog):
    with Session(pool, path, SETTINGS) as session:
        session.label(["g1", "g2", "g3"], ["positive", "positive", "negative"])
        asked = session.suggest(4)
    gone = [name for name in IDS if name not in ("g1", asked[0])]
    rest = pool.subset(pool.rows_of(gone))
    with pytest.raises(DataError, match=r"(?s)1 of 3.*pool of 58.*'g1'.*new_features=True"):
        Session(rest, path)
    assert not caplog.text
    with Session(rest, path, new_features=True) as session:
        assert list(session.labels()["id"]) == ["g2", "g3"]
        assert list(session.store.current()["id"]) == ["g1", "g2", "g3"]
        with Session(rest, ":memory:", SETTINGS) as plain:
            plain.label(["g2", "g3"], ["positive", "negative"])
            np.testing.assert_array_equal(session.score(), plain.score())
        fresh = session.suggest(4)
        assert len(fresh) == 4 and not {"g1", "g2", "g3", asked[0]} & set(fresh)
        assert len(session.preview(2, None)) == 2
        assert len(session.export()) == 58
    assert "1 of 3 labelled galaxies are not in the pool of 58" in caplog.text
    with Session(rest, path) as again:  # meant once is enough
        assert again.suggest(4) == fresh
    with Session(pool, path, new_features=True) as session:
        assert list(session.labels()["id"]) == ["g1", "g2", "g3"]


@pytest.mark.parametrize("settings", [SETTINGS, RANDOM])
def test_an_open_round_of_old_features_is_not_handed_out_again(path, pool, other, settings):
    old = Session(pool, path, settings)
    old.label(["g1", "g2"], ["positive", "negative"])
    asked = old.suggest(5)
    assert Session(pool, path).suggest(5) == asked
    old_version = old.store.last_suggestion("me").model_version
    new = Session(other, path, new_features=True)
    assert not new.store.reserved("you", 30)
    fresh = new.suggest(5)
    last = new.store.last_suggestion("me")
    assert last.round == 2 and fresh == list(last.ids) and fresh != asked
    assert last.model_version not in ("", old_version)
    assert new.suggest(5) == fresh
    # A process that still has the old features asks no more by them, but its labels are kept.
    old.label([asked[0]], ["negative"])
    assert asked[0] in set(new.labels()["id"])
    with pytest.raises(DataError, match="changed since this session was opened"):
        old.suggest(5)


def test_rounds_without_scores_tell_their_features_too(path, pool, other):
    session = Session(pool, path, RANDOM)
    session.suggest(2)
    first = session.store.last_suggestion("me").model_version
    changed = Session(other, path, new_features=True)
    changed.suggest(2)
    assert first and changed.store.last_suggestion("me").model_version not in ("", first)


def make_old(path):
    """Turn a store into one of the version that knew no fingerprint."""
    with sqlite3.connect(path) as raw:
        raw.execute("DROP TABLE events")
        raw.execute("PRAGMA user_version = 1")


def test_a_store_of_the_older_version_is_adopted(path, pool, other, caplog):
    session = Session(pool, path, SETTINGS)
    session.label(["g1", "g2"], ["positive", "negative"])
    asked = session.suggest(4)
    kept = session.store.settings()
    session.store.close()
    make_old(path)
    with caplog.at_level("INFO"):
        adopted = Session(pool, path)
    assert "labels.sqlite: no fingerprint of its features" in caplog.text
    assert adopted.settings == SETTINGS and adopted.store.settings() == kept
    assert adopted.suggest(4) == asked
    assert len(adopted.labels()) == 2 and adopted.store.features() == pool.fingerprint
    caplog.clear()
    with pytest.raises(DataError, match="new_features=True"):
        Session(other, path)
    assert not caplog.text


def test_a_new_store_is_not_said_to_be_old(path, pool, caplog):
    with caplog.at_level("INFO"):
        Session(pool, path, SETTINGS)
    assert "fingerprint" not in caplog.text


# Who holds which galaxy


def two(path, pool):
    return Session(pool, path, RANDOM, "me"), Session(pool, path, RANDOM, "you")


def test_an_annotator_who_was_overtaken_chooses_again(path, pool, monkeypatch):
    """The other asks between this one's choice and its keeping: always, not by luck."""
    small = pool.subset(np.arange(15))
    me, you = two(path, small)
    keep, answers = me.store.suggest, []

    def overtaken(*arguments):
        if not answers:
            you.suggest(10)
        answers.append(keep(*arguments))
        return answers[-1]

    monkeypatch.setattr(me.store, "suggest", overtaken)
    mine = me.suggest(10)
    assert answers[0] is None and answers[1] is not None and len(answers) == 2
    assert len(mine) == 5 and not set(mine) & set(you.store.last_suggestion("you").ids)
    with LabelStore(path) as raw:  # stale knowledge, given by hand
        assert raw.suggest("me", mine[:1], "random", "", 30.0) is not None
        assert raw.suggest("you", mine[:1], "random", "", 30.0) is None


def test_released_galaxies_are_free_for_others_at_once(path, pool):
    me, you = two(path, pool.subset(np.arange(12)))
    mine = me.suggest(12)
    me.label(mine[:2], ["positive", "negative"])
    assert you.suggest(12) == []
    assert me.release() == mine[2:] and me.release() == []
    assert set(you.suggest(12)) == set(mine[2:])
    assert me.suggest(12) == []  # all are with the other now
    assert len(me.labels()) == 2
    events = me.store.events()
    assert events["kind"].tolist() == ["features", "release"]


def test_a_round_after_a_release_has_the_next_number(path, pool):
    me, _ = two(path, pool)
    me.suggest(4)
    me.release()
    me.suggest(4)
    assert me.store.last_suggestion("me").round == 2


def test_reservations_expire(path, pool, clock):
    me, you = two(path, pool.subset(np.arange(12)))
    mine = me.suggest(10)
    assert len(you.suggest(10)) == 2
    clock(29)
    they = Session(me.pool, path, RANDOM, "they")
    assert they.suggest(10) == []
    clock(2)
    assert len(they.suggest(12)) == 12 and set(mine) < set(they.suggest(12))


def test_an_expired_round_comes_back_without_what_another_holds(path, pool, clock):
    me, you = two(path, pool.subset(np.arange(12)))
    mine = me.suggest(12)
    clock(31)
    theirs = you.suggest(5)
    left = [name for name in mine if name not in theirs]
    assert me.suggest(12) == left and len(left) == 7
    # What came back is held again, by one each.
    assert me.store.reserved("they", 30) == set(mine)
    assert you.suggest(12) == theirs
    they = Session(me.pool, path, RANDOM, "they")
    assert they.suggest(12) == []
    clock(20)
    assert me.suggest(12) == left
    clock(11)
    assert len(they.suggest(12)) == 12
    assert me.suggest(12) == []


def test_an_expired_round_that_nobody_wants_goes_on_as_it_was(path, pool, clock):
    me, _ = two(path, pool)
    mine = me.suggest(6)
    me.label(mine[:1], ["positive"])
    clock(1000)
    assert me.suggest(6) == mine[1:] and me.store.last_suggestion("me").round == 1


def test_without_reservations_annotators_are_asked_the_same(path, pool):
    me, you = two(path, pool.subset(np.arange(12)))
    first = set(me.suggest(12, reserved_minutes=0))
    assert first == set(you.suggest(12, reserved_minutes=0)) and len(first) == 12
    assert len(me.suggest(12, reserved_minutes=0)) == 12  # one's own round stays one's own
