"""What a label store says of its session: settings, and what every annotator chose meanwhile."""

import json
from collections.abc import Mapping
from typing import Any

import pandas as pd

from galaxy_lvm.core.errors import ConfigError, DataError
from galaxy_lvm.hitl.store_file import CHOICE, TARGET, StoreFile


class StoreAbout(StoreFile):
    """A store that keeps settings; see `LabelStore`."""

    def settings(self) -> dict[str, Any]:
        """Return the settings of the session that the store belongs to; empty in a new store."""
        rows = self._rows("SELECT key, value FROM settings")
        return {key: self._parsed(value) for key, value in rows}

    def keep_settings(self, settings: Mapping[str, Any]) -> None:
        """Keep settings in a new store; in one that has some, refuse others.

        Raises
        ------
        ConfigError
            With the first key that differs: labels asked for by different settings do not belong
            into one session.
        """
        if self.read_only:
            self._refuse_other_settings(settings)
            return
        with self._transaction():
            self._refuse_other_settings(settings)
            self._db.executemany(
                "INSERT OR IGNORE INTO settings VALUES (?, ?)",
                [(key, json.dumps(value)) for key, value in settings.items()],
            )

    def _refuse_other_settings(self, settings: Mapping[str, Any]) -> None:
        known = self.settings()
        for key, value in settings.items():
            if key in known and known[key] != json.loads(json.dumps(value)):
                raise ConfigError(
                    f"{self.path}: the session was started with {key} = {known[key]!r}, not "
                    f"{value!r}; leave it as it was or start another store"
                )

    def target(self) -> str | None:
        """Return what is looked for, in words; None in a store that no search opened yet."""
        rows = self._rows("SELECT value FROM events WHERE kind = ? ORDER BY number", (TARGET,))
        return self._parsed(rows[0][0]) if rows else None

    def refuse_other_target(self, name: str) -> None:
        """Refuse a search for something else: names of several searches may make one file's.

        Raises
        ------
        DataError
            If the store's labels are of another search.
        """
        known = self.target()
        if known not in (None, name):
            raise DataError(
                f"{self.path}: its labels are of a search for {known!r}, not for {name!r}; name "
                f"another file (--store, in a notebook store=), or look for {known!r}"
            )

    def keep_target(self, name: str) -> None:
        """Keep what is looked for in a store that does not say it yet; in one that does, refuse."""
        if self.read_only or self.target() is not None:
            self.refuse_other_target(name)
            return
        with self._transaction():  # another process may have been faster
            self.refuse_other_target(name)
            if self.target() is None:
                self._add_event(TARGET, "", None, name)

    def choice(self, annotator: str) -> dict[str, Any]:
        """Return what an annotator chose last to be asked by; empty where nothing was chosen."""
        rows = self._rows(
            "SELECT value FROM events WHERE kind = ? AND annotator = ? ORDER BY number DESC "
            "LIMIT 1",
            (CHOICE, annotator),
        )
        return self._parsed(rows[0][0]) if rows else {}

    def keep_choice(self, annotator: str, choice: Mapping[str, Any]) -> None:
        """Keep what an annotator chooses to be asked by from now on, beside earlier choices."""
        with self._transaction():
            self._add_event(CHOICE, annotator, None, dict(choice))

    def suggestions(self) -> pd.DataFrame:
        """Return all that was ever asked, in order.

        Returns
        -------
        DataFrame
            `annotator`, `round`, `position`, `id`, `rule`, `model_version`, `time`.
        """
        return self._table("SELECT * FROM suggestions ORDER BY time, annotator, round, position")
