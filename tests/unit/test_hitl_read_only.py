"""Stores of labels that cannot be written, or shall not be, are read."""

import os
import sqlite3
from pathlib import Path
from tempfile import gettempdir

import pandas as pd
import pytest
from galaxy_lvm.core.errors import ConfigError, DataError
from galaxy_lvm.hitl.session import Session
from galaxy_lvm.hitl.store import LabelStore
from label_files import NAMES, SMALL, Older, as_colleague, copied, fill, ids, small_pool, start


@pytest.fixture
def pool():
    return small_pool()


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
    hot.wait(300)


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
