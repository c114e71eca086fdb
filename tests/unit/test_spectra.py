"""Spectra: physics of the emulator, wavelengths, import, splits, floors; tests of meaning."""

import sys
from pathlib import Path

import h5py
import numpy as np
import pandas as pd
import pytest
import torch
from astropy.io import fits
from galaxy_lvm.core.config.spectra import (
    Finetuning,
    SimulatedSpectra,
    Spectra,
    SpectrumFiles,
    SpectrumMethods,
    SpectrumNoise,
    SpectrumOptim,
    SpectrumPretraining,
    SpectrumSplits,
    TransformerShape,
)
from galaxy_lvm.core.errors import DataError
from galaxy_lvm.core.tables import load_table
from galaxy_lvm.report.results import read_results
from galaxy_lvm.spectra.claims import claims_table
from galaxy_lvm.spectra.emulator import emulator
from galaxy_lvm.spectra.floors import chosen_ridge, label_scale, pixels
from galaxy_lvm.spectra.importing import import_spectra
from galaxy_lvm.spectra.scores import label_scores
from galaxy_lvm.spectra.simulate import reddening, simulate_stars
from galaxy_lvm.spectra.stars import SplitStars, Stars, read_stars, split_of, split_stars
from galaxy_lvm.spectra.store import SpectrumStore, write_spectra
from galaxy_lvm.spectra.train import (
    SimulatedFeed,
    all_labels,
    ensemble,
    pretrain,
    sigma_factors,
)
from galaxy_lvm.spectra.transformer import (
    LABELS,
    SpectrumTransformer,
    architecture,
    load_transformer,
)
from galaxy_lvm.spectra.wavelengths import (
    air_to_vacuum,
    grid_wavelengths,
    in_vacuum_angstrom,
    vacuum_to_air,
)
from galaxy_lvm.spectra.whitening import Whitening
from galaxy_lvm.training.job import JobFiles

sys.path.append(str(Path(__file__).parents[2] / "scripts"))
import estimate_stellar_parameters  # noqa: E402
import finetune_spectra  # noqa: E402
import plot_stellar_parameters  # noqa: E402
import pretrain_spectra  # noqa: E402
import simulate_spectra  # noqa: E402

SUN = [5750.0, 4.4, 0.0]
XP = grid_wavelengths("xp")


def band(flux, wavelength, low, high):
    """Mean flux between two wavelengths in Angstrom."""
    return flux[..., (wavelength > low) & (wavelength < high)].mean(axis=-1)


@pytest.mark.parametrize(
    ("vacuum", "air"), [(6564.61, 6562.80), (5008.240, 5006.843), (3934.777, 3933.663)]
)
def test_known_lines_in_air_and_vacuum(vacuum, air):
    """H alpha, [O III] and Ca II K, both ways of the NIST and SDSS line lists."""
    assert vacuum_to_air(np.array([vacuum]))[0] == pytest.approx(air, abs=0.01)
    assert air_to_vacuum(vacuum_to_air(np.array([vacuum])))[0] == pytest.approx(vacuum, abs=1e-7)


def test_units_are_told_apart_and_disorder_is_refused():
    angstrom = np.array([4000.0, 5000.0, 6000.0])
    for factor in (1.0, 0.1, 1e-4):
        assert in_vacuum_angstrom(angstrom * factor) == pytest.approx(angstrom)
    with pytest.raises(DataError, match="neither rise nor fall"):
        in_vacuum_angstrom(angstrom[[0, 2, 1]])
    with pytest.raises(DataError, match="pixel 1 is no positive number"):
        in_vacuum_angstrom(np.array([4000.0, np.nan, 5000.0]))


def test_hotter_stars_are_bluer_and_metals_weaken_the_blue():
    make = emulator("xp")
    cool, sun, hot = make([[4500.0, 4.4, 0.0], SUN, [6500.0, 4.4, 0.0]])
    colour = [band(f, XP, 4000, 5000) / band(f, XP, 7000, 9000) for f in (cool, sun, hot)]
    assert colour[0] < colour[1] < colour[2]
    poor, rich = make([[5750.0, 4.4, -1.5], [5750.0, 4.4, 0.3]])
    assert band(rich, XP, 3800, 4500) < band(poor, XP, 3800, 4500)


def test_lines_on_the_lamost_grid():
    """Balmer lines deepen with temperature, iron and Mg b with metals, Mg b with gravity."""
    make = emulator("lamost")
    base = make([SUN])[0]
    wave = make.wavelength

    def depth(labels, centre, half=8.0):
        return band(base - make([labels])[0], wave, centre - half, centre + half)

    assert depth([6500.0, 4.4, 0.0], 4862.7) > 0
    assert depth([5750.0, 4.4, -1.0], 5270.0, 20.0) < 0
    assert depth([4750.0, 4.6, 0.0], 5176.0, 15.0) > depth([4750.0, 2.5, 0.0], 5176.0, 15.0)


def test_the_grid_of_lamost_is_that_of_the_emulator():
    with np.load(
        Path(sys.modules[emulator.__module__].__file__).with_name("cannon_emulator.npz")
    ) as k:
        assert vacuum_to_air(grid_wavelengths("lamost")) == pytest.approx(
            k["lamost_wave"], abs=1e-6
        )
        assert len(XP) == len(k["xp_wave"]) == 343


def test_labels_outside_of_the_grid_are_refused():
    with pytest.raises(DataError, match="star 1: teff = 9000 is outside of the emulator's grid"):
        emulator("xp")([SUN, [9000.0, 4.0, 0.0]])


def test_dust_reddens_by_the_law():
    """E(B-V) of A_V = 3.1 mag is 1: the band at 4400 loses that much more than that at 5500."""
    seen = -2.5 * np.log10(reddening(np.array([4400.0, 5500.0]), np.array([3.1])))[0]
    assert seen[1] == pytest.approx(3.1, abs=0.1)
    assert seen[0] - seen[1] == pytest.approx(1.0, abs=0.1)


def test_noise_is_as_large_as_the_errors_say():
    noise = SpectrumNoise(snr_min=30, snr_max=60, extinction_mean_mag=0)
    flux, error, table = simulate_stars(300, "xp", noise, 1)
    truth = emulator("xp")(table[["teff", "logg", "fe_h"]].to_numpy())
    assert np.std((flux - truth) / error) == pytest.approx(1, abs=0.02)
    assert np.median(1 / error, axis=1) == pytest.approx(table["snr"].to_numpy(), rel=1e-6)
    again = simulate_stars(300, "xp", noise, 1)
    assert (again[0] == flux).all() and again[2].equals(table)


def raw_files(path, flux, **more):
    np.savez(path, flux=flux, **more)
    return SpectrumFiles(path=str(path), min_good_share=0.8)


def test_bad_spectra_are_refused_by_name_and_odd_ones_marked(tmp_path):
    good = 1 + 0.1 * np.sin(XP / 500)
    flux = np.array([good, 0 * good, np.full_like(good, np.nan), -good, good, good])
    flux[4, 100:110] = np.nan
    flux[5, :3] = -0.01
    settings = raw_files(
        tmp_path / "s.npz",
        flux[:, ::-1],
        wave_nm=XP[::-1] / 10,
        id=list("abcdef"),
        teff=np.arange(6.0),
    )
    rejected = import_spectra(settings.path, "xp", settings, tmp_path / "s.h5")
    assert {line["id"]: line["reason"][:22] for line in rejected} == {
        "b": "all fluxes are zero or",
        "c": "all fluxes are zero or",
        "d": "the median flux is not",
    }
    with SpectrumStore(tmp_path / "s.h5") as store:
        table, kept = store.catalogue().set_index("id"), store.flux()
    assert list(table.index) == ["a", "e", "f"]
    assert list(table["n_bad_pixels"]) == [0, 10, 0] and list(table["n_negative_pixels"]) == [
        0,
        0,
        3,
    ]
    assert table["notes"].str.contains("descending").all()
    assert table["notes"].str.contains("no errors").all()
    assert kept[0] == pytest.approx(good, rel=1e-5) and list(table["teff"]) == [0, 4, 5]


def lamost_file(path, wave, flux, vacuum=True, name="LAMOST J1"):
    ivar = np.full(len(wave), 400.0)
    image = np.array([flux, ivar, wave, 0 * wave, 0 * wave], dtype=np.float32)
    header = fits.Header({"VACUUM": vacuum, "DESIG": name, "SUBCLASS": "G2"})
    fits.PrimaryHDU(image, header).writeto(path)


def test_lamost_and_sdss_files_of_several_lengths_come_onto_one_grid(tmp_path):
    wanted = grid_wavelengths("lamost")
    wave = 10 ** np.arange(3.58, 3.78, 1e-4)

    def line(at):
        return 1 - 0.5 * np.exp(-(((at - 4862.69) / 8) ** 2))

    lamost_file(tmp_path / "a.fits", wave, line(wave))
    lamost_file(tmp_path / "b.fits", vacuum_to_air(wave), line(wave), False, "LAMOST J2")
    lamost_file(tmp_path / "short.fits", wave[:900], line(wave[:900]), name="LAMOST J3")
    columns = [
        fits.Column(name, "E", array=values.astype(np.float32))
        for name, values in (
            ("flux", line(wave)),
            ("loglam", np.log10(wave)),
            ("ivar", np.full(len(wave), 100.0)),
        )
    ]
    fits.HDUList([fits.PrimaryHDU(), fits.BinTableHDU.from_columns(columns)]).writeto(
        tmp_path / "sdss.fits"
    )
    (tmp_path / "not.fits").write_text("nothing")
    settings = SpectrumFiles(path=str(tmp_path))
    rejected = import_spectra(tmp_path, "lamost", settings, tmp_path / "out.h5")
    reasons = {line["file"]: line["reason"] for line in rejected}
    assert set(reasons) == {"short.fits", "not.fits"}
    assert "min_good_share" in reasons["short.fits"] and "not a spectrum" in reasons["not.fits"]
    with SpectrumStore(tmp_path / "out.h5") as store:
        flux, error, table = store.flux(), store.error(), store.catalogue()
    assert list(table["id"]) == ["LAMOST J1", "LAMOST J2", "sdss.fits"]
    for spectrum in flux:  # float32 wavelengths: the line's place is good to a hundredth of a pixel
        assert spectrum == pytest.approx(line(wanted), abs=3e-3)
    assert error[0] == pytest.approx(0.05) and error[2] == pytest.approx(0.1)


def test_nothing_is_made_up_in_a_gap(tmp_path):
    wave = XP[(XP < 6300) | (XP > 6600)]
    settings = raw_files(tmp_path / "s.npz", np.ones((1, len(wave))), wavelength=wave, id=["a"])
    assert import_spectra(settings.path, "xp", settings, tmp_path / "s.h5") == []
    with SpectrumStore(tmp_path / "s.h5") as store:
        lost = np.isnan(store.flux()[0])
    assert lost[(XP > 6300) & (XP < 6600)].all() and not lost[(XP < 6280) | (XP > 6620)].any()


def test_gaia_samples_need_no_wavelengths_and_coefficients_are_sent_to_gaiaxpy(tmp_path):
    cells = "(" + ", ".join(["1.5", "null", *["2e-16"] * 341]) + ")"
    (tmp_path / "xp.csv").write_text(f'source_id,flux,teff\n4545469030156206080,"{cells}",5000\n')
    settings = SpectrumFiles(path=str(tmp_path / "xp.csv"))
    import_spectra(settings.path, "xp", settings, tmp_path / "s.h5")
    with SpectrumStore(tmp_path / "s.h5") as store:
        assert store.catalogue()["id"][0] == "4545469030156206080"
        assert np.isnan(store.flux()[0, 1]) and store.catalogue()["teff"][0] == 5000
    (tmp_path / "c.csv").write_text('source_id,bp_coefficients\n1,"(1, 2)"\n')
    with pytest.raises(DataError, match="GaiaXPy"):
        import_spectra(tmp_path / "c.csv", "xp", settings, tmp_path / "c.h5")


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


def test_a_store_refuses_what_does_not_fit(tmp_path):
    table = pd.DataFrame({"id": ["a"], "flux": [1.0]})
    with pytest.raises(DataError, match="need another name"):
        write_spectra(tmp_path / "s.h5", XP, np.ones((1, 343)), np.ones((1, 343)), table)
    with pytest.raises(DataError, match="do not go together"):
        write_spectra(tmp_path / "s.h5", XP, np.ones((1, 9)), np.ones((1, 9)), table[["id"]])
    with h5py.File(tmp_path / "other.h5", "w") as file:
        file["images"] = np.zeros(3)
    with pytest.raises(DataError, match=r"no flux and no wavelength in it, but \['images'\]"):
        SpectrumStore(tmp_path / "other.h5")


def test_a_label_that_no_star_has_is_left_out_and_none_is_refused(tmp_path):
    flux, error, table = simulate_stars(40, "xp", SpectrumNoise(), 1)
    table.loc[3, "logg"] = np.nan
    write_spectra(tmp_path / "s.h5", XP, flux, error, table)
    stars = read_stars(tmp_path / "s.h5", ("teff", "logg", "alpha_m"))
    assert stars.label_names == ("teff", "logg") and len(stars) == 39
    with pytest.raises(DataError, match="none of the labels alpha_m is a column of numbers"):
        read_stars(tmp_path / "s.h5", ("alpha_m",))


def test_files_need_a_path():
    with pytest.raises(ValueError, match=r"files.path: needed by source 'files'"):
        Spectra(source="files")


SMALL = TransformerShape(patch_pix=35, width=16, depth=1, n_heads=2)
NOISE = SimulatedSpectra(n_stars=400, extinction_mean_mag=0)


def optim(steps):
    return SpectrumOptim(steps=steps, learning_rate=0.005, precision="float32")


def pretraining(steps):
    return SpectrumPretraining(shape=SMALL, batch_size=32, optim=optim(steps))


def training(folder, name):
    """Files of a training, as the scripts take them."""
    return {
        "weights": str(folder / f"{name}.safetensors"),
        "history": str(folder / f"{name}.csv"),
        "state_root": str(folder / "state"),
        "recipe_version": 1,
    }


def small_transformer():
    return SpectrumTransformer(architecture(SMALL, len(XP)))


def test_whitened_directions_have_equal_size_and_noise_counts_in_it():
    """Two patterns of a hundredfold difference; a third that is mostly noise stays small."""
    rng = np.random.default_rng(0)
    patterns = np.linalg.qr(rng.normal(size=(40, 3)))[0].T
    strength = rng.normal(size=(5000, 3)) * [1.0, 0.01, 0.001]
    flux = (1 + strength @ patterns).astype(np.float32)
    whiten = Whitening(40, 3).fit(flux, np.zeros_like(flux))
    found = whiten(torch.from_numpy(flux)).numpy() @ np.asarray(whiten.components).T
    assert found.std(axis=0) == pytest.approx([(40 / 3) ** 0.5] * 3, rel=0.02)
    # The strength of the small pattern can be read from the whitened spectrum as well as the other.
    assert abs(np.corrcoef(found[:, 1], strength[:, 1])[0, 1]) > 0.95
    noisy = Whitening(40, 3).fit(flux, np.full_like(flux, 0.01))
    sizes = noisy(torch.from_numpy(flux)).numpy() @ np.asarray(noisy.components).T
    assert sizes.std(axis=0)[2] < 0.3 * sizes.std(axis=0)[0]


def test_whitening_is_exact_under_half_precision_and_with_few_spectra():
    rng = np.random.default_rng(1)
    flux = (1 + 0.1 * rng.normal(size=(4, 30))).astype(np.float32)
    whiten = Whitening(30, 10).fit(flux, np.zeros_like(flux))
    plain = whiten(torch.from_numpy(flux))
    with torch.autocast("cpu", dtype=torch.bfloat16):
        assert torch.equal(whiten(torch.from_numpy(flux)), plain)
    assert torch.isfinite(plain).all() and (whiten.components[3:] == 0).all()


def test_an_ensemble_is_the_mean_of_members_and_covers_the_share_that_it_says(estimated):
    labels = ("teff", "logg", "fe_h")
    stars = split_stars(read_stars(estimated / "stars.h5", labels), SpectrumSplits(), 1)
    weights = [estimated / f"member_{k}.safetensors" for k in range(2)]
    each = [load_transformer(path).estimate(stars.test.flux) for path in weights]
    means, sigmas = (np.array([one[k][:, :3] for one in each]) for k in (0, 1))
    assert not np.allclose(*means)
    mean, sigma = ensemble(weights, stars)
    assert mean == pytest.approx(means.mean(axis=0))
    # Half the difference of two members is their standard deviation; one factor a label remains.
    own = np.sqrt(np.square(sigmas).mean(axis=0) + np.square(means[0] - means[1]) / 4)
    assert sigma / own == pytest.approx(np.tile((sigma / own)[0], (len(own), 1)))
    on_val, spread = ensemble(weights, SplitStars(stars.train, stars.val, stars.val))
    within = (np.abs(on_val - stars.val.labels) <= spread * (1 + 1e-9)).mean(axis=0)
    assert within == pytest.approx([0.6827] * 3, abs=1 / len(stars.val))
    found = load_table(estimated / "spectra.parquet").query("model == 'transformer'")
    assert found.query("label == 'teff'")["predicted"].to_numpy() == pytest.approx(mean[:, 0])


def test_labels_that_a_star_lacks_teach_nothing():
    """Simulated stars have no [alpha/M]: the loss is that of the other three."""
    torch.manual_seed(0)
    module, flux = small_transformer(), torch.rand(8, len(XP))
    labels = torch.tensor([[5000.0, 3.0, -0.2, 0.1]]).repeat(8, 1)
    lacking = labels.clone()
    lacking[:, 3] = torch.nan
    module(flux, lacking)["loss"].backward()
    last = module.head[-1].weight.grad
    assert torch.isfinite(last).all() and last[[0, 1, 2, 4, 5, 6]].abs().sum(1).min() > 0
    assert (last[[3, 7]] == 0).all()
    assert module(flux, torch.full_like(labels, torch.nan))["loss"] == 0


def test_the_loss_is_least_at_the_truth_with_its_scatter():
    """Against the closed form of the Gaussian likelihood."""
    torch.manual_seed(0)
    module, flux = small_transformer(), torch.rand(5, len(XP))
    mean, log_sigma = (part.detach() for part in module.scaled(flux))
    labels = torch.randn(5, 4) * module.label_width + module.label_centre
    pull = ((labels - module.label_centre) / module.label_width - mean) / torch.exp(log_sigma)
    expected = (0.5 * pull**2 + log_sigma).mean()
    assert module(flux, labels)["loss"].item() == pytest.approx(expected.item(), rel=1e-5)


def test_bad_pixels_count_as_the_mean_and_estimates_are_in_kelvin_and_dex():
    torch.manual_seed(0)
    module = small_transformer()
    flux = np.random.default_rng(0).normal(size=(3, len(XP))).astype(np.float32)
    flux[1, 40:60] = 0.0
    holed = flux.copy()
    holed[1, 40:60] = np.nan
    (mean, sigma), (again, _) = module.estimate(flux), module.estimate(holed)
    assert again == pytest.approx(mean) and np.isfinite(mean).all() and (sigma > 0).all()
    assert 500 < sigma[:, 0].mean() < 2000 and abs(mean[:, 0].mean() - 4900) < 1500


def test_simulated_stars_of_a_step_depend_on_the_step_alone():
    feed = SimulatedFeed("xp", NOISE, 8, seed=3, rank=0, world_size=1)
    first, again, other = feed.batch(5), feed.batch(5), feed.batch(6)
    assert torch.equal(first["flux"], again["flux"]) and not torch.equal(
        first["flux"], other["flux"]
    )
    assert torch.isnan(first["labels"][:, LABELS.index("alpha_m")]).all()
    values = np.array([[4000.0, 0.1]])
    assert all_labels(("teff", "alpha_m"), values)[0] == pytest.approx(
        [4000, np.nan, np.nan, 0.1], nan_ok=True
    )


class Killed(Exception):
    pass


def test_a_pretraining_that_was_killed_ends_with_the_same_weights(tmp_path, monkeypatch):
    whole, broken = training(tmp_path / "a", "w"), training(tmp_path / "b", "w")
    settings = pretraining(8)
    pretrain("xp", NOISE, settings, 1, JobFiles(*ordered(whole)))
    batch = SimulatedFeed.batch

    def killed_at_5(feed, step, device="cpu"):
        if step == 5:
            raise Killed
        return batch(feed, step, device)

    often = settings.model_copy(
        update={"optim": settings.optim.model_copy(update={"checkpoint_seconds": 1e-9})}
    )
    monkeypatch.setattr(SimulatedFeed, "batch", killed_at_5)
    with pytest.raises(Killed):
        pretrain("xp", NOISE, often, 1, JobFiles(*ordered(broken)))
    taken = []
    monkeypatch.setattr(
        SimulatedFeed, "batch", lambda *given: taken.append(given[1]) or batch(*given)
    )
    pretrain("xp", NOISE, often, 1, JobFiles(*ordered(broken)))
    assert taken == [5, 6, 7]
    one, other = (load_transformer(files["weights"]).state_dict() for files in (whole, broken))
    assert all(torch.equal(one[name], other[name]) for name in one)


def ordered(files):
    return [files[name] for name in ("state_root", "recipe_version", "weights", "history")]


def test_factors_of_the_uncertainties_are_those_of_the_validation_stars():
    rng = np.random.default_rng(0)
    val = made_stars(5000, rng)
    mean = val.labels + rng.normal(size=val.labels.shape) * [2.0, 0.5]
    assert sigma_factors(mean, np.ones_like(mean), val) == pytest.approx([2.0, 0.5], rel=0.05)


@pytest.fixture(scope="module")
def estimated(tmp_path_factory):
    """Run the chapter's scripts on simulated stars."""
    folder = tmp_path_factory.mktemp("spectra")
    store = folder / "stars.h5"
    simulate_spectra.main(store, "xp", SimulatedSpectra(n_stars=400, extinction_mean_mag=0), 1)
    files = [str(folder / name) for name in ("spectra.csv", "spectra.parquet")]
    first = training(folder, "first")
    pretrain_spectra.main(**first, grid="xp", noise=NOISE, settings=pretraining(60), seed=1)
    methods = SpectrumMethods(
        labels=("teff", "logg", "fe_h"),
        n_components=10,
        finetune=Finetuning(n_members=2, batch_size=32, optim=optim(40)),
    )
    members = [training(folder, f"member_{k}") for k in range(2)]
    for k, member in enumerate(members):
        finetune_spectra.main(store, first["weights"], **member, settings=methods, member=k, seed=1)
    weights = [member["weights"] for member in members]
    estimate_stellar_parameters.main(store, weights, *files, settings=methods, seed=1)
    drawn = [str(folder / name) for name in ("figure.pdf", "table.csv", "claims.csv")]
    plot_stellar_parameters.main(*files, *drawn)
    return folder


def test_every_floor_learns_from_simulated_stars(estimated):
    results = read_results(estimated / "spectra.csv")
    errors = results[results["metric"] == "mae"].pivot(
        index="model", columns="task", values="value"
    )
    assert set(errors.index) == {"mean", "ridge", "neighbours", "quadratic", "transformer"}
    for label in ("teff", "logg", "fe_h"):
        assert (errors[label].drop(["mean", "transformer"]) < 0.8 * errors.loc["mean", label]).all()
    # A short training: it has learned the temperature, which fills the spectrum.
    assert errors.loc["transformer", "teff"] < 0.8 * errors.loc["mean", "teff"]
    assert (errors.loc["quadratic"] < errors.loc["neighbours"]).all()


def test_tables_and_verdicts_follow_from_the_rows(estimated):
    predictions = load_table(estimated / "spectra.parquet")
    results = read_results(estimated / "spectra.csv")
    row = results.query("metric == 'mae' and model == 'ridge' and task == 'teff'").iloc[0]
    own = predictions.query("model == 'ridge' and label == 'teff'")
    assert row["value"] == pytest.approx((own["predicted"] - own["true"]).abs().mean())
    claims = claims_table(predictions)
    assert len(claims) == 9 and claims["detail"].str.contains("paired by 133 stars").all()
    assert claims.loc[claims["claim"] == "Teff: neighbours above mean", "verdict"].item() == (
        "these networks: higher"
    )
    assert "Within 1 sigma" in (estimated / "table.html").read_text()
    assert (estimated / "figure.png").exists()
