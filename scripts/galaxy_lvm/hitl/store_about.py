"""What a label store says of its session: settings, and what every annotator chose meanwhile."""

import json
from collections.abc import Mapping
from typing import Any

import pandas as pd

from galaxy_lvm.core.errors import ConfigError
from galaxy_lvm.hitl.store_file import CHOICE, StoreFile


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
