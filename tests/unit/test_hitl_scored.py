"""Scores of single test galaxies: their draws, and intervals that cover other test galaxies."""

import numpy as np
import pandas as pd
import pytest
from galaxy_lvm.core.errors import DataError
from galaxy_lvm.hitl.claims import claims_table
from galaxy_lvm.hitl.measures import COMPARISON_METRICS, comparison_metrics
from galaxy_lvm.hitl.scored import ScoredResults, metrics_of_draws, read_scored
from galaxy_lvm.hitl.simulate import Sizes
from galaxy_lvm.report.differences import by_seed
from galaxy_lvm.report.results import read_results
from galaxy_lvm.report.verdicts import UNCLEAR

SIZES = Sizes()
LOOP, MORE = ("lvm_hitl", SIZES.loop), ("lvm", f"train={2 * SIZES.more_per_class}")
CLAIM = f"LVM + HITL above LVM, {MORE[1]}"


def tables(tmp_path, results):
    """Return what `results` writes, read back."""
    results.write(tmp_path / "m.csv", tmp_path / "s.parquet")
    return read_results(tmp_path / "m.csv"), read_scored([tmp_path / "s.parquet"])


def added(results, experiment, side, seed, truth, scores):
    scores = np.float32(scores)
    found = (comparison_metrics(truth, scores), scores.tolist())
    results.add(experiment, *side, seed, found)
    return found[0]["aupr"]


def test_every_draw_scores_as_its_galaxies_do():
    rng = np.random.default_rng(0)
    truth = np.arange(60) < 20
    scores = np.round(0.3 * truth + 0.7 * rng.random(60), 1)  # with ties
    counts = rng.multinomial(60, np.full(60, 1 / 60), size=8)
    found = metrics_of_draws(truth, scores, counts)
    assert set(found) == set(COMPARISON_METRICS)
    for number, count in enumerate(counts):
        rows = np.repeat(np.arange(60), count)
        expected = comparison_metrics(truth[rows], scores[rows])
        assert {m: v[number] for m, v in found.items()} == pytest.approx(expected)
    without = metrics_of_draws(truth, scores, (~truth)[None].astype(int))
    assert np.isnan(without["aupr"][0]) and without["purity"][0] == 0


def test_files_hold_what_was_added(tmp_path):
    truth = np.array([True, False, False])
    results = ScoredResults("spiral", ["b", "a", "c"], truth)
    added(results, "hitl", LOOP, 3, truth, [0.9, 0.6, 0.25])
    metrics, scored = tables(tmp_path, results)
    assert set(metrics["metric"]) == set(COMPARISON_METRICS) and set(metrics["task"]) == {"spiral"}
    assert scored["id"].tolist() == ["b", "a", "c"] and scored["label"].tolist() == [1, 0, 0]
    assert scored["score"].dtype == np.float32 and set(scored["seed"]) == {3}
    nothing = tables(tmp_path, ScoredResults("spiral", ["b"], truth[:1]))
    assert not len(nothing[0]) and not len(nothing[1])


def trial(rng, n_seeds):
    """Return results of two rankers of one skill, and their AUPR by seed.

    What makes a galaxy easy for a ranker does so with every seed.
    """
    truth = np.arange(160) < 40
    results = ScoredResults("spiral", [f"g{i:03}" for i in range(160)], truth)
    easy, gains = rng.standard_normal((2, 160)), []
    for seed in range(n_seeds):
        luck = 0.4 * rng.standard_normal((2, 160)) + 0.1 * rng.standard_normal((2, 1)) * truth
        first, second = 1 / (1 + np.exp(-(1.3 * truth + easy + luck)))
        aupr = [
            added(results, "hitl", side, seed, truth, scores)
            for side, scores in ((LOOP, first), (MORE, second))
        ]
        gains.append(aupr[0] - aupr[1])
    return results, pd.Series(gains)


def test_intervals_of_figure_10_cover_other_test_galaxies(tmp_path):
    rng = np.random.default_rng(1)
    covered, by_seed_alone = [], []
    for _ in range(60):
        results, gains = trial(rng, 5)
        table = claims_table(*tables(tmp_path, results), SIZES).set_index("claim")
        detail = table.loc[CLAIM, "detail"]
        assert "paired by 5 seeds and by test galaxies" in detail
        low, high = (float(end) for end in detail.split("[")[1].split("]")[0].split(","))
        covered.append(low <= 0 <= high)
        low, high = by_seed(gains, 0 * gains).interval()
        by_seed_alone.append(low <= 0 <= high)
    assert np.mean(covered) >= 0.95 - 3 * np.sqrt(0.95 * 0.05 / 60)
    assert np.mean(by_seed_alone) < 0.75


def test_settings_that_asked_about_the_same_galaxies_are_told(tmp_path):
    rng = np.random.default_rng(2)
    truth = np.arange(50) < 20
    results = ScoredResults("spiral", [f"g{i}" for i in range(50)], truth)
    for seed in range(4):
        scores = rng.random((2, 50))
        for alpha, number in (("0.1", 0), ("0.5", 0), ("0.9", 1)):
            side = ("lowest", f"alpha={alpha}")
            added(results, "alpha", side, seed, truth, scores[number])
    table = claims_table(*tables(tmp_path, results), SIZES).set_index("claim")
    same = table.loc["alpha 0.5 gives a higher AUC than 0.1 (lower = lowest)"]
    assert same["verdict"] == UNCLEAR
    told = "same galaxies with each of 4 seeds: no round had a P/N between the two; 6 comp"
    assert told in same["detail"]
    other = table.loc["alpha 0.5 gives a higher AUC than 0.9 (lower = lowest)", "detail"]
    assert "same galaxies" not in other and "by test galaxies" in other


def test_rankers_asked_about_other_galaxies_are_refused(tmp_path):
    truth = np.array([True, False])
    results = ScoredResults("spiral", ["a", "b"], truth)
    added(results, "hitl", LOOP, 0, truth, [0.9, 0.1])
    metrics, scored = tables(tmp_path, results)
    other = scored.assign(model="lvm", id=["a", "c"])
    with pytest.raises(DataError, match="hitl, lvm.*other test galaxies"):
        claims_table(metrics, pd.concat([scored, other]), SIZES)
