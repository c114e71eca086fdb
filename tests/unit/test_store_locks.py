"""A label store does not begin where locks do not keep two processes apart."""

import errno
import fcntl

import pytest
from galaxy_lvm.core.errors import DataError
from galaxy_lvm.hitl import store_locks
from galaxy_lvm.hitl.store_locks import kind_of_file_system, refuse_without_locks

MOUNTS = r"""
22 1 254:0 / / rw,relatime - ext4 /dev/vda rw
30 22 0:40 / /home rw - nfs4 server:/home rw,vers=4.2
31 30 0:41 / /home/ada/my\040share rw shared:5 master:2 - cifs //server/share rw
"""


@pytest.fixture
def mounts(tmp_path):
    path = tmp_path / "mountinfo"
    path.write_text(MOUNTS.lstrip())
    return path


def test_a_disk_that_locks_is_taken_and_nothing_stays_behind(tmp_path):
    folder = tmp_path / "labels"
    folder.mkdir()
    refuse_without_locks(folder)
    assert list(folder.iterdir()) == []


@pytest.mark.parametrize(
    ("folder", "kind"),
    [
        ("/home/bob", "nfs4"),
        ("/home/ada/my share/x", "cifs"),
        ("/homes", "ext4"),
        ("/home", "nfs4"),
    ],
)
def test_the_kind_is_that_of_the_nearest_mount(mounts, folder, kind):
    assert kind_of_file_system(folder, mounts) == kind


def test_where_the_system_says_nothing_nothing_is_said(tmp_path):
    assert kind_of_file_system("/home", tmp_path / "nothing") == ""


def test_a_file_system_without_locks_is_refused(tmp_path, monkeypatch):
    def no_locks(file, how):
        raise OSError(errno.ENOLCK, "No locks available")

    monkeypatch.setattr(fcntl, "lockf", no_locks)
    with pytest.raises(DataError, match=r"gives no locks \(ENOLCK\); let the store lie on a disk"):
        refuse_without_locks(tmp_path)


def test_one_that_gives_a_lock_twice_is_refused(tmp_path, monkeypatch):
    """As one without locks: the lock is not taken, and the other process gets it."""
    monkeypatch.setattr(fcntl, "lockf", lambda file, how: None)
    with pytest.raises(DataError, match="one lock to two processes"):
        refuse_without_locks(tmp_path)


def test_one_of_another_machine_is_told_of(tmp_path, monkeypatch):
    monkeypatch.setattr(store_locks, "kind_of_file_system", lambda folder: "nfs4")
    assert "(nfs4) is shared with other machines" in refuse_without_locks(tmp_path)
