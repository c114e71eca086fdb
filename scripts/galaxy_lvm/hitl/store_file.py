"""The file below a label store: its tables, transactions, and events that are only ever added."""

import datetime
import json
import os
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pandas as pd

from galaxy_lvm.core.errors import DataError

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

# Kinds of events: an older file was opened, features came into use, a round was handed back or
# its galaxies were handed out anew.
OLDER, FEATURES, RELEASE, RENEWAL = "older", "features", "release", "renewal"


class StoreFile:
    """A SQLite file that several processes share; see `LabelStore`."""

    def __init__(self, path: str | os.PathLike) -> None:
        self.path = str(path)
        try:
            # A web server calls from several threads, one at a time.
            self._db = sqlite3.connect(
                self.path, timeout=BUSY_TIMEOUT_S, isolation_level=None, check_same_thread=False
            )
            self._db.execute("PRAGMA journal_mode = WAL")
            self._db.execute("PRAGMA synchronous = FULL")
            self._prepare()
        except sqlite3.DatabaseError as error:
            raise DataError(f"{self.path}: cannot be used as a label store: {error}") from None

    def _version(self) -> int:
        return self._db.execute("PRAGMA user_version").fetchone()[0]

    def _prepare(self) -> None:
        if self._version() == SCHEMA_VERSION:
            return
        with self._transaction():
            # Another process may have been faster, so that only what is read in here counts.
            version = self._version()
            names = [row[0] for row in self._db.execute("SELECT name FROM sqlite_master")]
            if version > SCHEMA_VERSION or (names and "labels" not in names):
                raise sqlite3.DatabaseError(f"version {version} with tables {names}")
            for statement in _statements(_TABLES):
                self._db.execute(statement)
            if 0 < version < SCHEMA_VERSION:
                self._add_event(OLDER, "", None, version)
            self._db.execute(f"PRAGMA user_version = {SCHEMA_VERSION}")

    def close(self) -> None:
        """Close the file; nothing is lost without it."""
        self._db.close()

    @contextmanager
    def _transaction(self) -> Iterator[None]:
        # IMMEDIATE takes the lock first: what is read within cannot change before it is written.
        self._db.execute("BEGIN IMMEDIATE")
        try:
            yield
        except BaseException:
            self._db.execute("ROLLBACK")
            raise
        self._db.execute("COMMIT")

    def events(self) -> pd.DataFrame:
        """Return all that happened beside labels and suggestions, in the order of time.

        Returns
        -------
        DataFrame
            `number`, `time`, `kind` (features: others came into use, with their fingerprint;
            release, renewal: a round was handed back, or handed out again with these ids; older: a
            file of an older version was opened), `annotator`, `round`, `value` (JSON).
        """
        return pd.read_sql_query("SELECT * FROM events ORDER BY number", self._db)

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
        then = self.clock() - datetime.timedelta(minutes=minutes_ago)
        return then.isoformat(timespec="microseconds")


def _statements(script: str) -> Iterator[str]:
    """Yield the statements of a script; `executescript` would end the transaction."""
    statement = ""
    for line in script.splitlines(keepends=True):
        statement += line
        if sqlite3.complete_statement(statement):
            yield statement
            statement = ""
