"""The colour mapping against an independent formula, and its behaviour on odd pixels."""

import numpy as np
import pytest
from galaxy_lvm.core.errors import DataError
from galaxy_lvm.survey.colour import grz_to_rgb, non_finite_fraction


def reference(images):
    """Textbook form of the asinh mapping in double precision."""
    scaled = images.astype(float) * np.array([6.0, 3.4, 2.2])[:, None, None] + 0.03
    scaled = np.maximum(scaled, 0)
    mean = np.maximum(scaled.mean(axis=1, keepdims=True), 1e-6)
    rgb = scaled * np.arcsinh(20 * mean) / np.sqrt(20) / mean
    return 255 * np.clip(rgb, 0, 1)[:, ::-1].transpose(0, 2, 3, 1)


def test_agrees_with_the_formula_within_rounding():
    rng = np.random.default_rng(0)
    images = rng.normal(0, 0.02, (6, 3, 40, 50)).astype(np.float32)
    images += np.geomspace(1e-3, 50, 50, dtype=np.float32)
    assert np.abs(grz_to_rgb(images) - reference(images)).max() < 0.51


def test_red_galaxy_is_red_and_blue_is_blue():
    red, blue = np.zeros((2, 3, 8, 8), np.float32)
    red[2], blue[0] = 0.2, 0.2
    rgb = grz_to_rgb(np.stack([red, blue]))
    assert rgb[0, 4, 4].argmax() == 0
    assert rgb[1, 4, 4].argmax() == 2


def test_empty_sky_is_dark_grey():
    rgb = grz_to_rgb(np.zeros((1, 3, 4, 4), np.float32))
    assert len(np.unique(rgb)) == 1
    assert 28 <= rgb[0, 0, 0, 0] <= 36


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_pixels_that_are_not_finite_look_like_sky_and_spoil_no_other(value):
    images = np.random.default_rng(1).normal(0.1, 0.02, (2, 3, 20, 20)).astype(np.float32)
    sky = images.copy()
    sky[0, 1, 3, 4] = 0.0
    images[0, 1, 3, 4] = value
    np.testing.assert_array_equal(grz_to_rgb(images), grz_to_rgb(sky))
    np.testing.assert_allclose(non_finite_fraction(images), [1 / 400, 0])


def test_does_not_change_its_input_and_takes_other_float_types():
    images = np.full((1, 3, 4, 4), np.nan)
    images[..., 1:] = 0.3
    before = images.copy()
    grz_to_rgb(images)
    np.testing.assert_array_equal(images, before)


def test_refuses_channels_last():
    with pytest.raises(DataError, match="N, 3, H, W"):
        grz_to_rgb(np.zeros((2, 8, 8, 3), np.float32))
