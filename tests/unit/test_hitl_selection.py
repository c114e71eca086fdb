"""Selection rules: what the alpha rule asks about, also where the paper leaves it open."""

import math
from dataclasses import replace

import numpy as np
import pytest
from galaxy_lvm.core.errors import ConfigError
from galaxy_lvm.hitl.selection import (
    RULES,
    PoolState,
    alpha_rule,
    asks_higher,
    positive_ratio,
    rule_of,
)

N = 40


@pytest.fixture
def state():
    """Scores 0, 1/40, ... ; rows 38 and 5 are taken; vectors on a line."""
    scores = (np.arange(N) / N).astype(np.float32)
    free = np.ones(N, dtype=bool)
    free[[38, 5]] = False
    return PoolState(
        scores=scores, free=free, labelled=np.array([5, 38]),
        embed=lambda rows: np.asarray(rows, dtype=float)[:, None],
        rng=np.random.default_rng(0), n_positive=3, n_negative=7, alpha=0.5,
    )  # fmt: skip


@pytest.mark.parametrize(
    ("positives", "negatives", "alpha", "higher"),
    [
        (3, 7, 0.5, True),
        (5, 5, 0.5, False),
        (1, 2, 0.5, True),  # P/N = alpha belongs to the higher scores
        (9, 10, 0.9, True),
        (2, 10, 0.1, False),
        (0, 10, 0.0, True),
    ],
)
def test_alpha_rule_follows_the_ratio(state, positives, negatives, alpha, higher):
    state = replace(state, n_positive=positives, n_negative=negatives, alpha=alpha)
    assert asks_higher(state) is higher
    rows = alpha_rule(state, 3)
    assert rows.tolist() == ([39, 37, 36] if higher else [19, 18, 17])


def test_without_negatives_the_ratio_is_infinite_and_without_labels_zero(state):
    assert positive_ratio(4, 0) == math.inf and positive_ratio(0, 0) == 0
    assert not asks_higher(replace(state, n_positive=4, n_negative=0, alpha=1.0))
    assert asks_higher(replace(state, n_positive=0, n_negative=0, alpha=0.0))


def test_lower_scores_start_below_the_boundary_and_go_on_above_it(state):
    state = replace(state, n_positive=9, n_negative=1)
    free = state.free & (np.arange(N) >= 17)
    assert alpha_rule(replace(state, free=free), 5).tolist() == [19, 18, 17, 20, 21]
    assert alpha_rule(replace(state, lower="lowest"), 4).tolist() == [0, 1, 2, 3]


def test_top_uncertainty(state):
    assert RULES["top_score"](state, 3).tolist() == [39, 37, 36]
    assert set(RULES["uncertainty"](state, 3)) == {20, 19, 21}


def test_ties_are_broken_by_row():
    flat = PoolState(
        np.full(9, 0.3, np.float32), np.ones(9, bool), np.empty(0, int), lambda rows: rows[:, None],
        np.random.default_rng(0),
    )  # fmt: skip
    assert RULES["top_score"](flat, 4).tolist() == [0, 1, 2, 3]


def test_k_centre_goes_to_the_far_ends(state):
    rows = RULES["k_centre"](state, 2)
    # Labelled are 5 and 38: the middle is farthest, then the middle of what is left.
    assert rows[0] in (21, 22) and abs(int(rows[1]) - int(rows[0])) >= 7
    first = RULES["k_centre"](replace(state, labelled=np.empty(0, int)), 1)
    assert first[0] in (19, 20)


def test_random_changes_with_the_seed_and_covers_the_pool(state):
    draws = [
        tuple(RULES["random"](replace(state, rng=np.random.default_rng(s)), 3)) for s in range(300)
    ]
    assert len(set(draws)) > 250
    assert {row for draw in draws for row in draw} == set(np.flatnonzero(state.free))


@pytest.mark.parametrize("name", RULES)
@pytest.mark.parametrize("k", [1, 7, 38, 100])
def test_every_rule_asks_about_free_galaxies_once_and_never_more_than_k(state, name, k):
    rows = RULES[name](replace(state, rng=np.random.default_rng(1)), k)
    assert len(rows) == min(k, 38) == len(set(rows.tolist()))
    assert state.free[rows].all()


@pytest.mark.parametrize("name", RULES)
def test_nothing_is_asked_when_nothing_is_free(state, name):
    assert len(RULES[name](replace(state, free=np.zeros(N, bool)), 5)) == 0


@pytest.mark.parametrize("name", ["alpha", "top_score", "uncertainty", "mix"])
def test_galaxies_without_a_score_are_not_asked_about(state, name):
    scores = state.scores.copy()
    scores[39] = np.nan
    # Diversity, a part of the mix, looks at what is free alone.
    free = state.free & np.isfinite(scores) if name == "mix" else state.free
    assert 39 not in RULES[name](replace(state, scores=scores, free=free), 39)


def test_unknown_rule():
    with pytest.raises(ConfigError, match="no selection rule 'best'; there are alpha, top_score"):
        rule_of("best")
