"""How many labels a model saves, with an interval whose coverage is simulated."""

import math

import numpy as np
import pytest
from galaxy_lvm.fewshot.label_efficiency import NOT_REACHED, label_efficiency, labels_needed


def test_labels_needed_interpolate_in_the_logarithm():
    assert labels_needed([10, 1000], np.array([0.5, 0.7]), 0.6) == pytest.approx(100)
    assert labels_needed([10, 100], np.array([0.5, 0.7]), 0.4) == 10
    assert labels_needed([10, 100], np.array([0.5, 0.7]), 0.8) == math.inf


def test_label_efficiency_says_how_far_it_can_tell():
    sizes = [10, 100]
    reference = np.array([[0.4, 0.4], [0.6, 0.6]])
    better = np.array([[0.5, 0.5], [0.7, 0.7]])
    found = label_efficiency(sizes, better, reference, 100)
    assert found.k == pytest.approx(10**0.5)
    assert (found.low95, found.high95) == pytest.approx((found.k, found.k))
    assert label_efficiency(sizes, better + 0.2, reference, 100).text.startswith("at least 10")
    assert label_efficiency(sizes, better - 0.3, reference, 100).text == NOT_REACHED
    noisy = np.array([[0.5, 0.3], [0.8, 0.5]])
    spread = label_efficiency(sizes, noisy, reference, 100)
    assert spread.low95 == 0 < spread.k < spread.high95
    assert NOT_REACHED in spread.text
    single = label_efficiency(sizes, better[:, :1], reference[:, :1], 100)
    assert "single seed" in single.text
    assert label_efficiency(sizes, better + 0.2, reference, 100).high95 == math.inf
    assert "cannot be told" in label_efficiency(sizes, noisy, reference, 100).text


SIZES = (10, 30, 100, 300)


def simulated_curves(rng, factor, n_seeds):
    """Curves of a model that needs 1/factor of the labels; seeds share their training sets."""
    levels = np.log(SIZES)[:, None] * 0.08
    shared = rng.normal(0, 0.01, (len(SIZES), n_seeds))
    model, reference = rng.normal(0, 0.015, (2, len(SIZES), n_seeds)) + shared + levels
    return model + 0.08 * np.log(factor), reference


@pytest.mark.parametrize("n_seeds", [3, 5, 10])
@pytest.mark.parametrize("factor", [1.0, 2.0])
def test_the_interval_of_saved_labels_covers_the_truth(n_seeds, factor):
    rng, n_trials = np.random.default_rng(n_seeds), 1500
    inside = 0
    for _ in range(n_trials):
        found = label_efficiency(SIZES, *simulated_curves(rng, factor, n_seeds), 100)
        inside += found.low95 <= factor <= found.high95
    # Four standard errors of the simulation; a little more than 95 % is permitted.
    assert 0.95 - 4 * math.sqrt(0.95 * 0.05 / n_trials) <= inside / n_trials <= 0.99


def test_a_bootstrap_over_three_seeds_would_not_cover_the_truth():
    rng, n_trials, inside = np.random.default_rng(0), 200, 0
    for _ in range(n_trials):
        curves, draws = simulated_curves(rng, 1.0, 3), []
        for _ in range(200):
            model, reference = (c[:, rng.integers(3, size=3)].mean(axis=1) for c in curves)
            draws.append(100 / labels_needed(SIZES, model, reference[2]))
        low, high = np.quantile(draws, (0.025, 0.975))
        inside += low <= 1 <= high
    print("bootstrap over three seeds covers", inside / n_trials)
    assert inside / n_trials < 0.88
