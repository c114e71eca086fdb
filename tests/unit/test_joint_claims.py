"""Verdicts of joint estimates: what their intervals cover, and what they do not claim to."""

import numpy as np
import pandas as pd
from galaxy_lvm.joint.claims import claims_table, difference
from galaxy_lvm.joint.real_views import real_html
from galaxy_lvm.joint.regress import repetition
from galaxy_lvm.report.differences import by_seed_and_galaxy
from galaxy_lvm.report.verdicts import ONE_HIGHER

N_TRAIN, N_TEST, N_INPUTS, N_REPETITIONS = 50, 1500, 20, 3


def trial(rng):
    """Return skills of two equally good views, and what new test galaxies would give.

    Least squares on inputs of unit variance: the expected squared error follows from the weights.
    """
    asked, truths = [], []
    targets = rng.standard_normal((2, N_TRAIN + N_TEST))
    for noise in targets:
        inputs = rng.standard_normal((N_TRAIN + N_TEST, N_INPUTS))
        skills, errors = [], []
        for number in range(N_REPETITIONS):
            rows = repetition(N_TRAIN, 1, number)
            weights = np.linalg.lstsq(inputs[rows], noise[rows], rcond=None)[0]
            skills.append(1 - (noise[N_TRAIN:] - inputs[N_TRAIN:] @ weights) ** 2)
            errors.append(1 + weights @ weights)
        asked.append(pd.DataFrame(skills))
        truths.append(np.mean(errors))
    return *asked, truths[1] - truths[0]


def test_intervals_cover_new_test_galaxies_and_claim_no_more():
    rng = np.random.default_rng(0)
    covered, of_new_trainings = [], []
    for _ in range(100):
        first, second, truth = trial(rng)
        found = difference(first, second)
        assert found.trainings == 1 and "means of 3 repetitions" in found.how
        low, high = found.interval()
        covered.append(low <= truth <= high)
        # Repetitions on nine tenths of one set, taken for trainings, miss what new sets give: 0.
        low, high = by_seed_and_galaxy(first, second).interval()
        of_new_trainings.append(low <= 0 <= high)
    limit = 0.95 - 3 * np.sqrt(0.95 * 0.05 / 100)
    assert np.mean(covered) >= limit > np.mean(of_new_trainings)


def test_the_page_says_what_a_verdict_speaks_of():
    rng = np.random.default_rng(1)
    rows = []
    for split in ("val", "test"):
        true = rng.standard_normal(60)
        for seed in (1, 2, 3):
            for model, error in (("xp_colours", 0.1), ("xp", 0.5), ("colours", 0.6)):
                made = true + error * rng.standard_normal(60)
                rows.append(pd.DataFrame({
                    "model": model, "target": "Teff", "seed": seed, "split": split,
                    "id": [f"{split}{k}" for k in range(60)], "true": true, "predicted": made,
                }))  # fmt: skip
    questions = (("xp_colours", ("xp", "colours")),)
    claims = claims_table(pd.concat(rows), questions, {"Teff": "Teff"}, "stars")
    assert claims["verdict"].tolist() == [ONE_HIGHER]
    assert "(paired by 60 stars, means of 3 repetitions)" in claims["detail"][0]
    assert "speak of these training stars" in real_html(pd.DataFrame(), claims, "stars")
