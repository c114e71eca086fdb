"""What learns from the labels of a session: the ranker, its version, and the pool's scores."""

import logging
import threading
from dataclasses import dataclass

import numpy as np
import pandas as pd

from galaxy_lvm.core.errors import DataError
from galaxy_lvm.core.seeds import derive_seed
from galaxy_lvm.core.state import config_hash
from galaxy_lvm.core.workers import available_cores
from galaxy_lvm.hitl.pools import Pool
from galaxy_lvm.hitl.ranker import Features, Whitening
from galaxy_lvm.hitl.selection import NEED_NO_SCORES
from galaxy_lvm.hitl.settings import SessionSettings
from galaxy_lvm.hitl.store import NEGATIVE, POSITIVE
from galaxy_lvm.hitl.trainer import Trainer, Trains
from galaxy_lvm.hitl.trainer_process import TrainerProcess

log = logging.getLogger("galaxy_lvm.hitl")


@dataclass(frozen=True)
class Scores:
    """What a ranker says of a pool.

    Attributes
    ----------
    version
        Of the ranker: the same labels, settings and features have the same.
    values
        Probability of being a positive (N,), NaN where features are not finite.
    """

    version: str
    values: np.ndarray


class Learner:
    """Train a ranker on labels and score a pool by it; sessions and threads may share one.

    Parameters
    ----------
    pool
        Galaxies and features.
    settings
        Of the session.
    whitening
        Of the pool's features where it is known already; measured otherwise.
    trainer
        What trains, of the same pool and settings; one in this process where None.
    """

    def __init__(
        self,
        pool: Pool,
        settings: SessionSettings,
        whitening: Whitening | None = None,
        trainer: Trains | None = None,
    ) -> None:
        self.pool, self.settings = pool, settings
        self.trainer = trainer or trainer_of(pool, settings, whitening)
        self._scores: np.ndarray | None = None
        self._version, self._told = "", set[str]()
        self._lock = threading.RLock()

    def version_of(self, table: pd.DataFrame) -> str:
        """Return the version of the ranker that follows from labels, without training it."""
        positive, negative = (table.loc[table["value"] == v, "id"] for v in (POSITIVE, NEGATIVE))
        # Unsure and tied galaxies teach nothing, but are not assumed to be negatives any more.
        about = [sorted(positive), sorted(negative), sorted(table["id"]), self.settings.kept()]
        return config_hash([*about, self.pool.fingerprint])

    def fit(self, table: pd.DataFrame) -> str:
        """Train the ranker, if the labels changed; return its version.

        Galaxies drawn from the pool stand in for negatives: with little weight beside labelled
        ones, alone as long as there is none. Most of them are negatives, and they show what is
        common in the pool (compare Elkan & Noto 2008).

        Parameters
        ----------
        table
            One row per labelled galaxy, of `by_majority`.

        Raises
        ------
        DataError
            If no galaxy is labelled positive.
        """
        with self._lock:
            version = self.version_of(table)
            if version == self._version:
                return version
            if not (table["value"] == POSITIVE).any():
                raise DataError(
                    "no galaxy is labelled positive: there is nothing to look for yet; label at "
                    "least one, or let the rule be one of " + ", ".join(NEED_NO_SCORES)
                )
            taught = self._training_set(table)
            self._scores, self._version = None, ""  # until it has learnt, whatever ends it
            self.trainer.fit(*taught)
            self._version = version
            return version

    def _training_set(self, table: pd.DataFrame) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Return rows, labels and weights of what the ranker learns from, in a fixed order."""
        rows = [
            np.sort(self.pool.rows_of(table.loc[table["value"] == value, "id"]))
            for value in (POSITIVE, NEGATIVE)
        ]
        weight = self.settings.assumed_weight if len(rows[1]) else 1.0
        rows.append(self._drawn(self.pool.rows_of(table["id"])) if weight else rows[0][:0])
        n_positive, n_negative, n_assumed = (len(part) for part in rows)
        if not n_negative + n_assumed:
            raise DataError("no negative is labelled and no other galaxy is left; label one")
        # All assumed ones together count as much as so many times the labelled negatives.
        each = weight * max(n_negative, 1) / max(n_assumed, 1)
        return (
            np.concatenate(rows),
            np.repeat([1, 0], [n_positive, n_negative + n_assumed]),
            np.repeat([1.0, each], [n_positive + n_negative, n_assumed]),
        )

    def _drawn(self, labelled: np.ndarray) -> np.ndarray:
        """Return galaxies without a label that stand in for negatives, the same ones every time."""
        rng = np.random.default_rng(derive_seed(self.settings.seed, "assumed"))
        n_drawn = min(self.settings.assumed_negatives, len(self.pool))
        rows = np.sort(rng.choice(len(self.pool), n_drawn, replace=False))
        return rows[self.usable[rows] & ~np.isin(rows, labelled)]

    @property
    def whitening(self) -> Whitening:
        """The map of the pool's features that the ranker looks through."""
        return self.trainer.whitening

    def score(self, table: pd.DataFrame) -> Scores:
        """Return what the ranker of these labels says of the pool; parameters as for `fit`."""
        with self._lock:
            version = self.fit(table)
            if self._scores is None:
                self._scores = self.trainer.scores()
            return Scores(version, self._scores)

    def score_of(self, features: Features) -> np.ndarray:
        """Return what the ranker that was trained last says of other galaxies (M,)."""
        return self.trainer.score_of(features)

    def components_of(self, rows: np.ndarray) -> np.ndarray:
        """Return the principal components (n, K) of galaxies of the pool."""
        return self.trainer.components[rows]

    def none(self) -> Scores:
        """Return what stands for scores where a rule needs none: NaN for every galaxy."""
        version = self._version or config_hash(self.pool.fingerprint)
        return Scores(version, np.full(len(self.pool), np.nan, np.float32))

    @property
    def is_warm(self) -> bool:
        """Whether all that never changes was read, so that `usable` need not be waited for."""
        return self.trainer.is_warm

    @property
    def usable(self) -> np.ndarray:
        """Whether the features of each galaxy are finite (N,); read once."""
        usable = self.trainer.usable
        if not usable.all():
            lost = np.flatnonzero(~usable)
            self.tell(
                f"{len(lost)} of {len(usable)} galaxies have features that are not finite and are "
                f"left out, first {self.pool.ids_of(lost[:3])}"
            )
        return usable

    def tell(self, words: str) -> None:
        """Warn once, whoever of those that share this says it again."""
        if words not in self._told:
            log.warning(words)
        self._told.add(words)


def trainer_of(
    pool: Pool, settings: SessionSettings, whitening: Whitening | None = None
) -> Trainer:
    """Return what trains on a pool, in this process."""
    seed = derive_seed(settings.seed, "ranker")
    return Trainer(pool.features, settings.ranker, seed, whitening)


def process_of(pool: Pool, settings: SessionSettings) -> TrainerProcess:
    """Return what trains on a pool in a process of its own; one core is left to answer people."""
    n_threads = max(1, available_cores() - 1)
    seed = derive_seed(settings.seed, "ranker")
    return TrainerProcess(pool.features, settings.ranker, seed, n_threads)
