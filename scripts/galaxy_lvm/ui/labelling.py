"""What a page or a notebook asks for: one pool, one store, several annotators at once."""

import os
import threading
from collections import OrderedDict
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd

from galaxy_lvm.core.errors import DataError
from galaxy_lvm.hitl.learner import Learner, process_of
from galaxy_lvm.hitl.majority import SETTLED, by_majority
from galaxy_lvm.hitl.measures import comparison_metrics
from galaxy_lvm.hitl.selection import NEED_NO_SCORES
from galaxy_lvm.hitl.session import RESERVED_MINUTES, Session
from galaxy_lvm.hitl.settings import settings_of_store
from galaxy_lvm.hitl.store import NEGATIVE, POSITIVE, VALUES, LabelStore, Suggestion
from galaxy_lvm.hitl.store_file import time_of
from galaxy_lvm.ui.choices import AFTERWARDS, call_of, checked_choice, in_force, until_a_positive
from galaxy_lvm.ui.model import BackgroundModel, Model
from galaxy_lvm.ui.sentences import rule_sentence, with_the_change
from galaxy_lvm.ui.workplace import Workplace

# So long a next round waits for the model of the latest labels, where models are made as quickly.
PATIENCE_S = 0.1


class Unfinished(DataError):
    """A round still has galaxies without a label."""


class Labelling:
    """A session that several annotators share; every call may come from any thread.

    Parameters
    ----------
    place
        Galaxies and what is known of them.
    store
        Path of the label store.
    n_recommended
        Galaxies of a round; the workplace's where None.
    new_features
        Go on with other features, or galaxies, than the store was used with.
    own_process
        Train in a process of its own, so that whoever clicks does not wait for the arithmetic.
    """

    def __init__(
        self,
        place: Workplace,
        store: str | os.PathLike,
        n_recommended: int | None = None,
        new_features: bool = False,
        own_process: bool = False,
    ) -> None:
        self.place, self.pool = place, place.pool
        self.n_recommended = n_recommended or place.n_recommended
        self._lock = threading.RLock()
        self._new_features = new_features
        self.store = LabelStore(store)
        try:
            self.store.refuse_other_target(place.name)
            kept = self.store.settings()
            self.settings = settings_of_store(kept, self.store.path) if kept else place.settings
            trainer = process_of(self.pool, self.settings) if own_process else None
            self.learner = Learner(self.pool, self.settings, trainer=trainer)
            self._sessions: dict[str, Session] = {}
            self._session("")
            self.store.keep_target(place.name)
        except BaseException:
            self.store.close()
            raise
        # Average precision on the galaxies without a label, by the number of labels.
        self.auprs: OrderedDict[int, float] = OrderedDict()
        self.model = BackgroundModel(self.learner, self.labels, self._judge)

    def start(self) -> "Labelling":
        """Begin to train in the background."""
        self.model.start()
        return self

    def close(self) -> None:
        """End the training and close the store; nothing is lost without it."""
        self.model.stop()
        with self._lock:
            self.store.close()

    def _session(self, annotator: str) -> Session:
        if annotator not in self._sessions:
            # Meant at the start: who comes later takes nothing back that others went on to.
            meant = self._new_features and (self.store.read_only or not self._sessions)
            self._sessions[annotator] = Session(
                self.pool, self.store, self.settings, annotator, new_features=meant,
                learner=self.learner,
            )  # fmt: skip
        return self._sessions[annotator]

    # Reading

    def current(self) -> pd.DataFrame:
        """Return the labels that stand, one row per galaxy and annotator."""
        with self._lock:
            return self.store.current()

    def labels(self) -> pd.DataFrame:
        """Return one row per labelled galaxy of the pool, of `by_majority`."""
        return by_majority(self.pool.only(self.current()))

    def choice(self, annotator: str) -> dict[str, Any]:
        """Return by what an annotator is asked: `rule`, `alpha`, `n`."""
        with self._lock:
            chosen = in_force(self.store.choice(annotator), self._has_positive)
        settings = self.settings
        return {"rule": settings.rule, "alpha": settings.alpha, "n": self.n_recommended, **chosen}

    def _has_positive(self) -> bool:
        return bool((self.labels()["value"] == POSITIVE).any())

    def state(self, annotator: str) -> dict[str, Any]:
        """Return what the page shows of an annotator's round; made of what JSON knows."""
        with self._lock:
            asked = self.store.last_suggestion(annotator)
            current = self.pool.only(self.store.current())
            last = self.store.last_numbers(annotator)[0]
            open_ids = self._open(annotator) if asked else []
        mine = current[current["annotator"] == annotator]
        given = dict(zip(mine["id"], mine["value"], strict=True))
        ids = self._shown(asked, given, open_ids)
        return {
            "round": asked.round if asked and ids else 0,
            "asked_by": asked.rule if asked and ids else "",
            "galaxies": [self.about(name, given.get(name, "")) for name in ids],
            "n_mine": len(mine),
            "last": last,
            **self.counts(current),
            **self.asked_next(annotator),
            **self.status(annotator),
        }

    def _open(self, annotator: str) -> list[str]:
        # Taking a round up renews its reservation, which nobody needs who cannot label.
        if self.store.read_only:
            return []
        held = self.store.take_up(annotator, RESERVED_MINUTES)
        return self.pool.ids_of(self.pool.known_rows(held))  # others may know more galaxies

    @staticmethod
    def _shown(
        asked: Suggestion | None, given: Mapping[str, str], open_ids: Sequence[str]
    ) -> list[str]:
        """Return the galaxies of the round that are labelled, by this annotator, or still open."""
        if asked is None:
            return []
        still = set(open_ids)
        return [name for name in asked.ids if name in given or name in still]

    def counts(self, current: pd.DataFrame) -> dict[str, int]:
        """Return the numbers of galaxies by what the majority says of them."""
        table = by_majority(self.pool.only(current))
        return {
            **{f"n_{value}": int((table["value"] == value).sum()) for value in VALUES},
            "n_labelled": len(table),
            "n_disputed": int(table["disputed"].sum()),
            "n_pool": len(self.pool),
        }

    def status(self, annotator: str) -> dict[str, Any]:
        """Return what the page asks for every few seconds."""
        model = self.model.latest
        with self._lock:
            events = self.store.last_numbers(annotator)
        return {
            "model": None
            if model is None
            else {
                "version": model.scores.version,
                "n_labels": model.n_labels,
                "seconds": round(model.seconds, 2),
            },
            "fitting": not self.model.is_current,
            "problem": self.model.problem,
            "seen": list(events),
            "read_only": self.store.read_only,
        }

    def about(self, name: str, value: str = "") -> dict[str, Any]:
        """Return what a tile shows of a galaxy."""
        row = int(self.pool.rows_of([name])[0])
        known = self.place.catalogue
        made: dict[str, Any] = {"id": name, "row": row, "value": value, "score": self.score_of(row)}
        if "ra" in known and "dec" in known:
            ra, dec = float(known["ra"].iloc[row]), float(known["dec"].iloc[row])
            if np.isfinite(ra) and np.isfinite(dec):
                made |= {"ra": round(ra, 6), "dec": round(dec, 6)}
        return made

    def score_of(self, row: int) -> float | None:
        """Return the newest model's score of a galaxy, None where there is none."""
        model = self.model.latest
        value = np.nan if model is None else float(model.scores.values[row])
        return round(value, 4) if np.isfinite(value) else None

    def sentence(self, annotator: str) -> str:
        """Return in words what the rule does next."""
        with self._lock:
            counts = self._session(annotator).latest_counts()
            kept = self.store.choice(annotator)
            asked = self.store.last_suggestion(annotator)
        choice = self.choice(annotator)
        said = rule_sentence(choice["rule"], choice["alpha"], self.settings.lower, *counts)
        return said if AFTERWARDS not in kept else with_the_change(said, kept, choice, asked)

    def asked_next(self, annotator: str) -> dict[str, Any]:
        """Return `choice` and `sentence`."""
        return {"choice": self.choice(annotator), "sentence": self.sentence(annotator)}

    def _judge(self, model: Model) -> None:
        """Keep how well a new model ranks the galaxies without a label, where the truth is known.

        Also those that it was not trained on have to be of both kinds.
        """
        truth = self.place.truth
        if truth is None:
            return
        rest = np.isfinite(model.scores.values) & self.place.known
        rest[self.pool.rows_of(self.labels()["id"])] = False
        if truth[rest].any() and not truth[rest].all():
            found = comparison_metrics(truth[rest], model.scores.values[rest])
            self.auprs[model.n_labels] = found["aupr"]

    # Writing

    def label(self, annotator: str, name: str, value: str) -> int:
        """Keep a label; it is on disk when this returns. The same again adds nothing.

        Returns
        -------
        int
            Number of the annotator's last label.

        Raises
        ------
        DataError
            If it was not kept, saying why.
        """
        with self._lock:
            session = self._session(annotator)
            if self.store.label_of(name, annotator) != value:
                session.label([name], [value])
                self.model.labels_changed()
            return self.store.last_numbers(annotator)[0]

    def prompt(self, annotator: str, ids: Sequence[str], value: str) -> int:
        """Keep one label for several galaxies, all or none; return how many are new."""
        with self._lock:
            known = [n for n in ids if self.store.label_of(n, annotator) == value]
            new = [n for n in dict.fromkeys(ids) if n not in set(known)]
            if new:
                self._session(annotator).label(new, [value] * len(new))
                self.model.labels_changed()
            return len(new)

    def take_over(
        self, rows: Sequence[tuple[str, str, str]], times: Sequence[str] = ()
    ) -> tuple[int, int]:
        """Keep labels (id, value, annotator) made elsewhere, all of an annotator or none.

        Parameters
        ----------
        rows
            Labels; of several of one galaxy and annotator the last counts.
        times
            When each was given, of `store_file.time_of`; now where "", or without any.

        Returns
        -------
        tuple of int
            How many are new, and how many stood already.
        """
        by_person: dict[str, dict[str, tuple[str, str]]] = {}
        now = time_of(self.store.clock())
        for (name, value, who), time in zip(rows, times or [""] * len(rows), strict=True):
            by_person.setdefault(who, {})[name] = value, time or now
        n_new = n_known = 0
        with self._lock:
            current = self.store.current()
            stand = current.set_index(["id", "annotator"])["value"].to_dict()
            for who, given in by_person.items():
                new = {n: v for n, v in given.items() if stand.get((n, who)) != v[0]}
                n_known += len(given) - len(new)
                if new:
                    values, moments = zip(*new.values(), strict=True)
                    self._session(who).label(list(new), values, moments)
                    n_new += len(new)
                    self.model.labels_changed()
        return n_new, n_known

    def settle(self, annotator: str, name: str, value: str) -> None:
        """Keep what annotators agreed on about a galaxy that they had seen differently."""
        with self._lock:
            self.pool.rows_of([name])
            self.store.append([name], [value], SETTLED + annotator, None)
            self.model.labels_changed()

    def undo(self, annotator: str, number: int) -> str | None:
        """Take back an annotator's last label; return its galaxy.

        Parameters
        ----------
        annotator
            Who.
        number
            Of the label that is meant, so that a call that is repeated takes back no second one;
            then None is returned.
        """
        with self._lock:
            if self.store.last_numbers(annotator)[0] != number:
                return None
            name = self._session(annotator).undo()
            self.model.labels_changed()
            return name

    def choose(self, annotator: str, rule: str, alpha: float, n: int) -> None:
        """Keep by what an annotator is asked from now on, see `choices.until_a_positive`.

        Raises
        ------
        ConfigError
            If a value is not allowed.
        """
        choice = checked_choice(rule, alpha, n)
        with self._lock:
            if not self._has_positive():
                choice = until_a_positive(choice, self.store.choice(annotator), self.settings.rule)
            self.store.keep_choice(annotator, choice)

    def next_round(self, annotator: str, rest: str = "") -> str:
        """Begin an annotator's next round.

        Parameters
        ----------
        annotator
            Who.
        rest
            What becomes of the galaxies of this round that have no label: "negative" labels them
            so, "skip" hands them back, "" refuses to go on.

        Returns
        -------
        str
            "" where there is a round; else why there is none: "prompts" (no positive yet),
            "fitting" (the first model is being trained), "done" (nothing is left).

        Raises
        ------
        Unfinished
            If galaxies have no label and `rest` is "".
        """
        self.finish(annotator, rest)
        self.model.wait_if_quick(PATIENCE_S)
        choice = self.choice(annotator)
        model = self.model.latest
        needs_scores = choice["rule"] not in NEED_NO_SCORES
        if needs_scores and model is None:
            return "prompts" if self.model.is_current else "fitting"
        if not self.learner.is_warm:
            return "fitting"
        with self._lock:
            asked = self._session(annotator).suggest(**call_of(choice, model))
        return "" if asked else "done"

    def preview(self, annotator: str, choice: Mapping[str, Any], model: Model | None) -> list[str]:
        """Return what the next round would ask by a model; nothing is kept."""
        with self._lock:
            return self._session(annotator).preview(**call_of(choice, model))

    def suggestions(self) -> pd.DataFrame:
        """Return all that was ever asked."""
        with self._lock:
            return self.store.suggestions()

    def finish(self, annotator: str, rest: str) -> None:
        """End an annotator's open round; parameters and errors as for `next_round`."""
        with self._lock:
            left = self.store.take_up(annotator, RESERVED_MINUTES)
            if not left:
                return
            if rest == NEGATIVE:
                self._session(annotator).label(left, [NEGATIVE] * len(left))
                self.model.labels_changed()
            elif rest == "skip":
                self._session(annotator).release()
            else:
                raise Unfinished(
                    f"{len(left)} of this round have no label yet; label them, press Shift+Enter "
                    "to call them negative, or skip them"
                )
