"""The label store: an append-only SQLite file that all annotators and processes share."""

import logging
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import pandas as pd

from galaxy_lvm.core.errors import DataError
from galaxy_lvm.hitl.fingerprint import differences
from galaxy_lvm.hitl.store_about import StoreAbout
from galaxy_lvm.hitl.store_file import FEATURES, OLDER, RELEASE, RENEWAL

log = logging.getLogger("galaxy_lvm.hitl")

POSITIVE, NEGATIVE, UNSURE = "positive", "negative", "unsure"
VALUES = (POSITIVE, NEGATIVE, UNSURE)
_RETRACTION = ""
LABEL_COLUMNS = ("number", "id", "value", "annotator", "time", "round", "model_version")


@dataclass(frozen=True)
class Suggestion:
    """What an annotator was asked in one round: ids in their order, and by which rule."""

    round: int
    ids: tuple[str, ...]
    rule: str
    model_version: str


@dataclass(frozen=True)
class _OpenRound:
    """The galaxies that an annotator holds, and since when."""

    round: int
    time: str
    ids: list[str]


class LabelStore(StoreAbout):
    """Labels, suggestions, settings and features of a session, in one SQLite file.

    Nothing is ever changed or removed: an undo is a row that retracts another, a second label of
    the same galaxy by the same annotator replaces the first in `current`, and both remain in
    `history`. Every call is one transaction that is on disk, in this one file, when it returns: a
    process can be killed at any moment, and a copy of the file holds every label. Several processes
    may use one file, waiting up to `BUSY_TIMEOUT_S` for each other. A context manager.

    Parameters
    ----------
    path
        SQLite file, made where it does not exist; ":memory:" keeps nothing. Must not lie on a
        network file system without locks. One of an older version, which kept new labels in a
        file of their own (NAME-wal), becomes one file, all labels in it.
    read_only
        Write nothing, neither into the file nor beside it. So is a store opened, with a warning,
        that may not be written. After a kill, or in the older mode, what is read is a copy.

    Raises
    ------
    DataError
        If the file is no label store, is damaged, or lacks the part that its labels are in; from
        every call if the disk is full, fails or is held by another process, saying what to do: then
        nothing of that call was kept.
    """

    known_values = (*VALUES, _RETRACTION)
    _read_last: tuple[int, pd.DataFrame] | None = None

    @classmethod
    def of(cls, store: "LabelStore | str | os.PathLike", read_only: bool = False) -> "LabelStore":
        """Return the store itself, or that of a path.

        Raises
        ------
        DataError
            If a store that is open for writing shall be read only; and as for a new one.
        """
        if not isinstance(store, LabelStore):
            return cls(store, read_only)
        if read_only and not store.read_only:
            raise DataError(
                f"{store.path}: open for writing; open it with LabelStore(..., read_only=True)"
            )
        return store

    def append(
        self,
        ids: Sequence[str],
        values: Sequence[str],
        annotator: str,
        round_number: int | None,
        model_version: str = "",
        times: Sequence[str] | None = None,
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
            Round in which it was asked, 0 for the prompts. None looks up, for each, when this
            annotator was asked last, and which ranker had asked; it is 0 where never.
        model_version
            Which ranker had asked.
        times
            When each was given, in the form of `time_of`, where that was not now.

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
            given = times or [None] * len(ids)
            for name, value, time in zip(ids, values, given, strict=True):
                known = (round_number, model_version)
                asked = self._asked(str(name), annotator) if round_number is None else known
                self._insert(name, value, annotator, *asked, None, time)

    def _asked(self, name: str, annotator: str) -> tuple[int, str]:
        """Return the last round in which an annotator was asked about a galaxy, and its ranker."""
        rows = self._rows(
            "SELECT round, model_version FROM suggestions WHERE annotator = ? AND id = ? "
            "ORDER BY round DESC LIMIT 1",
            (annotator, name),
        )
        return rows[0] if rows else (0, "")

    def retract_last(self, annotator: str) -> str | None:
        """Take back the annotator's last label that still stands; return its id, None if none."""
        with self._transaction():
            rows = self._rows(
                "SELECT number, id, round, model_version FROM labels WHERE annotator = ? "
                "AND retracts IS NULL AND number NOT IN "
                "(SELECT retracts FROM labels WHERE retracts IS NOT NULL) "
                "ORDER BY number DESC LIMIT 1",
                (annotator,),
            )
            if not rows:
                return None
            number, name, round_number, version = rows[0]
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
        time: str | None = None,
    ) -> None:
        self._db.execute(
            "INSERT INTO labels (id, value, annotator, time, round, model_version, sequence, "
            "retracts) SELECT ?, ?, ?, ?, ?, ?, 1 + COALESCE(MAX(sequence), 0), ? FROM labels "
            "WHERE id = ? AND annotator = ?",
            (str(name), value, annotator, time or self._now(), int(round_number), model_version,
             retracts, str(name), annotator),
        )  # fmt: skip

    def history(self) -> pd.DataFrame:
        """Return every row ever added, with `sequence` and `retracts`, in the order of time."""
        return self._table("SELECT * FROM labels ORDER BY number")

    def current(self) -> pd.DataFrame:
        """Return the labels that stand: the last one of every galaxy and annotator.

        Returns
        -------
        DataFrame
            `LABEL_COLUMNS`, in the order in which they were given.
        """
        # Rows are only ever added: the number of the last one says whether there are others.
        last = self._rows("SELECT COALESCE(MAX(number), 0) FROM labels")[0][0]
        if self._db.in_transaction:  # it may be rolled back, and the number given again
            return self._read_current()
        if self._read_last is None or self._read_last[0] != last:
            self._read_last = last, self._read_current()
        return self._read_last[1].copy()

    def _read_current(self) -> pd.DataFrame:
        return self._table(
            f"SELECT {', '.join(LABEL_COLUMNS)} FROM labels WHERE number IN (SELECT MAX(number) "
            "FROM labels WHERE retracts IS NULL AND number NOT IN (SELECT retracts FROM labels "
            "WHERE retracts IS NOT NULL) GROUP BY id, annotator) ORDER BY number"
        )

    def label_of(self, name: str, annotator: str) -> str:
        """Return what an annotator says of a galaxy, "" where nothing stands."""
        rows = self._rows(
            "SELECT value FROM labels WHERE id = ? AND annotator = ? AND retracts IS NULL AND "
            "number NOT IN (SELECT retracts FROM labels WHERE retracts IS NOT NULL) "
            "ORDER BY number DESC LIMIT 1",
            (name, annotator),
        )
        return rows[0][0] if rows else ""

    def last_numbers(self, annotator: str) -> tuple[int, int]:
        """Return the number of an annotator's last label that stands, and of anyone's last row."""
        rows = self._rows(
            "SELECT (SELECT COALESCE(MAX(number), 0) FROM labels WHERE annotator = ? AND retracts "
            "IS NULL AND number NOT IN (SELECT retracts FROM labels WHERE retracts IS NOT NULL)), "
            "(SELECT COALESCE(MAX(number), 0) FROM labels)",
            (annotator,),
        )
        return rows[0]

    def suggest(
        self,
        annotator: str,
        ids: Sequence[str],
        rule: str,
        model_version: str,
        reserved_minutes: float = 0.0,
        features: Mapping[str, Any] | None = None,
    ) -> Suggestion | None:
        """Keep what an annotator is asked next, under the next number of a round.

        None, and nothing is kept, where another annotator was handed one of the galaxies since
        they were chosen: choose again without what is `reserved`.

        Raises
        ------
        DataError
            If the store's features are no longer those, by their fingerprint, that the galaxies
            were chosen by; None asks for no check.
        """
        with self._transaction():
            self._refuse_others(features)
            if reserved_minutes and not self.reserved(annotator, reserved_minutes).isdisjoint(ids):
                return None
            last = self.last_suggestion(annotator)
            number = last.round + 1 if last else 1
            made = Suggestion(number, tuple(str(i) for i in ids), rule, model_version)
            self._db.executemany(
                "INSERT INTO suggestions VALUES (?, ?, ?, ?, ?, ?, ?)",
                [
                    (annotator, made.round, position, name, rule, model_version, self._now())
                    for position, name in enumerate(made.ids)
                ],
            )
        return made

    def take_up(
        self,
        annotator: str,
        reserved_minutes: float = 0.0,
        features: Mapping[str, Any] | None = None,
    ) -> list[str]:
        """Return what is left to label of an annotator's open round, in its order.

        Galaxies that another annotator was handed meanwhile are theirs. Where the round has
        expired, what is left is reserved anew. Parameters and errors as for `suggest`.
        """
        with self._transaction():
            self._refuse_others(features)
            mine = self._open_rounds().get(annotator)
            if mine is None:
                return []
            gone = set(self.current()["id"])
            if reserved_minutes:
                gone |= self.reserved(annotator, reserved_minutes)
            left = [name for name in mine.ids if name not in gone]
            if left and reserved_minutes and mine.time <= self._now(reserved_minutes):
                self._add_event(RENEWAL, annotator, mine.round, left)
        return left

    def _refuse_others(self, features: Mapping[str, Any] | None) -> None:
        if features is not None and self.features() != features:
            raise DataError(
                f"{self.path}: the features of the session changed since this session was "
                "opened; open it again with the new features to be asked more"
            )

    def release(self, annotator: str) -> list[str]:
        """Close an annotator's open round; return what was left of it, free for others now."""
        left = self.take_up(annotator)
        with self._transaction():
            mine = self._open_rounds().get(annotator)
            if mine is not None:
                self._add_event(RELEASE, annotator, mine.round, left)
        return left

    def reserved(self, annotator: str, minutes: float) -> set[str]:
        """Return the galaxies of the open rounds of others, handed out less than so long ago."""
        since = self._now(minutes)
        return {
            name
            for other, held in self._open_rounds().items()
            if other != annotator and held.time > since
            for name in held.ids
        }

    def _open_rounds(self) -> dict[str, "_OpenRound"]:
        """Return the latest round of every annotator, unless it was handed back."""
        rounds: dict[str, _OpenRound] = {}
        for who, number, name, time in self._rows(
            "SELECT annotator, round, id, time FROM suggestions AS s WHERE round = (SELECT "
            "MAX(round) FROM suggestions WHERE annotator = s.annotator) ORDER BY position"
        ):
            rounds.setdefault(who, _OpenRound(number, time, [])).ids.append(name)
        for kind, who, number, time, value in self._rows(
            "SELECT kind, annotator, round, time, value FROM events WHERE kind IN (?, ?) "
            "ORDER BY number",
            (RELEASE, RENEWAL),
        ):
            if who in rounds and rounds[who].round == number:
                if kind == RELEASE:
                    del rounds[who]
                else:
                    rounds[who] = _OpenRound(number, time, self._parsed(value))
        return rounds

    def last_suggestion(self, annotator: str) -> Suggestion | None:
        """Return what an annotator was asked last, None if nothing yet."""
        rows = self._rows(
            "SELECT round, id, rule, model_version FROM suggestions WHERE annotator = ? AND round "
            "= (SELECT MAX(round) FROM suggestions WHERE annotator = ?) ORDER BY position",
            (annotator, annotator),
        )
        if not rows:
            return None
        return Suggestion(rows[0][0], tuple(row[1] for row in rows), rows[0][2], rows[0][3])

    def features(self) -> dict[str, Any] | None:
        """Return the fingerprint of the features in use, None where none was kept yet."""
        rows = self._rows(
            "SELECT value FROM events WHERE kind = ? ORDER BY number DESC LIMIT 1", (FEATURES,)
        )
        return self._parsed(rows[0][0]) if rows else None

    def keep_features(
        self, fingerprint: Mapping[str, Any], annotator: str, changed: bool = False
    ) -> None:
        """Keep the fingerprint of the features in a new store; in one that has another, refuse.

        A store of the version that kept none takes over the features that it is first used with.

        Parameters
        ----------
        fingerprint
            Of `Pool.fingerprint`.
        annotator
            Who opens the session.
        changed
            Take over other features on purpose: the change is kept with its time, labels stay,
            and all open rounds are closed, since the old features chose them.

        Raises
        ------
        DataError
            If the store was used with other features, saying what differs.
        """
        if self.read_only and not changed:
            self._refuse_other_features(fingerprint)
            return
        with self._transaction():
            known = self.features()
            if known == fingerprint:
                return
            if not changed:
                self._refuse_other_features(fingerprint)
            if known is not None:
                log.info("%s: new features: %s", self.path, differences(known, fingerprint))
            elif self._rows("SELECT 1 FROM events WHERE kind = ?", (OLDER,)):
                log.info(
                    "%s: no fingerprint of its features was kept by an older version; it belongs "
                    "to the features of this pool from now on", self.path,
                )  # fmt: skip
            for other, held in self._open_rounds().items() if changed else ():
                self._add_event(RELEASE, other, held.round, held.ids)
            self._add_event(FEATURES, annotator, None, dict(fingerprint))

    def _refuse_other_features(self, fingerprint: Mapping[str, Any]) -> None:
        known = self.features()
        if known is not None and known != fingerprint:
            raise DataError(
                f"{self.path}: the session was started with other features: "
                f"{differences(known, fingerprint)}. Open it with those, start another store, or "
                "go on by intent with new_features=True (--new-features): all labels stay, scores "
                "and rounds start anew"
            )
