"""Scores of images against their references, with intervals over galaxies."""

import numpy as np
import pandas as pd

from galaxy_lvm.core.errors import DataError
from galaxy_lvm.report.metrics import (
    IMAGE_METRICS,
    MSE_FLOOR,
    NOISE_FREE_METRICS,
    bootstrap_interval,
)


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
    from skimage.metrics import structural_similarity  # only what scores images waits for it

    reference, image = (np.asarray(a, dtype=np.float32) for a in (reference, image))
    mse = np.square(reference - image, dtype=np.float64).mean(axis=(1, 2, 3))
    ssim = [
        structural_similarity(a, b, data_range=1.0, channel_axis=-1)
        for a, b in zip(reference, image, strict=True)
    ]
    psnr = -10 * np.log10(np.maximum(mse, MSE_FLOOR))
    return pd.DataFrame({"mse": mse, "psnr": psnr, "ssim": np.asarray(ssim, dtype=float)})


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
