"""The Transformer on spectra: whitening, likelihood, two stages, an ensemble, the chapter."""

import gc
import sys
import weakref
from pathlib import Path

import numpy as np
import pytest
import torch
from galaxy_lvm.core.config.spectra import (
    Finetuning,
    SimulatedSpectra,
    SpectrumMethods,
    SpectrumOptim,
    SpectrumPretraining,
    SpectrumSplits,
    TransformerShape,
)
from galaxy_lvm.core.tables import load_table
from galaxy_lvm.report.results import read_results
from galaxy_lvm.spectra import train
from galaxy_lvm.spectra.claims import claims_table
from galaxy_lvm.spectra.labels import BASIC
from galaxy_lvm.spectra.networks import architecture, build, load_network
from galaxy_lvm.spectra.stars import SplitStars, read_stars, split_stars
from galaxy_lvm.spectra.train import (
    SimulatedFeed,
    all_labels,
    ensemble,
    pretrain,
)
from galaxy_lvm.spectra.wavelengths import (
    grid_wavelengths,
)
from galaxy_lvm.spectra.whitening import Whitening
from galaxy_lvm.training.job import JobFiles
from sklearn.decomposition import PCA

sys.path.append(str(Path(__file__).parents[2] / "scripts"))
import estimate_stellar_parameters  # noqa: E402
import finetune_spectra  # noqa: E402
import plot_stellar_parameters  # noqa: E402
import pretrain_spectra  # noqa: E402
import simulate_spectra  # noqa: E402

XP = grid_wavelengths("xp")


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
    return build(architecture(SMALL, len(XP)))


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


def test_components_are_those_of_scikit_learn():
    rng = np.random.default_rng(2)
    flux = (1 + rng.normal(size=(60, 3)) @ rng.normal(size=(3, 30))).astype(np.float32)
    whiten = Whitening(30, 3).fit(flux, np.zeros_like(flux))
    pixels = (flux - flux.mean(axis=0, dtype=float)) / flux.std(axis=0, dtype=float)
    known = PCA(3, svd_solver="full").fit(pixels)
    assert whiten.components.numpy() == pytest.approx(known.components_, abs=1e-5)
    assert whiten.sizes.numpy() == pytest.approx(np.sqrt(known.explained_variance_), rel=1e-5)


def test_long_sequences_are_read_in_smaller_parts():
    """Attention between the 1,462 pixels of 1,024 LAMOST spectra would take 35 GB a layer."""
    shape = SMALL.model_copy(update={"patch_pix": 1})
    module, seen = build(architecture(shape, 1462)), []
    module.scaled = lambda flux: seen.append(len(flux)) or (torch.zeros(len(flux), 4),) * 2
    module.estimate(np.ones((50, 1462), np.float32))
    assert seen == [22, 22, 6]
    short = small_transformer()
    short.scaled = module.scaled
    short.estimate(np.ones((1500, len(XP)), np.float32))
    assert seen[3:] == [1024, 476]


def test_one_member_of_an_ensemble_is_in_memory_at_a_time(estimated, monkeypatch):
    stars = split_stars(read_stars(estimated / "stars.h5", BASIC[:3]), SpectrumSplits(), 1)
    alive, plain = [], train.load_for

    def load(*given):
        gc.collect()
        assert [one for one in alive if one() is not None] == []
        module = plain(*given)
        alive.append(weakref.ref(module))
        return module

    monkeypatch.setattr(train, "load_for", load)
    ensemble([estimated / f"member_{k}.safetensors" for k in range(2)], stars)
    assert len(alive) == 2


def test_an_ensemble_is_the_mean_of_members_and_covers_the_share_that_it_says(estimated):
    labels = ("teff", "logg", "fe_h")
    stars = split_stars(read_stars(estimated / "stars.h5", labels), SpectrumSplits(), 1)
    weights = [estimated / f"member_{k}.safetensors" for k in range(2)]
    each = [load_network(path).estimate(stars.test.flux) for path in weights]
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
    assert torch.isnan(first["labels"][:, BASIC.index("alpha_m")]).all()
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
    one, other = (load_network(files["weights"]).state_dict() for files in (whole, broken))
    assert all(torch.equal(one[name], other[name]) for name in one)


def ordered(files):
    return [files[name] for name in ("state_root", "recipe_version", "weights", "history")]


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
        "one training only: higher"
    )
    assert "Within 1 sigma" in (estimated / "table.html").read_text()
    assert (estimated / "figure.png").exists()
