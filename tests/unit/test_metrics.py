"""Scores against numbers worked out by hand, intervals against their coverage."""

import numpy as np
import pytest
from galaxy_lvm.core.errors import DataError
from galaxy_lvm.report.class_scores import (
    classification_metrics,
    classification_scores,
    second_scores,
)
from galaxy_lvm.report.image_scores import image_metrics, image_scores
from galaxy_lvm.report.metrics import (
    PSNR_CEILING_DB,
    bootstrap_interval,
    confusion_counts,
    mean_psnr,
)
from scipy import stats
from skimage.metrics import peak_signal_noise_ratio
from sklearn.metrics import f1_score, precision_score, recall_score


def test_macro_scores_by_hand():
    y_true = np.array([0, 0, 0, 1, 1, 2])
    y_pred = np.array([0, 0, 1, 1, 1, 0])
    scores = classification_metrics(y_true, y_pred, 3)
    assert scores["accuracy"] == pytest.approx(4 / 6)
    assert scores["recall"] == pytest.approx((2 / 3 + 1 + 0) / 3)
    assert scores["precision"] == pytest.approx((2 / 3 + 2 / 3 + 0) / 3)
    assert scores["f1"] == pytest.approx((2 / 3 + 4 / 5 + 0) / 3)
    np.testing.assert_array_equal(
        confusion_counts(y_true, y_pred, 3), [[2, 1, 0], [0, 2, 0], [1, 0, 0]]
    )


def test_a_class_without_galaxies_does_not_count():
    y_true, y_pred = np.array([0, 0, 1, 1]), np.array([0, 0, 1, 1])
    assert classification_metrics(y_true, y_pred, 4)["recall"] == 1


@pytest.mark.parametrize("wrong", [-1, 4])
def test_labels_outside_the_classes_are_refused(wrong):
    with pytest.raises(DataError, match="expected 0 to 3"):
        classification_metrics(np.array([0, wrong]), np.array([0, 0]), 4)


def test_no_galaxy_and_unequal_lengths_are_refused():
    with pytest.raises(DataError):
        classification_metrics(np.array([], int), np.array([], int), 4)
    with pytest.raises(DataError):
        classification_metrics(np.array([0, 1]), np.array([0]), 4)


def test_psnr_and_mse_of_a_known_error():
    reference = np.full((2, 16, 16, 3), 0.5, np.float32)
    image = reference + np.array([0.1, 0.01], np.float32)[:, None, None, None]
    table = image_metrics(reference, image)
    np.testing.assert_allclose(table["mse"], [1e-2, 1e-4], rtol=1e-4)
    np.testing.assert_allclose(table["psnr"], [20, 40], atol=1e-3)
    assert mean_psnr(reference, image) == pytest.approx(30, abs=1e-3)
    ours = table["psnr"][0]
    assert ours == pytest.approx(
        peak_signal_noise_ratio(reference[0], image[0], data_range=1), abs=1e-3
    )


def test_an_exact_copy_has_the_psnr_of_rounding():
    image = np.random.default_rng(0).random((1, 200, 200, 3)).astype(np.float32)
    exact = image_metrics(image, image).iloc[0]
    assert exact["psnr"] == PSNR_CEILING_DB and exact["ssim"] == pytest.approx(1)
    rounded = (np.round(image * 255) / 255).astype(np.float32)
    assert image_metrics(image, rounded)["psnr"][0] == pytest.approx(PSNR_CEILING_DB, abs=0.05)


def test_ssim_falls_with_noise():
    rng = np.random.default_rng(0)
    reference = np.tile(np.linspace(0, 1, 64, dtype=np.float32)[:, None, None], (2, 1, 64, 3))
    noise = rng.normal(0, 1, reference.shape).astype(np.float32)
    noise *= np.array([0.02, 0.2], np.float32)[:, None, None, None]
    ssim = image_metrics(reference, reference + noise)["ssim"]
    assert 1 > ssim[0] > ssim[1] > 0


def test_images_that_cannot_be_scored_are_refused():
    good = np.zeros((1, 16, 16, 3), np.float32)
    with pytest.raises(DataError):
        image_metrics(good, good[:, :8])
    with pytest.raises(DataError, match="finite"):
        image_metrics(good, good + np.nan)


def test_interval_of_a_mean_covers_it_as_often_as_it_says():
    rng = np.random.default_rng(0)
    hits = 0
    for seed in range(200):
        low, high = bootstrap_interval(rng.normal(3, 1, 80), np.mean, seed, n=400)
        hits += low < 3 < high
    assert stats.binomtest(hits, 200, 0.95).pvalue > 0.001


def drawn_classes(rng, n, skill):
    """Return n true classes of unequal frequency and a classifier's answers."""
    truth = rng.choice(4, size=n, p=[0.4, 0.3, 0.2, 0.1])
    return truth, np.where(rng.random(n) < skill, truth, rng.integers(4, size=n))


@pytest.mark.parametrize("n, skill", [(100, 0.6), (400, 0.6), (400, 0.8)])
@pytest.mark.parametrize("metric", ["accuracy", "f1"])
def test_intervals_of_classes_cover_for_the_sizes_of_the_tables(n, skill, metric):
    rng = np.random.default_rng(3)
    truth = classification_metrics(*drawn_classes(rng, 400_000, skill), 4)[metric]
    found = [bootstrap_interval(drawn_classes(rng, n, skill), metric, i, 300) for i in range(300)]
    covered = np.mean([low <= truth <= high for low, high in found])
    assert 0.95 - 3 * np.sqrt(0.95 * 0.05 / 300) <= covered <= 0.985


@pytest.mark.parametrize("n, least", [(20, 0.87), (100, 0.91), (400, 0.92)])
def test_intervals_of_a_mean_psnr_cover_with_few_images(n, least):
    rng = np.random.default_rng(4)
    found = [bootstrap_interval(rng.normal(30, 4, n), np.mean, i, 300) for i in range(300)]
    covered = np.mean([low <= 30 <= high for low, high in found])
    assert least <= covered <= 0.985


@pytest.mark.parametrize("metric", ["accuracy", "f1"])
def test_a_few_galaxies_that_are_all_right_do_not_prove_a_perfect_method(metric):
    """At a true accuracy of 0.97 half of the samples of 20 have no error."""
    rng = np.random.default_rng(5)
    truth = classification_metrics(*drawn_classes(rng, 400_000, 0.96), 4)[metric]
    found = [bootstrap_interval(drawn_classes(rng, 20, 0.96), metric, i, 300) for i in range(300)]
    assert np.mean([low <= truth <= high for low, high in found]) > 0.9
    low, high = bootstrap_interval((np.array([0, 1, 2]),) * 2, metric, 0)
    assert (low, high) == (pytest.approx(0.292, abs=1e-3), 1)


def test_counted_and_looped_resamples_agree():
    rng = np.random.default_rng(1)
    y_true = rng.integers(0, 4, 90)
    y_pred = np.where(rng.random(90) < 0.7, y_true, rng.integers(0, 4, 90))

    def macro(function):
        return lambda a, b: function(a, b, labels=np.unique(a), average="macro", zero_division=0)

    loops = {"precision": precision_score, "recall": recall_score, "f1": f1_score}
    for metric, function in loops.items():
        fast = bootstrap_interval((y_true, y_pred), metric, 7, n=60)
        slow = bootstrap_interval((y_true, y_pred), macro(function), 7, n=60)
        assert fast == pytest.approx(slow)


def test_scores_lie_within_their_intervals_and_repeat():
    rng = np.random.default_rng(2)
    y_true = rng.integers(0, 3, 200)
    y_pred = np.where(rng.random(200) < 0.8, y_true, 0)
    images = rng.random((12, 16, 16, 3)).astype(np.float32)
    table = image_metrics(images, np.clip(images + 0.1 * rng.random(images.shape), 0, 1))
    for scores in (classification_scores(y_true, y_pred, 3, seed=4), image_scores(table, seed=4)):
        names = [name for name in scores if not name.endswith("95")]
        assert len(scores) == 3 * len(names)
        for name in names:
            assert scores[f"{name}_low95"] < scores[name] < scores[f"{name}_high95"]
    assert image_scores(table, seed=4) == image_scores(table, seed=4)


def test_unknown_statistics_are_refused():
    with pytest.raises(DataError, match="auc"):
        bootstrap_interval((np.array([0, 1]), np.array([0, 1])), "auc", 0)
    with pytest.raises(DataError):
        bootstrap_interval(np.array([]), np.mean, 0)


def test_second_scores_count_only_who_was_judged_twice():
    predicted, first = np.array([0, 1, 1, 0, 2]), np.array([0, 1, 1, 1, 2])
    second = np.array([0, 1, 0, -1, -1])
    scores = second_scores(second, predicted, 3, seed=1)
    expected = classification_scores(second[:3], predicted[:3], 3, seed=1)
    assert scores["n_second"] == 3
    assert scores["accuracy_second"] == expected["accuracy"] == pytest.approx(2 / 3)
    assert scores["f1_second_low95"] == expected["f1_low95"]
    assert second_scores(first, predicted, 3, 1)["accuracy_second"] == 0.8
    assert second_scores(None, predicted, 3, 1) == {}
    with pytest.raises(DataError, match=r"none of 5 test galaxies .*folder.second_label_column"):
        second_scores(np.full(5, -1), predicted, 3, 1)
