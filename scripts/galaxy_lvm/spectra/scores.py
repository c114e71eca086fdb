"""Scores of stellar parameters: errors in their units, with intervals over stars."""

from collections.abc import Mapping

import numpy as np
import pandas as pd
from scipy.special import ndtri

from galaxy_lvm.core.seeds import derive_seed
from galaxy_lvm.report.results import long_rows
from galaxy_lvm.spectra.stars import Stars

EXPERIMENT = "spectra"
PREDICTION_COLUMNS = ("model", "label", "id", "true", "predicted", "sigma")
_NMAD = 1.4826
_N_RESAMPLES = 500


def mean_interval(values: np.ndarray, seed: int) -> tuple[float, float]:
    """Return the ends of the 95 % bootstrap interval of a mean over stars (n,)."""
    rng = np.random.default_rng(derive_seed(seed, "spectra", "bootstrap"))
    n = len(values)
    means = [values[rng.integers(n, size=n)].mean() for _ in range(_N_RESAMPLES)]
    low, high = np.percentile(means, (2.5, 97.5))
    return float(low), float(high)


def label_scores(residual: np.ndarray, sigma: np.ndarray | None, seed: int) -> dict[str, float]:
    """Return the scores of one label.

    Parameters
    ----------
    residual
        (n,) predicted minus true, in the label's unit.
    sigma
        (n,) predicted standard deviations; None where a method has none.
    seed
        Of the bootstrap.

    Returns
    -------
    dict
        `mae` with the ends of its 95 % bootstrap interval over stars, `bias` (median), `sigma_nmad`
        (1.4826 times the median absolute deviation), `rms`, `n_test`; with uncertainties also
        `coverage68` and `coverage95`, the shares of the stars within 1 and 1.96 of them (0.683 and
        0.95 where they are right), and `nll`, the mean negative log likelihood of a Gaussian.
    """
    size = np.abs(residual)
    low, high = mean_interval(size, seed)
    bias = np.median(residual)
    found = {
        "mae": size.mean(),
        "mae_low95": low,
        "mae_high95": high,
        "bias": bias,
        "sigma_nmad": _NMAD * np.median(np.abs(residual - bias)),
        "rms": np.sqrt(np.mean(residual**2)),
        "n_test": len(size),
    }
    if sigma is not None:
        pull = size / sigma
        found["coverage68"] = np.mean(pull < 1)
        found["coverage95"] = np.mean(pull < ndtri(0.975))
        found["nll"] = np.mean(
            np.square(residual / sigma) / 2 + np.log(sigma) + np.log(2 * np.pi) / 2
        )
    return {name: float(value) for name, value in found.items()}


def score_rows(
    test: Stars,
    model: str,
    predicted: np.ndarray,
    sigma: np.ndarray | None,
    n_train: int,
    seed: int,
) -> tuple[list[dict], pd.DataFrame]:
    """Return rows of the long table, and the predictions of a model.

    Parameters
    ----------
    test
        Stars that were asked.
    model
        Name of the method.
    predicted, sigma
        (n, k) labels and their standard deviations, or None.
    n_train
        Spectra that it learned from.
    seed
        The run's seed.
    """
    rows, tables = [], []
    for k, label in enumerate(test.label_names):
        own = None if sigma is None else sigma[:, k]
        values = label_scores(predicted[:, k] - test.labels[:, k], own, seed)
        rows += long_rows(EXPERIMENT, label, model, f"train={n_train}", seed, values)
        columns: Mapping = {
            "model": model,
            "label": label,
            "id": test.ids,
            "true": test.labels[:, k],
            "predicted": predicted[:, k],
            "sigma": np.nan if own is None else own,
        }
        tables.append(pd.DataFrame(columns)[list(PREDICTION_COLUMNS)])
    return rows, pd.concat(tables, ignore_index=True)
