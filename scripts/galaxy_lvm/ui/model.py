"""The ranker of the page: trained in a thread of its own, so that nobody waits for it."""

import logging
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import pandas as pd

from galaxy_lvm.core.errors import in_short
from galaxy_lvm.hitl.learner import Learner, Scores
from galaxy_lvm.hitl.store import POSITIVE

log = logging.getLogger("galaxy_lvm.ui")


@dataclass(frozen=True)
class Model:
    """A ranker that is ready.

    Attributes
    ----------
    scores
        What it says of the pool.
    n_labels
        Labelled galaxies that it knows.
    seconds
        What training and scoring took.
    """

    scores: Scores
    n_labels: int
    seconds: float


class BackgroundModel:
    """Train anew whenever labels changed; `latest` is the newest that is ready.

    Parameters
    ----------
    learner
        Trains.
    labels
        Gives the labels that stand, one row per galaxy.
    on_ready
        Called in the thread with every new model.
    """

    def __init__(
        self,
        learner: Learner,
        labels: Callable[[], pd.DataFrame],
        on_ready: Callable[[Model], None] | None = None,
    ) -> None:
        self.latest: Model | None = None
        self.problem = ""
        self._learner, self._labels, self._on_ready = learner, labels, on_ready
        self._changed, self._ready = threading.Event(), threading.Condition()
        self._asked = self._done = 0
        self._stopped = False
        self._thread = threading.Thread(target=self._run, name="ranker", daemon=True)

    def start(self) -> None:
        """Begin, with the labels that are there."""
        self.labels_changed()
        self._thread.start()

    def stop(self) -> None:
        """End, in the middle of what is being trained where a process of its own does it."""
        self._stopped = True
        self._changed.set()
        self._learner.trainer.close()
        if self._thread.is_alive():
            self._thread.join()

    def labels_changed(self) -> None:
        """Say that there are other labels than before."""
        with self._ready:
            self._asked += 1
        self._changed.set()

    @property
    def is_current(self) -> bool:
        """Whether `latest` knows every label."""
        return self._done == self._asked

    def wait(self, seconds: float) -> bool:
        """Wait, at most so long, until `latest` knows the labels of now; return whether it does."""
        with self._ready:
            wanted = self._asked
            return self._ready.wait_for(lambda: self._done >= wanted, seconds)

    def wait_if_quick(self, seconds: float) -> None:
        """Wait as `wait` does, unless the last model took longer than that: it would not help."""
        if self.latest is None or self.latest.seconds <= seconds:
            self.wait(seconds)

    def _run(self) -> None:
        # What never changes is measured first, so that the first round does not wait for it.
        self._learn(lambda: (self._learner.usable, self._learner.whitening))
        while not self._stopped:
            self._changed.wait()
            self._changed.clear()
            with self._ready:
                wanted = self._asked
            self._learn(self._train)
            with self._ready:
                self._done = wanted
                self._ready.notify_all()

    def _learn(self, work: Callable[[], object]) -> None:
        """Do it; an error ends neither the thread nor the page, which shows it."""
        try:
            work()
            self.problem = ""
        except Exception as error:  # whatever it is, annotators must be told and go on
            if self._stopped:
                return
            log.exception("the ranker could not be trained")
            self.problem = in_short(error)

    def _train(self) -> None:
        table = self._labels()
        if not (table["value"] == POSITIVE).any():
            self.latest = None
            return
        start = time.perf_counter()
        scores = self._learner.score(table)
        if self.latest is not None and self.latest.scores.version == scores.version:
            return
        made = Model(scores, len(table), time.perf_counter() - start)
        if self._on_ready is not None:
            self._on_ready(made)
        self.latest = made


def histogram(scores: np.ndarray, n_bins: int = 20) -> list[int]:
    """Return how many galaxies have a score in each of equal parts of 0 to 1."""
    finite = scores[np.isfinite(scores)]
    return np.histogram(finite, bins=n_bins, range=(0, 1))[0].tolist()
