"""Verdicts: their intervals cover what is simulated, their words say what was repeated."""

import numpy as np
import pandas as pd
import pytest
from galaxy_lvm.hitl.claims import claims_table
from galaxy_lvm.hitl.scored import COLUMNS
from galaxy_lvm.hitl.simulate import Sizes
from galaxy_lvm.report.differences import (
    Difference,
    Part,
    by_galaxy,
    by_seed,
    by_seed_and_galaxy,
    by_seed_with_ends,
)
from galaxy_lvm.report.results import long_rows, read_per_galaxy
from galaxy_lvm.report.verdicts import (
    FAILS,
    HOLDS,
    NOT_EVALUATED,
    ONE_HIGHER,
    ONE_LOWER,
    ONE_UNCLEAR,
    SHARE_MARGIN,
    UNCLEAR,
    Claim,
    counted_claims,
    difference,
    how_to_read,
    judge,
    verdict_table,
)

ONE = Claim("a above b", "accuracy", (("a", "b"),))
NO_DIFFERENCE, NOT_LOWER = "no difference beyond 0.02", "not lower by more than 0.02"

# Scatter of the difference over trainings, over galaxies (the same for all trainings: what is
# hard for one is hard for the next), and what is left.
SCATTERS = {"galaxies": (0.0, 1.0, 0.3), "trainings": (0.3, 0.3, 0.3), "both": (0.06, 0.5, 0.7)}


def simulated(rng, n_seeds, n_galaxies, scatter, truth=0.0):
    """Return the differences of two models, (seeds, galaxies), as a table."""
    of_seed, of_galaxy, rest = scatter
    values = truth + rest * rng.standard_normal((n_seeds, n_galaxies))
    values += of_seed * rng.standard_normal((n_seeds, 1))
    return pd.DataFrame(values + of_galaxy * rng.standard_normal(n_galaxies))


def share(flags):
    return float(np.mean(list(flags)))


def covers(found, truth=0.0):
    low, high = found.interval()
    return low <= truth <= high


@pytest.mark.parametrize("scatter", SCATTERS)
@pytest.mark.parametrize(("n_seeds", "n_galaxies"), [(3, 100), (3, 400), (5, 200), (10, 100)])
def test_intervals_over_trainings_and_galaxies_cover(n_seeds, n_galaxies, scatter):
    rng = np.random.default_rng(0)
    found = [
        by_seed_and_galaxy(table, 0 * table)
        for table in (
            simulated(rng, n_seeds, n_galaxies, SCATTERS[scatter], 0.3) for _ in range(500)
        )
    ]
    covered = share(covers(one, 0.3) for one in found)
    assert 0.95 - 3 * np.sqrt(0.95 * 0.05 / 500) <= covered <= 0.995
    assert found[0].trainings == n_seeds


def test_an_interval_over_one_of_the_two_does_not_cover():
    rng = np.random.default_rng(1)
    tables = [simulated(rng, 3, 200, SCATTERS["galaxies"]) for _ in range(200)]
    assert share(covers(by_seed(t.mean(axis=1), 0 * t.mean(axis=1))) for t in tables) < 0.7
    tables = [simulated(rng, 3, 200, SCATTERS["trainings"]) for _ in range(200)]
    assert share(covers(by_galaxy(t.mean(), 0 * t.mean())) for t in tables) < 0.5


def right(rng, n_seeds, n_galaxies, skill):
    """Return which galaxies a method classifies right: trainings differ, hard ones are shared."""
    difficulty = np.random.default_rng(rng.integers(1 << 31)).standard_normal(n_galaxies)

    def trainings(gain):
        quality = gain + 0.15 * rng.standard_normal((n_seeds, 1))
        noise = 0.6 * rng.standard_normal((n_seeds, n_galaxies))
        return pd.DataFrame((quality - difficulty + noise > 0).astype(float))

    return trainings(1.0 + skill), trainings(1.0)


@pytest.mark.parametrize("n_seeds", [3, 5, 10])
def test_equal_methods_are_seldom_told_apart_and_different_ones_are_found(n_seeds):
    rng = np.random.default_rng(n_seeds)
    verdicts = {
        skill: [
            judge(ONE, [by_seed_and_galaxy(*right(rng, n_seeds, 150, skill))])["verdict"]
            for _ in range(400)
        ]
        for skill in (0.0, 1.5)
    }
    limit = 0.025 + 3 * np.sqrt(0.025 * 0.975 / 400)
    assert share(v == HOLDS for v in verdicts[0.0]) <= limit
    assert share(v == FAILS for v in verdicts[0.0]) <= limit
    assert share(v == HOLDS for v in verdicts[1.5]) > 0.8
    assert FAILS not in verdicts[1.5]


def sessions(rng, n, truth=0.0, sd=0.05):
    values = pd.Series(truth + sd * rng.standard_normal(n))
    return by_seed(values, 0 * values)


def test_at_or_above_holds_only_within_the_margin():
    claim = Claim("a at or above b", "aupr", (("a", "b"),), at_or_above=True)
    rng = np.random.default_rng(0)
    at_margin = [sessions(rng, 5, -SHARE_MARGIN, 0.02) for _ in range(1000)]
    words = [judge(claim, [found])["verdict"] for found in at_margin]
    assert share(word == NOT_LOWER for word in words) <= 0.025 + 3 * np.sqrt(0.025 * 0.975 / 1000)
    equal = [judge(claim, [sessions(rng, 10, 0.0, 0.01)])["verdict"] for _ in range(100)]
    assert share(word == NOT_LOWER for word in equal) > 0.95
    lower = [judge(claim, [sessions(rng, 10, -0.05, 0.01)])["verdict"] for _ in range(100)]
    assert set(lower) == {FAILS}


def test_equality_is_never_concluded_from_a_wide_interval():
    wide = Difference(0.0, (Part(0.02, 9),), "", 10)
    narrow = Difference(0.001, (Part(0.002, 9),), "", 10)
    assert judge(ONE, [wide])["verdict"] == UNCLEAR
    assert "could have seen 0.063" in judge(ONE, [wide])["detail"]  # 3.15 standard errors
    assert judge(ONE, [narrow])["verdict"] == NO_DIFFERENCE
    between = Difference(0.009, (Part(0.006, 99),), "", 100)
    assert judge(ONE, [between])["verdict"] == UNCLEAR
    for low_side in (wide, narrow, between):
        claim = Claim("a at or above b", "accuracy", (("a", "b"),), at_or_above=True)
        expected = UNCLEAR if low_side is wide else NOT_LOWER
        assert judge(claim, [low_side])["verdict"] == expected


def test_a_difference_too_small_to_matter_is_called_so():
    chain = Claim("a > b > c", "psnr", (("a", "b"), ("b", "c")))
    up, down = (Difference(d, (Part(0.03, 99),), "", 100) for d in (0.1, -0.1))
    much = Difference(2.0, (Part(0.03, 99),), "", 100)
    assert judge(chain, [up, much])["verdict"] == HOLDS
    assert judge(chain, [much, down])["verdict"] == f"{FAILS}, by less than 0.2 dB"
    one = Claim("a above b", "psnr", (("a", "b"),))
    alone = Difference(-0.1, (Part(0.03, 99),), "", 1)
    assert judge(one, [alone])["verdict"] == f"{ONE_LOWER}, by less than 0.2 dB"
    assert judge(one, [up])["verdict"] == f"{HOLDS}, by less than 0.2 dB"
    counted = counted_claims(verdict_table([judge(one, [up]), judge(chain, [much, much])]))
    assert counted == "Of 2 claims of the paper: 2 hold."


def test_a_chain_without_a_difference_in_one_part_is_called_so():
    chain = Claim("a > b > c > d", "psnr", (("a", "b"), ("b", "c"), ("c", "d")))
    up, same, much = (
        Difference(value, (Part(error, 99),), "", 3)
        for value, error in ((0.011, 0.004), (-0.001, 0.01), (2.05, 0.01))
    )
    row = judge(chain, [up, same, much])
    assert row["verdict"] == "no difference beyond 0.2 dB in a part"
    wide = Difference(0.1, (Part(0.2, 99),), "", 3)
    assert judge(chain, [wide, same, much])["verdict"] == UNCLEAR  # another part is open
    lower = Difference(-0.1, (Part(0.01, 99),), "", 3)
    assert judge(chain, [lower, same, much])["verdict"] == f"{FAILS}, by less than 0.2 dB"
    counted = counted_claims(verdict_table([row, row, judge(chain, [up, much, much])]))
    assert counted == (
        "Of 3 claims of the paper: 2 show no difference beyond 0.2 dB in a part, 1 holds."
    )
    assert '"in a part"' in how_to_read(verdict_table([row]))


def test_a_small_part_of_a_skill_is_not_called_too_small_to_matter():
    claim = Claim("Teff: a above b", "skill", (("a", "b"),))
    assert judge(claim, [Difference(0.012, (Part(0.0005, 99),), "", 3)])["verdict"] == HOLDS


def test_claims_of_our_own_are_counted_apart():
    own = Claim("a above b (our control)", "accuracy", (("a", "b"),))
    found = Difference(0.5, (Part(0.01, 99),), "", 3)
    table = verdict_table([judge(ONE, [found]), judge(own, [found]), judge(own, [None])])
    assert counted_claims(table) == (
        "Of 1 claim of the paper: 1 holds. Of 2 claims of our own: 1 holds, 1 was not evaluated."
    )


def test_counts_of_verdicts_are_a_sentence():
    verdicts = [HOLDS] * 3 + [FAILS] * 2 + [UNCLEAR]
    table = pd.DataFrame({"claim": "a above b", "verdict": verdicts, "trainings": "3"})
    assert counted_claims(table) == (
        "Of 6 claims of the paper: 3 hold, 2 do not hold, 1 is not distinguishable."
    )


def test_the_difference_that_could_have_been_seen_is_seen_four_times_in_five():
    rng = np.random.default_rng(3)
    for n, n_comparisons in ((4, 1), (10, 12)):
        seen = Difference(0, (Part(0.05 / np.sqrt(n), n - 1),), "", n).detectable(n_comparisons)
        claim = Claim("a above b", "auc", (("a", "b"),), n_comparisons=n_comparisons)
        words = [judge(claim, [sessions(rng, n, seen)])["verdict"] for _ in range(1000)]
        assert share(word == HOLDS for word in words) == pytest.approx(0.8, abs=0.04)


def test_twelve_comparisons_at_once_err_together_as_rarely_as_one():
    claim = Claim("a above b", "auc", (("a", "b"),), n_comparisons=12)
    rng = np.random.default_rng(4)
    told_apart = [
        any(judge(claim, [sessions(rng, 4)])["verdict"] in (HOLDS, FAILS) for _ in range(12))
        for _ in range(300)
    ]
    assert share(told_apart) <= 0.05 + 3 * np.sqrt(0.05 * 0.95 / 300)
    # One by one, nearly half of the families had a wrong verdict.
    alone = [any(not covers(sessions(rng, 4)) for _ in range(12)) for _ in range(300)]
    assert share(alone) > 0.3


def test_a_claim_of_three_parts_is_seldom_refuted_by_chance():
    claim = Claim("a > b > c > d", "auc", (("a", "b"), ("b", "c"), ("c", "d")))
    rng = np.random.default_rng(5)
    words = [judge(claim, [sessions(rng, 5) for _ in range(3)])["verdict"] for _ in range(1000)]
    assert share(word == FAILS for word in words) <= 0.025 + 3 * np.sqrt(0.025 * 0.975 / 1000)
    assert share(word == HOLDS for word in words) <= 0.001


def test_one_training_never_says_that_a_claim_holds():
    cases = {0.1: ONE_HIGHER, -0.1: ONE_LOWER, 0.0001: ONE_UNCLEAR}
    for value, word in cases.items():
        found = Difference(value, (Part(0.02, 99),), "paired by 100 galaxies", 1)
        row = judge(ONE, [found])
        assert row["verdict"] == word and row["trainings"] == "1"
    both = Claim("a > b > c", "accuracy", (("a", "b"), ("b", "c")))
    several = Difference(0.1, (Part(0.001, 9),), "", 10)
    single = Difference(0.1, (Part(0.001, 99),), "", 1)
    assert judge(both, [several, several])["verdict"] == HOLDS
    assert judge(both, [several, single])["verdict"] == ONE_HIGHER
    assert judge(both, [several, None])["verdict"] == NOT_EVALUATED
    assert judge(both, [several, None])["detail"].endswith("b - c: no result")


def rows_of(model, scores):
    rows = [
        long_rows("multitask", "classification", model, "", seed, {"accuracy": np.mean(values)})
        for seed, values in scores.items()
    ]
    return [row for part in rows for row in part]


def galaxies_of(model, scores):
    tables = [
        pd.DataFrame({"id": [f"g{i}" for i in range(len(values))], "value": values}).assign(
            task="classification", model=model, condition="", metric="accuracy", seed=seed
        )
        for seed, values in scores.items()
    ]
    return pd.concat(tables)


def compared(first, second, fixed=(), with_galaxies=True):
    rows = pd.DataFrame(rows_of("a", first) + rows_of("b", second))
    galaxies = pd.concat([galaxies_of("a", first), galaxies_of("b", second)])
    galaxies = galaxies if with_galaxies else read_per_galaxy([])
    return difference(rows, galaxies, "accuracy", ("a", "b"), fixed)


def test_models_are_compared_in_the_best_pairs_there_are():
    rng = np.random.default_rng(0)
    three = {seed: rng.integers(2, size=50) * 1.0 for seed in (1, 2, 3)}
    other = {seed: rng.integers(2, size=50) * 1.0 for seed in (1, 2, 3)}
    single = {1: other[1]}
    assert compared(three, other).how == "paired by 3 seeds and 50 galaxies"
    assert compared(three, other, with_galaxies=False).how == "paired by 3 seeds"
    # A network with one training is one network; a method without chance stands beside each seed.
    found = compared(three, single)
    assert found.how == "paired by 50 galaxies" and found.trainings == 1
    found = compared(three, single, fixed=("b",))
    assert found.how == "paired by 3 seeds and 50 galaxies" and found.trainings == 3
    expected = np.mean([three[s].mean() for s in three]) - other[1].mean()
    assert found.value == pytest.approx(expected)
    assert compared(three, single, with_galaxies=False).how == "no interval"
    assert difference(pd.DataFrame(rows_of("a", three)), read_per_galaxy([]), "accuracy",
                      ("a", "b")) is None  # fmt: skip


def test_the_order_of_galaxies_and_seeds_does_not_matter():
    rng = np.random.default_rng(2)
    a, b = (pd.DataFrame(rng.random((3, 40)), columns=[f"g{i}" for i in range(40)]) for _ in "ab")
    found = by_seed_and_galaxy(a, b)
    mixed = by_seed_and_galaxy(a, b.sample(frac=1, axis=1, random_state=0).iloc[::-1])
    assert found.interval() == pytest.approx(mixed.interval())
    without = b.assign(g0=np.nan)
    assert by_seed_and_galaxy(a, without).how == "paired by 3 seeds and 39 galaxies"


def test_scores_that_are_no_mean_over_galaxies_keep_both_intervals():
    single = by_seed_with_ends([0.1], [(0.02, 0.3)], "test fields")
    assert single.interval() == (0.02, 0.3) and single.trainings == 1
    rng = np.random.default_rng(6)
    covered = []
    for _ in range(500):
        # Fields are hard for all trainings alike; trainings scatter on top.
        values = 0.1 + 0.03 * rng.standard_normal() + 0.02 * rng.standard_normal(3)
        ends = [(v - 1.96 * 0.03, v + 1.96 * 0.03) for v in values]
        covered.append(covers(by_seed_with_ends(values, ends, "test fields"), 0.1))
    assert 0.93 <= share(covered) <= 0.995


def test_equal_sessions_are_said_to_be_equal_and_prove_nothing():
    same = pd.Series([0.4, 0.6], index=[1, 2])
    row = judge(ONE, [by_seed(same, same)])
    assert "(equal, paired by 2 seeds)" in row["detail"] and row["verdict"] == UNCLEAR


def test_an_interval_of_shares_ends_where_shares_do():
    wide = Difference(0.1, (Part(0.3, 1),), "2 seeds", 2)
    detail = judge(Claim("a above b", "aupr", (("a", "b"),)), [wide])["detail"]
    assert detail == "a - b: +0.100 [-1.000, +1.000] (2 seeds; could have seen none)"
    skill = judge(Claim("a above b", "skill", (("a", "b"),)), [wide])["detail"]
    assert "[-3.7" in skill and "could have seen 4." in skill


def test_a_single_session_has_no_interval():
    row = judge(ONE, [by_seed(pd.Series({1: 0.5}), pd.Series({1: 0.4, 2: 0.3}))])
    assert row["verdict"] == ONE_UNCLEAR
    assert row["detail"] == "a - b: +0.100 (one seed, no interval)"


def test_twelve_comparisons_of_alpha_on_four_sessions_tell_nothing():
    rng = np.random.default_rng(7)
    rows = []
    for lower in ("below", "uncertain"):
        for alpha in ("0.1", "0.5", "0.9"):
            for seed in range(4):
                values = 0.7 + 0.04 * rng.standard_normal(4)
                scores = dict(zip(("aupr", "auc", "purity", "completeness"), values, strict=True))
                rows += long_rows("alpha", "spiral", lower, f"alpha={alpha}", seed, scores)
    table = claims_table(pd.DataFrame(rows), pd.DataFrame(columns=COLUMNS), Sizes())
    alpha = table[table["claim"].str.startswith("alpha")]
    assert len(alpha) == 12 and set(alpha["verdict"]) == {UNCLEAR}
    assert alpha["detail"].str.contains("12 comparisons at once; could have seen 0.").all()
    assert set(alpha["trainings"]) == {"4"}


def test_how_to_read_counts_the_trainings_behind_the_verdicts():
    single = Difference(0.1, (Part(0.001, 99),), "", 1)
    several = Difference(0.1, (Part(0.001, 99),), "", 3)
    text = how_to_read(verdict_table([judge(ONE, [d]) for d in (single, single, several, None)]))
    assert text.startswith("2 of 4 verdicts stand on one training of each network")
    assert "1 stand on 3 trainings" in text
    assert "one training" not in how_to_read(verdict_table([judge(ONE, [several])]))
