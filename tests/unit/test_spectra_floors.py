"""Splits by star, floors and scores of stellar parameters."""

import numpy as np
import pandas as pd
import pytest
from galaxy_lvm.core.config.spectra import (
    SpectrumSplits,
)
from galaxy_lvm.core.errors import DataError
from galaxy_lvm.spectra.floors import chosen_ridge, label_scale, pixels
from galaxy_lvm.spectra.scores import label_scores
from galaxy_lvm.spectra.stars import Stars, split_of, split_stars
from galaxy_lvm.spectra.train import (
    sigma_factors,
)


def test_all_spectra_of_a_star_are_on_one_side():
    ids = [f"star{number % 60}" for number in range(180)]
    split = split_of(ids, SpectrumSplits(), 1)
    table = pd.DataFrame({"id": ids, "split": split}).groupby("id")["split"].nunique()
    assert (table == 1).all()
    assert pd.Series(split).value_counts().to_dict() == {"train": 102, "test": 60, "val": 18}
    assert (split_of(ids[::-1], SpectrumSplits(), 1)[::-1] == split).all()
    assert (split_of(ids, SpectrumSplits(), 2) != split).any()
    with pytest.raises(DataError, match="6 stars give .* more spectra"):
        split_of(ids[:6], SpectrumSplits(), 1)


def made_stars(n, rng, n_pixels=6, n_labels=2):
    flux = rng.normal(size=(n, n_pixels)).astype(np.float32)
    labels = flux[:, :n_labels] * 3 + rng.normal(size=(n, n_labels)) * 0.1 + 5
    names = ("teff", "logg", "fe_h", "alpha_m")[:n_labels]
    ids = np.array([f"s{row}" for row in range(n)], dtype=object)
    return Stars(ids, flux, np.ones_like(flux), labels, names, np.arange(n_pixels) + 4000.0)


def test_ridge_equals_its_closed_form(monkeypatch):
    monkeypatch.setattr("galaxy_lvm.spectra.floors._STRENGTHS", (3.0,))
    stars = split_stars(made_stars(90, np.random.default_rng(0)), SpectrumSplits(), 1)
    centre, spread = label_scale(stars.train)
    targets = (stars.train.labels - centre) / spread
    found = chosen_ridge(pixels(), stars, targets)
    x = stars.train.flux.astype(float)
    middle, width = x.mean(axis=0), x.std(axis=0)
    x = (x - middle) / width
    weights = np.linalg.solve(x.T @ x + 3 * np.eye(x.shape[1]), x.T @ targets)
    assert found == pytest.approx((stars.test.flux - middle) / width @ weights, abs=1e-5)


def test_the_strength_of_a_ridge_is_not_chosen_on_test_stars():
    stars = split_stars(made_stars(90, np.random.default_rng(0)), SpectrumSplits(), 1)
    centre, spread = label_scale(stars.train)
    targets = (stars.train.labels - centre) / spread
    before = chosen_ridge(pixels(), stars, targets)
    stars.test.labels[:] = np.random.default_rng(1).normal(size=stars.test.labels.shape) * 1e3
    assert (chosen_ridge(pixels(), stars, targets) == before).all()


def test_right_uncertainties_cover_what_they_say():
    rng = np.random.default_rng(0)
    sigma = rng.uniform(0.5, 2, 20_000)
    found = label_scores(sigma * rng.normal(size=len(sigma)), sigma, 1)
    assert found["coverage68"] == pytest.approx(0.683, abs=0.01)
    assert found["coverage95"] == pytest.approx(0.95, abs=0.01)
    narrow = label_scores(sigma * rng.normal(size=len(sigma)), sigma / 2, 1)
    assert narrow["coverage68"] < 0.45 and narrow["nll"] > found["nll"]
    assert found["mae_low95"] < found["mae"] < found["mae_high95"]


def test_factors_of_the_uncertainties_are_those_of_the_validation_stars():
    rng = np.random.default_rng(0)
    val = made_stars(5000, rng)
    mean = val.labels + rng.normal(size=val.labels.shape) * [2.0, 0.5]
    assert sigma_factors(mean, np.ones_like(mean), val) == pytest.approx([2.0, 0.5], rel=0.05)
