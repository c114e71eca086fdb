"""How often predictions of a given confidence are right."""

import numpy as np
import pandas as pd

N_BINS = 8
SMALLEST_BIN = 10


def confidence_bins(labels: np.ndarray, shares: np.ndarray) -> pd.DataFrame:
    """Return how often predictions of a given confidence are right, in bins of equal size.

    Parameters
    ----------
    labels
        Class numbers (N,).
    shares
        Class probabilities (N, number of classes).

    Returns
    -------
    DataFrame
        One row per bin: `confidence` (mean probability of the predicted class), `right` (share
        of right predictions), `n`.
    """
    confidence, right = shares.max(axis=1), shares.argmax(axis=1) == labels
    n_bins = min(N_BINS, max(1, len(labels) // SMALLEST_BIN))
    parts = np.array_split(np.argsort(confidence, kind="stable"), n_bins)
    rows = [(confidence[part].mean(), right[part].mean(), len(part)) for part in parts]
    return pd.DataFrame(rows, columns=["confidence", "right", "n"])


def reliability(labels: np.ndarray, shares: np.ndarray) -> pd.DataFrame:
    """Return `confidence_bins` with `low95` and `high95`, Wilson's interval of `right`."""
    from astropy.stats import binom_conf_interval  # half a CPU second

    table = confidence_bins(labels, shares)
    n_right = np.rint(table["right"] * table["n"])
    ends = binom_conf_interval(n_right, table["n"], confidence_level=0.95, interval="wilson")
    return table.assign(low95=ends[0], high95=ends[1])


def calibration_error(table: pd.DataFrame) -> float:
    """Return the mean distance between confidence and accuracy (Naeini et al. 2015)."""
    return float(np.average((table["confidence"] - table["right"]).abs(), weights=table["n"]))
