"""Which targets a pool has, how rare they are, and the pool of one search."""

import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from galaxy_lvm.hitl.annotators import Annotator, noisy, perfect
from galaxy_lvm.hitl.pools import Pool, Target, rare_rows, truth_of
from galaxy_lvm.hitl.ranker import Whitening
from galaxy_lvm.workflow import derive_seed

TARGET_COLUMNS = ("target", "searched", "n_pool", "n_positive", "positive_fraction", "note")


@dataclass(frozen=True)
class Search:
    """The pool of a target, its truth and the map of its features."""

    name: str
    pool: Pool
    truth: np.ndarray
    whitening: Whitening

    def annotator(self, kind: str, flip_rate: float, seed: int) -> Annotator:
        """Return who answers: "perfect" knows the truth, "noisy" errs on a share of it."""
        ids = self.pool.ids_of(np.arange(len(self.pool)))
        truth = dict(zip(ids, self.truth.tolist(), strict=True))
        return noisy(truth, flip_rate, seed) if kind == "noisy" else perfect(truth)


def targets_table(
    galaxies: pd.DataFrame, targets: Mapping[str, Mapping[str, Any]], n_prompts: int, seed: int
) -> pd.DataFrame:
    """Return one row per target of the config, searched for or not.

    Parameters
    ----------
    galaxies
        Catalogue, one row per galaxy.
    targets
        The config's `hitl.targets`: `where` and `positive_fraction` of each.
    n_prompts
        Positives that a search starts from; at least one more must be left to find.
    seed
        Of the galaxies that are left out to make a target rare.

    Returns
    -------
    DataFrame
        `TARGET_COLUMNS`; `note` says why a target is not searched for, or how many galaxies were
        left out to make it as rare as asked for.
    """
    rows = []
    for name, about in targets.items():
        target = Target.of(name, about["where"])
        if target.missing(galaxies):
            note = f"the catalogue has no column {', '.join(target.missing(galaxies))}"
            rows.append((name, False, len(galaxies), 0, 0.0, note))
            continue
        truth = target.truth(galaxies)
        kept = rare_rows(truth, about["positive_fraction"], derive_seed(seed, name))
        n_positive, n_left_out = int(truth[kept].sum()), len(truth) - len(kept)
        enough = n_positive > n_prompts
        note = f"{n_left_out} galaxies left out to make it this rare" if n_left_out else ""
        if not enough:
            note = f"{n_positive} in the pool; more than {n_prompts} are needed"
        share = n_positive / max(len(kept), 1)
        rows.append((name, enough, len(kept), n_positive, share, note))
    return pd.DataFrame(rows, columns=list(TARGET_COLUMNS))


def open_search(
    features: str | os.PathLike,
    galaxies: pd.DataFrame,
    name: str,
    settings: Mapping[str, Any],
    seed: int,
) -> Search:
    """Return the pool of a target, as rare as the config's section `hitl` asks for."""
    about = settings["targets"][name]
    truth = truth_of(galaxies, settings, name)
    rows = rare_rows(truth, about["positive_fraction"], derive_seed(seed, name))
    pool = Pool.open(features, galaxies["id"].iloc[rows].tolist())
    whitening = Whitening.of(pool.features, settings["ranker"]["n_components"])
    return Search(name, pool, truth[rows], whitening)


def search_runs(discovery: Mapping[str, Any]) -> Iterator[tuple[str, str, int]]:
    """Yield rule, annotator and number of every search; the noisy one tries the first rule only.

    Parameters
    ----------
    discovery
        The config's section `hitl.discovery`.
    """
    for number in range(discovery["n_seeds"]):
        for rule in discovery["rules"]:
            yield rule, "perfect", number
        if discovery["flip_rate"]:
            yield discovery["rules"][0], "noisy", number
