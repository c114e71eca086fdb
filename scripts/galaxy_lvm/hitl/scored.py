"""Scores of single test galaxies, kept so that intervals cover other test galaxies as well."""

import os
from collections.abc import Mapping, Sequence
from functools import lru_cache
from typing import NamedTuple

import numpy as np
import pandas as pd

from galaxy_lvm.core.errors import DataError
from galaxy_lvm.core.tables import load_table, save_table
from galaxy_lvm.hitl.selection import BOUNDARY
from galaxy_lvm.report.results import long_rows, write_results

COLUMNS = ("id", "seed", "experiment", "model", "condition", "score", "label")
N_DRAWS = 200  # of the test galaxies; the standard error that they give is good to 5 %
_HALF_WIDTH = 1.96  # of a 95 % interval, in standard errors


class Scored(NamedTuple):
    """What a ranker came to on the test galaxies.

    Attributes
    ----------
    values
        Score by metric.
    scores
        Probability of being a positive, of every test galaxy in their order.
    """

    values: Mapping[str, float]
    scores: list[float]


class ScoredResults:
    """Results of rankers on the same test galaxies: the long table, and every galaxy's scores.

    Parameters
    ----------
    target
        What the positives are.
    ids, truth
        Test galaxies, and whether each is a positive (N,).
    """

    def __init__(self, target: str, ids: Sequence[str], truth: np.ndarray) -> None:
        self.target = target
        self.rows: list[dict] = []
        self._galaxies = {"id": list(ids), "label": np.asarray(truth, bool)}
        self._parts: list[pd.DataFrame] = []

    def add(self, experiment: str, model: str, condition: str, seed: int, found: Sequence) -> None:
        """Take what one ranker came to, a `Scored` or the list that JSON made of it."""
        values, scores = found
        self.rows += long_rows(experiment, self.target, model, condition, seed, values)
        about = {"experiment": experiment, "model": model, "condition": condition, "seed": seed}
        score = np.asarray(scores, np.float32)
        self._parts.append(pd.DataFrame({**self._galaxies, **about, "score": score}))

    def write(self, metrics: str | os.PathLike, scored: str | os.PathLike) -> None:
        """Write both, the second as parquet with `COLUMNS`; there may be no ranker at all."""
        parts = self._parts or [pd.DataFrame(columns=list(COLUMNS))]
        table = pd.concat(parts)[list(COLUMNS)]
        save_table(scored, table.astype({"seed": int, "score": np.float32, "label": bool}))
        write_results(metrics, self.rows, may_be_empty=not self._parts)


def read_scored(paths: Sequence[str | os.PathLike]) -> pd.DataFrame:
    """Read scores of single test galaxies, of several files, into one table of `COLUMNS`."""
    return pd.concat([load_table(path) for path in paths], ignore_index=True)


class Drawn:
    """Scores of all rankers on the same test galaxies, ready to be drawn from.

    Parameters
    ----------
    scored
        Columns `COLUMNS`.

    Raises
    ------
    DataError
        If two rankers were asked about different galaxies.
    """

    def __init__(self, scored: pd.DataFrame) -> None:
        keys = ["experiment", "model", "condition", "seed"]
        self._scores: dict[tuple, np.ndarray] = {}
        self._truth = np.empty(0, bool)
        ids = None
        for key, part in scored.groupby(keys):
            part = part.sort_values("id")
            names, truth = part["id"].to_numpy(object), part["label"].to_numpy(bool)
            if ids is None:
                ids, self._truth = names, truth
            if not (np.array_equal(ids, names) and np.array_equal(self._truth, truth)):
                raise DataError(
                    f"{', '.join(map(str, key))}: other test galaxies or labels than the rest; "
                    "make the scores of figure 10 again from one set of splits"
                )
            self._scores[key] = part["score"].to_numpy()
        self._drawn: dict[tuple, dict[str, np.ndarray]] = {}

    def have(
        self, first: tuple[str, str, str], second: tuple[str, str, str], seeds: Sequence[int]
    ) -> bool:
        """Return whether both (experiment, model, condition) were scored with all of the seeds."""
        return all((*side, seed) in self._scores for side in (first, second) for seed in seeds)

    def same(
        self, first: tuple[str, str, str], second: tuple[str, str, str], seeds: Sequence[int]
    ) -> bool:
        """Return whether two rankers scored every galaxy alike, with every seed."""
        pairs = ((self._scores[*first, seed], self._scores[*second, seed]) for seed in seeds)
        return all(np.array_equal(*pair) for pair in pairs)

    def half_width(
        self,
        first: tuple[str, str, str],
        second: tuple[str, str, str],
        metric: str,
        seeds: Sequence[int],
    ) -> float:
        """Return half of the 95 % interval, over test galaxies, of the seeds' mean difference.

        Both rankers, with every seed, are asked about the same draws of galaxies (a bootstrap).
        """
        draws = [
            self._draws((*first, seed))[metric] - self._draws((*second, seed))[metric]
            for seed in seeds
        ]
        return _HALF_WIDTH * float(np.nanstd(np.mean(draws, axis=0), ddof=1))

    def _draws(self, key: tuple) -> dict[str, np.ndarray]:
        if key not in self._drawn:
            counts = _counts(len(self._truth))
            self._drawn[key] = metrics_of_draws(self._truth, self._scores[key], counts)
        return self._drawn[key]


def metrics_of_draws(
    truth: np.ndarray, scores: np.ndarray, counts: np.ndarray
) -> dict[str, np.ndarray]:
    """Return the scores of `comparison_metrics` for many draws of the galaxies at once.

    Parameters
    ----------
    truth, scores
        Whether each galaxy is a positive, and its probability of being one (N,).
    counts
        How often each draw holds each galaxy (n_draws, N).

    Returns
    -------
    dict
        Each (n_draws,); `aupr` and `auc` and `completeness` are NaN where a draw lacks a kind.
    """
    order = np.argsort(-scores, kind="stable")
    drawn, right = counts[:, order], np.asarray(truth, bool)[order]
    last = np.append(np.diff(scores[order]) != 0, True)  # of those with one score
    found = np.cumsum(drawn * right, axis=1)[:, last]
    wrong = np.cumsum(drawn, axis=1)[:, last] - found
    gained, lost = (np.diff(each, axis=1, prepend=0) for each in (found, wrong))
    n_right, n_wrong = found[:, -1].astype(float), wrong[:, -1].astype(float)
    n_right[n_right == 0], n_wrong[n_wrong == 0] = np.nan, np.nan
    called = counts @ (scores >= BOUNDARY)
    hits = counts @ ((scores >= BOUNDARY) & truth)
    missed = counts @ ((scores < BOUNDARY) & truth)
    n_galaxies = counts.sum(axis=1)
    return {
        "aupr": (gained * found / np.maximum(found + wrong, 1)).sum(axis=1) / n_right,
        "auc": (lost * (found - gained / 2)).sum(axis=1) / (n_right * n_wrong),
        "accuracy": 1 - (called - hits + missed) / n_galaxies,
        "purity": hits / np.maximum(called, 1),
        "completeness": hits / n_right,
    }


@lru_cache(1)
def _counts(n_galaxies: int) -> np.ndarray:
    """Return the draws that all rankers are asked about; always the same ones."""
    rng = np.random.default_rng(0)
    return rng.multinomial(n_galaxies, np.full(n_galaxies, 1 / n_galaxies), size=N_DRAWS)
