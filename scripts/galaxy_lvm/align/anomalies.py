"""Anomalies: stars whose two spectra do not say the same, in units of what is usual."""

import numpy as np
import pandas as pd
from sklearn.decomposition import PCA
from sklearn.pipeline import make_pipeline

from galaxy_lvm.align.pairs import Pairs, Side
from galaxy_lvm.report.rankings import area_under_roc
from galaxy_lvm.report.results import long_rows
from galaxy_lvm.spectra.floors import pixels
from galaxy_lvm.spectra.scores import mean_interval

EXPERIMENT = "anomalies"
SCORE_COLUMNS = ("model", "id", "injected", "score")
FALSE_POSITIVES = 0.01
_COMPONENTS = 40


def usual_scatter(made: np.ndarray, true: Side) -> np.ndarray:
    """Return the variance (L,) of ordinary stars' residuals beyond their errors."""
    residual = made - true.flux
    spread = 1.4826 * np.nanmedian(np.abs(residual - np.nanmedian(residual, axis=0)), axis=0)
    usual = np.nanmedian(np.square(np.nan_to_num(true.error)), axis=0)
    return np.maximum(np.square(spread) - usual, 1e-4 * np.square(spread) + 1e-12)


def misfit(made: np.ndarray, true: Side, scatter: np.ndarray) -> np.ndarray:
    """Return the mean square (n,) of residuals in units of errors and usual scatter."""
    variance = np.square(np.nan_to_num(true.error)) + scatter
    return np.nanmean(np.square(made - true.flux) / variance, axis=1)


def component_misfit(train: Pairs, val: Pairs, asked: Pairs) -> np.ndarray:
    """Return the misfit (n,) of principal components of both sides together: a floor.

    It sees all of the spectrum at once, where a translation sees one side.
    """
    both = [np.concatenate([part.a.flux, part.b.flux], axis=1) for part in (train, val, asked)]
    errors = [np.concatenate([part.a.error, part.b.error], axis=1) for part in (val, asked)]
    n = min(_COMPONENTS, len(train) - 1, both[0].shape[1] - 1)
    fitted = make_pipeline(pixels(), PCA(n, svd_solver="covariance_eigh")).fit(both[0])
    made = [
        fitted[0][-1].inverse_transform(fitted[-1].inverse_transform(fitted.transform(flux)))
        for flux in both[1:]
    ]
    sides = [
        Side(f, e, np.ones(len(f)), np.arange(f.shape[1]))
        for f, e in zip(both[1:], errors, strict=True)
    ]
    return misfit(made[1], sides[1], usual_scatter(made[0], sides[0]))


def anomaly_rows(
    table: pd.DataFrame, limits: dict[str, float], experiment: str, seed: int
) -> list[dict]:
    """Return rows of the long table.

    Parameters
    ----------
    table
        Columns `SCORE_COLUMNS`: test stars, and binaries (`injected`).
    limits
        Score that one validation star in a hundred exceeds, by model.
    experiment, seed
        What makes a pair; the run's seed.

    Returns
    -------
    list
        `recall` of the binaries above the limit with its interval, `false_positives` among test
        stars there, `auroc`.
    """
    rows = []
    for model, part in table.groupby("model", sort=False):
        injected = part["injected"].to_numpy(bool)
        scores = part["score"].to_numpy()
        above = scores > limits[model]
        low, high = mean_interval(above[injected].astype(float), seed)
        values = {
            "recall": above[injected].mean(), "recall_low95": low, "recall_high95": high,
            "false_positives": above[~injected].mean(),
            "auroc": area_under_roc(scores[~injected], scores[injected]),
            "n_test": (~injected).sum(),
        }  # fmt: skip
        rows += long_rows(EXPERIMENT, experiment, str(model), "binaries", seed, values)
    return rows
