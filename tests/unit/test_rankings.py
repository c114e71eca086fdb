"""Areas and precisions that are counted are those of scikit-learn."""

import numpy as np
import pytest
from galaxy_lvm.core.errors import DataError
from galaxy_lvm.report.rankings import area_under_roc, average_precision
from sklearn.metrics import average_precision_score, roc_auc_score


@pytest.mark.parametrize("n_steps", (3, 1000), ids=("ties", "hardly any ties"))
@pytest.mark.parametrize("share", (0.02, 0.5))
def test_scores_are_those_of_scikit_learn(n_steps, share):
    rng = np.random.default_rng(1)
    truth = rng.random(500) < share
    scores = np.round((rng.random(500) + 0.3 * truth) * n_steps) / n_steps
    parts = scores[~truth], scores[truth]
    assert area_under_roc(*parts) == pytest.approx(roc_auc_score(truth, scores), abs=1e-12)
    expected = average_precision_score(truth, scores)
    assert average_precision(*parts) == pytest.approx(expected, abs=1e-12)


def test_a_perfect_order_and_none_at_all():
    low, high = np.zeros(3), np.ones(2)
    assert area_under_roc(low, high) == average_precision(low, high) == 1
    assert area_under_roc(high, low) == 0
    assert area_under_roc(low, low) == 0.5 == average_precision(low, low)


@pytest.mark.parametrize("score", (area_under_roc, average_precision))
def test_what_cannot_be_scored_is_refused(score):
    with pytest.raises(DataError, match="0 positives and 2 negatives"):
        score(np.ones(2), np.ones(0))
    with pytest.raises(DataError, match="no number"):
        score(np.array([0.1, np.nan]), np.ones(1))
