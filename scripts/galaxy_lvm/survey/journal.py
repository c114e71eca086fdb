"""What became of every galaxy that a download asked for: one line each, kept over kills."""

import json
import os
import threading
from collections import Counter
from pathlib import Path
from typing import Literal

State = Literal["stored", "refused", "again"]
Cause = str | float | None
"""Of a refusal: the service's own (None), `no data`, or the limit that pixels were held against."""
NO_DATA = "no data"


class Journal:
    """Append what became of galaxies; what was stored or refused is known when it is opened again.

    A line is added in one piece behind the last one; one that a kill cut short is passed over. Of
    a galaxy the last line counts.

    Parameters
    ----------
    path
        File of JSON lines; made where there is none.
    address
        Service that was asked: what another one refused is asked for again.
    """

    def __init__(self, path: str | os.PathLike, address: str) -> None:
        self.path, self._address = Path(path), address
        self._refused: dict[str, tuple[str, Cause]] = {}
        self._stored: set[str] = set()
        self._lock = threading.Lock()
        self.path.parent.mkdir(parents=True, exist_ok=True)
        whole = self._read()
        self._file = self.path.open("a", encoding="utf-8", buffering=1)
        if not whole:
            self._file.write("\n")

    def _read(self) -> bool:
        """Learn what was stored or refused; return whether the file ends with a whole line."""
        if not self.path.exists():
            return True
        line = "\n"
        with self.path.open(encoding="utf-8", errors="replace") as file:
            for line in file:
                try:
                    galaxy, state, reason, address, *cause = json.loads(line)
                except ValueError:  # cut short
                    continue
                known = reason if address == self._address else None
                self._learn(galaxy, state, known, cause[0] if cause else None)
        return line.endswith("\n")

    def _learn(self, galaxy: str, state: State, reason: str | None, cause: Cause) -> None:
        """Keep the last state; a refusal of another address (reason None) counts for nothing."""
        self._refused.pop(galaxy, None)
        self._stored.discard(galaxy)
        if state == "stored":
            self._stored.add(galaxy)
        elif state == "refused" and reason is not None:
            self._refused[galaxy] = reason, cause

    def is_stored(self, galaxy: str) -> bool:
        """Return whether the last line of a galaxy says that it was stored."""
        return galaxy in self._stored

    def refusal(self, galaxy: str) -> tuple[str, Cause] | None:
        """Return why nothing of a galaxy is usable, and the cause; None if nobody has said so."""
        return self._refused.get(galaxy)

    def put(self, galaxy: str, state: State, reason: str = "", cause: Cause = None) -> None:
        """Write down what became of a galaxy."""
        about = [] if cause is None else [cause]
        with self._lock:
            self._file.write(json.dumps([galaxy, state, reason, self._address, *about]) + "\n")
            self._learn(galaxy, state, reason, cause)

    def close(self) -> None:
        """Close the file."""
        self._file.close()


def states(path: str | os.PathLike) -> Counter[str]:
    """Return how many galaxies of a journal are in each state."""
    last: dict[str, str] = {}
    with open(path, encoding="utf-8", errors="replace") as file:
        for line in file:
            try:
                galaxy, state, *_ = json.loads(line)
            except ValueError:  # cut short
                continue
            last[galaxy] = state
    return Counter(last.values())
