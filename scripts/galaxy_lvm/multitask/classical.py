"""Classical baselines: oriented gradients, deconvolution with the known PSF, inpainting.

They keep the comparison honest: each is given what it may know (the PSF and the noise level of
every image) and is tuned on the validation split, never on the test split.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

import cv2
import numpy as np
import pandas as pd

from galaxy_lvm.core.config.tasks import Baselines, Blur
from galaxy_lvm.core.errors import ConfigError, DataError
from galaxy_lvm.multitask.degrade import (
    LARGEST_8_BIT_VALUE,
    apply_transfer,
    from_modes,
    moffat_psf,
    psf_side_pix,
    psf_transfer,
    to_modes,
)
from galaxy_lvm.report.metrics import mean_psnr

HOG_SIDE_PIX = 64
INPAINTING_METHODS = ("telea", "navier_stokes", "biharmonic")
_INPAINTING_RADIUS_PIX = 3
_BATCH = 16  # images deconvolved together: their cosine modes stay in the processor's cache
_FLOOR = 1e-3  # brightness below which a Richardson-Lucy ratio is noise


@dataclass(frozen=True)
class Tuned:
    """A baseline with the choice that was made for it on the validation split."""

    name: str
    """Model name in the result tables."""
    apply: Callable[..., np.ndarray]
    """The baseline, ready for test images."""
    score_val: float
    """Best validation score: PSNR in dB, or macro F1."""
    chosen: dict[str, float] = field(default_factory=dict)
    """Settings that gave it."""


# ------------------------------------------------------------------------------ classification


def hog_features(images: np.ndarray) -> np.ndarray:
    """Return histograms of oriented gradients (Dalal & Triggs 2005) of the grey, 64-pixel images.

    Parameters
    ----------
    images
        uint8 (N, H, W, 3) RGB.

    Returns
    -------
    ndarray
        float32 (N, 1764): 9 orientations, cells of 8 by 8 pixels, blocks of 2 by 2 cells.
    """
    from skimage.feature import hog

    side = (HOG_SIDE_PIX, HOG_SIDE_PIX)
    features = [
        hog(
            cv2.resize(cv2.cvtColor(image, cv2.COLOR_RGB2GRAY), side, interpolation=cv2.INTER_AREA),
            orientations=9,
            pixels_per_cell=(8, 8),
            cells_per_block=(2, 2),
        )
        for image in images
    ]
    return np.asarray(features, dtype=np.float32)


def tune_hog_logistic(
    train: tuple[np.ndarray, np.ndarray],
    val: tuple[np.ndarray, np.ndarray],
    strengths: Sequence[float],
    score: Callable[[np.ndarray, np.ndarray], float],
) -> Tuned:
    """Fit logistic regressions on HOG features; keep the one with the best validation score.

    Parameters
    ----------
    train, val
        Images uint8 (N, H, W, 3) and class numbers (N,) at least 0.
    strengths
        Inverse regularisation strengths to try.
    score
        Score of (true, predicted) classes, larger is better.

    Raises
    ------
    DataError
        If the training galaxies are of fewer than two classes or none is for validation.
    """
    # 1.3 CPU seconds, which trainings and restorations that need the rest of this module save.
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    if len(np.unique(train[1])) < 2:
        raise DataError("the training split has labelled galaxies of fewer than two classes")
    if not len(val[1]):
        raise DataError("the validation split has no labelled galaxy to choose logistic_c by")
    train_features, val_features = hog_features(train[0]), hog_features(val[0])
    scaler = StandardScaler().fit(train_features)
    scaled, scaled_val = scaler.transform(train_features), scaler.transform(val_features)
    fits = []
    for strength in sorted(strengths):
        model = LogisticRegression(C=strength, max_iter=1000).fit(scaled, train[1])
        fits.append((score(val[1], model.predict(scaled_val)), strength, model))
    best_score, strength, model = max(fits, key=lambda fit: fit[0])
    pipeline = make_pipeline(scaler, model)
    return Tuned(
        "hog_logistic",
        lambda images: pipeline.predict(hog_features(images)),
        best_score,
        {"logistic_c": strength},
    )


# ------------------------------------------------------------------------------ restoration


@dataclass(frozen=True)
class BlurredSet:
    """Blurred images with what a deconvolution may know of them."""

    images: np.ndarray
    """float32 (N, H, W, 3) in [0, 1]."""
    transfer: np.ndarray
    """float32 (N, H, W): what each image's PSF does to its cosine modes."""
    sigma: np.ndarray
    """float32 (N,): noise standard deviation on the [0, 1] scale."""

    @classmethod
    def from_table(cls, images: np.ndarray, table: pd.DataFrame, recipe: Blur) -> "BlurredSet":
        """Work out the PSFs from the table that `blur_images` returns."""
        fwhm = table["fwhm_pix"].to_numpy()
        psf = moffat_psf(fwhm, recipe.moffat_beta, psf_side_pix(recipe))
        sigma = (table["noise_sigma"].to_numpy() / LARGEST_8_BIT_VALUE).astype(np.float32)
        return cls(images, psf_transfer(psf, *images.shape[1:3]), sigma)

    @classmethod
    def of_mean_width(cls, images: np.ndarray, table: pd.DataFrame, recipe: Blur) -> "BlurredSet":
        """Take every PSF to be of the recipe's mean width: what is known without a star nearby."""
        mean = (recipe.fwhm_min_pix + recipe.fwhm_max_pix) / 2
        return cls.from_table(images, table.assign(fwhm_pix=mean), recipe)

    def batches(self) -> Iterator["BlurredSet"]:
        """Yield pieces that fit the processor's cache."""
        for first in range(0, len(self.images), _BATCH):
            part = slice(first, first + _BATCH)
            yield BlurredSet(self.images[part], self.transfer[part], self.sigma[part])


def signal_power(images: np.ndarray) -> np.ndarray:
    """Return the mean power of galaxies' cosine modes (H, W), averaged over directions."""
    power = np.square(to_modes(images)).mean(axis=(0, 3))
    height, width = power.shape
    y, x = np.arange(height)[:, None] / height, np.arange(width) / width
    ring = np.round(np.hypot(y, x) * min(height, width)).astype(int)
    mean = np.bincount(ring.ravel(), power.ravel()) / np.maximum(np.bincount(ring.ravel()), 1)
    return np.maximum(mean[ring], np.finfo(np.float32).tiny).astype(np.float32)


def wiener_filter(
    blurred: BlurredSet, power: np.ndarray, strength: float, offset: float, deblur: bool = True
) -> np.ndarray:
    """Return Wiener-filtered images, clipped to [0, 1] (Wiener 1949).

    Parameters
    ----------
    blurred
        Images with their PSFs and noise levels.
    power
        Expected power of the sharp images' modes, from `signal_power`.
    strength
        Factor on the noise power.
    offset
        Sky to subtract, in units of the noise.
    deblur
        False: remove only noise and leave the blur.
    """
    results = []
    for part in blurred.batches():
        sigma, h = part.sigma[:, None, None], part.transfer
        gain = h / (h**2 + np.float32(strength) * sigma**2 / power)
        modes = to_modes(part.images - np.float32(offset) * sigma[..., None])
        modes *= (gain if deblur else gain * h)[..., None]
        results.append(np.clip(from_modes(modes), 0.0, 1.0))
    return np.concatenate(results)


def richardson_lucy(blurred: BlurredSet, iterations: Sequence[int]) -> dict[int, np.ndarray]:
    """Return Richardson-Lucy deconvolutions after every stated number of iterations.

    The algorithm of `skimage.restoration.richardson_lucy` (Richardson 1972, Lucy 1974), which
    starts from grey, but with the mirrored borders of the blur and for a batch at once.

    Parameters
    ----------
    blurred
        Images with their PSFs.
    iterations
        Numbers of iterations at which to look, at least 1.

    Returns
    -------
    dict
        Number of iterations -> images float32 (N, H, W, 3), clipped to [0, 1].
    """
    looks: dict[int, list[np.ndarray]] = {n: [] for n in sorted(set(iterations))}
    for part in blurred.batches():
        estimate = np.full_like(part.images, 0.5)
        for n in range(1, max(looks) + 1):
            model = apply_transfer(estimate, part.transfer)
            ratio = np.where(model < _FLOOR, 0, part.images / np.maximum(model, _FLOOR))
            estimate *= apply_transfer(ratio, part.transfer)
            np.maximum(estimate, 0.0, out=estimate)  # the transforms' rounding may go below 0
            if n in looks:
                looks[n].append(np.clip(estimate, 0.0, 1.0))
    return {n: np.concatenate(parts) for n, parts in looks.items()}


def tune_wiener(
    reference: np.ndarray, blurred: BlurredSet, settings: Baselines, name: str = "wiener"
) -> Tuned:
    """Choose the Wiener filter's strength and sky offset by the PSNR of validation images."""
    power = signal_power(reference)
    trials = []
    for strength in settings.wiener_strengths:
        for offset in settings.sky_offsets:
            image = wiener_filter(blurred, power, strength, offset)
            trials.append((mean_psnr(reference, image), strength, offset))
    psnr, strength, offset = max(trials)
    return Tuned(
        name,
        lambda other: wiener_filter(other, power, strength, offset),
        psnr,
        {"wiener_strength": strength, "sky_offset": offset},
    )


def tune_richardson_lucy(
    reference: np.ndarray, blurred: BlurredSet, settings: Baselines, offset: float
) -> Tuned:
    """Choose iterations and noise filter by the PSNR of validation images.

    Every iteration sharpens the noise as well, hence the choice of a filter before the first.

    Parameters
    ----------
    reference, blurred
        Validation images.
    settings
        What to choose from.
    offset
        Sky that the noise filter subtracts, in units of the noise.
    """
    power = signal_power(reference)
    trials = []
    for strength in settings.denoise_strengths:
        looks = richardson_lucy(
            _denoised(blurred, power, strength, offset), settings.richardson_lucy_iterations
        )
        trials += [(mean_psnr(reference, image), strength, n) for n, image in looks.items()]
    psnr, strength, n = max(trials)
    chosen = {"iterations": n, "denoise_strength": strength}
    apply = known_richardson_lucy(reference, chosen | {"sky_offset": offset})
    return Tuned("richardson_lucy", apply, psnr, chosen)


def known_richardson_lucy(
    reference: np.ndarray, chosen: Mapping[str, float]
) -> Callable[[BlurredSet], np.ndarray]:
    """Return what restores images as `tune_richardson_lucy` chose to.

    Parameters
    ----------
    reference
        The validation images that it was tuned on.
    chosen
        Its `iterations` and `denoise_strength`, and the `sky_offset` of the Wiener filter.
    """
    power, n = signal_power(reference), int(chosen["iterations"])
    filtered = chosen["denoise_strength"], chosen["sky_offset"]
    return lambda other: richardson_lucy(_denoised(other, power, *filtered), [n])[n]


def _denoised(blurred: BlurredSet, power: np.ndarray, strength: float, offset: float) -> BlurredSet:
    if strength == 0:
        return blurred
    images = wiener_filter(blurred, power, strength, offset, deblur=False)
    return BlurredSet(images, blurred.transfer, blurred.sigma)


# ------------------------------------------------------------------------------ reconstruction


def inpaint(images: np.ndarray, mask: np.ndarray, method: str) -> np.ndarray:
    """Fill hidden pixels from the visible ones around them.

    Parameters
    ----------
    images
        float32 (N, H, W, 3) in [0, 1].
    mask
        bool (N, H, W), True where hidden. An image without a visible pixel comes back unchanged.
    method
        telea (Telea 2004), navier_stokes (Bertalmio et al. 2001) or biharmonic (Damelin & Hoang
        2018).

    Returns
    -------
    ndarray
        float32 (N, H, W, 3) in [0, 1]; visible pixels are kept.
    """
    if method not in INPAINTING_METHODS:
        raise ConfigError(f"inpainting method {method!r} is none of {INPAINTING_METHODS}")
    result = images.copy()
    for image, hidden in zip(result, mask, strict=True):
        if hidden.any() and not hidden.all():
            image[hidden] = _fill(image, hidden, method)[hidden]
    return result


def _fill(image: np.ndarray, hidden: np.ndarray, method: str) -> np.ndarray:
    if method == "biharmonic":
        from skimage.restoration import inpaint_biharmonic

        return np.clip(inpaint_biharmonic(image, hidden, channel_axis=-1), 0.0, 1.0)
    flag = {"telea": cv2.INPAINT_TELEA, "navier_stokes": cv2.INPAINT_NS}[method]
    steps = np.round(image * LARGEST_8_BIT_VALUE).astype(np.uint8)
    filled = cv2.inpaint(steps, hidden.astype(np.uint8), _INPAINTING_RADIUS_PIX, flag)
    return filled / np.float32(LARGEST_8_BIT_VALUE)


def tune_inpainting(
    reference: np.ndarray, masked: np.ndarray, mask: np.ndarray, methods: Sequence[str]
) -> Tuned:
    """Choose the inpainting method by the PSNR of validation images."""
    psnr, method = max(
        (mean_psnr(reference, inpaint(masked, mask, method)), method) for method in methods
    )
    return Tuned(f"inpainting_{method}", lambda *other: inpaint(*other, method), psnr)
