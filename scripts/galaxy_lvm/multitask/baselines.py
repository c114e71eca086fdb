"""The inputs and the classical baselines, tuned on validation images and scored on test images."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import numpy as np
import pandas as pd

from galaxy_lvm.core.config.tasks import Baselines, Blur, Mask
from galaxy_lvm.core.errors import ConfigError
from galaxy_lvm.core.logs import log
from galaxy_lvm.core.seeds import derive_seed
from galaxy_lvm.multitask.classical import (
    BlurredSet,
    Tuned,
    tune_hog_logistic,
    tune_inpainting,
    tune_richardson_lucy,
    tune_wiener,
)
from galaxy_lvm.multitask.tasks import reconstruction_test_sets, restoration_test_set
from galaxy_lvm.report.class_scores import (
    classification_metrics,
    classification_scores,
    second_scores,
)
from galaxy_lvm.report.image_scores import image_metrics, image_scores, noise_free_scores
from galaxy_lvm.report.metrics import right_or_wrong


@dataclass(frozen=True)
class Scored:
    """Scores of one model under one condition."""

    task: str
    model: str
    condition: str
    scores: dict[str, float]
    """Test scores with their intervals; for a baseline also what was chosen on validation."""
    galaxies: pd.DataFrame
    """Scores of single test galaxies, one row each."""
    ids: list[str]
    """Their identifiers."""


def classification_baseline(
    train: tuple[np.ndarray, np.ndarray, list[str]],
    val: tuple[np.ndarray, np.ndarray, list[str]],
    test: tuple[np.ndarray, np.ndarray, list[str]],
    n_classes: int,
    settings: Baselines,
    seed: int,
    second_labels: np.ndarray | None = None,
) -> Scored:
    """Return the scores of HOG features with a logistic regression.

    Parameters
    ----------
    train, val, test
        Images uint8 (N, H, W, 3), class numbers (N,) with -1 for none, ids.
    n_classes
        Number of classes.
    settings
        What to choose from.
    seed
        The run's seed.
    second_labels
        Class numbers (N,) of the test galaxies by another judgement; see `second_scores`.
    """
    (train_images, train_labels), (val_images, val_labels), (images, labels) = (
        (images[labels >= 0], labels[labels >= 0]) for images, labels, _ in (train, val, test)
    )
    rng = np.random.default_rng(derive_seed(seed, "hog_logistic"))
    some = rng.permutation(len(train_labels))[: settings.n_class_train]
    if len(np.unique(train_labels[some])) < 2 <= len(np.unique(train_labels)):
        raise ConfigError(
            f"baselines.n_class_train: the {len(some)} training galaxies drawn are of one class; "
            "raise it"
        )
    tuned = tune_hog_logistic(
        (train_images[some], train_labels[some]),
        (val_images, val_labels),
        settings.logistic_c,
        lambda true, predicted: classification_metrics(true, predicted, n_classes)["f1"],
    )
    predicted = tuned.apply(images)
    scores = classification_scores(labels, predicted, n_classes, seed)
    if second_labels is not None:
        second_labels = second_labels[test[1] >= 0]
    scores |= second_scores(second_labels, predicted, n_classes, seed)
    right = right_or_wrong(labels, predicted)
    ids = [name for name, label in zip(test[2], test[1], strict=True) if label >= 0]
    return Scored("classification", tuned.name, "", scores | _choice(tuned, "f1_val"), right, ids)


def restoration_baselines(
    val: np.ndarray,
    test: np.ndarray,
    ids: list[str],
    recipe: Blur,
    settings: Baselines,
    seed: int,
    noise_free: np.ndarray | None = None,
) -> Iterator[Scored]:
    """Yield the scores of the blurred images and of three deconvolutions.

    Parameters
    ----------
    val, test
        Images uint8 (N, H, W, 3) of the two splits.
    ids
        Identifiers of the test galaxies.
    recipe, settings
        Degradation; what to choose from.
    seed
        The run's seed.
    noise_free
        The test images without noise, float32 in [0, 1]; None where nobody knows them.
    """
    sharp_val, blurred_val, table_val = restoration_test_set(val, recipe, seed, "val")
    known_val = BlurredSet.from_table(blurred_val, table_val, recipe)
    guessed_val = BlurredSet.of_mean_width(blurred_val, table_val, recipe)
    sharp, blurred, table = restoration_test_set(test, recipe, seed, "test")
    known = BlurredSet.from_table(blurred, table, recipe)
    guessed = BlurredSet.of_mean_width(blurred, table, recipe)
    scores = noise_free_scores(noise_free, blurred, seed)
    yield _score("restoration", "blurred", "", sharp, blurred, ids, seed, scores)
    wiener = tune_wiener(sharp_val, known_val, settings)
    offset = wiener.chosen["sky_offset"]
    methods = (
        (tune_wiener(sharp_val, guessed_val, settings, "wiener_mean_psf"), guessed),
        (tune_richardson_lucy(sharp_val, known_val, settings, offset), known),
        (wiener, known),
    )
    for tuned, given in methods:
        restored = tuned.apply(given)
        extra = noise_free_scores(noise_free, restored, seed) | _choice(tuned, "psnr_val")
        yield _score("restoration", tuned.name, "", sharp, restored, ids, seed, extra)


def reconstruction_baselines(
    val: np.ndarray,
    test: np.ndarray,
    ids: list[str],
    recipe: Mask,
    settings: Baselines,
    seed: int,
) -> Iterator[Scored]:
    """Yield the scores of the masked images and of the best inpainting, for every condition.

    Parameters are those of `restoration_baselines`. The method is chosen once, on validation
    images of mixed patch sizes, and used for every condition.
    """
    whole, masked, mask, _ = reconstruction_test_sets(val, recipe, seed, "val")[""]
    tuned = tune_inpainting(whole, masked, mask, settings.inpainting_methods)
    choice = _choice(tuned, "psnr_val")
    for condition, sets in reconstruction_test_sets(test, recipe, seed, "test").items():
        whole, masked, mask, _ = sets
        yield _score("reconstruction", "masked", condition, whole, masked, ids, seed)
        filled = tuned.apply(masked, mask)
        extra = {} if condition else choice
        yield _score("reconstruction", tuned.name, condition, whole, filled, ids, seed, extra)


def classical_errors(
    restoration: tuple[np.ndarray, BlurredSet],
    reconstruction: tuple[np.ndarray, np.ndarray, np.ndarray],
    settings: Baselines,
) -> dict[str, float]:
    """Return the mean squared errors that classical methods reach where they know everything.

    The Wiener filter knows each image's PSF and noise and the mean power of these very galaxies,
    inpainting knows the mask; both are tuned on the images themselves. So no network is asked for
    what the noise has destroyed.

    Parameters
    ----------
    restoration
        Reference images and blurred ones.
    reconstruction
        Reference images, masked images and masks.
    settings
        What to choose from.

    Returns
    -------
    dict
        `mse_classical_restoration` and `mse_classical_reconstruction`.
    """
    sharp, blurred = restoration
    whole, masked, mask = reconstruction
    restored = tune_wiener(sharp, blurred, settings).apply(blurred)
    filled = tune_inpainting(whole, masked, mask, settings.inpainting_methods).apply(masked, mask)
    return {
        "mse_classical_restoration": float(np.mean((restored - sharp) ** 2)),
        "mse_classical_reconstruction": float(np.mean((filled - whole) ** 2)),
    }


def chosen_for_lucy(results: pd.DataFrame) -> dict[str, float]:
    """Return what Richardson-Lucy of a run was tuned to; see `known_richardson_lucy`.

    Parameters
    ----------
    results
        Long table of the baselines.
    """
    rows = results[results["task"] == "restoration"]
    found = rows.set_index(["model", "metric"])["value"]
    lucy = {
        name: found["richardson_lucy", f"chosen_{name}"]
        for name in ("iterations", "denoise_strength")
    }
    return lucy | {"sky_offset": found["wiener", "chosen_sky_offset"]}


def _score(
    task: str,
    model: str,
    condition: str,
    reference: np.ndarray,
    image: np.ndarray,
    ids: Iterable[str],
    seed: int,
    extra: dict[str, float] | None = None,
) -> Scored:
    table = image_metrics(reference, image)
    return Scored(task, model, condition, image_scores(table, seed) | (extra or {}), table, ids)


def _choice(tuned: Tuned, metric: str) -> dict[str, float]:
    """Log what was chosen; return it as further rows of the results."""
    settings = ", ".join(f"{name} {value:g}" for name, value in tuned.chosen.items())
    log.info("%s: %s %.3f; %s", tuned.name, metric, tuned.score_val, settings or "nothing to set")
    chosen = {f"chosen_{name}": float(value) for name, value in tuned.chosen.items()}
    return {metric: tuned.score_val, **chosen}
