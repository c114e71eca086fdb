"""The label store: an append-only SQLite file that all annotators and processes share."""

import datetime
import json
import os
import sqlite3
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import pandas as pd

from galaxy_lvm.core.errors import ConfigError, DataError

POSITIVE, NEGATIVE, UNSURE = "positive", "negative", "unsure"
VALUES = (POSITIVE, NEGATIVE, UNSURE)
# A process that holds the lock writes a few rows; one that waits longer meets a broken disk.
BUSY_TIMEOUT_S = 30.0
SCHEMA_VERSION = 1

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
CREATE TRIGGER IF NOT EXISTS labels_stay BEFORE UPDATE ON labels
    BEGIN SELECT RAISE(ABORT, 'labels are only ever added'); END;
CREATE TRIGGER IF NOT EXISTS labels_remain BEFORE DELETE ON labels
    BEGIN SELECT RAISE(ABORT, 'labels are only ever added'); END;
"""
_RETRACTION = ""
LABEL_COLUMNS = ("number", "id", "value", "annotator", "time", "round", "model_version")


@dataclass(frozen=True)
class Suggestion:
    """What an annotator was asked in one round: ids in their order, and by which rule."""

    round: int
    ids: tuple[str, ...]
    rule: str
    model_version: str


class LabelStore:
    """Labels, suggestions and settings of a session, in one SQLite file.

    Nothing is ever changed or removed: an undo is a row that retracts another, a second label of
    the same galaxy by the same annotator replaces the first in `current`, and both remain in
    `history`. Every call is one transaction that is on disk when it returns, so that a process can
    be killed at any moment; several processes may use one file (write-ahead log, waiting up to
    `BUSY_TIMEOUT_S` for each other).

    Parameters
    ----------
    path
        SQLite file, made where it does not exist; ":memory:" keeps nothing. Must not lie on a
        network file system without locks.

    Raises
    ------
    DataError
        If the file is no label store.
    """

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

    def _prepare(self) -> None:
        version = self._db.execute("PRAGMA user_version").fetchone()[0]
        if version == SCHEMA_VERSION:
            return
        names = [row[0] for row in self._db.execute("SELECT name FROM sqlite_master")]
        if version or (names and "labels" not in names):
            raise sqlite3.DatabaseError(f"version {version} with tables {names}")
        with self._transaction():
            for statement in _statements(_TABLES):
                self._db.execute(statement)
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

    def append(
        self,
        ids: Sequence[str],
        values: Sequence[str],
        annotator: str,
        round_number: int,
        model_version: str = "",
    ) -> None:
        """Add labels, all or none of them.

        Parameters
        ----------
        ids
            Galaxies.
        values
            One of `VALUES` for each.
        annotator
            Who says so; not empty.
        round_number
            Round in which it was asked, 0 for the prompts.
        model_version
            Which ranker had asked.

        Raises
        ------
        DataError
            If a value is none of `VALUES`, the lengths differ or the annotator has no name.
        """
        if len(ids) != len(values):
            raise DataError(f"{len(ids)} ids and {len(values)} labels; give one label for each")
        if not annotator:
            raise DataError("the annotator has no name; labels are kept by annotator")
        for name, value in zip(ids, values, strict=True):
            if value not in VALUES:
                raise DataError(f"label {value!r} of {name!r} is none of {', '.join(VALUES)}")
        with self._transaction():
            for name, value in zip(ids, values, strict=True):
                self._insert(name, value, annotator, round_number, model_version, None)

    def retract_last(self, annotator: str) -> str | None:
        """Take back the annotator's last label that still stands; return its id, None if none."""
        with self._transaction():
            row = self._db.execute(
                "SELECT number, id, round, model_version FROM labels WHERE annotator = ? "
                "AND retracts IS NULL AND number NOT IN "
                "(SELECT retracts FROM labels WHERE retracts IS NOT NULL) "
                "ORDER BY number DESC LIMIT 1",
                (annotator,),
            ).fetchone()
            if row is None:
                return None
            number, name, round_number, version = row
            self._insert(name, _RETRACTION, annotator, round_number, version, number)
        return name

    def _insert(
        self,
        name: str,
        value: str,
        annotator: str,
        round_number: int,
        model_version: str,
        retracts: int | None,
    ) -> None:
        self._db.execute(
            "INSERT INTO labels (id, value, annotator, time, round, model_version, sequence, "
            "retracts) SELECT ?, ?, ?, ?, ?, ?, 1 + COALESCE(MAX(sequence), 0), ? FROM labels "
            "WHERE id = ? AND annotator = ?",
            (str(name), value, annotator, _now(), int(round_number), model_version, retracts,
             str(name), annotator),
        )  # fmt: skip

    def history(self) -> pd.DataFrame:
        """Return every row ever added, with `sequence` and `retracts`, in the order of time."""
        return pd.read_sql_query("SELECT * FROM labels ORDER BY number", self._db)

    def current(self) -> pd.DataFrame:
        """Return the labels that stand: the last one of every galaxy and annotator.

        Returns
        -------
        DataFrame
            `LABEL_COLUMNS`, in the order in which they were given.
        """
        return pd.read_sql_query(
            f"SELECT {', '.join(LABEL_COLUMNS)} FROM labels WHERE number IN (SELECT MAX(number) "
            "FROM labels WHERE retracts IS NULL AND number NOT IN (SELECT retracts FROM labels "
            "WHERE retracts IS NOT NULL) GROUP BY id, annotator) ORDER BY number",
            self._db,
        )

    def suggest(
        self,
        annotator: str,
        ids: Sequence[str],
        rule: str,
        model_version: str,
        reserved_minutes: float = 0.0,
    ) -> Suggestion | None:
        """Keep what an annotator is asked next, under the next number of a round.

        None, and nothing is kept, where another annotator was handed one of the galaxies since
        they were chosen: choose again without what is `reserved`.
        """
        with self._transaction():
            if reserved_minutes and not self.reserved(annotator, reserved_minutes).isdisjoint(ids):
                return None
            last = self._db.execute(
                "SELECT COALESCE(MAX(round), 0) FROM suggestions WHERE annotator = ?", (annotator,)
            ).fetchone()[0]
            made = Suggestion(last + 1, tuple(str(i) for i in ids), rule, model_version)
            self._db.executemany(
                "INSERT INTO suggestions VALUES (?, ?, ?, ?, ?, ?, ?)",
                [
                    (annotator, made.round, position, name, rule, model_version, _now())
                    for position, name in enumerate(made.ids)
                ],
            )
        return made

    def reserved(self, annotator: str, minutes: float) -> set[str]:
        """Return the galaxies of the latest rounds of others, handed out less than so long ago."""
        since = datetime.datetime.now(datetime.UTC) - datetime.timedelta(minutes=minutes)
        rows = self._db.execute(
            "SELECT id FROM suggestions AS s WHERE annotator != ? AND time > ? AND round = "
            "(SELECT MAX(round) FROM suggestions WHERE annotator = s.annotator)",
            (annotator, since.isoformat(timespec="microseconds")),
        )
        return {row[0] for row in rows}

    def last_suggestion(self, annotator: str) -> Suggestion | None:
        """Return what an annotator was asked last, None if nothing yet."""
        rows = self._db.execute(
            "SELECT round, id, rule, model_version FROM suggestions WHERE annotator = ? AND round "
            "= (SELECT MAX(round) FROM suggestions WHERE annotator = ?) ORDER BY position",
            (annotator, annotator),
        ).fetchall()
        if not rows:
            return None
        return Suggestion(rows[0][0], tuple(row[1] for row in rows), rows[0][2], rows[0][3])

    def settings(self) -> dict[str, Any]:
        """Return the settings of the session that the store belongs to; empty in a new store."""
        rows = self._db.execute("SELECT key, value FROM settings").fetchall()
        return {key: json.loads(value) for key, value in rows}

    def keep_settings(self, settings: Mapping[str, Any]) -> None:
        """Keep settings in a new store; in one that has some, refuse others.

        Raises
        ------
        ConfigError
            With the first key that differs: labels asked for by different settings do not belong
            into one session.
        """
        with self._transaction():
            known = self.settings()
            for key, value in settings.items():
                text = json.dumps(value)
                if key in known and known[key] != json.loads(text):
                    raise ConfigError(
                        f"{self.path}: the session was started with {key} = {known[key]!r}, not "
                        f"{value!r}; leave it as it was or start another store"
                    )
                self._db.execute("INSERT OR IGNORE INTO settings VALUES (?, ?)", (key, text))


def _statements(script: str) -> Iterator[str]:
    """Yield the statements of a script; `executescript` would end the transaction."""
    statement = ""
    for line in script.splitlines(keepends=True):
        statement += line
        if sqlite3.complete_statement(statement):
            yield statement
            statement = ""


def _now() -> str:
    return datetime.datetime.now(datetime.UTC).isoformat(timespec="microseconds")
