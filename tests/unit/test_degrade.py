"""What the degradations mean: widths, noise levels and hidden shares, measured back."""

import numpy as np
import pytest
from galaxy_lvm.core.config import section
from galaxy_lvm.core.config.tasks import Blur, Mask
from galaxy_lvm.core.errors import ConfigError, DataError
from galaxy_lvm.multitask.degrade import (
    apply_transfer,
    blur_images,
    mask_images,
    moffat_psf,
    patch_mask,
    psf_transfer,
)
from scipy import interpolate, ndimage, optimize


def measured_fwhm(profile):
    """Full width in pixels at half of the central value of a symmetric row of pixels."""
    x = np.arange(len(profile)) - len(profile) // 2
    spline = interpolate.CubicSpline(x, profile.astype(float))
    return 2 * optimize.brentq(lambda r: spline(r) - spline(0) / 2, 0, 12)


@pytest.mark.parametrize("beta", [2.5, 4.765])
@pytest.mark.parametrize("fwhm", [3.0, 5.5, 8.0])
def test_psf_has_its_width_and_sum(fwhm, beta):
    psf = moffat_psf(fwhm, beta, 65)
    assert psf.dtype == np.float32
    assert psf.sum() == pytest.approx(1, abs=1e-5)
    assert np.array_equal(psf, psf.T) and np.array_equal(psf, psf[::-1])
    assert measured_fwhm(psf[32]) == pytest.approx(fwhm, rel=0.01)


def test_psf_follows_the_moffat_formula_and_takes_arrays():
    widths = np.array([[2.0, 4.0, 8.0]])
    psfs = moffat_psf(widths, 3.0, 33)
    assert psfs.shape == (1, 3, 33, 33)
    alpha = 4.0 / (2 * np.sqrt(2 ** (1 / 3.0) - 1))
    r2 = np.arange(-16, 17) ** 2 + np.arange(-16, 17)[:, None] ** 2
    formula = (1 + r2 / alpha**2) ** -3.0
    np.testing.assert_allclose(psfs[0, 1], formula / formula.sum(), rtol=2e-4)


def test_blurred_point_shows_the_fwhm_that_the_table_states():
    images = np.zeros((6, 128, 128, 3), np.float32)
    images[:, 64, 64] = 1
    recipe = Blur(fwhm_min_pix=3, noise_sigma_min=0, noise_sigma_max=0)
    blurred, table = blur_images(images, recipe, seed=3)
    assert table["fwhm_pix"].between(3, 8).all()
    for image, fwhm in zip(blurred, table["fwhm_pix"], strict=True):
        assert measured_fwhm(image[64, 1:, 0][:127]) == pytest.approx(fwhm, rel=0.01)
        assert image[..., 1].sum() == pytest.approx(1, rel=1e-3)


def test_convolution_equals_a_direct_sum_with_mirrored_borders():
    rng = np.random.default_rng(0)
    image = rng.random((1, 40, 56, 3)).astype(np.float32)
    psf = moffat_psf(4.0, 3.0, 25)
    fast = apply_transfer(image, psf_transfer(psf[None], 40, 56))
    for band in range(3):
        direct = ndimage.convolve(image[0, ..., band].astype(float), psf, mode="reflect")
        np.testing.assert_allclose(fast[0, ..., band], direct, atol=2e-6)


def test_noise_has_the_stated_level():
    grey = np.full((8, 64, 64, 3), 0.5, np.float32)
    noisy, table = blur_images(grey, Blur(), seed=1)
    measured = noisy.std(axis=(1, 2, 3)) * 255
    np.testing.assert_allclose(measured, table["noise_sigma"], rtol=0.03)
    assert table["noise_sigma"].between(1, 15).all()
    correlation = np.corrcoef(noisy[0].ravel(), noisy[1].ravel())[0, 1]
    assert abs(correlation) < 0.03


def test_result_is_clipped_and_the_input_untouched():
    dark = np.zeros((2, 32, 32, 3), np.float32)
    blurred, _ = blur_images(dark, Blur(), seed=1)
    assert blurred.dtype == np.float32
    assert blurred.min() == 0 and blurred.max() < 1
    assert not dark.any()


@pytest.mark.parametrize("degrade", [blur_images, mask_images])
def test_an_image_does_not_depend_on_its_batch(degrade):
    recipe = Blur() if degrade is blur_images else Mask()
    images = np.random.default_rng(0).random((7, 32, 32, 3)).astype(np.float32)
    whole = degrade(images, recipe, seed=5)
    first = degrade(images[:3], recipe, seed=5)
    rest = degrade(images[3:], recipe, seed=5, first_index=3)
    np.testing.assert_allclose(np.concatenate([first[0], rest[0]]), whole[0], atol=1e-6)
    np.testing.assert_array_equal(np.concatenate([first[-1], rest[-1]]), whole[-1])
    assert not np.array_equal(degrade(images, recipe, seed=6)[0], whole[0])


@pytest.mark.parametrize("side, patch", [(128, 4), (128, 16), (100, 16), (64, 64)])
@pytest.mark.parametrize("fraction", [0.0, 0.13, 0.5, 0.7, 1.0])
def test_mask_covers_the_stated_share_in_whole_squares(side, patch, fraction):
    mask = patch_mask(side, patch, fraction, np.random.default_rng(2))
    assert mask.shape == (side, side) and mask.dtype == bool
    assert abs(mask.sum() - fraction * side**2) <= patch**2
    for y in range(0, side, patch):
        for x in range(0, side, patch):
            assert len(np.unique(mask[y : y + patch, x : x + patch])) == 1


def test_masks_are_zero_where_hidden_and_equal_elsewhere():
    images = np.random.default_rng(0).random((60, 64, 64, 3)).astype(np.float32)
    masked, mask, table = mask_images(images, Mask(), seed=0)
    assert not masked[mask].any()
    np.testing.assert_array_equal(masked[~mask], images[~mask])
    shares = mask.mean(axis=(1, 2))
    assert (np.abs(shares - table["fraction"]) <= (table["patch_pix"] / 64) ** 2).all()
    assert set(table["patch_pix"]) == {4, 8, 16}
    assert table["fraction"].min() < 0.15 and 0.55 < table["fraction"].max() <= 0.7


@pytest.mark.parametrize(
    "recipe, field, value",
    [
        (Blur, "fwhm_min_pix", 0),
        (Blur, "fwhm_min_pix", float("nan")),
        (Blur, "fwhm_max_pix", 1.5),
        (Blur, "noise_sigma_min", -1),
        (Blur, "noise_sigma_max", 300),
        (Blur, "moffat_beta", 1.0),
        (Blur, "moffat_beta", "wide"),
        (Mask, "fraction_max", 1.2),
        (Mask, "fraction_min", 0.8),
        (Mask, "patch_sizes_pix", []),
        (Mask, "patch_sizes_pix", [4, 2.5]),
        (Mask, "patch_sizes_pix", [8, 8]),
    ],
)
def test_impossible_recipes_are_refused_by_name(recipe, field, value):
    with pytest.raises(ConfigError, match="fraction_m" if "fraction" in field else field):
        section(recipe, recipe().model_dump() | {field: value}, "recipe")


def test_other_images_are_refused():
    with pytest.raises(DataError, match="divide 8-bit images by 255"):
        blur_images(np.zeros((1, 8, 8, 3), np.uint8), Blur(), 0)
    with pytest.raises(DataError, match="squares"):
        mask_images(np.zeros((1, 8, 16, 3), np.float32), Mask(), 0)
    with pytest.raises(ConfigError, match="patch_pix"):
        patch_mask(8, 16, 0.5, np.random.default_rng(0))
    with pytest.raises(ConfigError, match="odd"):
        moffat_psf(3.0, 3.0, 64)
