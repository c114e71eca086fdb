"""Scores of classifications and of images, and their bootstrap intervals."""

from collections.abc import Callable

import numpy as np
import pandas as pd
from skimage.metrics import structural_similarity
from sklearn.metrics import accuracy_score, confusion_matrix, precision_recall_fscore_support

from galaxy_lvm.core.errors import DataError

CLASSIFICATION_METRICS = ("accuracy", "precision", "recall", "f1")
# Against a second label, where the galaxies have one.
SECOND_METRICS = ("accuracy_second", "f1_second")
IMAGE_METRICS = ("mse", "psnr", "ssim")
# Of restored images against noise-free ones, where a simulation knows these.
NOISE_FREE_METRICS = ("psnr_noise_free", "ssim_noise_free")

# An 8-bit reference is only known to within its rounding, variance 1/12 of a step squared. Smaller
# differences mean nothing; without this floor one exact copy would make a mean PSNR infinite.
MSE_FLOOR = 1 / (12 * 255**2)
PSNR_CEILING_DB = float(-10 * np.log10(MSE_FLOOR))


def classification_metrics(
    y_true: np.ndarray, y_pred: np.ndarray, n_classes: int
) -> dict[str, float]:
    """Return accuracy and macro-averaged precision, recall and F1 (paper, Table 1).

    The averages run over the classes that occur in `y_true`: recall of a class without a galaxy
    is not defined. A class that is never predicted has precision 0.

    Parameters
    ----------
    y_true, y_pred
        Class numbers (N,), in [0, n_classes).
    n_classes
        Number of classes.

    Returns
    -------
    dict
        `accuracy`, `precision`, `recall`, `f1`, each in [0, 1].

    Raises
    ------
    DataError
        If there is no galaxy, the lengths differ or a number is outside its range.
    """
    y_true, y_pred = _check_classes(y_true, y_pred, n_classes)
    scores = precision_recall_fscore_support(
        y_true, y_pred, labels=np.unique(y_true), average="macro", zero_division=0
    )
    values = (accuracy_score(y_true, y_pred), *scores[:3])
    return {name: float(v) for name, v in zip(CLASSIFICATION_METRICS, values, strict=True)}


def class_recall(y_true: np.ndarray, y_pred: np.ndarray, n_classes: int) -> np.ndarray:
    """Return the share found of each class (n_classes,), NaN for a class without a galaxy."""
    confusion = confusion_counts(y_true, y_pred, n_classes)
    total = confusion.sum(axis=1)
    return np.divide(np.diag(confusion), total, out=np.full(n_classes, np.nan), where=total > 0)


def confusion_counts(y_true: np.ndarray, y_pred: np.ndarray, n_classes: int) -> np.ndarray:
    """Return counts (n_classes, n_classes): rows are true classes, columns predicted ones."""
    y_true, y_pred = _check_classes(y_true, y_pred, n_classes)
    return confusion_matrix(y_true, y_pred, labels=np.arange(n_classes))


def _check_classes(
    y_true: np.ndarray, y_pred: np.ndarray, n_classes: int
) -> tuple[np.ndarray, np.ndarray]:
    y_true, y_pred = np.asarray(y_true), np.asarray(y_pred)
    if y_true.shape != y_pred.shape or y_true.ndim != 1 or not y_true.size:
        raise DataError(
            f"{y_true.shape} true and {y_pred.shape} predicted classes: expected the same number, "
            "at least one"
        )
    for name, values in (("true", y_true), ("predicted", y_pred)):
        if values.min() < 0 or values.max() >= n_classes:
            raise DataError(
                f"{name} classes reach from {values.min()} to {values.max()}, expected 0 to "
                f"{n_classes - 1}; leave out galaxies without a label (-1)"
            )
    return y_true, y_pred


def image_metrics(reference: np.ndarray, image: np.ndarray) -> pd.DataFrame:
    """Compare images with their references (paper, Tables 2 to 4).

    Parameters
    ----------
    reference, image
        (N, H, W, C) in [0, 1], at least 7 pixels a side.

    Returns
    -------
    DataFrame
        One row per image. `mse`; `psnr` in dB for a data range of 1, at most
        `PSNR_CEILING_DB` (58.9: the rounding of an 8-bit reference); `ssim` with scikit-image's
        default window of 7 by 7 pixels, averaged over channels (Wang et al. 2004).

    Raises
    ------
    DataError
        If shapes differ or a value is not finite.
    """
    if reference.shape != image.shape or reference.ndim != 4:
        raise DataError(f"images {image.shape} against references {reference.shape}, expected NHWC")
    if not (np.isfinite(reference).all() and np.isfinite(image).all()):
        raise DataError("images with values that are not finite cannot be scored")
    reference, image = (np.asarray(a, dtype=np.float32) for a in (reference, image))
    mse = np.square(reference - image, dtype=np.float64).mean(axis=(1, 2, 3))
    ssim = [
        structural_similarity(a, b, data_range=1.0, channel_axis=-1)
        for a, b in zip(reference, image, strict=True)
    ]
    psnr = -10 * np.log10(np.maximum(mse, MSE_FLOOR))
    return pd.DataFrame({"mse": mse, "psnr": psnr, "ssim": np.asarray(ssim, dtype=float)})


def bootstrap_interval(
    data: np.ndarray | tuple[np.ndarray, np.ndarray],
    statistic: Callable[..., float] | str,
    seed: int,
    n: int = 1000,
) -> tuple[float, float]:
    """Return the 95 % percentile interval of a statistic over resampled galaxies.

    By simulation it covers 92 to 96 % from 100 galaxies on, for means and for scores between 0.6
    and 0.85; less for fewer galaxies (90 % for the mean of 10 or for macro scores of 20), for very
    skewed values, and for scores close to 1 (88 % at 0.96 and 100 galaxies). Where every class is
    right resampling shows no scatter at all: the lower end is then the exact one of a share.

    Parameters
    ----------
    data
        Values (N,), or a tuple of arrays with N rows each, resampled together.
    statistic
        Function of the resampled array or arrays; or the name of one of
        `CLASSIFICATION_METRICS` for `(y_true, y_pred)`, which is much faster.
    seed
        At least 0.
    n
        Resamples (Efron & Tibshirani 1993).

    Returns
    -------
    tuple of float
        Lower and upper end.

    Raises
    ------
    DataError
        If there is no galaxy or the arrays differ in length.
    """
    arrays = tuple(np.asarray(a) for a in (data if isinstance(data, tuple) else (data,)))
    sizes = {len(a) for a in arrays}
    if len(sizes) != 1 or 0 in sizes:
        raise DataError(f"arrays of {sorted(sizes)} rows cannot be resampled together")
    rows = np.random.default_rng(seed).integers(sizes.pop(), size=(n, len(arrays[0])))
    if isinstance(statistic, str):
        values = _resampled_metric(*arrays, statistic, rows)
    elif statistic is np.mean and len(arrays) == 1:
        values = arrays[0][rows].mean(axis=1)
    else:
        values = np.array([statistic(*(a[r] for a in arrays)) for r in rows])
    if isinstance(statistic, str) and np.array_equal(*arrays):
        return 0.025 ** (1 / len(arrays[0])), 1.0  # Clopper & Pearson (1934)
    low, high = np.percentile(values, (2.5, 97.5))
    return float(low), float(high)


def _resampled_metric(
    y_true: np.ndarray, y_pred: np.ndarray, metric: str, rows: np.ndarray
) -> np.ndarray:
    """Return a classification metric of every resample (n,), by counting instead of looping."""
    if metric not in CLASSIFICATION_METRICS:
        raise DataError(f"{metric!r} is none of {CLASSIFICATION_METRICS}")
    k = 1 + int(max(y_true.max(), y_pred.max()))
    cell = (y_true * k + y_pred)[rows] + k * k * np.arange(len(rows))[:, None]
    counts = np.bincount(cell.ravel(), minlength=len(rows) * k * k).reshape(-1, k, k)
    hits = np.diagonal(counts, axis1=1, axis2=2)
    true, predicted = counts.sum(axis=2), counts.sum(axis=1)
    if metric == "accuracy":
        return hits.sum(axis=1) / rows.shape[1]
    divisor = {"precision": predicted, "recall": true, "f1": (true + predicted) / 2}[metric]
    score = np.divide(hits, divisor, out=np.zeros(hits.shape), where=divisor > 0)
    occurs = true > 0
    return (score * occurs).sum(axis=1) / occurs.sum(axis=1)


def right_or_wrong(y_true: np.ndarray, y_pred: np.ndarray) -> pd.DataFrame:
    """Return `accuracy` of single galaxies: 1 where the class is right, else 0."""
    return pd.DataFrame({"accuracy": (y_true == y_pred).astype(float)})


def mean_psnr(reference: np.ndarray, image: np.ndarray) -> float:
    """Return the PSNR in dB averaged over images (N, H, W, C); what baselines are tuned by."""
    mse = np.square(reference - image, dtype=np.float64).mean(axis=(1, 2, 3))
    return float(np.mean(-10 * np.log10(np.maximum(mse, MSE_FLOOR))))


def classification_scores(
    y_true: np.ndarray, y_pred: np.ndarray, n_classes: int, seed: int
) -> dict[str, float]:
    """Return `classification_metrics` and the ends of their 95 % intervals over galaxies.

    Keys: `accuracy`, `accuracy_low95`, `accuracy_high95`, and so on.
    """
    scores = {}
    for metric, value in classification_metrics(y_true, y_pred, n_classes).items():
        low, high = bootstrap_interval((y_true, y_pred), metric, seed)
        scores |= {metric: value, f"{metric}_low95": low, f"{metric}_high95": high}
    return scores


def second_scores(
    second: np.ndarray | None, y_pred: np.ndarray, n_classes: int, seed: int
) -> dict[str, float]:
    """Return the scores against another judgement of the classes, and their intervals.

    Parameters
    ----------
    second
        Class numbers (N,) by the other judgement, -1 where it has none; None where there is none
        at all.
    y_pred
        Predicted class numbers (N,).
    n_classes, seed
        As for `classification_scores`.

    Returns
    -------
    dict
        Keys `accuracy_second`, `accuracy_second_low95`, `accuracy_second_high95`, the same of
        `f1_second`, and `n_second`, the galaxies that were compared; empty for None.

    Raises
    ------
    DataError
        If no galaxy has another label.
    """
    if second is None:
        return {}
    known = second >= 0
    if not known.any():
        raise DataError(
            f"none of {len(second)} test galaxies has a second label of a known class; check "
            "folder.second_label_column"
        )
    scores = {"n_second": float(known.sum())}
    of_all = classification_scores(second[known], y_pred[known], n_classes, seed)
    for name in SECOND_METRICS:
        metric = name.removesuffix("_second")
        scores |= {f"{name}{end}": of_all[f"{metric}{end}"] for end in ("", "_low95", "_high95")}
    return scores


def image_scores(table: pd.DataFrame, seed: int) -> dict[str, float]:
    """Return the means of an `image_metrics` table and the ends of their 95 % intervals."""
    scores = {}
    for metric in IMAGE_METRICS:
        values = table[metric].to_numpy()
        low, high = bootstrap_interval(values, np.mean, seed)
        scores |= {metric: float(values.mean()), f"{metric}_low95": low, f"{metric}_high95": high}
    return scores


def noise_free_scores(
    noise_free: np.ndarray | None, image: np.ndarray, seed: int
) -> dict[str, float]:
    """Return scores against noise-free images, and their intervals; {} where there are none.

    A reference with noise of its own stops every method at that noise: against it the PSNR tells
    little of what was restored.

    Parameters
    ----------
    noise_free
        (N, H, W, C) in [0, 1], or None.
    image
        Images of the same galaxies.
    seed
        The run's seed.
    """
    if noise_free is None:
        return {}
    scores = image_scores(image_metrics(noise_free, image), seed)
    return {
        f"{name}{end}": scores[f"{name.removesuffix('_noise_free')}{end}"]
        for name in NOISE_FREE_METRICS
        for end in ("", "_low95", "_high95")
    }
