"""A label store is one file: copies, kills, and the end of a session."""

import os
import random
import shutil
import signal
import sqlite3
import time
from pathlib import Path

import numpy as np
import pytest
from galaxy_lvm.core.errors import DataError
from galaxy_lvm.hitl.session import Session
from galaxy_lvm.hitl.store import LabelStore
from label_files import NAMES, SMALL, copied, fill, ids, small_pool, start


@pytest.fixture
def pool():
    return small_pool()


@pytest.fixture
def path(tmp_path):
    return tmp_path / "labels.sqlite"


def test_a_copy_of_the_file_holds_every_label_while_the_session_is_open(pool, path):
    session = Session(pool, path, SMALL)
    for first in range(0, 40, 10):
        session.label(NAMES[first : first + 10], ["positive", "negative"] * 5)
        assert [p.name for p in path.parent.iterdir()] == ["labels.sqlite"]  # nothing beside it
        copy = Session(pool, copied(path, f"copy{first}.sqlite"))
        assert copy.labels()["id"].tolist() == NAMES[: first + 10]
        copy.close()
        os.unlink(path.parent / f"copy{first}.sqlite")
    assert session.undo() == NAMES[39]
    asked = session.suggest(5)
    copy = Session(pool, copied(path))
    assert copy.suggest(5) == asked and len(copy.labels()) == 39


def test_a_write_is_on_the_disk_when_it_returns(path):
    store = LabelStore(path)
    assert store._db.execute("PRAGMA journal_mode").fetchone() == ("delete",)
    assert store._db.execute("PRAGMA synchronous").fetchone()[0] >= 2


WRITER = """
    import sys
    from galaxy_lvm.hitl.store import LabelStore
    store = LabelStore(sys.argv[1])
    for number in range(100_000):
        store.append([f"g{number}"], ["positive"], "me", 0)
        print(number, flush=True)
"""


def test_killed_at_any_moment_what_was_acknowledged_is_there(tmp_path):
    rng = random.Random(3)
    for turn in range(3):
        path = tmp_path / f"{turn}.sqlite"
        process = start(WRITER, path)
        process.stdout.readline()
        time.sleep(rng.uniform(0.0, 0.3))
        process.send_signal(signal.SIGKILL)
        process.wait(300)
        said = process.stdout.read().split()
        n_said = 1 + int(said[-1]) if said else 1
        alone = shutil.copy(path, tmp_path / f"alone{turn}.sqlite")
        try:
            with LabelStore(alone) as store:
                assert len(store.current()) in (n_said, n_said + 1)
        except DataError as error:  # killed within a write: its journal was left behind, and said
            assert "damaged" in str(error) and Path(f"{path}-journal").exists()
        with LabelStore(path) as store:
            assert len(store.current()) in (n_said, n_said + 1)


def test_a_copy_that_lacks_labels_is_refused(path):
    """Taken within a write, pages of two moments may stand side by side."""
    fill(path)
    raw = sqlite3.connect(path, isolation_level=None)
    raw.execute("DROP TRIGGER labels_remain")
    raw.execute("DELETE FROM labels WHERE number BETWEEN 11 AND 13")
    raw.close()
    with pytest.raises(DataError, match=r"labels\.sqlite: .*40 labels were given and 37 are in it"):
        LabelStore(path)


# The end of a session


def test_a_session_and_a_store_are_closed_at_the_end_of_a_block(pool, path):
    with Session(pool, path, SMALL) as session:
        session.label(["g0001"], ["positive"])
    for call in (
        session.labels, session.undo, session.fit, session.score, session.export, session.release,
        session.disagreements, session.latest_counts, lambda: session.suggest(3),
        lambda: session.label(["g0002"], ["positive"]), lambda: session.store,
    ):  # fmt: skip
        with pytest.raises(DataError, match=r"labels\.sqlite: the session is closed; open it"):
            call()
    session.close()  # twice is allowed
    with LabelStore(path) as store:
        assert ids(store) == ["g0001"]
    for call in (
        store.current, store.history, store.events, store.settings, store.features,
        lambda: store.append(["a"], ["positive"], "me", 0), lambda: store.retract_last("me"),
        lambda: store.last_suggestion("me"), lambda: store.keep_settings({}),
    ):  # fmt: skip
        with pytest.raises(DataError, match=r"labels\.sqlite: the label store is closed; open it"):
            call()


def test_a_session_closes_no_store_of_others(pool, path):
    with LabelStore(path) as store:
        with Session(pool, store, SMALL, "me") as me:
            me.label(["g0001"], ["positive"])
        you = Session(pool, store, annotator="you")
        with pytest.raises(DataError, match=r"labels\.sqlite: open for writing"):
            Session(pool, store, read_only=True)
        assert you.labels()["id"].tolist() == ["g0001"]
        with pytest.raises(DataError, match="closed"):
            me.labels()


def test_a_session_that_does_not_open_leaves_no_connection(pool, path):
    fill(path)
    with pytest.raises(DataError, match="not in the pool"):
        Session(pool.subset(np.arange(5)), path)
    with sqlite3.connect(path, timeout=0) as raw:
        raw.execute("BEGIN EXCLUSIVE")  # nobody holds it
