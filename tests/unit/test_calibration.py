"""Temperature scaling mends what it can, keeps every order, and the flag finds what was shifted."""

import numpy as np
import pytest
from galaxy_lvm.core.errors import DataError
from galaxy_lvm.features.likeness import TrainingDistance, threshold_at
from galaxy_lvm.multitask.calibration import (
    TEMPERATURES,
    calibration_scores,
    fit_temperature,
    log_loss,
    tempered,
)
from scipy.special import softmax

RNG = np.random.default_rng(5)


def galaxies(n, factor, seed):
    """Return labels drawn from known probabilities, and a model's whose logits are `factor` times.

    The model is right about the odds' order and wrong about their size.
    """
    rng = np.random.default_rng(seed)
    logits = rng.normal(0, 1.5, (n, 4))
    truth = softmax(logits, axis=1)
    labels = (rng.random(n)[:, None] > truth.cumsum(axis=1)).sum(axis=1)
    return labels, softmax(factor * logits, axis=1)


@pytest.mark.parametrize("factor", [0.4, 1.0, 2.5])
def test_the_temperature_of_a_miscalibrated_model_is_found(factor):
    temperature = fit_temperature(*galaxies(4000, factor, seed=1))
    assert temperature == pytest.approx(factor, rel=0.08)


@pytest.mark.parametrize("factor", [0.4, 2.5])
def test_calibration_improves_log_loss_and_error_on_other_galaxies(factor):
    temperature = fit_temperature(*galaxies(600, factor, seed=1))
    labels, shares = galaxies(1500, factor, seed=2)
    raw = calibration_scores(labels, shares, seed=1)
    mended = calibration_scores(labels, tempered(shares, temperature), seed=1)
    assert mended["log_loss"] < raw["log_loss"] - 0.03
    assert mended["calibration_error"] < 0.5 * raw["calibration_error"]
    assert mended["log_loss_low95"] < mended["log_loss"] < mended["log_loss_high95"]


@pytest.mark.parametrize("temperature", [0.3, 1.7, 8.0])
def test_calibration_keeps_every_order(temperature):
    shares = galaxies(500, 1.5, seed=3)[1]
    found = tempered(shares, temperature)
    assert np.array_equal(np.argsort(found, axis=1), np.argsort(shares, axis=1))
    np.testing.assert_allclose(found.sum(axis=1), 1)
    # With two classes, galaxies keep their order as well.
    pairs = np.sort(RNG.random(200))
    two = np.stack([pairs, 1 - pairs], axis=1)
    assert (np.diff(tempered(two, temperature)[:, 0]) > 0).all()
    np.testing.assert_allclose(tempered(shares, 1.0), shares, atol=1e-6)


def test_certainty_beyond_what_was_seen_is_not_claimed(caplog):
    shares = np.tile([0.8, 0.2], (6, 1))
    temperature = fit_temperature(np.zeros(6, int), shares)
    assert temperature == pytest.approx(TEMPERATURES[0], rel=0.02)
    assert "6 validation galaxies do not say" in caplog.text
    assert np.isfinite(log_loss(np.array([1]), np.array([[1.0, 0.0]])))
    with pytest.raises(DataError, match="no labelled validation galaxy"):
        fit_temperature(np.array([], int), np.empty((0, 2)))


def test_a_shifted_galaxy_is_unlike_and_few_others_are():
    scales = np.linspace(1, 20, 12)
    train, val, new = (RNG.normal(0, 1, (n, 12)) * scales for n in (400, 200, 300))
    distance = TrainingDistance(train, n_neighbours=5, n_components=8)
    above = threshold_at(distance(val), 0.05)
    assert (distance(val) > above).mean() <= 0.05
    assert (distance(new) > above).mean() < 0.12
    shifted = new + 6 * scales
    assert (distance(shifted) > above).all()


def test_rounding_does_not_flag_the_galaxy_that_the_limit_is_of():
    train, val = RNG.normal(0, 1, (80, 30)), RNG.normal(0, 1, (40, 30))
    distance = TrainingDistance(train, n_neighbours=3, n_components=20)
    above = threshold_at(distance(val), 1e-9)
    alone = [distance(val[[k]])[0] for k in range(len(val))]
    assert max(alone) <= above < 1.001 * max(alone)


def test_training_galaxies_are_not_their_own_neighbours():
    train = RNG.normal(0, 1, (50, 4))
    distance = TrainingDistance(train, n_neighbours=1, n_components=4)
    np.testing.assert_allclose(distance(train), 0, atol=1e-4)
    assert (distance(train, np.ones(50, bool)) > 0.01).all()
    with pytest.raises(DataError, match=r"50 training galaxies .*catalogue.n_neighbours = 50"):
        TrainingDistance(train, n_neighbours=50, n_components=4)
