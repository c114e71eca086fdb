"""Logistic regression on frozen features, one of every regularisation; validation chooses."""

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from sklearn.pipeline import Pipeline

REGULARISATIONS = (0.003, 0.03, 0.3)


def probes(features: np.ndarray, labels: np.ndarray) -> list["Pipeline"]:
    """Return a fitted regression for every one of `REGULARISATIONS`.

    Parameters
    ----------
    features, labels
        Of the training galaxies: (n, D), and the numbers (n,) of their classes, two at least.
    """
    # Nothing else of those who call it needs them: a CPU second.
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    return [
        make_pipeline(StandardScaler(), LogisticRegression(C=strength, max_iter=500))
        .fit(features, labels)
        for strength in REGULARISATIONS
    ]  # fmt: skip
