"""What SQLite's errors mean to the owner of a label store, and what there is to do."""

import os
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager

from galaxy_lvm.core.errors import DataError

NO_STORE = "cannot be used as a label store"
_DAMAGED = (
    f"{NO_STORE}: the file is damaged, a part was lost or changed; take it again from where it "
    "came, with the -journal or -wal of the same name if one lies beside it there, or save what is "
    "left with `sqlite3 FILE .recover`"
)
_FOLDER = "a store is kept in a file, in a folder that exists and that you may write"

# By SQLite's primary code: what happened and what to do. What depends on more is in `_words`.
_SENTENCES = {
    sqlite3.SQLITE_FULL: "the disk is full, or your share of it; make room and do it again",
    sqlite3.SQLITE_IOERR: (
        "the disk failed to read or write; look at it and at its connection, then do it again"
    ),
    sqlite3.SQLITE_READONLY: (
        "it cannot be written; ask its owner, copy it to a folder of yours, or open it with "
        "read_only=True"
    ),
    sqlite3.SQLITE_CANTOPEN: f"it cannot be opened; {_FOLDER}",
    sqlite3.SQLITE_PERM: f"it may not be opened; {_FOLDER}",
    sqlite3.SQLITE_NOTADB: f"{NO_STORE}: it is no SQLite database; give the path of another file",
    sqlite3.SQLITE_CORRUPT: _DAMAGED,
    sqlite3.SQLITE_NOLFS: "the disk takes no files of this size; move the store to another",
    sqlite3.SQLITE_TOOBIG: "an id or a name is too long to be kept; shorten it",
    sqlite3.SQLITE_NOMEM: "there is no memory left for it; close other programs and try again",
}


def is_busy(error: BaseException) -> bool:
    """Whether another connection holds the store."""
    code = getattr(error, "sqlite_errorcode", None)
    return code is not None and code & 0xFF in (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED)


def damaged(path: str, what: str) -> DataError:
    """Return the error for a store whose content is not what was written."""
    return DataError(f"{path}: {_DAMAGED} ({what})")


@contextmanager
def in_words(path: str, timeout_s: float, writes: bool = False) -> Iterator[None]:
    """Turn errors of SQLite into sentences.

    Parameters
    ----------
    path
        Label store.
    timeout_s
        How long another process is waited for.
    writes
        Whether the call adds something: then the sentence says that nothing of it was kept.

    Raises
    ------
    DataError
        For every error of SQLite, with the path and what to do.
    """
    try:
        yield
    except sqlite3.Error as error:
        kept = "; nothing of this call was kept" if writes else ""
        raise DataError(f"{path}: {_words(error, path, timeout_s)}{kept}") from error
    except UnicodeDecodeError as error:  # a table's definition that Python cannot even report
        raise damaged(path, str(error)) from error
    except UnicodeEncodeError as error:
        raise DataError(
            f"{path}: {error.object!r} is no text that can be kept (not UTF-8); rename it"
        ) from error


def _words(error: BaseException, path: str, timeout_s: float) -> str:
    code = getattr(error, "sqlite_errorcode", None)
    if code == sqlite3.SQLITE_READONLY_DBMOVED:
        return (
            "the file was moved, removed or replaced while it was open; put it back or open the "
            "new one"
        )
    primary = None if code is None else code & 0xFF
    if is_busy(error):
        return (
            f"another process has held the store for more than {timeout_s:g} s; wait until it is "
            "done, or end it, and do it again"
        )
    if primary == sqlite3.SQLITE_CANTOPEN and not os.path.isdir(os.path.dirname(path) or "."):
        return f"there is no folder {os.path.dirname(path)}; make it first"
    if primary in _SENTENCES:
        return _SENTENCES[primary]
    if "decode" in str(error).lower():  # Python's own, without a code
        return _DAMAGED
    return f"{NO_STORE}: {error}; its tables are not those of a label store, give another file"
