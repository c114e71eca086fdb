"""Stores of labels that older versions kept in two files become one, or are refused and stay."""

import shutil
import sqlite3
from pathlib import Path

import pytest
from galaxy_lvm.core.errors import DataError
from galaxy_lvm.hitl import store_file
from galaxy_lvm.hitl.store import LabelStore
from label_files import NAMES, Older, copied, fill, ids


@pytest.fixture
def path(tmp_path):
    return tmp_path / "labels.sqlite"


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
