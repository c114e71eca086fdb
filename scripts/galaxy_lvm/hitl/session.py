"""A session of the human in the loop: what simulation, web page and notebook all use."""

import logging
import os
from collections.abc import Sequence
from typing import Any, Self

import numpy as np
import pandas as pd

from galaxy_lvm.core.errors import DataError
from galaxy_lvm.core.seeds import derive_seed
from galaxy_lvm.core.tables import save_table
from galaxy_lvm.hitl.learner import Learner, Scores
from galaxy_lvm.hitl.majority import by_majority, latest_counts
from galaxy_lvm.hitl.pools import Pool
from galaxy_lvm.hitl.ranker import Features, Whitening
from galaxy_lvm.hitl.ranking import ranking_of, refuse_format
from galaxy_lvm.hitl.selection import NEED_NO_SCORES, PoolState, rule_of
from galaxy_lvm.hitl.settings import SessionSettings, settings_of_store
from galaxy_lvm.hitl.store import LabelStore

log = logging.getLogger("galaxy_lvm.hitl")

RESERVED_MINUTES = 30.0


class Session:
    """Suggest galaxies, take labels, learn, rank the pool; nothing is kept outside the store.

    A session that was killed goes on by being opened again: labels and open suggestions are in the
    store, and the ranker follows from the labels and the seed alone. Several annotators, each with
    a `Session` of their own in this or another process, may share a store: every one has rounds of
    their own, and all learn from all labels. Where annotators differ the majority decides; at a
    tie the galaxy teaches nothing and is listed by `disagreements`. A context manager.

    Parameters
    ----------
    pool
        Galaxies and features.
    store
        Label store, or the path of one.
    settings
        Taken from the store where None.
    annotator
        Who labels.
    whitening
        Of the pool's features where it is known already; measured otherwise.
    new_features
        Go on with other features, or galaxies, than those that the session was started with. Labels
        belong to galaxies and stay, those of galaxies that are gone without teaching anything; the
        change is kept with its time, and open rounds are closed.
    read_only
        Of a path: look at a store, a colleague's for instance, and write nothing. Labels, scores
        and export can be read; labels given and questions asked are refused.
    learner
        One that several sessions of this process share, of the same pool and settings.

    Raises
    ------
    DataError
        If the store was used with other features, or has labels of galaxies that are not in the
        pool, and `new_features` does not say that this is meant.
    ConfigError
        If the store was started with other settings.

    Examples
    --------
    >>> with Session(pool, "labels.sqlite") as session:                 # doctest: +SKIP
    ...     session.label(["a", "b"], ["positive", "positive"])
    ...     asked = session.suggest(10)
    """

    def __init__(
        self,
        pool: Pool,
        store: LabelStore | str | os.PathLike,
        settings: SessionSettings | None = None,
        annotator: str = "me",
        whitening: Whitening | None = None,
        new_features: bool = False,
        read_only: bool = False,
        learner: Learner | None = None,
    ) -> None:
        self.pool, self.annotator = pool, annotator
        self._closed, self._owns_store = False, not isinstance(store, LabelStore)
        self._store = LabelStore.of(store, read_only)
        try:
            gone = self._gone()
            self.settings = self._open(settings, new_features, gone)
        except BaseException:
            self.close()
            raise
        self.learner = learner or Learner(pool, self.settings, whitening)
        if gone:
            self.learner.tell(f"{self.store.path}: {gone}; they are left out until they are back")

    def _open(
        self, settings: SessionSettings | None, new_features: bool, gone: str
    ) -> SessionSettings:
        if gone and not new_features and self.store.features() != self.pool.fingerprint:
            raise DataError(
                f"{self.store.path}: {gone}. Open the galaxies that they belong to, or go on "
                "without them with new_features=True (--new-features)"
            )
        if settings is None:
            settings = settings_of_store(self.store.settings(), self.store.path)
        self.store.keep_settings(settings.kept())
        if not (new_features and self.store.read_only):  # which is looked at by any features
            self.store.keep_features(self.pool.fingerprint, self.annotator, new_features)
        return settings

    def _gone(self) -> str:
        """Return in words which labelled galaxies are not in the pool, "" where all are."""
        labelled = self.store.current()["id"].drop_duplicates()
        gone = labelled[~labelled.isin(self.pool.only(labelled.to_frame())["id"])]
        if gone.empty:
            return ""
        return (
            f"{len(gone)} of {len(labelled)} labelled galaxies are not in the pool of "
            f"{len(self.pool)}, first {gone.iloc[0]!r}"
        )

    def _current(self) -> pd.DataFrame:
        """Return the labels that stand, of galaxies of the pool."""
        return self.pool.only(self.store.current())

    @property
    def store(self) -> LabelStore:
        """The label store.

        Raises
        ------
        DataError
            If the session was closed.
        """
        if self._closed:
            raise DataError(
                f"{self._store.path}: the session is closed; open it again, Session(pool, path)"
            )
        return self._store

    def close(self) -> None:
        """End the session, and close the store if the session opened it; calls are refused then."""
        self._closed = True
        if self._owns_store:
            self._store.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        self.close()

    # Labels

    def label(
        self, ids: Sequence[str], values: Sequence[str], times: Sequence[str] | None = None
    ) -> None:
        """Keep labels, all or none; they are on disk when this returns.

        Parameters
        ----------
        ids
            Galaxies of the pool, suggested or not; a second label replaces the first. A label
            belongs to the round in which its galaxy was asked, 0 where it was not.
        values
            "positive", "negative" or "unsure" for each. Unsure ones are not asked about again and
            teach nothing.
        times
            When each was given, as `store_file.time_of` writes it, where that was not now.

        Raises
        ------
        DataError
            If an id is not in the pool, its features are not finite, or a value is not allowed.
        """
        rows = self.pool.rows_of(ids)
        finite = np.isfinite(np.asarray(self.pool.features[rows])).all(axis=1)
        if not finite.all():
            lost = ids[int(np.argmin(finite))]
            raise DataError(f"galaxy {lost!r} has features that are not finite; it cannot teach")
        self.store.append([str(i) for i in ids], values, self.annotator, None, times=times)

    def undo(self) -> str | None:
        """Take back this annotator's last label; return the galaxy's id, None if there is none."""
        return self.store.retract_last(self.annotator)

    def labels(self) -> pd.DataFrame:
        """Return one row per labelled galaxy of the pool, sorted by `id`, of `by_majority`.

        The `value` is that of the majority, unsure at a tie; `disputed` are galaxies that some
        call positive and others negative.
        """
        return by_majority(self._current())

    def disagreements(self) -> pd.DataFrame:
        """Return the labels of galaxies that some call positive and others negative."""
        table = self.labels()
        current = self._current()
        return current[current["id"].isin(table.loc[table["disputed"], "id"])].sort_values("id")

    def latest_counts(self) -> tuple[int, int]:
        """Return positives and negatives of this annotator's latest round with a label."""
        return latest_counts(self.store.current(), self.annotator)

    # Learning

    def fit(self) -> str:
        """Train the ranker on the labels that stand, if they changed; return its version.

        Raises
        ------
        DataError
            If no galaxy is labelled positive.
        """
        return self.learner.fit(self.labels())

    @property
    def whitening(self) -> Whitening:
        """The map of the pool's features that the ranker looks through."""
        return self.learner.whitening

    @property
    def usable(self) -> np.ndarray:
        """Whether the features of each galaxy are finite (N,)."""
        return self.learner.usable

    def score(self) -> np.ndarray:
        """Return the probability of being a positive for every galaxy of the pool (N,).

        NaN where features are not finite; such galaxies are never suggested.

        Raises
        ------
        DataError
            If no galaxy is labelled positive.
        """
        return self.learner.score(self.labels()).values

    def score_of(self, features: Features) -> np.ndarray:
        """Return the probability of being a positive for other galaxies (M,), by features (M, D).

        Raises
        ------
        DataError
            If no galaxy is labelled positive.
        """
        self.fit()
        return self.learner.score_of(features)

    # Asking

    def suggest(
        self,
        k: int,
        reserved_minutes: float = RESERVED_MINUTES,
        scores: Scores | None = None,
        **choice: Any,
    ) -> list[str]:
        """Return the galaxies to label next, most wanted first; this starts a round.

        A round that is not finished is returned again, without the galaxies that have a label, or
        are with another annotator, by now: call it again after a restart and nothing is asked
        twice.

        Parameters
        ----------
        k
            How many, 1 or more. Fewer come back where fewer are left, none when every galaxy is
            labelled or handed to another annotator.
        reserved_minutes
            For so long a galaxy that was handed to another annotator is left out. 0 lets annotators
            be asked about the same galaxies, to measure how far they agree.
        scores
            Of a ranker that may not know the latest labels, so that nobody waits while a new one
            is trained; None trains it first.
        **choice
            Settings that differ for this round: `rule`, `alpha`, `lower`.

        Raises
        ------
        DataError
            If k is below 1, the rule needs scores and no galaxy is labelled positive, or the
            store has gone on with other features.
        """
        if k < 1:
            raise DataError(f"{k} galaxies asked for, expected 1 or more")
        still_open = self.store.take_up(self.annotator, reserved_minutes, self.pool.fingerprint)
        if still_open:
            return still_open[:k]
        settings = self.settings.changed(**choice)
        labelled = self.pool.rows_of(self._current()["id"].unique())
        state, version = self._state(settings, labelled, scores)
        while True:
            others = self.store.reserved(self.annotator, reserved_minutes)
            ids = self._choose(settings.rule, k, state, others)
            if not ids:
                return []
            made = self.store.suggest(
                self.annotator, ids, settings.rule, version, reserved_minutes,
                self.pool.fingerprint,
            )  # fmt: skip
            if made is not None:
                return ids
            # Another annotator was faster: what is theirs is left out now.

    def preview(self, k: int, scores: Scores | None, **choice: Any) -> list[str]:
        """Return what `suggest` would ask next by these scores; nothing is kept or reserved.

        Galaxies of open rounds, also this annotator's, are left out. Parameters as for `suggest`.
        """
        settings = self.settings.changed(**choice)
        labelled = self.pool.rows_of(self._current()["id"].unique())
        state, _ = self._state(settings, labelled, scores)
        return self._choose(settings.rule, k, state, self.store.reserved("", RESERVED_MINUTES))

    def release(self) -> list[str]:
        """Hand back what is left of this annotator's open round; return it.

        Others may be asked about these galaxies at once instead of when the reservation ends.
        """
        return self.store.release(self.annotator)

    def _choose(self, rule: str, k: int, state: PoolState, others: set[str]) -> list[str]:
        state.free[self.pool.known_rows(others)] = False
        rows = rule_of(rule)(state, k)
        if not len(rows):
            log.info(
                "there is nothing left to ask: every galaxy of the pool has a label%s",
                f" or is with another annotator ({len(others)})" if others else "",
            )
            return []
        return self.pool.ids_of(rows)

    def _state(
        self, settings: SessionSettings, labelled: np.ndarray, scores: Scores | None
    ) -> tuple[PoolState, str]:
        """Return what the rule looks at, and the version of the ranker behind it."""
        if settings.rule in NEED_NO_SCORES:
            scores = scores or self.learner.none()
        scores = scores or self.learner.score(self.labels())
        free = self.usable.copy()
        free[labelled] = False
        asked = self.store.last_suggestion(self.annotator)
        number = asked.round + 1 if asked else 1
        seed = derive_seed(settings.seed, "round", self.annotator, number)
        n_positive, n_negative = self.latest_counts()
        state = PoolState(
            scores=scores.values,
            free=free,
            labelled=np.sort(labelled),
            embed=self.learner.components_of,
            rng=np.random.default_rng(seed),
            n_positive=n_positive,
            n_negative=n_negative,
            alpha=settings.alpha,
            lower=settings.lower,
        )
        return state, scores.version

    def export(self, path: str | os.PathLike | None = None) -> pd.DataFrame:
        """Return, and where a path is given write, every galaxy with score and label.

        Parameters
        ----------
        path
            File ending in .csv or .parquet.

        Returns
        -------
        DataFrame
            `id`, `score` (NaN without finite features), `is_positive` (by label where there is
            one, else a score of at least 0.5) and the columns of `labels`, highest score first.
        """
        refuse_format(path)
        ids = self.pool.ids_of(np.arange(len(self.pool)))
        table = ranking_of(ids, self.score(), self.labels())
        if path is not None:
            save_table(path, table)
        return table
