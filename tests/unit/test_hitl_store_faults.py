"""Disks and processes in the way of a label store, and files that are damaged or none."""

import os
import random
import sqlite3
from pathlib import Path

import numpy as np
import pytest
from galaxy_lvm.core.errors import ConfigError, DataError
from galaxy_lvm.hitl import store_file
from galaxy_lvm.hitl.pools import Pool
from galaxy_lvm.hitl.session import Session
from galaxy_lvm.hitl.store import LabelStore
from label_files import NAMES, RANDOM, copied, fill, ids, small_pool


@pytest.fixture
def pool():
    return small_pool()


@pytest.fixture
def path(tmp_path):
    return tmp_path / "labels.sqlite"


def test_a_full_disk_keeps_none_of_the_call_and_all_before(path):
    store = LabelStore(path)
    store.append(NAMES, ["positive"] * 60, "me", 0)
    n_pages = store._db.execute("PRAGMA page_count").fetchone()[0]
    store._db.execute(f"PRAGMA max_page_count = {n_pages}")
    many = [f"x{i}" for i in range(500)]
    with pytest.raises(DataError, match=r"labels\.sqlite: the disk is full.*nothing of this call"):
        store.append(many, ["positive"] * 500, "me", 1)
    with pytest.raises(DataError, match="disk is full"):
        store.suggest("me", many, "random", "")
    assert ids(store) == NAMES and store.last_suggestion("me") is None
    with LabelStore(copied(path)) as copy:
        assert ids(copy) == NAMES
    store._db.execute("PRAGMA max_page_count = 100000")  # room was made
    store.append(many, ["positive"] * 500, "me", 1)
    assert len(ids(store)) == 560


@pytest.mark.parametrize("lock", ["IMMEDIATE", "EXCLUSIVE"])
def test_a_store_that_another_process_holds_is_named(path, monkeypatch, lock):
    fill(path, 3)
    monkeypatch.setattr(store_file, "BUSY_TIMEOUT_S", 0.1)
    store = LabelStore(path)
    holder = sqlite3.connect(path, isolation_level=None)
    holder.execute(f"BEGIN {lock}")
    with pytest.raises(DataError, match=r"another process has held .*nothing of this call"):
        store.append(["x"], ["positive"], "me", 0)
    if lock == "EXCLUSIVE":
        for call in (store.current, lambda: LabelStore(path)):
            with pytest.raises(DataError, match=r"labels\.sqlite: another process has held"):
                call()
    holder.execute("ROLLBACK")
    store.append(["x"], ["positive"], "me", 0)
    assert ids(store) == [*NAMES[:3], "x"]


def test_a_reader_that_does_not_end_leaves_no_half_label(path, monkeypatch):
    monkeypatch.setattr(store_file, "BUSY_TIMEOUT_S", 0.1)
    fill(path, 30)
    store = LabelStore(path)
    reader = sqlite3.connect(path, isolation_level=None)
    rows = reader.execute("SELECT * FROM labels")
    next(rows)
    with pytest.raises(DataError, match="nothing of this call was kept"):
        store.append(["x"], ["positive"], "me", 0)
    rows.close()
    assert "x" not in ids(store)
    store.append(["x"], ["positive"], "me", 0)
    assert ids(store)[-1] == "x"


@pytest.mark.parametrize("how", ["moved", "removed", "replaced"])
def test_a_file_that_is_gone_takes_no_labels(path, how):
    store = LabelStore(path)
    store.append(["a"], ["positive"], "me", 0)
    other = fill(path.parent / "other.sqlite", 2)
    if how == "removed":
        path.unlink()
    else:
        os.rename(path, path.parent / "elsewhere.sqlite")
    if how == "replaced":
        os.rename(other, path)
    with pytest.raises(DataError, match=r"moved, removed or replaced while it was open"):
        store.append(["b"], ["positive"], "me", 0)
    if how == "replaced":
        assert ids(LabelStore(path)) == NAMES[:2]


def test_what_is_no_store_is_refused_in_words(tmp_path):
    text, other, newer, cut = (tmp_path / n for n in ("a.txt", "b.sqlite", "c.sqlite", "d.sqlite"))
    text.write_text("id,value\n" * 200)
    with sqlite3.connect(other) as raw:
        raw.execute("CREATE TABLE stars (x)")
    fill(newer)
    with sqlite3.connect(newer) as raw:
        raw.execute("PRAGMA user_version = 9")
    fill(cut)
    cut.write_bytes(cut.read_bytes()[:10])
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    for path, words in (
        (tmp_path, "it is a folder"), (pipe, "no ordinary file"), (text, "no SQLite database"),
        (cut, "no SQLite database"), (other, "something else, with tables 'stars'"),
        (newer, "newer version .* 9, .* update"), ("", "no path"),
        (tmp_path / "no" / "labels.sqlite", "there is no folder .*/no; make it"),
        (tmp_path / "a.txt" / "labels.sqlite", "cannot be read"),
    ):  # fmt: skip
        with pytest.raises(DataError, match=rf"(?s){Path(path).name if path else ''}.*{words}"):
            LabelStore(path)


def test_text_that_cannot_be_kept_is_named(path):
    store = LabelStore(path)
    with pytest.raises(DataError, match=r"labels\.sqlite: 'M31\\udce9' is no text"):
        store.append(["a", "M31\udce9"], ["positive"] * 2, "me", 0)
    assert not ids(store)
    strange = ["", "a\0b", "ä ☉ 星", "'; DROP TABLE labels", "0042"]
    store.append(strange, ["positive"] * 5, "me", 0)
    assert ids(store) == strange


def test_a_damaged_store_is_whole_or_refused(tmp_path):
    """Bits flipped and files cut: no error of SQLite, no label changed, none missing."""
    path = fill(tmp_path / "labels.sqlite", 60)
    with Session(Pool(NAMES, np.eye(60, dtype=np.float32)), path, RANDOM) as session:
        session.store.suggest("me", NAMES[:5], "random", "")
    whole, rng, refused = path.read_bytes(), random.Random(11), 0
    for turn in range(90):
        content = bytearray(whole)
        if turn == 1:  # names that SQLite does not tell apart, and pandas does
            content = content.replace(b" value TEXT", b" Value TEXT")
        if turn % 3 == 0:
            del content[rng.randrange(1, len(content)) :]
        for _ in range(turn % 3):
            content[rng.randrange(len(content))] ^= 1 << rng.randrange(8)
        broken = tmp_path / "broken.sqlite"
        broken.write_bytes(content)
        try:
            with LabelStore(broken) as store:
                assert ids(store) == NAMES and set(store.current()["value"]) == {"positive"}
                store.settings(), store.features(), store.events(), store.last_suggestion("me")
                store.append(["new"], ["negative"], "me", 0)
                assert ids(store) == [*NAMES, "new"]
        except DataError as error:
            assert "broken.sqlite: " in str(error)
            refused += 1
        for suffix in ("-journal", "-wal", "-shm"):
            Path(f"{broken}{suffix}").unlink(missing_ok=True)
    assert refused > 30


def test_settings_of_another_version_are_named(pool, path):
    with LabelStore(path) as store:
        store.keep_settings({"alpha": 7, "colour": "red"})
    with pytest.raises(ConfigError, match=r"labels\.sqlite: .*alpha.*colour"):
        Session(pool, path)
