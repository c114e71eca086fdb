"""Class probabilities that mean what they say: temperature scaling on validation galaxies."""

import numpy as np
from scipy.optimize import minimize_scalar
from scipy.special import softmax

from galaxy_lvm.core.errors import DataError
from galaxy_lvm.core.logs import log
from galaxy_lvm.multitask.reliability import calibration_error, confidence_bins
from galaxy_lvm.report.metrics import bootstrap_interval, cross_entropy

# Few galaxies that are all right ask for infinite confidence: no temperature lies beyond these.
TEMPERATURES = (0.2, 20.0)
# A probability of exactly 0 has no logarithm; single precision tells no smaller ones from it.
_SMALLEST = 1e-7
_N_RESAMPLES = 200


def tempered(shares: np.ndarray, temperature: float) -> np.ndarray:
    """Return class probabilities (N, K) at another temperature: p^(1/T), scaled to unit sum.

    Above 1 they move towards each other, below 1 apart; their order within a galaxy stays.
    """
    return softmax(np.log(np.maximum(shares, _SMALLEST)) / temperature, axis=1)


def log_loss(labels: np.ndarray, shares: np.ndarray) -> float:
    """Return the mean of -log p of the true class; `labels` (N,) number the columns of `shares`."""
    return cross_entropy(shares, labels, _SMALLEST)


def fit_temperature(labels: np.ndarray, shares: np.ndarray) -> float:
    """Return the temperature of the smallest log loss (Guo et al. 2017).

    Parameters
    ----------
    labels
        Class numbers (N,) of galaxies that the model did not learn from.
    shares
        Its class probabilities (N, K).

    Returns
    -------
    float
        Within `TEMPERATURES`; a value at an end is noted in the log.

    Raises
    ------
    DataError
        If there is no galaxy.
    """
    if not len(labels):
        raise DataError("no labelled validation galaxy to calibrate probabilities on")
    ends = np.log(TEMPERATURES)
    best = minimize_scalar(
        lambda exponent: log_loss(labels, tempered(shares, np.exp(exponent))),
        bounds=ends,
        method="bounded",
        options={"xatol": 1e-4},
    )
    if np.min(np.abs(best.x - ends)) < 1e-2:
        log.warning(
            "the temperature %.3g lies at an end of its range: %d validation galaxies do not say "
            "how far probabilities can be trusted", np.exp(best.x), len(labels),
        )  # fmt: skip
    return float(np.exp(best.x))


def calibration_scores(labels: np.ndarray, shares: np.ndarray, seed: int) -> dict[str, float]:
    """Return log loss and expected calibration error with 95 % intervals over galaxies.

    Parameters
    ----------
    labels, shares
        Class numbers (N,) and probabilities (N, K).
    seed
        Of the bootstrap.

    Returns
    -------
    dict
        `log_loss`, `calibration_error` (bins of equal size, Naeini et al. 2015), and each with
        `_low95` and `_high95`. The error of resampled galaxies is larger than that of all: its
        interval shows scatter, not the distance from 0.
    """
    scores = {}
    for name, of in (("log_loss", log_loss), ("calibration_error", _error)):
        low, high = bootstrap_interval((labels, shares), of, seed, _N_RESAMPLES)
        scores |= {name: of(labels, shares), f"{name}_low95": low, f"{name}_high95": high}
    return scores


def _error(labels: np.ndarray, shares: np.ndarray) -> float:
    return calibration_error(confidence_bins(labels, shares))
