"""Files of a label store before it is opened: whether all belong together, and the older mode.

SQLite may keep what is new in a file of its own: NAME-wal in the mode that older versions used,
NAME-journal while a call is being written. A label store is one file, so that a copy of it holds
every label; what an older version, a kill or a copy left is looked at here before SQLite opens it,
because SQLite takes a missing part for "no labels" and removes one that it does not understand.
"""

import logging
import os
import shutil
import sqlite3
import stat
import struct
import time
from pathlib import Path

from galaxy_lvm.core.errors import DataError
from galaxy_lvm.hitl.store_errors import NO_STORE

log = logging.getLogger("galaxy_lvm.hitl")

MEMORY = ":memory:"
_MAGIC = b"SQLite format 3\x00"
# Bytes 18 and 19: the one file with a journal, and the write-ahead log.
_OLDER_MODE = b"\x02\x02"
_MODES = (b"\x01\x01", _OLDER_MODE)
_WAL_MAGIC = {0x377F0682: "<", 0x377F0683: ">"}  # with the byte order of its checksums
_WAL_HEAD, _FRAME_HEAD = 32, 24
_ATTEMPTS = 50


def look_at(path: str, read_only: bool) -> bool:
    """Refuse what SQLite would take for another store than it is; say if it is in the older mode.

    Parameters
    ----------
    path
        Label store, there or not.
    read_only
        Whether nothing may be made.

    Raises
    ------
    DataError
        If the path is no file, is missing although it must be there, is no database, or has a
        `-wal` beside it that does not belong to it.
    """
    older, size = _header(path, read_only)
    wal = path + "-wal"
    if not size and os.path.exists(path):
        log.warning("%s: is empty; if it is a copy of a store, copy it again", path)
    if not size_of(wal) or older:
        return older
    if not size:
        raise DataError(
            f"{wal}: holds labels, but {path} itself is missing or empty; bring it back, the two "
            "belong together, or move the -wal elsewhere to start a new store"
        )
    if _header(path, read_only)[0]:  # a process of an older version came between
        return True
    raise DataError(
        f"{wal}: does not belong to {path}, which keeps all in one file; if it holds labels of "
        "another store, move it to that one, or else move it elsewhere, and open again"
    )


def _header(path: str, read_only: bool) -> tuple[bool, int]:
    """Return whether the file is in the older mode, and its size in bytes."""
    if not path:
        raise DataError("the label store has no path; give that of a file")
    try:
        about = os.stat(path)
        if not stat.S_ISREG(about.st_mode):
            kind = "a folder" if stat.S_ISDIR(about.st_mode) else "no ordinary file"
            raise DataError(f"{path}: {NO_STORE}: it is {kind}; give the path of a file")
        with open(path, "rb") as file:
            head = file.read(20)
    except FileNotFoundError:
        if read_only:
            raise DataError(f"{path}: no such file, nothing to read; look at the path") from None
        return False, 0
    except (OSError, ValueError) as error:  # ValueError: a NUL in the path
        reason = getattr(error, "strerror", None) or error
        raise DataError(f"{path}: cannot be read ({reason}); ask its owner to allow it") from error
    if head and not (head.startswith(_MAGIC) and head[18:] in _MODES):
        raise DataError(
            f"{path}: {NO_STORE}: it is no SQLite database, or its beginning is damaged; give the "
            "path of another file, or take a copy of it anew"
        )
    return head[18:] == _OLDER_MODE, about.st_size


def size_of(path: str) -> int:
    """Return a file's bytes, 0 where there is none."""
    try:
        return os.stat(path).st_size
    except FileNotFoundError:
        return 0


def may_write(path: str) -> bool:
    """Whether the store, and its folder, where SQLite keeps its journal, may be written."""
    # The rights of a process that gave some up are those of its effective user.
    mine = {"effective_ids": True} if os.access in os.supports_effective_ids else {}
    folder = os.path.dirname(os.path.abspath(path))
    return all(os.access(name, os.W_OK, **mine) for name in (path, folder))


def snapshot(path: str, folder: str | os.PathLike) -> str:
    """Copy a store with what lies beside it, as it was at one moment; return the copy's path.

    Raises
    ------
    DataError
        If another process writes all the time, or there is no room for the copy.
    """
    copy = str(Path(folder) / "labels.sqlite")
    try:
        for attempt in range(_ATTEMPTS):
            before = _versions(path)
            for suffix in before:
                shutil.copyfile(path + suffix, copy + suffix)
            if _versions(path) == before:
                return copy
            for suffix in before:
                os.unlink(copy + suffix)
            time.sleep(0.01 * attempt)
    except OSError as error:
        reason = error.strerror or error
        raise DataError(
            f"{path}: cannot be copied to {folder} to be looked at ({reason}); let TMPDIR be a "
            "folder with room"
        ) from error
    raise DataError(f"{path}: another process writes to it all the time; close it and try again")


def _versions(path: str) -> dict[str, tuple[int, int]]:
    found = {}
    for suffix in ("", "-wal", "-journal"):
        try:
            about = os.stat(path + suffix)
        except FileNotFoundError:
            continue
        found[suffix] = (about.st_size, about.st_mtime_ns)
    return found


def refuse_lost_wal(path: str, db: sqlite3.Connection, db_path: str) -> None:
    """Refuse a store of the older mode whose labels are not all where SQLite finds them.

    Parameters
    ----------
    path
        Of the store, for the message.
    db, db_path
        A connection to a copy of it that has not written, and the copy's path.

    Raises
    ------
    DataError
        If the `-wal` is damaged, or was left behind with all the labels.
    """
    wal, tables = path + "-wal", db.execute("SELECT COUNT(*) FROM sqlite_master").fetchone()[0]
    n_found = max(0, db.execute("PRAGMA wal_checkpoint(PASSIVE)").fetchone()[1])
    n_kept = _committed_frames(db_path + "-wal")
    if n_kept is None or n_kept > n_found:
        raise DataError(
            f"{wal}: holds labels of {path} and is damaged, so that some would be lost; take both "
            "files anew from where they came, or keep a copy of both and go on with what is left: "
            f"`sqlite3 {path} 'PRAGMA journal_mode=DELETE'`"
        )
    if not tables:
        raise DataError(
            f"{path}: holds none of its labels: they are in {os.path.basename(wal)}, which was "
            "left behind when the file was copied or moved; bring it beside this one, or give "
            "another file"
        )


def _committed_frames(wal: str) -> int | None:
    """Return how many pages a `-wal` claims to hold; None where its head is damaged."""
    if size_of(wal) <= _WAL_HEAD:
        return 0
    with open(wal, "rb") as file:
        head = file.read(_WAL_HEAD)
        magic, _, page_bytes = struct.unpack(">3I", head[:12])
        order = _WAL_MAGIC.get(magic)
        if order is None or _checksum(head[:24], order) != struct.unpack(">2I", head[24:]):
            return None
        salts, n_committed, number = head[16:24], 0, 0
        while len(frame := file.read(_FRAME_HEAD)) == _FRAME_HEAD:
            number += 1
            # Of an earlier use of the file are those with other salts; 0 is not yet committed.
            if frame[8:16] == salts and frame[4:8] != b"\0\0\0\0":
                n_committed = number
            file.seek(page_bytes, os.SEEK_CUR)
    return n_committed


def _checksum(data: bytes, order: str) -> tuple[int, int]:
    first = second = 0
    words = struct.unpack(f"{order}{len(data) // 4}I", data)
    for even, odd in zip(words[::2], words[1::2], strict=True):
        first = (first + even + second) & 0xFFFFFFFF
        second = (second + odd + first) & 0xFFFFFFFF
    return first, second
