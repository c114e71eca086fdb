"""Unusual galaxies: what scores of unusualness are worth, and which galaxies lead."""

from collections.abc import Callable, Sequence

import numpy as np
import pandas as pd

from galaxy_lvm.core.seeds import derive_seed
from galaxy_lvm.report.rankings import area_under_roc

Detectors = Callable[..., pd.DataFrame]
"""Scores of vectors (n, D), a column per method, as those of `OutlierDetectors`."""

METHODS = ("isolation_forest", "knn", "knn_whitened", "mahalanobis_fine")
# What the features have to beat; it sees reduced images instead of them.
BASELINE = "pixel_residual"
# Oddities per list: one per cent of it, so that a perfect ranking has recall 1 at that length.
INJECTED_SHARE = 0.01
N_RESAMPLES = 200
MIN_RARE = 3  # test galaxies of a rare kind


def list_recall(
    plain: np.ndarray,
    odd: np.ndarray,
    list_shares: Sequence[float],
    rng: np.random.Generator,
    n_lists: int = 500,
) -> dict[str, float]:
    """Return the share of injected oddities that the tops of a ranked list hold.

    A list has all plain galaxies and, drawn at random, as many oddities as make up
    `INJECTED_SHARE` of it (one at least). A ranking that knows nothing has a recall of the top's
    share of the list.

    Parameters
    ----------
    plain, odd
        Scores (n,) and (m,), larger for more unusual.
    list_shares
        Lengths of the tops over that of the list, above 0 and at most 1; at least one place.
    rng
        Source of the draws.
    n_lists
        Lists over which the mean is taken.

    Returns
    -------
    dict
        `recall_at_1pct` and so on.
    """
    n_odd = max(1, round(INJECTED_SHARE / (1 - INJECTED_SHARE) * len(plain)))
    n_odd = min(n_odd, len(odd))
    draws = np.argsort(rng.random((n_lists, len(odd))), axis=1)[:, :n_odd]
    scores = -np.sort(-odd[draws], axis=1)
    ahead = len(plain) - np.searchsorted(np.sort(plain), scores, side="left")
    place = ahead + np.arange(n_odd)  # better oddities of the same list are ahead as well
    length = len(plain) + n_odd
    return {
        recall_name(share): float((place < max(1, round(share * length))).mean())
        for share in list_shares
    }


def detection_scores(
    plain: np.ndarray, odd: np.ndarray, list_shares: Sequence[float], seed: int
) -> dict[str, float]:
    """Return how well scores tell oddities from plain galaxies, with 95 % intervals.

    Parameters
    ----------
    plain, odd
        Scores (n,) and (m,).
    list_shares
        Lengths of the tops for `list_recall`.
    seed
        Seed of the lists and of the bootstrap over galaxies and oddities.

    Returns
    -------
    dict
        `auc`, the area under the ROC curve, and `recall_at_1pct` and so on; each with `_low95`
        and `_high95`. `n_plain`, `n_odd`.
    """
    rng = np.random.default_rng(derive_seed(seed, "outliers", "lists"))
    scores = {"auc": area_under_roc(plain, odd), **list_recall(plain, odd, list_shares, rng)}
    resampled = []
    for _ in range(N_RESAMPLES):
        a, b = rng.choice(plain, len(plain)), rng.choice(odd, len(odd))
        resampled.append(
            {"auc": area_under_roc(a, b), **list_recall(a, b, list_shares, rng, n_lists=50)}
        )
    result = {"n_plain": len(plain), "n_odd": len(odd)}
    for name, value in scores.items():
        low, high = np.percentile([sample[name] for sample in resampled], (2.5, 97.5))
        result |= {name: value, f"{name}_low95": float(low), f"{name}_high95": float(high)}
    return result


def recall_name(list_share: float) -> str:
    """Return the name of a recall in the table of results, for instance `recall_at_1pct`."""
    return f"recall_at_{100 * list_share:g}pct"


def method_scores(
    plain: pd.DataFrame, odd: pd.DataFrame, list_shares: Sequence[float], seed: int
) -> dict[str, dict[str, float]]:
    """Return `detection_scores` of every method that both tables have scores of."""
    return {
        method: detection_scores(
            plain[method].to_numpy(), odd[method].to_numpy(), list_shares, seed
        )
        for method in (*METHODS, BASELINE)
        if method in plain and method in odd
    }


def rare_kinds(kinds: pd.Series, split: np.ndarray, largest_share: float) -> list[str]:
    """Return the kinds that make up at most a share of all galaxies, the most frequent first.

    Parameters
    ----------
    kinds
        Kind of every galaxy, for instance the mock's `subtype`; empty for none.
    split
        Split of every galaxy; kinds with fewer than `MIN_RARE` test galaxies are left out.
    largest_share
        0 to 1.
    """
    counts = kinds[kinds != ""].value_counts()
    in_test = kinds[split == "test"].value_counts()
    return [
        str(name)
        for name, count in counts.items()
        if count <= largest_share * len(kinds) and in_test.get(name, 0) >= MIN_RARE
    ]


def score_as_novelty(
    values: np.ndarray,
    of_kind: np.ndarray,
    split: np.ndarray,
    reference: np.ndarray,
    detect: Callable[[np.ndarray], Detectors],
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Score a kind of galaxies by detectors whose reference had none of it.

    Parameters
    ----------
    values
        Feature vectors (n, D).
    of_kind
        bool (n,): the kind.
    split
        (n,).
    reference
        bool (n,): what the detectors may otherwise see.
    detect
        Makes detectors from reference vectors.

    Returns
    -------
    tuple of DataFrame
        Scores of the other test galaxies, and of the test galaxies of the kind.
    """
    detectors = detect(values[reference & ~of_kind])
    test = split == "test"
    return detectors(values[test & ~of_kind]), detectors(values[test & of_kind])


def unusual_galaxies(galaxies: pd.DataFrame, n: int) -> pd.DataFrame:
    """Return the `n` most unusual galaxies by the mean of their ranks in all methods.

    Parameters
    ----------
    galaxies
        `id` and a score per method of `METHODS`; other columns are kept.
    n
        Length of the list.
    """
    ranks = galaxies[list(METHODS)].rank(ascending=False, method="first")
    return unusual_by_ranks(galaxies.assign(mean_rank=ranks.mean(axis=1)), n)


def unusual_by_ranks(table: pd.DataFrame, n: int) -> pd.DataFrame:
    """Return the first `n` rows by `mean_rank`, ties by `id`, with their `place` from 1."""
    table = table.sort_values(["mean_rank", "id"]).head(n).reset_index(drop=True)
    table.insert(0, "place", np.arange(1, len(table) + 1))
    return table


def share_above(plain: np.ndarray, scores: np.ndarray) -> np.ndarray:
    """Return, for every score, the share of plain galaxies that are more unusual, 0 to 1."""
    return 1 - np.searchsorted(np.sort(plain), scores, side="right") / len(plain)
