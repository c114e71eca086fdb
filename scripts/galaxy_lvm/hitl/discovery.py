"""Which targets a pool has, how rare they are, and the pool of one search."""

import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import numpy as np
import pandas as pd

from galaxy_lvm.core.config.hitl import Discovery, Searches
from galaxy_lvm.core.config.hitl import Target as TargetSettings
from galaxy_lvm.core.seeds import derive_seed
from galaxy_lvm.hitl.annotators import Annotator, noisy, perfect, voting
from galaxy_lvm.hitl.pools import Pool, Target, rare_rows, truth_of
from galaxy_lvm.hitl.ranker import Whitening
from galaxy_lvm.survey.votes import vote_fractions

TARGET_COLUMNS = ("target", "searched", "n_pool", "n_positive", "positive_fraction", "note")


@dataclass(frozen=True)
class Search:
    """The pool of a target, its truth, the map of its features, and how volunteers voted."""

    name: str
    pool: Pool
    truth: np.ndarray
    whitening: Whitening
    votes: np.ndarray | None = None

    def annotator(self, kind: str, flip_rate: float, seed: int) -> Annotator:
        """Return who answers.

        "perfect" knows the truth, "noisy" errs on a share of it, "votes" says yes as often as the
        volunteers did.
        """
        ids = self.pool.ids_of(np.arange(len(self.pool)))
        if kind == "votes":
            return voting(dict(zip(ids, self.votes.tolist(), strict=True)), seed)
        truth = dict(zip(ids, self.truth.tolist(), strict=True))
        return noisy(truth, flip_rate, seed) if kind == "noisy" else perfect(truth)


def targets_table(
    galaxies: pd.DataFrame, targets: Mapping[str, TargetSettings], n_prompts: int, seed: int
) -> pd.DataFrame:
    """Return one row per target of the config, searched for or not.

    Parameters
    ----------
    galaxies
        Catalogue, one row per galaxy.
    targets
        The config's `hitl.targets`, resolved.
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
    for name, given in targets.items():
        about = TargetSettings.model_validate(given)
        target = Target.of(name, about.where)
        if target.missing(galaxies):
            note = f"the catalogue has no column {', '.join(target.missing(galaxies))}"
            rows.append((name, False, len(galaxies), 0, 0.0, note))
            continue
        truth, votes = target.truth(galaxies), vote_shares(galaxies, name, about)
        n_without = 0 if votes is None else int(np.isnan(votes).sum())
        kept = _pool_rows(truth, votes, about.positive_fraction, derive_seed(seed, name))
        n_positive, n_left_out = int(truth[kept].sum()), len(truth) - n_without - len(kept)
        enough = n_positive > n_prompts
        notes = [f"{n_without} galaxies without votes left out"] if n_without else []
        notes += [f"{n_left_out} galaxies left out to make it this rare"] if n_left_out else []
        if not enough:
            notes.append(f"{n_positive} in the pool; more than {n_prompts} are needed")
        note = "; ".join(notes)
        share = n_positive / max(len(kept), 1)
        rows.append((name, enough, len(kept), n_positive, share, note))
    return pd.DataFrame(rows, columns=list(TARGET_COLUMNS))


def open_search(
    features: str | os.PathLike,
    galaxies: pd.DataFrame,
    name: str,
    settings: Searches,
    seed: int,
) -> Search:
    """Return the pool of a target, as rare as the config's section `hitl` asks for."""
    about = settings.targets[name]
    truth, votes = truth_of(galaxies, settings, name), vote_shares(galaxies, name, about)
    rows = _pool_rows(truth, votes, about.positive_fraction, derive_seed(seed, name))
    pool = Pool.open(features, galaxies["id"].iloc[rows].tolist())
    whitening = Whitening.of(pool.features, settings.ranker.n_components)
    return Search(name, pool, truth[rows], whitening, None if votes is None else votes[rows])


def vote_shares(galaxies: pd.DataFrame, name: str, about: TargetSettings) -> np.ndarray | None:
    """Return the share of volunteers who would call each galaxy the target (N,).

    Parameters
    ----------
    galaxies
        Catalogue with the columns of vote fractions.
    name, about
        A target of the config's `hitl.targets`; its `votes` are columns whose product counts, for
        a question that only some volunteers come to (Willett et al. 2013).

    Returns
    -------
    numpy.ndarray or None
        NaN where a fraction is missing; None for a target without `votes`.

    Raises
    ------
    DataError
        If a column is missing or holds something that is no fraction; empty places are allowed.
    """
    if not about.votes:
        return None
    fractions = vote_fractions(galaxies, about.votes, f"hitl.targets.{name}.votes")
    return fractions.prod(axis=1)


def _pool_rows(
    truth: np.ndarray, votes: np.ndarray | None, positive_fraction: float | None, seed: int
) -> np.ndarray:
    """Return the rows of a search's pool; galaxies that nobody voted on cannot be answered for."""
    known = np.arange(len(truth)) if votes is None else np.flatnonzero(np.isfinite(votes))
    return known[rare_rows(truth[known], positive_fraction, seed)]


def search_runs(discovery: Discovery, with_votes: bool = False) -> Iterator[tuple[str, str, int]]:
    """Yield rule, annotator and number of every search.

    Parameters
    ----------
    discovery
        The config's section `hitl.discovery`. Annotators who err try the first rule only.
    with_votes
        Whether volunteers' votes on the target are known.
    """
    for number in range(discovery.n_seeds):
        for rule in discovery.rules:
            yield rule, "perfect", number
        if discovery.flip_rate:
            yield discovery.rules[0], "noisy", number
        if with_votes:
            yield discovery.rules[0], "votes", number
