"""The file below a label store: its tables, transactions, and events that are only ever added."""

import datetime
import json
import logging
import os
import shutil
import sqlite3
import tempfile
import time
import weakref
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, closing, contextmanager, suppress
from pathlib import Path
from typing import Any, Self

import pandas as pd

from galaxy_lvm.core.errors import DataError
from galaxy_lvm.hitl.store_check import refuse_damaged, refuse_others
from galaxy_lvm.hitl.store_copies import (
    MEMORY,
    look_at,
    may_write,
    refuse_lost_wal,
    size_of,
    snapshot,
)
from galaxy_lvm.hitl.store_errors import damaged, in_words, is_busy

log = logging.getLogger("galaxy_lvm.hitl")

# A process that holds the lock writes a few rows; one that waits longer meets a broken disk.
BUSY_TIMEOUT_S = 30.0
# Version 1 had no events: it knew neither its features nor what was handed back.
SCHEMA_VERSION = 2

_TABLES = """
CREATE TABLE IF NOT EXISTS labels (
    number INTEGER PRIMARY KEY AUTOINCREMENT,
    id TEXT NOT NULL,
    value TEXT NOT NULL,
    annotator TEXT NOT NULL,
    time TEXT NOT NULL,
    round INTEGER NOT NULL,
    model_version TEXT NOT NULL,
    sequence INTEGER NOT NULL,
    retracts INTEGER UNIQUE REFERENCES labels (number),
    UNIQUE (id, annotator, sequence)
);
CREATE TABLE IF NOT EXISTS suggestions (
    annotator TEXT NOT NULL,
    round INTEGER NOT NULL,
    position INTEGER NOT NULL,
    id TEXT NOT NULL,
    rule TEXT NOT NULL,
    model_version TEXT NOT NULL,
    time TEXT NOT NULL,
    UNIQUE (annotator, round, position)
);
CREATE TABLE IF NOT EXISTS settings (key TEXT PRIMARY KEY, value TEXT NOT NULL);
CREATE TABLE IF NOT EXISTS events (
    number INTEGER PRIMARY KEY AUTOINCREMENT,
    time TEXT NOT NULL,
    kind TEXT NOT NULL,
    annotator TEXT NOT NULL,
    round INTEGER,
    value TEXT NOT NULL
);
CREATE TRIGGER IF NOT EXISTS labels_stay BEFORE UPDATE ON labels
    BEGIN SELECT RAISE(ABORT, 'labels are only ever added'); END;
CREATE TRIGGER IF NOT EXISTS labels_remain BEFORE DELETE ON labels
    BEGIN SELECT RAISE(ABORT, 'labels are only ever added'); END;
CREATE TRIGGER IF NOT EXISTS events_stay BEFORE UPDATE ON events
    BEGIN SELECT RAISE(ABORT, 'events are only ever added'); END;
CREATE TRIGGER IF NOT EXISTS events_remain BEFORE DELETE ON events
    BEGIN SELECT RAISE(ABORT, 'events are only ever added'); END;
"""

_LOOKS = 4
_LATEST = "SELECT COUNT(*), MAX(time) FROM labels"

# Kinds of events: an older file was opened, features came into use, a round was handed back or
# its galaxies were handed out anew, an annotator chose another rule, a search got its name.
OLDER, FEATURES, RELEASE, RENEWAL = "older", "features", "release", "renewal"
CHOICE, TARGET = "choice", "target"


class StoreFile:
    """A SQLite file that several processes share; see `LabelStore`."""

    # What a label may be; a file with another is damaged.
    known_values: tuple[str, ...] = ()

    def __init__(self, path: str | os.PathLike, read_only: bool = False) -> None:
        self.path = os.fsdecode(path)
        self._closed, self._keeps_journal = False, self.path != MEMORY
        # What SQLite keeps beside a file lies beside the file itself, not beside a link to it.
        self._file = os.path.realpath(self.path) if self._keeps_journal and path else self.path
        older = self._keeps_journal and look_at(self._file, read_only)
        there = self._keeps_journal and os.path.exists(self._file)
        self.read_only = read_only or (there and not may_write(self._file))
        if self.read_only and not read_only:
            log.warning(
                "%s: it, or its folder, cannot be written: open for reading alone, labels can be "
                "exported and not added", self.path,
            )  # fmt: skip
        try:
            with self._in_words():
                self._open(older)
        except BaseException:
            self.close()
            raise

    def _open(self, older: bool) -> None:
        if self.read_only:
            self._db = self._reader(older)
            self._prepare_reader()
        else:
            if older:
                with tempfile.TemporaryDirectory() as folder:
                    self._copy(folder, older).close()
            elif self._journal_size():
                self._refuse_other_journal()
            self._db = self._connect(self._file)
            if older:
                self._leave_older_mode()
            # EXTRA also writes the folder: a journal that comes back after a power failure would
            # undo what was acknowledged.
            self._db.execute("PRAGMA synchronous = EXTRA")
            self._prepare()
        refuse_damaged(self.path, self._db, self.known_values)

    # Opening

    @staticmethod
    def _connect(path: str, uri: bool = False) -> sqlite3.Connection:
        # A web server calls from several threads, one at a time.
        return sqlite3.connect(
            path, timeout=BUSY_TIMEOUT_S, isolation_level=None, check_same_thread=False, uri=uri
        )

    def _reader(self, older: bool) -> sqlite3.Connection:
        """Return a connection that reads, and writes nothing beside the file.

        What needs to be put together first, in the older mode or after a kill, is read from a copy.
        """
        if not older:
            db = self._connect(f"{Path(self._file).as_uri()}?mode=ro", uri=True)
            try:
                db.execute("SELECT COUNT(*) FROM sqlite_master").fetchone()
                return db
            except sqlite3.OperationalError as error:
                db.close()
                if not self._journal_size() or is_busy(error):
                    raise
        folder = tempfile.mkdtemp()
        weakref.finalize(self, shutil.rmtree, folder, ignore_errors=True)
        return self._copy(folder, older)

    def _copy(self, folder: str, older: bool) -> sqlite3.Connection:
        """Return a connection to a copy, whatever lies beside the file put together in it."""
        copy = snapshot(self._file, folder)
        db = self._connect(copy)
        try:
            if older:
                refuse_lost_wal(self.path, db, copy)
            if refuse_others(self.path, db, SCHEMA_VERSION):
                refuse_damaged(self.path, db, self.known_values)
        except BaseException:
            db.close()
            raise
        return db

    def _journal_size(self) -> int:
        return size_of(self._file + "-journal")

    def _refuse_other_journal(self) -> None:
        """Refuse what a kill left of another file of this name, before SQLite puts it back."""
        for attempt in range(_LOOKS):
            time.sleep(0.05 * attempt)  # a process that writes is done by then
            if not self._journal_size():
                return
            try:
                with tempfile.TemporaryDirectory() as folder:
                    self._copy(folder, older=False).close()
                return
            except (DataError, sqlite3.DatabaseError) as error:
                last = error
        raise DataError(
            f"{self.path}-journal: what a process that was killed was writing does not fit "
            f"{self.path}; if the file was replaced since, move the -journal elsewhere and open "
            "again, or else take both anew from where they came"
        ) from last

    def _leave_older_mode(self) -> None:
        """Move all labels from the write-ahead log into the one file, and stay without it."""
        until = time.monotonic() + BUSY_TIMEOUT_S
        while True:
            try:
                self._db.execute("PRAGMA journal_mode = DELETE")
                n_labels, last = self._db.execute(_LATEST).fetchone()
                break
            except sqlite3.OperationalError as error:
                if not is_busy(error):
                    raise
                if time.monotonic() > until:
                    raise DataError(
                        f"{self.path}: another process has it open in the mode of an older version "
                        "of this project, in which new labels are kept outside the file; close "
                        "that session (restart its notebook) and open again"
                    ) from error
            time.sleep(0.05)
        log.warning(
            "%s: was kept in two files by an older version and is in one from now on, with %d "
            "labels, the last of %s; if some are missing, the -wal of its name was left behind "
            "where it came from: bring both from there", self.path, n_labels, last or "no time",
        )  # fmt: skip

    def _prepare(self) -> None:
        if refuse_others(self.path, self._db, SCHEMA_VERSION) == SCHEMA_VERSION:
            return
        with self._transaction():
            # Another process may have been faster, so that only what is read in here counts.
            version = refuse_others(self.path, self._db, SCHEMA_VERSION)
            for statement in _statements(_TABLES):
                self._db.execute(statement)
            if 0 < version < SCHEMA_VERSION:
                self._add_event(OLDER, "", None, version)
            self._db.execute(f"PRAGMA user_version = {SCHEMA_VERSION}")

    def _prepare_reader(self) -> None:
        version = refuse_others(self.path, self._db, SCHEMA_VERSION)
        if not version:
            raise DataError(f"{self.path}: nothing to read, no label was ever kept in it")
        if version < SCHEMA_VERSION:  # without events; nothing is written into the file
            for statement in _statements(_TABLES):
                if "TABLE IF NOT EXISTS events" in statement:
                    self._db.execute(statement.replace("CREATE TABLE", "CREATE TEMP TABLE"))

    # Closing

    def close(self) -> None:
        """Close the file; nothing is lost without it. Calls after it are refused."""
        self._closed = True
        db = getattr(self, "_db", None)
        if db is not None:
            db.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        self.close()

    # Reading and writing

    def _in_words(self, writes: bool = False) -> AbstractContextManager[None]:
        if self._closed:
            raise DataError(f"{self.path}: the label store is closed; open it again")
        return in_words(self.path, BUSY_TIMEOUT_S, writes)

    def _rows(self, statement: str, values: Sequence[Any] = ()) -> list[tuple]:
        # Closed at once: a row that cannot be read must not keep the file locked for others.
        with self._in_words(), closing(self._db.execute(statement, values)) as cursor:
            return cursor.fetchall()

    def _table(self, statement: str) -> pd.DataFrame:
        with self._in_words(), closing(self._db.execute(statement)) as cursor:
            columns = [column[0] for column in cursor.description]
            return pd.DataFrame.from_records(cursor.fetchall(), columns=columns, coerce_float=True)

    def _parsed(self, text: str) -> Any:
        try:
            return json.loads(text)
        except ValueError as error:
            raise damaged(self.path, f"{text[:80]!r} cannot be read") from error

    @contextmanager
    def _transaction(self) -> Iterator[None]:
        if self.read_only:
            raise DataError(
                f"{self.path}: open for reading alone, nothing can be added; copy the file to a "
                "folder of yours and open the copy, or ask its owner to let you write"
            )
        with self._in_words(writes=True):
            self._begin()
            try:
                yield
                self._db.execute("COMMIT")
            except BaseException:
                # SQLite has ended the transaction itself after some errors.
                with suppress(sqlite3.Error):
                    self._db.execute("ROLLBACK")
                raise

    def _begin(self) -> None:
        # IMMEDIATE takes the lock first: what is read within cannot change before it is written.
        self._db.execute("BEGIN IMMEDIATE")
        while self._keeps_journal and self._mode() == "wal":
            # A process of an older version opened the file meanwhile and took it to its own mode.
            self._db.execute("ROLLBACK")
            self._leave_older_mode()
            self._db.execute("BEGIN IMMEDIATE")

    def _mode(self) -> str:
        return self._db.execute("PRAGMA journal_mode").fetchone()[0]

    def events(self) -> pd.DataFrame:
        """Return all that happened beside labels and suggestions, in the order of time.

        Returns
        -------
        DataFrame
            `number`, `time`, `kind` (features: others came into use, with their fingerprint;
            release, renewal: a round was handed back, or handed out again with these ids; choice:
            an annotator chose a rule; target: what is looked for; older: a file of an older
            version was opened), `annotator`, `round`, `value` (JSON).
        """
        return self._table("SELECT * FROM events ORDER BY number")

    def _add_event(self, kind: str, annotator: str, round_number: int | None, value: Any) -> None:
        self._db.execute(
            "INSERT INTO events (time, kind, annotator, round, value) VALUES (?, ?, ?, ?, ?)",
            (self._now(), kind, annotator, round_number, json.dumps(value)),
        )

    @staticmethod
    def clock() -> datetime.datetime:
        """Return the time, in UTC."""
        return datetime.datetime.now(datetime.UTC)

    def _now(self, minutes_ago: float = 0.0) -> str:
        return time_of(self.clock() - datetime.timedelta(minutes=minutes_ago))


def time_of(moment: datetime.datetime) -> str:
    """Return a moment as a store keeps it: UTC to the microsecond; without a zone it is UTC."""
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=datetime.UTC)
    return moment.astimezone(datetime.UTC).isoformat(timespec="microseconds")


def _statements(script: str) -> Iterator[str]:
    """Yield the statements of a script; `executescript` would end the transaction."""
    statement = ""
    for line in script.splitlines(keepends=True):
        statement += line
        if sqlite3.complete_statement(statement):
            yield statement
            statement = ""
