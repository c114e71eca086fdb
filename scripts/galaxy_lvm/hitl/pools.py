"""Pools: the galaxies of a session, whatever they come from, and what is being looked for."""

import os
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, TypeVar

import numpy as np
import pandas as pd

from galaxy_lvm.core.config.hitl import Compared, Targets
from galaxy_lvm.core.config.hitl import Target as TargetSettings
from galaxy_lvm.core.config.schemes import Condition
from galaxy_lvm.core.errors import ConfigError, DataError
from galaxy_lvm.core.tables import as_text
from galaxy_lvm.features.store import FeatureStore
from galaxy_lvm.hitl.fingerprint import fingerprint_of
from galaxy_lvm.hitl.ranker import Features
from galaxy_lvm.survey.classes import class_order, holds
from galaxy_lvm.survey.splits_table import COLUMNS, Splits
from galaxy_lvm.survey.store import CutoutStore

AnyTargets = TypeVar("AnyTargets", bound=Targets)


@dataclass(frozen=True)
class _Rows:
    """Some rows of an array on disk, read only when asked for."""

    values: Features
    rows: np.ndarray

    @property
    def shape(self) -> tuple[int, int]:
        """Number of rows and of features."""
        return len(self.rows), self.values.shape[1]

    def __getitem__(self, key: slice | np.ndarray) -> np.ndarray:
        return np.asarray(self.values[self.rows[key]])


class Pool:
    """Galaxies with ids and fixed features.

    Parameters
    ----------
    ids
        Identifiers (N,), unique.
    features
        (N, D); an array, a memory map, or anything with `shape` that gives rows when indexed.

    Raises
    ------
    DataError
        If ids and features differ in number, an id occurs twice, or there is none.
    """

    def __init__(self, ids: Sequence[str] | np.ndarray, features: Features) -> None:
        self.features = features
        self._ids = pd.Index(np.asarray(ids, dtype=object).astype(str))
        if not len(self._ids) or len(self._ids) != features.shape[0]:
            raise DataError(
                f"a pool of {len(self._ids)} ids and {features.shape[0]} feature vectors; expected "
                "as many of both, at least one"
            )
        if not self._ids.is_unique:
            twice = self._ids[self._ids.duplicated()][0]
            raise DataError(f"the pool has galaxy {twice!r} more than once; ids must be unique")

    @classmethod
    def open(cls, features: str | os.PathLike, ids: Sequence[str] | None = None) -> "Pool":
        """Return the pool of a features file, or of some of its galaxies.

        Parameters
        ----------
        features
            `.npy` with a table of ids beside it (see `FeatureStore`); it is mapped, not read.
        ids
            Galaxies to keep, in this order; all where None.
        """
        store = FeatureStore.open(features)
        if ids is None:
            return cls(store.ids, store.values)
        return cls(ids, _Rows(store.values, store.rows_of(ids)))

    def __len__(self) -> int:
        return len(self._ids)

    @cached_property
    def fingerprint(self) -> dict[str, Any]:
        """What tells these galaxies and features from others; see `fingerprint_of`."""
        return fingerprint_of(self._ids, self.features)

    def ids_of(self, rows: np.ndarray) -> list[str]:
        """Return the ids of rows."""
        return [str(name) for name in self._ids[rows]]

    def rows_of(self, ids: Sequence[str]) -> np.ndarray:
        """Return the rows of ids (n,).

        Raises
        ------
        DataError
            If one is not in the pool.
        """
        rows = self._ids.get_indexer([str(name) for name in ids])
        if (rows < 0).any():
            lost = [str(name) for name, row in zip(ids, rows, strict=True) if row < 0]
            raise DataError(
                f"{len(lost)} of {len(rows)} ids are not in the pool of {len(self)} galaxies, "
                f"first {lost[0]!r}"
            )
        return rows

    def known_rows(self, ids: Iterable[str]) -> np.ndarray:
        """Return the rows of those ids that are in the pool."""
        rows = self._ids.get_indexer([str(name) for name in ids])
        return rows[rows >= 0]

    def only(self, table: pd.DataFrame) -> pd.DataFrame:
        """Return the rows of a table whose galaxy, by its column `id`, is in the pool."""
        there = self._ids.get_indexer(table["id"].astype(str)) >= 0
        return table if there.all() else table[there]

    def subset(self, rows: np.ndarray) -> "Pool":
        """Return a pool of some rows; the features are still read only when needed."""
        rows = np.asarray(rows)
        return Pool(self._ids[rows], _Rows(self.features, rows))


@dataclass(frozen=True)
class Target:
    """What is being looked for, as conditions on the catalogue that must all hold."""

    name: str
    where: tuple[Condition, ...]

    @classmethod
    def of(cls, name: str, where: Sequence[Condition | Mapping[str, Any]]) -> "Target":
        """Return the target of a name with the conditions of the config's `hitl.targets`."""
        return cls(name, tuple(Condition.model_validate(condition) for condition in where))

    def missing(self, catalogue: pd.DataFrame) -> list[str]:
        """Return the columns that the catalogue lacks."""
        return [c.column for c in self.where if c.column not in catalogue]

    def truth(self, catalogue: pd.DataFrame) -> np.ndarray:
        """Return for every galaxy whether it is one (N,).

        Raises
        ------
        DataError
            If the catalogue lacks a column.
        """
        if self.missing(catalogue):
            raise DataError(
                f"hitl.targets.{self.name}: the catalogue has no column {self.missing(catalogue)}; "
                f"it has {sorted(catalogue.columns)}"
            )
        return np.logical_and.reduce([holds(c, catalogue) for c in self.where])


def resolve_targets(settings: AnyTargets, galaxies: pd.DataFrame) -> AnyTargets:
    """Return what a rule reads of the config's section `hitl`, with targets named.

    Parameters
    ----------
    settings
        `targets` None stands for every class of the labels, and `comparison.target` None, where
        there is a comparison, for the first target.
    galaxies
        With `label`.

    Raises
    ------
    ConfigError
        If the comparison's target is no target.
    DataError
        If targets shall follow from labels and there are none.
    """
    targets = settings.targets or _classes_as_targets(galaxies)
    found: dict[str, Any] = {"targets": targets}
    if isinstance(settings, Compared):
        chosen = _chosen(targets, settings.comparison.target)
        found["comparison"] = settings.comparison.model_copy(update={"target": chosen})
    return settings.model_copy(update=found)


def _classes_as_targets(galaxies: pd.DataFrame) -> dict[str, TargetSettings]:
    targets = {
        str(name): TargetSettings(where=(Condition(column="label", equals=str(name)),))
        for name in class_order(galaxies["label"])
    }
    if not targets:
        raise DataError("hitl.targets: null needs labels, and no galaxy has one")
    return targets


def _chosen(targets: Mapping[str, Any], wanted: str | None) -> str:
    chosen = wanted or next(iter(targets))
    if chosen not in targets:
        raise ConfigError(f"hitl.comparison.target: {chosen!r} is none of {list(targets)}")
    return chosen


def read_catalogue(cutouts: str | os.PathLike, ids: Sequence[str]) -> pd.DataFrame:
    """Return the catalogue rows of galaxies of a cutout store, in the order of `ids`.

    Raises
    ------
    DataError
        If the store lacks one of them.
    """
    with CutoutStore(cutouts) as store:
        table = store.catalogue()
    table = table.assign(id=as_text(table["id"], cutouts)).set_index("id")
    lost = [name for name in ids if name not in table.index]
    if lost:
        raise DataError(f"{cutouts}: no galaxy {lost[0]!r} ({len(lost)} missing)")
    return table.loc[list(ids)].reset_index()


def read_galaxies(splits: str | os.PathLike, cutouts: str | os.PathLike) -> pd.DataFrame:
    """Return `index`, `id`, `split`, `label` of a dataset's splits with its whole catalogue.

    The label is that of the splits, which may follow from the catalogue (class schemes).
    """
    table = Splits(splits).table[list(COLUMNS)]
    catalogue = read_catalogue(cutouts, table["id"].tolist())
    return pd.concat([table, catalogue.drop(columns=list(COLUMNS), errors="ignore")], axis=1)


def truth_of(galaxies: pd.DataFrame, settings: Targets, name: str) -> np.ndarray:
    """Return which galaxies are a target (N,), by the config's section `hitl`, resolved."""
    if settings.targets is None:
        raise ConfigError("hitl.targets: not resolved yet; call resolve_targets first")
    return Target.of(name, settings.targets[name].where).truth(galaxies)


def rare_rows(truth: np.ndarray, positive_fraction: float | None, seed: int) -> np.ndarray:
    """Return the rows (m,) of a pool in which positives are as rare as asked for.

    Of the side that is too large, positives or negatives, galaxies are left out at random.

    Parameters
    ----------
    truth
        Whether each galaxy is a positive (N,).
    positive_fraction
        Share of positives wanted, in (0, 1); None keeps all.
    seed
        Of the draw.
    """
    if positive_fraction is None:
        return np.arange(len(truth))
    positives, negatives = np.flatnonzero(truth), np.flatnonzero(~truth)
    odds = positive_fraction / (1 - positive_fraction)
    n_positive = min(len(positives), round(odds * len(negatives)))
    n_negative = min(len(negatives), round(n_positive / odds)) if n_positive else len(negatives)
    rng = np.random.default_rng(seed)
    kept = [rng.permutation(positives)[:n_positive], rng.permutation(negatives)[:n_negative]]
    return np.sort(np.concatenate(kept))
