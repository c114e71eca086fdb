"""A label store is one file: copies, kills, the older mode, read-only files, disks that fail."""

import os
import random
import shutil
import signal
import sqlite3
import subprocess
import sys
import textwrap
import time
from contextlib import contextmanager
from pathlib import Path
from tempfile import gettempdir

import numpy as np
import pandas as pd
import pytest
from galaxy_lvm.core.errors import ConfigError, DataError
from galaxy_lvm.hitl import store_file
from galaxy_lvm.hitl.pools import Pool
from galaxy_lvm.hitl.ranker import RankerSettings
from galaxy_lvm.hitl.session import Session
from galaxy_lvm.hitl.settings import SessionSettings
from galaxy_lvm.hitl.store import LabelStore

SCRIPTS = Path(__file__).parents[2] / "scripts"
NAMES = [f"g{i:04d}" for i in range(60)]
SMALL = SessionSettings(ranker=RankerSettings(hidden_dim=16, steps=3, n_components=8))
RANDOM = SessionSettings(rule="random")
NOBODY = 65534


@pytest.fixture
def pool():
    features = np.random.default_rng(0).normal(size=(60, 8)).astype(np.float32)
    return Pool(NAMES, features)


@pytest.fixture
def folder(tmp_path_factory):
    """A folder that another user can reach: those of pytest are closed to them."""
    path = tmp_path_factory.mktemp("shared")
    common = Path(gettempdir())
    for parent in (path, *path.parents):
        if parent == common or not parent.is_relative_to(common):
            break
        parent.chmod(parent.stat().st_mode | 0o055)
    return path


@pytest.fixture
def path(tmp_path):
    return tmp_path / "labels.sqlite"


def fill(path, n=40):
    with LabelStore(path) as store:
        store.append(NAMES[:n], ["positive"] * n, "me", 0)
    return path


def ids(store):
    return store.current()["id"].tolist()


def copied(path, name="copy.sqlite"):
    return shutil.copy(path, path.parent / name)


@contextmanager
def as_colleague():
    """Let the rights of files count: root may do everything, so that root becomes nobody."""
    if os.geteuid():
        yield
        return
    os.seteuid(NOBODY)
    try:
        yield
    finally:
        os.seteuid(0)


def start(code, *arguments):
    environment = {**os.environ, "PYTHONPATH": str(SCRIPTS), "OMP_NUM_THREADS": "1"}
    command = [sys.executable, "-c", textwrap.dedent(code), *map(str, arguments)]
    return subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, text=True)


class Older:
    """A store as older versions kept it: with a write-ahead log, here still open."""

    def __init__(self, path, n=40, all_outside=False):
        self.path = path
        self.raw = sqlite3.connect(path, isolation_level=None)
        if not all_outside:
            self._tables()
        self.raw.execute("PRAGMA journal_mode = WAL")
        self.raw.execute("PRAGMA wal_autocheckpoint = 0")
        if all_outside:
            self._tables()
        for name in NAMES[:n]:
            self.add(name)

    def _tables(self):
        self.raw.executescript(store_file._TABLES)
        self.raw.execute("PRAGMA user_version = 2")

    def add(self, name):
        self.raw.execute(
            "INSERT INTO labels (id, value, annotator, time, round, model_version, sequence) "
            "VALUES (?, 'positive', 'me', '2026-01-01', 0, '', 1)", (name,),
        )  # fmt: skip

    def left_by_a_kill(self, folder, wal=True):
        """Return what lies there after a kill, or after copying the one file."""
        folder.mkdir()
        shutil.copy(self.path, folder / "labels.sqlite")
        if wal:
            shutil.copy(f"{self.path}-wal", folder / "labels.sqlite-wal")
        return folder / "labels.sqlite"


# A copy of the one file


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
        process.wait(30)
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


# Stores of older versions


def test_a_store_of_the_older_mode_becomes_one_file(tmp_path, caplog):
    for all_outside in (False, True):
        live = Older(tmp_path / f"live{all_outside}.sqlite", 40, all_outside)
        path = live.left_by_a_kill(tmp_path / f"killed{all_outside}")
        with LabelStore(path) as store:
            assert ids(store) == NAMES[:40]
            store.append([NAMES[40]], ["negative"], "me", 1)
            assert sorted(p.name for p in path.parent.iterdir()) == ["labels.sqlite"]
            with LabelStore(copied(path)) as copy:
                assert ids(copy) == NAMES[:41]
    assert "with 40 labels, the last of 2026-01-01" in caplog.text


def test_an_older_store_that_was_closed_keeps_its_labels(path):
    live = Older(path)
    live.raw.close()
    with LabelStore(path) as store:
        assert ids(store) == NAMES[:40]
    assert path.read_bytes()[18:20] == b"\x01\x01"


def test_an_older_store_without_its_log_is_refused_and_stays(tmp_path):
    live = Older(tmp_path / "live.sqlite", all_outside=True)
    path = live.left_by_a_kill(tmp_path / "moved", wal=False)
    before = path.read_bytes()
    for wal in (False, True):
        if wal:  # one that holds nothing
            Path(f"{path}-wal").touch()
        for read_only in (False, True):
            with pytest.raises(
                DataError, match=r"none of its labels: .*sqlite-wal, which was left"
            ):
                LabelStore(path, read_only=read_only)
    assert path.read_bytes() == before
    shutil.copy(f"{live.path}-wal", f"{path}-wal")  # brought, as the sentence says
    assert ids(LabelStore(path)) == NAMES[:40]


@pytest.mark.parametrize("harm", ["head", "frame", "cut", "last byte"])
def test_a_damaged_log_is_refused_and_stays(tmp_path, harm):
    path = Older(tmp_path / "live.sqlite").left_by_a_kill(tmp_path / "killed")
    wal = Path(f"{path}-wal")
    content = bytearray(wal.read_bytes())
    place = {"head": 17, "frame": len(content) // 2, "last byte": len(content) - 1}
    if harm == "cut":
        del content[len(content) // 2 :]
    else:
        content[place[harm]] ^= 0x10
    wal.write_bytes(content)
    for read_only in (False, True):
        with pytest.raises(DataError, match=r"labels\.sqlite-wal: holds labels .* damaged"):
            LabelStore(path, read_only=read_only)
    assert wal.read_bytes() == content


def test_a_log_of_another_store_is_refused_and_stays(tmp_path):
    live = Older(tmp_path / "live.sqlite", 30)
    log = Path(f"{live.path}-wal").read_bytes()
    missing, new, empty = (tmp_path / f"{name}.sqlite" for name in ("missing", "new", "empty"))
    fill(new, 20)
    empty.touch()
    for path, words in ((missing, "missing or empty"), (empty, "missing or empty"),
                        (new, "does not belong")):  # fmt: skip
        Path(f"{path}-wal").write_bytes(log)
        with pytest.raises(DataError, match=f"{path.name}-wal: .*{words}"):
            LabelStore(path)
        assert Path(f"{path}-wal").read_bytes() == log
    Path(f"{new}-wal").unlink()
    assert len(ids(LabelStore(new))) == 20


def test_a_session_of_an_older_version_that_is_still_open_is_named(path, monkeypatch):
    monkeypatch.setattr(store_file, "BUSY_TIMEOUT_S", 0.2)
    live = Older(path)
    with pytest.raises(DataError, match=r"labels\.sqlite: another process .*older version"):
        LabelStore(path)
    assert len(ids(LabelStore(path, read_only=True))) == 40
    live.add(NAMES[40])
    live.raw.close()
    assert len(ids(LabelStore(path))) == 41


def test_a_store_that_is_taken_back_to_the_older_mode_leaves_it_again(path):
    store = LabelStore(path)
    store.append(NAMES[:1], ["positive"], "me", 0)
    older = sqlite3.connect(path, isolation_level=None)
    assert older.execute("PRAGMA journal_mode = WAL").fetchone() == ("wal",)
    older.close()
    store.append(NAMES[1:2], ["positive"], "me", 0)
    with LabelStore(copied(path)) as copy:
        assert ids(copy) == NAMES[:2]


# Stores that cannot be written


def export_of(pool, path, **how):
    with Session(pool, path, **how) as session:
        return session.export(), session


@pytest.mark.parametrize("place", ["file", "folder", "asked for"])
def test_a_store_of_a_colleague_is_read_and_not_written(folder, pool, place, caplog):
    path = folder / "labels.sqlite"
    with Session(pool, path, SMALL) as mine:
        mine.label(NAMES[:6], ["positive", "negative"] * 3)
        expected = mine.export()
    path.chmod(0o666 if place != "file" else 0o444)
    folder.chmod(0o555 if place != "asked for" else 0o777)
    before = path.read_bytes()
    with as_colleague():
        how = {"read_only": True} if place == "asked for" else {}
        with Session(pool, path, annotator="you", **how) as session:
            pd.testing.assert_frame_equal(session.export(), expected)
            assert len(session.labels()) == 6 and session.store.read_only
            for call in (
                lambda: session.label(["g0009"], ["positive"]), session.undo, session.release,
                lambda: session.suggest(3), lambda: session.store.keep_features({}, "you", True),
            ):  # fmt: skip
                with pytest.raises(DataError, match=r"labels\.sqlite: open for reading alone"):
                    call()
            with pytest.raises(ConfigError, match=r"started with alpha"):
                Session(pool, path, SMALL.changed(alpha=0.9), **how)
    folder.chmod(0o755)
    assert path.read_bytes() == before and [p.name for p in folder.iterdir()] == [path.name]
    assert ("cannot be written" in caplog.text) == (place != "asked for")


def test_an_older_store_of_a_colleague_is_read_with_its_log(folder):
    live = Older(folder / "live.sqlite")
    path = live.left_by_a_kill(folder / "killed")
    for file in path.parent.iterdir():
        file.chmod(0o444)
    path.parent.chmod(0o555)
    with as_colleague():
        for how in ({}, {"read_only": True}):
            with LabelStore(path, **how) as store:
                assert ids(store) == NAMES[:40]
    path.parent.chmod(0o755)
    assert sorted(p.name for p in path.parent.iterdir()) == ["labels.sqlite", "labels.sqlite-wal"]


def test_a_store_without_events_is_read(pool, path):
    fill(path)
    with sqlite3.connect(path) as raw:
        raw.execute("DROP TABLE events")
        raw.execute("PRAGMA user_version = 1")
    before = path.read_bytes()
    with Session(pool, path, SMALL, read_only=True) as session:
        assert len(session.labels()) == 40 and session.store.events().empty
    assert path.read_bytes() == before


def left_within_a_write(path):
    hot = start(
        """
        import os, signal, sqlite3, sys
        raw = sqlite3.connect(sys.argv[1], isolation_level=None)
        raw.execute("PRAGMA cache_size = 1")  # pages go to the file before the end
        raw.execute("BEGIN IMMEDIATE")
        for i in range(2000):
            raw.execute(
                "INSERT INTO labels (id, value, annotator, time, round, model_version, sequence) "
                "VALUES (?, 'positive', 'other', '2026', 0, '', 1)", (f"x{i}",)
            )
        os.kill(os.getpid(), signal.SIGKILL)
        """, path,
    )  # fmt: skip
    hot.wait(30)


def test_a_store_left_within_a_write_is_read_from_a_copy(tmp_path):
    """A kill leaves a journal, which a reader must not play back in a colleague's folder."""
    path = fill(tmp_path / "labels.sqlite", 20)
    left_within_a_write(path)
    journal = Path(f"{path}-journal")
    assert journal.stat().st_size
    before = path.read_bytes()
    with LabelStore(path, read_only=True) as store:
        assert ids(store) == NAMES[:20]
    assert journal.exists() and path.read_bytes() == before
    with pytest.raises(DataError, match="damaged"):  # without its journal
        LabelStore(copied(path))
    with LabelStore(path) as store:
        assert ids(store) == NAMES[:20]
    assert not journal.exists()


def test_a_journal_of_another_file_is_refused_and_changes_nothing(tmp_path):
    """A copy put in the place of a file whose process was killed: its journal stayed."""
    path, backup = fill(tmp_path / "labels.sqlite", 60), fill(tmp_path / "backup.sqlite", 20)
    with LabelStore(path) as store:
        store.append([f"y{i}" for i in range(3000)], ["negative"] * 3000, "me", 1)
    left_within_a_write(path)
    journal, copy = Path(f"{path}-journal"), backup.read_bytes()
    os.replace(backup, path)
    before = journal.read_bytes()
    with pytest.raises(DataError, match=r"labels\.sqlite-journal: .*does not fit"):
        LabelStore(path)
    assert path.read_bytes() == copy and journal.read_bytes() == before
    journal.unlink()
    assert len(ids(LabelStore(path))) == 20


def test_a_link_to_a_store_is_the_store(tmp_path):
    path = Older(tmp_path / "live.sqlite").left_by_a_kill(tmp_path / "there")
    link = tmp_path / "link.sqlite"
    link.symlink_to(path)
    with LabelStore(link, read_only=True) as store:
        assert ids(store) == NAMES[:40]
    with LabelStore(link) as store:
        store.append(["x"], ["positive"], "me", 0)
    assert ids(LabelStore(path)) == [*NAMES[:40], "x"]
    stub = Older(tmp_path / "stub.sqlite", all_outside=True)
    moved = stub.left_by_a_kill(tmp_path / "moved", wal=False)
    link.unlink()
    link.symlink_to(moved)
    with pytest.raises(DataError, match="none of its labels"):
        LabelStore(link)


def test_nothing_is_made_for_reading(tmp_path):
    for name in ("missing.sqlite", "empty.sqlite"):
        path = tmp_path / name
        if name.startswith("empty"):
            path.touch()
        with pytest.raises(DataError, match=rf"{name}: (no such file|nothing to read)"):
            LabelStore(path, read_only=True)
        assert path.exists() == name.startswith("empty")


# Disks and processes in the way


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
