"""Spectra over their continuum: what light's colour and brightness add is gone, lines stay."""

import numpy as np
import pytest
import torch
from galaxy_lvm.core.cards import read_card
from galaxy_lvm.core.config.spectra import (
    Finetuning,
    SimulatedSpectra,
    SpectrumMethods,
    SpectrumOptim,
    SpectrumPretraining,
    TransformerShape,
)
from galaxy_lvm.core.errors import DataError
from galaxy_lvm.spectra.continuum import continuum_scale, over_continuum
from galaxy_lvm.spectra.simulate import simulate_stars, write_simulated
from galaxy_lvm.spectra.stars import read_split, read_stars
from galaxy_lvm.spectra.store import write_spectra
from galaxy_lvm.spectra.train import SimulatedFeed, StarFeed, ensemble, finetune, pretrain
from galaxy_lvm.spectra.wavelengths import grid_wavelengths
from galaxy_lvm.training.job import JobFiles
from safetensors.torch import load_file

LAMOST = grid_wavelengths("lamost")


def lined(slope):
    """Two lines on a slope."""
    lines = sum(np.exp(-(((LAMOST - at) / 5) ** 2)) for at in (4400, 5200))
    return ((1 - 0.3 * lines) * (1 + slope * (LAMOST - 4800) / 800))[None]


def test_a_slope_leaves_no_trace_and_lines_keep_their_depth():
    error = np.full((1, len(LAMOST)), 0.01)
    flat, _ = over_continuum(LAMOST, lined(0.0), error, 50.0)
    steep, own = over_continuum(LAMOST, lined(0.5), error, 50.0)
    inside = slice(100, -100)
    assert np.abs(flat - steep)[:, inside].max() < 0.02
    assert flat.min() == pytest.approx(0.7, abs=0.05)
    # Errors go along: signal over noise is what it was.
    assert steep / own == pytest.approx(lined(0.5) / error, rel=1e-5)


def test_bad_pixels_do_not_pull_the_mean_and_errors_may_be_missing():
    flux, error = lined(0.2), np.full((1, len(LAMOST)), 0.01)
    wanted, _ = over_continuum(LAMOST, flux, error, 50.0)
    spoilt, noisy = flux.copy(), error.copy()
    spoilt[0, 700:705], noisy[0, 700:705] = 50.0, 1e6
    spoilt[0, 800] = np.nan
    found, _ = over_continuum(LAMOST, spoilt, noisy, 50.0)
    good = np.r_[0:700, 705:800, 801 : len(LAMOST)]
    assert np.abs(found - wanted)[0, good].max() < 0.01 and np.isnan(found[0, 800])
    without, none = over_continuum(LAMOST, flux, np.full_like(error, np.nan), 50.0)
    assert without == pytest.approx(wanted, rel=1e-5) and np.isnan(none).all()


def test_the_grid_says_whether_a_continuum_is_taken_off_unless_the_config_does():
    assert continuum_scale(LAMOST, None) == 50 and continuum_scale(LAMOST, 0.0) == 0
    xp = grid_wavelengths("xp")
    assert continuum_scale(xp, None) == 0 and continuum_scale(xp, 200.0) == 200
    assert continuum_scale(LAMOST[:-1], None) == 0
    flux = np.ones((2, len(xp)))
    assert over_continuum(xp, flux, flux, 0.0)[0] is flux


def test_both_stages_read_spectra_alike(tmp_path):
    """A star with the light of the lamp on it is, in stage 2, the one that stage 1 saw."""
    noise = SimulatedSpectra(n_stars=30, snr_min=1e5, snr_max=1e6)
    flux, error, table = simulate_stars(4, "lamost", noise, 5)
    lamp = 30 * (LAMOST / 4800) ** -2
    write_spectra(tmp_path / "s.h5", LAMOST, flux * lamp, error * lamp, table, {})
    stars = read_stars(tmp_path / "s.h5", ("teff",))
    middle = slice(100, -100)  # at both ends there is less of the spectrum for the mean
    seen, _ = over_continuum(LAMOST, flux, error, 50.0)
    apart = np.abs(stars.flux - seen)[:, middle]
    assert apart.max() < 0.05 and np.median(apart) < 0.002
    of_stage_1 = SimulatedFeed("lamost", noise, 4, 1, 0, 1).batch(0)["flux"].numpy()
    assert of_stage_1[:, middle].mean(axis=1) == pytest.approx(1.0, abs=0.01)
    raw = read_stars(tmp_path / "s.h5", ("teff",), continuum_angstrom=0)
    assert np.abs(raw.flux - seen)[:, middle].max() > 0.2


class Killed(Exception):
    pass


def test_a_training_never_goes_on_with_spectra_over_another_continuum(tmp_path, monkeypatch):
    noise = SimulatedSpectra(n_stars=60, extinction_mean_mag=0)
    store = tmp_path / "stars.h5"
    write_simulated(store, noise.n_stars, "xp", noise, 1, "stars")
    shape = TransformerShape(patch_pix=49, width=16, depth=1, n_heads=2, n_components=10)
    optim = SpectrumOptim(steps=4, checkpoint_seconds=1e-9)
    training = Finetuning(batch_size=8, optim=optim)
    batch, taken = StarFeed.batch, []

    def train(continuum, name, killed_at=None, state="state"):
        def step(feed, step, device="cpu"):
            if step == killed_at:
                raise Killed
            taken.append(step)
            return batch(feed, step, device)

        monkeypatch.setattr(StarFeed, "batch", step)
        taken.clear()
        methods = SpectrumMethods(finetune=training, continuum_angstrom=continuum)
        out = [tmp_path / f"{name}{end}" for end in (".safetensors", ".csv")]
        files = JobFiles(tmp_path / state, 1, *out)
        finetune(read_split(store, methods, 1), shape, store, training, 0, 1, files)
        return out[0]

    with pytest.raises(Killed):
        train(0.0, "killed", killed_at=3)
    found = train(300.0, "other")
    assert taken == [0, 1, 2, 3]
    fresh = train(300.0, "fresh", state="empty")
    one, other = load_file(found), load_file(fresh)
    assert all(torch.equal(one[name], other[name]) for name in one)
    assert read_card(found)["continuum_angstrom"] == 300.0
    train(0.0, "killed")
    assert taken == [3]  # what was killed is taken up by its own kind alone


def test_a_network_is_not_asked_about_spectra_over_another_continuum(tmp_path):
    noise = SimulatedSpectra(n_stars=60, extinction_mean_mag=0)
    store, out = tmp_path / "stars.h5", [tmp_path / f"w{end}" for end in (".safetensors", ".csv")]
    write_simulated(store, noise.n_stars, "xp", noise, 1, "stars")
    files = JobFiles(tmp_path / "state", 1, *out)
    shape = TransformerShape(patch_pix=200, width=8, depth=1, n_heads=2, n_components=3)
    settings = SpectrumPretraining(shape=shape, batch_size=4, optim=SpectrumOptim(steps=1))
    pretrain("xp", noise, settings, 1, files, 300.0)
    plain, over = (read_split(store, SpectrumMethods(continuum_angstrom=c), 1) for c in (0, 300))
    told = r"over a running mean of 300 Angstrom, and these are over one of 0 \(0 is none\)"
    for ask in (
        lambda stars: finetune(stars, out[0], store, Finetuning(), 0, 1, files),
        lambda stars: ensemble([out[0]], stars),
    ):
        with pytest.raises(DataError, match=told):
            ask(plain)
    assert np.isfinite(ensemble([out[0]], over)).all()


def test_the_card_of_stage_1_says_the_continuum_that_null_stands_for(tmp_path):
    noise = SimulatedSpectra(n_stars=30, extinction_mean_mag=0)
    shape = TransformerShape(patch_pix=200, width=8, depth=1, n_heads=2, n_components=3)
    settings = SpectrumPretraining(shape=shape, batch_size=4, optim=SpectrumOptim(steps=1))
    out = [tmp_path / f"w{end}" for end in (".safetensors", ".csv")]
    pretrain("lamost", noise, settings, 1, JobFiles(tmp_path / "state", 1, *out))
    assert read_card(out[0])["continuum_angstrom"] == 50.0
