"""Whether locks keep two processes apart where a label store lies: asked, not believed.

SQLite relies on them. Some file systems (shares mounted without locks, folders over ssh) grant a
lock to everybody: two annotators would write over each other, and nobody would be told.
"""

import errno
import fcntl
import os
import subprocess
import sys
import tempfile
from pathlib import Path

from galaxy_lvm.core.errors import DataError

# Kinds of file systems, as Linux names them, that lie on another machine.
_FAR = ("nfs", "cifs", "smb", "9p", "afs", "beegfs", "lustre", "gpfs", "ceph",
        "fuse.sshfs", "fuse.glusterfs", "fuse.ceph")  # fmt: skip
_MOUNTS = Path("/proc/self/mountinfo")
_ADVICE = "let the store lie on a disk of this machine (--store FILE)"
# Exits with 3 where the lock is held by another, as it has to be.
_OTHER = """
import fcntl, sys
with open(sys.argv[1], "r+b") as file:
    try:
        fcntl.lockf(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        sys.exit(3 if error.errno in (11, 13, 35) else 4)
"""
_HELD, _FREE = 3, 0


def refuse_without_locks(folder: str | os.PathLike) -> str:
    """Try whether two processes can lock each other out in a folder.

    Parameters
    ----------
    folder
        Of the label store; one that cannot be written is not tried.

    Returns
    -------
    str
        "", or what is to be said of it although the trial went well.

    Raises
    ------
    DataError
        If locks do not work there.
    """
    kind = kind_of_file_system(folder)
    if os.access(folder, os.W_OK):
        with tempfile.NamedTemporaryFile(dir=folder, prefix=".locks-") as file:
            try:
                fcntl.lockf(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except OSError as error:
                name = errno.errorcode.get(error.errno or 0, str(error))
                raise DataError(
                    f"{_where(folder, kind)} gives no locks ({name}); {_ADVICE}"
                ) from error
            if _asked_elsewhere(file.name) == _FREE:
                raise DataError(
                    f"{_where(folder, kind)} gives one lock to two processes: labels of several "
                    f"annotators would be lost; {_ADVICE}"
                )
    if not kind.startswith(_FAR):
        return ""
    return (
        f"{_where(folder, kind)} is shared with other machines; let one machine alone write to the "
        f"store (others open its page), or {_ADVICE}: not every such file system locks across "
        "machines"
    )


def _asked_elsewhere(path: str) -> int:
    """Return what another process says that asks for a lock that this one holds."""
    return subprocess.run([sys.executable, "-S", "-c", _OTHER, path], check=False).returncode


def _where(folder: str | os.PathLike, kind: str) -> str:
    return f"{folder}: the file system{f' ({kind})' if kind else ''}"


def kind_of_file_system(folder: str | os.PathLike, mounts: Path = _MOUNTS) -> str:
    """Return the kind of the file system of a folder, "" where the system does not say."""
    try:
        lines = mounts.read_text(encoding="utf-8", errors="surrogateescape").splitlines()
    except OSError:
        return ""
    real, found = os.path.realpath(folder), ("", "")
    for line in lines:
        before, _, after = line.partition(" - ")
        point = before.split()[4].encode().decode("unicode_escape")
        inside = real == point or real.startswith(os.path.join(point, ""))
        if inside and len(point) >= len(found[0]):
            found = point, after.split()[0]
    return found[1]
