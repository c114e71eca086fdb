"""Views in training hold what crops hold in validation: nothing finer than their own pixels."""

import numpy as np
import pytest
import torch
from galaxy_lvm.core.config.training import Views
from galaxy_lvm.training.augment import random_views, resize

STILL = {"shift": 0.0, "stretch": 0.0, "brightness": 0.0, "colour": 0.0, "noise_sigma": 0.0}


def sine(side_pix, period_pix):
    """Return grey waves (1, 3, side, side) of amplitude 0.5 around 0.5."""
    x = torch.arange(side_pix) + 0.5
    wave = 0.5 + 0.5 * torch.sin(2 * np.pi * x / period_pix)
    return wave.expand(1, 3, side_pix, side_pix).contiguous()


def amplitude(views):
    """Return the amplitude of waves, of a part that no border reaches."""
    edge = views.shape[-1] // 4
    inner = views[..., edge:-edge, edge:-edge]
    return float(inner.std() * 2**0.5)


def views_of(images, side_pix, n=12, zoom=1.0):
    recipe = Views(zoom_min=zoom, zoom_max=zoom, **STILL)
    return random_views(
        images.repeat(n, 1, 1, 1), recipe, side_pix, torch.Generator().manual_seed(0)
    )


# A view of 32 pixels of 128 shows no wave shorter than 8 pixels, one of 64 of 96 none below 3.
# `more` is what the triangle of a bilinear sampling may leave above that of `resize`.
@pytest.mark.parametrize(
    ("side_pix", "view_pix", "period_pix", "more"),
    [(128, 32, 2.2, 0.01), (128, 32, 3.1, 0.02), (128, 32, 5.0, 0.04), (96, 64, 2.2, 0.09)],
)
def test_waves_that_a_view_cannot_show_vanish_in_training_and_validation(
    side_pix, view_pix, period_pix, more
):
    images = sine(side_pix, period_pix)
    assert amplitude(images) == pytest.approx(0.5, rel=0.05)
    left = amplitude(resize(images, view_pix))
    assert left < 0.08
    views = views_of(images, view_pix)
    assert max(amplitude(view[None]) for view in views) < left + more


@pytest.mark.parametrize(("side_pix", "view_pix"), [(128, 32), (96, 64), (128, 64), (64, 64)])
def test_waves_that_a_view_can_show_stay(side_pix, view_pix):
    images = sine(side_pix, 16 * side_pix / view_pix)
    kept = amplitude(resize(images, view_pix))
    views = views_of(images, view_pix)
    assert np.mean([amplitude(view[None]) for view in views]) == pytest.approx(kept, rel=0.05)
    assert kept > 0.45
