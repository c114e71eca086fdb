"""Which galaxies to ask about next: rules of one signature (paper V.A, and alternatives)."""

import math
from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np

from galaxy_lvm.core.errors import ConfigError

BOUNDARY = 0.5
LOWER_CHOICES = ("below_boundary", "lowest")
# Greedy k-centre looks at this many galaxies, drawn at random: its cost does not grow with the
# pool.
K_CENTRE_CANDIDATES = 2048
# Shares of the mix; what rounding leaves over goes to the first.
MIX = {"top_score": 0.4, "uncertainty": 0.3, "k_centre": 0.3}


@dataclass(frozen=True)
class PoolState:
    """What a rule may look at.

    Attributes
    ----------
    scores
        Probability of being a positive (N,); NaN for galaxies that cannot be scored.
    free
        Whether a galaxy may be asked about (N,).
    labelled
        Rows of the galaxies with a label (n,).
    embed
        Maps rows (m,) to vectors (m, K) whose distances mean something.
    rng
        For draws; the same state gives the same draws.
    n_positive, n_negative
        Labels given in the latest round.
    alpha
        The paper's threshold on their ratio, 0 to 1.
    lower
        What the alpha rule takes for lower scores, one of `LOWER_CHOICES`.
    """

    scores: np.ndarray
    free: np.ndarray
    labelled: np.ndarray
    embed: Callable[[np.ndarray], np.ndarray]
    rng: np.random.Generator
    n_positive: int = 0
    n_negative: int = 0
    alpha: float = 0.5
    lower: str = LOWER_CHOICES[0]


SelectionRule = Callable[[PoolState, int], np.ndarray]
"""Takes a state and k; returns at most k different free rows, the most wanted first."""


def positive_ratio(n_positive: int, n_negative: int) -> float:
    """Return P/N of the latest round.

    The paper leaves open what it is without negatives: infinite with a positive, so that lower
    scores are asked about and negatives turn up; 0 without any label (all were unsure), so that
    the search goes on at the top.
    """
    if n_negative:
        return n_positive / n_negative
    return math.inf if n_positive else 0.0


def asks_higher(state: PoolState) -> bool:
    """Return whether the alpha rule asks about higher scores: P/N <= alpha (paper V.A)."""
    return positive_ratio(state.n_positive, state.n_negative) <= state.alpha


def alpha_rule(state: PoolState, k: int) -> np.ndarray:
    """Ask about the highest scores if P/N <= alpha, else about lower ones (paper V.A).

    The paper does not say how low. The lowest scores of a pool are those of plain negatives, which
    teach little: by default the galaxies just below the boundary of 0.5 are asked about, from
    above; if there are fewer than k, then also those next above it. `lower="lowest"` takes the
    sentence literally.
    """
    if asks_higher(state):
        return top_score(state, k)
    if state.lower == "lowest":
        return _largest(-state.scores, state.free, k)
    below = state.free & (state.scores < BOUNDARY)
    chosen = _largest(state.scores, below, k)
    if len(chosen) < k:
        more = _largest(-state.scores, state.free & ~below, k - len(chosen))
        chosen = np.concatenate([chosen, more])
    return chosen


def top_score(state: PoolState, k: int) -> np.ndarray:
    """Ask about the highest scores."""
    return _largest(state.scores, state.free, k)


def uncertainty(state: PoolState, k: int) -> np.ndarray:
    """Ask about the scores nearest to 0.5 (uncertainty sampling: Lewis & Gale 1994)."""
    return _largest(-np.abs(state.scores - BOUNDARY), state.free, k)


def random(state: PoolState, k: int) -> np.ndarray:
    """Ask about galaxies drawn at random: the control."""
    rows = np.flatnonzero(state.free)
    return rows[state.rng.choice(len(rows), min(k, len(rows)), replace=False)]


def k_centre(state: PoolState, k: int) -> np.ndarray:
    """Ask about galaxies far from all labelled ones and from each other (Sener & Savarese 2018).

    Greedy: the next one is that with the largest distance to its nearest centre. Candidates are
    `K_CENTRE_CANDIDATES` free galaxies drawn at random. Without any label the first is the one
    nearest to the candidates' mean.
    """
    candidates = random(state, max(k, K_CENTRE_CANDIDATES))
    if not len(candidates):
        return candidates
    vectors = state.embed(candidates)
    chosen: list[int] = []
    if len(state.labelled):
        nearest = _nearest_distance(vectors, state.embed(state.labelled))
    else:
        chosen.append(int(_nearest_distance(vectors, vectors.mean(axis=0)[None]).argmin()))
        nearest = _nearest_distance(vectors, vectors[chosen])
    while len(chosen) < min(k, len(candidates)):
        nearest[chosen] = -1
        chosen.append(int(nearest.argmax()))
        nearest = np.minimum(nearest, _nearest_distance(vectors, vectors[chosen[-1:]]))
    return candidates[chosen[:k]]


def mix(state: PoolState, k: int) -> np.ndarray:
    """Ask about a share of k by each of several rules, none twice; see `MIX`."""
    counts = {name: int(share * k) for name, share in MIX.items()}
    counts[next(iter(MIX))] += k - sum(counts.values())
    chosen: list[np.ndarray] = []
    for name, count in counts.items():
        rows = RULES[name](state, count) if count else np.empty(0, np.int64)
        chosen.append(rows)
        free = state.free.copy()
        free[rows] = False
        state = replace(state, free=free)
    return np.concatenate(chosen)


RULES: dict[str, SelectionRule] = {
    "alpha": alpha_rule,
    "top_score": top_score,
    "uncertainty": uncertainty,
    "random": random,
    "k_centre": k_centre,
    "mix": mix,
}
NEED_NO_SCORES = ("random", "k_centre")


def rule_of(name: str) -> SelectionRule:
    """Return a rule by its name.

    Raises
    ------
    ConfigError
        If there is none of this name.
    """
    if name not in RULES:
        raise ConfigError(f"hitl: no selection rule {name!r}; there are {', '.join(RULES)}")
    return RULES[name]


def _largest(values: np.ndarray, allowed: np.ndarray, k: int) -> np.ndarray:
    """Return the rows of the k largest allowed values, largest first; ties by row."""
    rows = np.flatnonzero(allowed & np.isfinite(values))
    if len(rows) > k:
        # The k-th largest value, then everything above it and as many equal ones as fit.
        limit = np.partition(values[rows], len(rows) - k)[len(rows) - k]
        above, equal = rows[values[rows] > limit], rows[values[rows] == limit]
        rows = np.concatenate([above, equal[: k - len(above)]])
    return rows[np.argsort(-values[rows], kind="stable")]


def _nearest_distance(vectors: np.ndarray, centres: np.ndarray) -> np.ndarray:
    """Return the squared distance of each vector (m, K) to its nearest centre (n, K)."""
    squares = np.square(vectors).sum(axis=1)[:, None] + np.square(centres).sum(axis=1)[None]
    return np.maximum(squares - 2 * vectors @ centres.T, 0).min(axis=1)
