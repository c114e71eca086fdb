"""Galaxy parameters from frozen features: regression, chosen on validation, scored on test."""

import os
from collections.abc import Sequence

import numpy as np
import pandas as pd

from galaxy_lvm.core.config.extensions import Parameter
from galaxy_lvm.core.errors import DataError
from galaxy_lvm.core.logs import log
from galaxy_lvm.core.seeds import derive_seed
from galaxy_lvm.features.ridge import Regression, Regressions, mapped
from galaxy_lvm.features.space import FeatureSpace
from galaxy_lvm.survey.crop_store import CropStore
from galaxy_lvm.survey.rows import sample_rows
from galaxy_lvm.survey.splits import MODEL_SPLITS
from galaxy_lvm.survey.store import CutoutStore

SCALES = ("linear", "log10", "one_plus")
# What a prediction may use. The adaptive crop shows all galaxies at about the same size, so that
# sizes and fluxes in arc seconds and magnitudes need the side of its box; alone it is a baseline.
INPUTS = ("constant", "box", "features", "features+box")
METRICS = ("bias", "sigma_nmad", "rms", "outlier_fraction")
PREDICTION_COLUMNS = ("parameter", "inputs", "id", "label", "true", "predicted", "scale")
MIN_GALAXIES = {"train": 20, "val": 5, "test": 5}

_NMAD = 1.4826  # median absolute deviation to standard deviation, for a normal distribution
_OUTLIER_SIGMAS = 3.0
# Share of the box in squared distances, where it stands beside the features.
_BOX_SHARE = 0.1
_LARGEST_BOOTSTRAP = 20_000_000  # galaxies times resamples


def scaled_values(parameter: Parameter, values: np.ndarray) -> np.ndarray:
    """Return what is regressed, float64; NaN where a value cannot be used."""
    values = np.asarray(values, dtype=float)
    if parameter.scale != "log10":
        return np.where(np.isfinite(values), values, np.nan)
    positive = np.isfinite(values) & (values > 0)
    return np.log10(np.where(positive, values, np.nan))


def unscaled(parameter: Parameter, scaled: np.ndarray) -> np.ndarray:
    """Return values of the catalogue's column from what is regressed."""
    return np.power(10.0, scaled) if parameter.scale == "log10" else scaled


def residuals(parameter: Parameter, true: np.ndarray, predicted: np.ndarray) -> np.ndarray:
    """Return predicted minus true, of scaled values."""
    difference = predicted - true
    return difference / (1 + true) if parameter.scale == "one_plus" else difference


def residual_scores(residual: np.ndarray, outlier_above: float | None = None) -> dict[str, float]:
    """Return bias, scatter and outlier fraction of residuals (N,).

    Parameters
    ----------
    residual
        Predicted minus true.
    outlier_above
        Residuals of a larger size are outliers; None: those further than 3 sigma_NMAD from the
        bias, of which a normal distribution has 0.3 %.

    Returns
    -------
    dict
        `bias` (median), `sigma_nmad` (1.4826 times the median absolute deviation from the
        median; Hoaglin et al. 1983), `rms` (about zero) and `outlier_fraction`.
    """
    return {name: float(value) for name, value in _scores(residual, outlier_above).items()}


def _scores(residual: np.ndarray, outlier_above: float | None) -> dict[str, np.ndarray]:
    """Return scores over the last axis."""
    bias = np.median(residual, axis=-1)
    deviation = np.abs(residual - bias[..., None])
    sigma = _NMAD * np.median(deviation, axis=-1)
    if outlier_above is None:
        outlier = deviation > _OUTLIER_SIGMAS * sigma[..., None]
    else:
        outlier = np.abs(residual) > outlier_above
    rms = np.sqrt(np.mean(np.square(residual), axis=-1))
    shares = outlier.mean(axis=-1)
    return {"bias": bias, "sigma_nmad": sigma, "rms": rms, "outlier_fraction": shares}


def scores_with_intervals(
    residual: np.ndarray, outlier_above: float | None, seed: int
) -> dict[str, float]:
    """Return `residual_scores` and the ends of their 95 % bootstrap intervals over galaxies."""
    rng = np.random.default_rng(derive_seed(seed, "parameters", "bootstrap"))
    n_resamples = int(np.clip(_LARGEST_BOOTSTRAP // len(residual), 100, 500))
    resampled = [
        _scores(residual[rng.integers(len(residual), size=len(residual))], outlier_above)
        for _ in range(n_resamples)
    ]
    scores = {}
    for metric, value in residual_scores(residual, outlier_above).items():
        low, high = np.percentile([sample[metric] for sample in resampled], (2.5, 97.5))
        scores |= {metric: value, f"{metric}_low95": low, f"{metric}_high95": high}
    return scores


def catalogue_of_crops(
    crops_path: str | os.PathLike, cutouts_path: str | os.PathLike, rows: np.ndarray
) -> pd.DataFrame:
    """Return the catalogue of crops, with the side of the box that each was cut from.

    Parameters
    ----------
    crops_path, cutouts_path
        Crops, and the cutout store that they were cut from.
    rows
        Rows of the crops, (n,).

    Returns
    -------
    DataFrame
        The store's columns and `box_side_pix`, in pixels of its frames; one row per crop.
    """
    with CropStore(crops_path) as crops:
        cutout_rows, boxes = crops.column("cutout_index")[rows], crops.boxes[rows]
    with CutoutStore(cutouts_path) as store:
        table = store.catalogue().iloc[cutout_rows].reset_index(drop=True)
    return table.assign(box_side_pix=(boxes[:, 2] - boxes[:, 0]).astype(float))


def limit_training(table: pd.DataFrame, max_train: int, seed: int) -> pd.DataFrame:
    """Return the galaxies of the three splits, at most `max_train` of them for training."""
    table = table[table["split"].isin(MODEL_SPLITS)].reset_index(drop=True)
    train = np.flatnonzero(table["split"] == "train")
    kept = train[sample_rows(len(train), max_train, derive_seed(seed, "parameters"))]
    if len(kept) < len(train):
        log.info("%d of %d training galaxies are used", len(kept), len(train))
    others = np.flatnonzero(table["split"] != "train")
    return table.iloc[np.sort(np.concatenate([kept, others]))].reset_index(drop=True)


def usable_values(
    parameter: Parameter, catalogue: pd.DataFrame, split: Sequence[str]
) -> tuple[np.ndarray | None, str]:
    """Return scaled values (n,), NaN where there is none; or None and why there are too few."""
    if parameter.column not in catalogue:
        return None, "no such column in the catalogue"
    column = catalogue[parameter.column]
    if not pd.api.types.is_numeric_dtype(column) or pd.api.types.is_bool_dtype(column):
        return None, "the column is not numeric"
    values = scaled_values(parameter, column.to_numpy())
    split = np.asarray(split)
    for name, smallest in MIN_GALAXIES.items():
        n = int(np.isfinite(values[split == name]).sum())
        if n < smallest:
            return None, f"{n} usable values in split {name}, {smallest} are needed"
    return values, ""


class Inputs:
    """The matrices that predictions start from; scaling is fitted on the training split.

    Parameters
    ----------
    features
        (n, D).
    box_side_pix
        (n,), above 0.
    train
        bool (n,): which galaxies may be looked at.
    seed
        Of the regressions.
    """

    def __init__(
        self, features: np.ndarray, box_side_pix: np.ndarray, train: np.ndarray, seed: int
    ) -> None:
        powers = _powers(box_side_pix)
        self._box_space = FeatureSpace(powers[train])
        self._feature_space = FeatureSpace(features[train])
        self._own = self._box_space(powers), self._feature_space(features)
        self._seed, self._regressions = seed, {}

    def __call__(self, name: str) -> np.ndarray:
        """Return the matrix (n, m) float32 of one of `INPUTS` except `constant`."""
        box, features = self._own
        if name == "box":
            return box
        return features if name == "features" else self._joined(box, features)

    def regressions(self, name: str) -> Regressions:
        """Return the regressions on one of the matrices, the same ones at every call."""
        if name not in self._regressions:
            self._regressions[name] = Regressions(self(name), self._seed)
        return self._regressions[name]

    def of_others(self, features: np.ndarray, box_side_pix: np.ndarray) -> np.ndarray:
        """Return the matrix `features+box` of other galaxies (k, D), (k,), scaled as these."""
        return self._joined(self._box_space(_powers(box_side_pix)), self._feature_space(features))

    @staticmethod
    def _joined(box: np.ndarray, features: np.ndarray) -> np.ndarray:
        ratio = features.shape[1] / box.shape[1]
        weight = np.float32(np.sqrt(_BOX_SHARE / (1 - _BOX_SHARE) * ratio))
        return np.hstack([features, weight * box])


def _powers(box_side_pix: np.ndarray) -> np.ndarray:
    size = np.log10(box_side_pix)[:, None]
    return np.hstack([size, size**2, size**3]).astype(np.float32)


def fit_parameter(
    regressions: Regressions, target: np.ndarray, split: np.ndarray, parameter: Parameter
) -> Regression:
    """Fit on train, choose on val: the regression with the smallest RMS residual there.

    Parameters
    ----------
    regressions
        On the inputs (n, m) of all galaxies.
    target
        (n,) scaled values; NaN rows are neither fitted nor judged.
    split
        (n,) train, val or test.
    parameter
        How residuals are formed.
    """
    known = np.isfinite(target)
    train, val = known & (split == "train"), known & (split == "val")
    best_error, best = np.inf, None
    inputs = regressions.inputs
    for kind in regressions.kinds(train):
        of_val = mapped(kind.kernel, inputs[val])
        for strength, weights, offset in kind.path(inputs[train], target[train]):
            error = residuals(parameter, target[val], of_val @ weights + offset)
            rms = float(np.sqrt(np.mean(np.square(error))))
            if rms < best_error:
                choice = f"{kind.name}, strength {strength:g}, RMS {rms:.3g} on validation"
                best_error, best = rms, Regression(kind.kernel, weights, offset, choice)
    if best is None:
        raise DataError(f"{parameter.column}: no regression gave a finite residual on validation")
    return best


def evaluate_parameter(
    parameter: Parameter,
    name: str,
    inputs: Inputs,
    target: np.ndarray,
    galaxies: pd.DataFrame,
    seed: int,
) -> tuple[dict[str, float], pd.DataFrame]:
    """Fit one parameter from one kind of inputs and score it on the test split.

    Parameters
    ----------
    parameter
        What to predict.
    name
        One of `INPUTS`; `constant` is the median of the training split.
    inputs, target
        Matrices and scaled values (n,) of all galaxies; see `usable_values`.
    galaxies
        `id`, `label`, `split` of the same galaxies.
    seed
        The run's seed.

    Returns
    -------
    scores : dict
        `METRICS` with intervals, `n_train`, `n_val`, `n_test`, `n_without_value`.
    test : DataFrame
        Columns `PREDICTION_COLUMNS`, test galaxies with a value.
    """
    split = galaxies["split"].to_numpy()
    if name == "constant":
        predicted = np.full(len(target), np.nanmedian(target[split == "train"]))
    else:
        regressions = inputs.regressions(name)
        fitted = fit_parameter(regressions, target, split, parameter)
        predicted = fitted(regressions.inputs)
        log.info("%s from %s: %s", parameter.column, name, fitted.choice)
    known = np.isfinite(target)
    test = known & (split == "test")
    residual = residuals(parameter, target[test], predicted[test])
    scores = scores_with_intervals(residual, parameter.outlier_above, seed)
    scores |= {f"n_{part}": int((known & (split == part)).sum()) for part in MIN_GALAXIES}
    scores["n_without_value"] = int((~known).sum())
    frame = galaxies.loc[test, ["id", "label"]].assign(
        parameter=parameter.column,
        inputs=name,
        true=target[test],
        predicted=predicted[test],
        scale=parameter.scale,
    )
    return scores, frame[list(PREDICTION_COLUMNS)]
