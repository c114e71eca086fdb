"""The classical baselines do what they are named for, on galaxies made here."""

import h5py
import numpy as np
import pandas as pd
import pytest
from evaluate_baselines import main
from galaxy_lvm.core.config import section
from galaxy_lvm.core.config.tasks import Baselines, Blur, Mask
from galaxy_lvm.core.errors import ConfigError, DataError
from galaxy_lvm.multitask.baselines import chosen_for_lucy
from galaxy_lvm.multitask.classical import (
    BlurredSet,
    hog_features,
    inpaint,
    known_richardson_lucy,
    richardson_lucy,
    signal_power,
    tune_hog_logistic,
    tune_inpainting,
    tune_richardson_lucy,
    tune_wiener,
    wiener_filter,
)
from galaxy_lvm.multitask.degrade import (
    blur_images,
    mask_images,
    moffat_psf,
    psf_side_pix,
)
from galaxy_lvm.multitask.tasks import (
    as_float,
    image_galaxies,
    reconstruction_test_sets,
    restoration_test_set,
)
from galaxy_lvm.report.metrics import mean_psnr
from galaxy_lvm.report.results import read_per_galaxy, read_results
from galaxy_lvm.survey.crop_store import CropStore
from galaxy_lvm.survey.splits_table import Splits
from skimage.restoration import richardson_lucy as skimage_richardson_lucy

SMALL = Baselines(
    n_image_val=8, logistic_c=(0.001, 0.1), richardson_lucy_iterations=(2, 10),
    wiener_strengths=(0.3, 1.0, 3.0), sky_offsets=(0.0, 0.2), denoise_strengths=(0.0, 1.0),
)  # fmt: skip


def galaxies(n, side=64, seed=0):
    """Discs with a core and a few knots, uint8; label 1 for those seen edge-on."""
    rng = np.random.default_rng(seed)
    y, x = np.mgrid[:side, :side] - side / 2
    images, labels = [], rng.integers(0, 2, n)
    for label in labels:
        angle = rng.uniform(0, np.pi)
        u, v = x * np.cos(angle) + y * np.sin(angle), y * np.cos(angle) - x * np.sin(angle)
        radius = np.hypot(u, v / (0.2 if label else rng.uniform(0.8, 1)))
        light = 0.7 * np.exp(-radius / rng.uniform(4, 8)) + 0.05
        for _ in range(4):
            at = rng.uniform(-side / 3, side / 3, 2)
            light += 0.4 * np.exp(-((x - at[0]) ** 2 + (y - at[1]) ** 2) / 3)
        images.append(light[..., None] * np.array([1.0, 0.8, 0.6]))
    return (np.clip(np.stack(images), 0, 1) * 255).astype(np.uint8), labels.astype(np.int64)


@pytest.fixture(scope="module")
def sharp():
    return galaxies(12)[0].astype(np.float32) / 255


def blurred_set(sharp, recipe, seed=1):
    images, table = blur_images(sharp, recipe, seed)
    return BlurredSet.from_table(images, table, recipe)


def test_richardson_lucy_sharpens_a_noise_free_blur_ever_more(sharp):
    recipe = Blur(noise_sigma_min=0, noise_sigma_max=0)
    known = blurred_set(sharp, recipe)
    looks = richardson_lucy(known, [10, 100])
    scores = [mean_psnr(sharp, image) for image in (known.images, looks[10], looks[100])]
    assert scores[1] > scores[0] + 1 and scores[2] > scores[1] + 1


def test_richardson_lucy_is_that_of_scikit_image_away_from_the_border(sharp):
    recipe = Blur(fwhm_min_pix=3, fwhm_max_pix=3, noise_sigma_min=0, noise_sigma_max=0)
    known = blurred_set(sharp[:1], recipe)
    ours = richardson_lucy(known, [8])[8][0, :, :, 1]
    psf = moffat_psf(3.0, recipe.moffat_beta, psf_side_pix(recipe))
    theirs = skimage_richardson_lucy(known.images[0, :, :, 1], psf, num_iter=8)
    inside = slice(24, -24)
    np.testing.assert_allclose(ours[inside, inside], theirs[inside, inside], atol=2e-3)


def test_richardson_lucy_amplifies_noise(sharp):
    known = blurred_set(sharp, Blur(noise_sigma_min=12))
    looks = richardson_lucy(known, [3, 60])
    assert mean_psnr(sharp, looks[60]) < mean_psnr(sharp, looks[3])


def test_wiener_filter_gains_and_knows_the_noise(sharp):
    known = blurred_set(sharp, Blur())
    power = signal_power(sharp)
    right = mean_psnr(sharp, wiener_filter(known, power, 1.0, 0.0))
    assert right > mean_psnr(sharp, known.images) + 2
    assert right > mean_psnr(sharp, wiener_filter(known, power, 0.01, 0.0))
    assert right > mean_psnr(sharp, wiener_filter(known, power, 100.0, 0.0))


def test_tuning_takes_the_best_of_its_choices_and_applies_it(sharp):
    known = blurred_set(sharp, Blur())
    for tuned in (
        tune_wiener(sharp, known, SMALL),
        tune_richardson_lucy(sharp, known, SMALL, offset=0.0),
    ):
        assert mean_psnr(sharp, tuned.apply(known)) == pytest.approx(tuned.score_val)
        assert tuned.score_val > mean_psnr(sharp, known.images) + 1.5
        assert tuned.apply(known).dtype == np.float32


def test_a_psf_of_mean_width_is_right_where_all_are_of_one_width(sharp):
    one_width = Blur(fwhm_min_pix=4, fwhm_max_pix=4)
    blurred, table = blur_images(sharp, one_width, seed=5)
    known = BlurredSet.from_table(blurred, table, one_width)
    guessed = BlurredSet.of_mean_width(blurred, table, one_width)
    np.testing.assert_allclose(guessed.transfer, known.transfer, atol=1e-5)
    many = Blur()
    blurred, table = blur_images(sharp, many, seed=5)
    known = BlurredSet.from_table(blurred, table, many)
    guessed = BlurredSet.of_mean_width(blurred, table, many)
    assert np.array_equal(guessed.sigma, known.sigma)
    of_known = tune_wiener(sharp, known, SMALL)
    of_mean = tune_wiener(sharp, guessed, SMALL, "wiener_mean_psf")
    assert of_mean.name == "wiener_mean_psf"
    # Knowing the PSF helps; guessing it still does more good than harm.
    assert mean_psnr(sharp, blurred) < of_mean.score_val < of_known.score_val


@pytest.mark.parametrize("method", ["telea", "navier_stokes", "biharmonic"])
def test_inpainting_keeps_what_is_seen_and_fills_what_is_not(sharp, method):
    masked, mask, _ = mask_images(
        sharp, Mask(fraction_min=0.1, fraction_max=0.5, patch_sizes_pix=(4,)), seed=1
    )
    filled = inpaint(masked, mask, method)
    np.testing.assert_array_equal(filled[~mask], sharp[~mask])
    assert mean_psnr(sharp, filled) > mean_psnr(sharp, masked) + 8
    assert 0 <= filled.min() and filled.max() <= 1


def test_inpainting_of_nothing_and_of_everything(sharp):
    nothing, everything = np.zeros((1, 64, 64), bool), np.ones((1, 64, 64), bool)
    np.testing.assert_array_equal(inpaint(sharp[:1], nothing, "biharmonic"), sharp[:1])
    empty = np.zeros_like(sharp[:1])
    np.testing.assert_array_equal(inpaint(empty, everything, "biharmonic"), empty)
    with pytest.raises(ConfigError, match="magic"):
        inpaint(sharp[:1], nothing, "magic")


def test_inpainting_is_chosen_by_validation(sharp):
    masked, mask, _ = mask_images(
        sharp[:4], Mask(fraction_min=0.2, fraction_max=0.5, patch_sizes_pix=(4,)), seed=1
    )
    scores = {
        method: mean_psnr(sharp[:4], inpaint(masked, mask, method))
        for method in ("telea", "biharmonic")
    }
    tuned = tune_inpainting(sharp[:4], masked, mask, tuple(scores))
    assert tuned.name == f"inpainting_{max(scores, key=scores.get)}"


def test_hog_logistic_tells_edge_on_from_face_on():
    def accuracy(true, found):
        return float(np.mean(true == found))

    train, val, test = galaxies(80, seed=1), galaxies(30, seed=2), galaxies(40, seed=3)
    assert hog_features(train[0][:2]).shape == (2, 1764)
    tuned = tune_hog_logistic(train, val, (1e-3, 1e-1), accuracy)
    assert accuracy(test[1], tuned.apply(test[0])) > 0.85
    with pytest.raises(DataError, match="two classes"):
        tune_hog_logistic((train[0], np.zeros(80, int)), val, (1.0,), accuracy)
    with pytest.raises(DataError, match="validation"):
        tune_hog_logistic(train, (val[0][:0], val[1][:0]), (1.0,), accuracy)


@pytest.mark.parametrize(
    "field, value",
    [
        ("n_image_val", 0), ("n_class_train", 1.5), ("logistic_c", [0.0]),
        ("richardson_lucy_iterations", [2.5]), ("wiener_strengths", []),
        ("sky_offsets", [-0.1]), ("denoise_strengths", "none"), ("inpainting_methods", ["magic"]),
    ],
)  # fmt: skip
def test_impossible_settings_are_refused_by_name(field, value):
    given = Baselines().model_dump() | {field: value}
    with pytest.raises(ConfigError, match=f"baselines.{field}"):
        section(Baselines, given, "baselines")


@pytest.fixture(scope="module")
def dataset(tmp_path_factory):
    """Crops and splits: every fifth galaxy without a label, splits table in another order."""
    folder = tmp_path_factory.mktemp("data")
    images, labels = galaxies(60)
    names = np.array(["elliptical", "edge_on"])[labels]
    names[::5] = ""
    with h5py.File(folder / "crops.h5", "w") as file:
        file["images"] = images
        file["id"] = [f"g{i}" for i in range(len(images))]
    splits = np.array(["train", "val", "test"])[np.arange(60) % 3]
    table = pd.DataFrame({"index": np.arange(60), "split": splits, "label": names, "group": 0})
    table["id"] = [f"g{i}" for i in table["index"]]
    table = table.sample(frac=1, random_state=0)
    table.to_parquet(folder / "splits.parquet", index=False)
    return folder, images, table


def test_evaluation_sets_differ_between_splits_and_conditions_not_between_calls():
    images = galaxies(6)[0]
    sets = reconstruction_test_sets(images, Mask(), seed=1)
    assert list(sets) == ["", "patch=4", "patch=8", "patch=16"]
    assert set(sets["patch=8"][3]["patch_pix"]) == {8}
    again = reconstruction_test_sets(images[:3], Mask(), seed=1)
    np.testing.assert_array_equal(again["patch=4"][2], sets["patch=4"][2][:3])
    test = restoration_test_set(images, Blur(), 1, "test")[2]
    val = restoration_test_set(images, Blur(), 1, "val")[2]
    assert not np.allclose(test, val)


def test_evaluation_writes_every_model_with_intervals(dataset, tmp_path):
    folder, _, _ = dataset
    paths = tmp_path / "baselines.csv", tmp_path / "galaxies.parquet"
    settings = SMALL.model_copy(update={"inpainting_methods": ("telea", "navier_stokes")})
    main(
        folder / "crops.h5",
        folder / "splits.parquet",
        *paths,
        n_image_test=6,
        restoration=Blur(),
        reconstruction=Mask(),
        baselines=settings,
        seed=3,
    )
    table, galaxies_table = read_results(paths[0]), read_per_galaxy([paths[1]])
    models = table.groupby("task")["model"].unique().map(set)
    assert models["classification"] == {"hog_logistic"}
    assert models["restoration"] == {
        "blurred", "richardson_lucy", "wiener", "wiener_mean_psf",
    }  # fmt: skip
    filling = next(m for m in models["reconstruction"] if m.startswith("inpainting_"))
    assert models["reconstruction"] == {"masked", filling}
    values = table.set_index(["model", "condition", "metric"])["value"]
    for condition in ("", "patch=4", "patch=8", "patch=16"):
        assert values[filling, condition, "psnr"] > values["masked", condition, "psnr"]
    assert values["wiener", "", "psnr_low95"] < values["wiener", "", "psnr"]
    mean = galaxies_table.query("model == 'wiener' and metric == 'psnr'")["value"].mean()
    assert mean == pytest.approx(values["wiener", "", "psnr"])

    # Figure "restored images" shows the method as it was scored, without tuning it again.
    splits = Splits(folder / "splits.parquet")
    with CropStore(folder / "crops.h5") as store:
        val = store.of(image_galaxies(splits, "val", settings.n_image_val, 3))
        test = store.of(image_galaxies(splits, "test", 6, 3))
    reference, blurred, psf = restoration_test_set(test, Blur(), 3, "test")
    restore = known_richardson_lucy(as_float(val), chosen_for_lucy(table))
    found = mean_psnr(reference, restore(BlurredSet.from_table(blurred, psf, Blur())))
    assert found == pytest.approx(values["richardson_lucy", "", "psnr"])
