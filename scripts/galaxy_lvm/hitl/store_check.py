"""Whether a label store still holds what was written into it."""

import sqlite3
from collections.abc import Collection

from galaxy_lvm.core.errors import DataError
from galaxy_lvm.hitl.store_errors import NO_STORE, damaged

_COLUMNS = {
    "labels": (
        *("number", "id", "value", "annotator", "time", "round", "model_version"),
        *("sequence", "retracts"),
    ),
    "suggestions": ("annotator", "round", "position", "id", "rule", "model_version", "time"),
    "settings": ("key", "value"),
    "events": ("number", "time", "kind", "annotator", "round", "value"),
}


def refuse_others(path: str, db: sqlite3.Connection, known_version: int) -> int:
    """Return the version of a store's tables, 0 for one without any.

    Raises
    ------
    DataError
        If the file is a database of something else, or of a newer version of this project.
    """
    version = db.execute("PRAGMA user_version").fetchone()[0]
    tables = [row[0] for row in db.execute("SELECT name FROM sqlite_master WHERE type = 'table'")]
    if tables and "labels" not in tables:
        raise DataError(
            f"{path}: {NO_STORE}: it is a database of something else, with tables "
            f"{', '.join(map(repr, tables[:5]))}; give the path of another file"
        )
    if version > known_version:
        raise DataError(
            f"{path}: {NO_STORE}: it was written by a newer version of this project (tables of "
            f"version {version}, this one knows up to {known_version}); update the project"
        )
    if bool(tables) != (version > 0):
        raise damaged(path, f"tables {tables[:5]} of version {version}")
    return version


def refuse_damaged(path: str, db: sqlite3.Connection, values: Collection[str]) -> None:
    """Refuse a store in which pages or labels are missing or changed.

    A copy that was made while a label was being written, or without the journal of a process that
    was killed, may have new pages beside old ones. Labels are numbered and never removed: a number
    that is missing was lost.

    Parameters
    ----------
    path
        Of the store, for the message.
    db
        Connection to it.
    values
        What a label may be.

    Raises
    ------
    DataError
        Saying what is missing.
    """
    # One view of all tables: another annotator may write between two questions.
    db.execute("BEGIN")
    try:
        _refuse_damaged(path, db, values)
    finally:
        db.execute("ROLLBACK")


def _refuse_damaged(path: str, db: sqlite3.Connection, values: Collection[str]) -> None:
    found = db.execute("PRAGMA integrity_check(1)").fetchone()[0]
    if found != "ok":
        raise damaged(path, " ".join(found.split()))
    for table, columns in _COLUMNS.items():
        known = tuple(row[1] for row in db.execute(f"PRAGMA table_info({table})"))
        if known not in ((), columns):  # an older version had fewer tables
            raise damaged(path, f"table {table} has columns {', '.join(known)}")
    n_labels, last = db.execute("SELECT COUNT(*), COALESCE(MAX(number), 0) FROM labels").fetchone()
    row = db.execute("SELECT seq FROM sqlite_sequence WHERE name = 'labels'").fetchone()
    n_given = max(last, row[0] if row else 0)
    if n_labels != n_given:
        raise damaged(path, f"{n_given} labels were given and {n_labels} are in it")
    marks = ", ".join("?" * len(values))
    strange = db.execute(
        f"SELECT number, value FROM labels WHERE value NOT IN ({marks}) LIMIT 1", tuple(values)
    ).fetchone()
    if strange:
        raise damaged(path, f"label number {strange[0]} is {strange[1]!r}")
