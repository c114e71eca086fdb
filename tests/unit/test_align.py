"""Pairs of spectra: what they share, search and translation by hand, networks that learn."""

import re
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from galaxy_lvm.align.anomalies import anomaly_rows, misfit, usual_scatter
from galaxy_lvm.align.claims import claims_table
from galaxy_lvm.align.network import AlignedNetworks, architecture, load_aligned
from galaxy_lvm.align.pairs import Pairs, Side, SplitPairs, read_pairs, split_pairs, write_pairs
from galaxy_lvm.align.search import canonical_floors, galleries, rank_table, ranks, search_rows
from galaxy_lvm.align.tables import alignment_html, alignment_table
from galaxy_lvm.align.train import PairFeed
from galaxy_lvm.align.translation import binaries, error_profile, star_errors, translations
from galaxy_lvm.core.config.align import (
    AlignOptim,
    AlignShape,
    AlignTraining,
    Binaries,
    Pairing,
)
from galaxy_lvm.core.config.spectra import SimulatedSpectra, SpectrumNoise, SpectrumSplits
from galaxy_lvm.core.errors import DataError
from galaxy_lvm.core.tables import load_table
from galaxy_lvm.report.results import read_results
from galaxy_lvm.spectra.emulator import emulator
from galaxy_lvm.spectra.store import SpectrumStore, write_spectra
from galaxy_lvm.spectra.whitening import Whitening
from scipy import stats

sys.path.append(str(Path(__file__).parents[2] / "scripts"))
import align_modalities  # noqa: E402
import pair_spectra  # noqa: E402
import plot_alignment  # noqa: E402
import search_across  # noqa: E402
import simulate_spectra  # noqa: E402
import translate_spectra  # noqa: E402

SPLITS = SpectrumSplits()
SMALL = AlignShape(n_components=10, width=32, n_shared=8, n_private=4, dropout=0.0)


def made_pairs(n, rng, noise=0.05, n_hidden=3):
    """Two sides of 12 and 15 pixels that are linear in the same hidden numbers."""
    hidden = rng.normal(size=(n, n_hidden))
    maps = np.random.default_rng(7)
    sides = []
    for n_pixels in (12, 15):
        flux = 5 + hidden @ maps.normal(size=(n_hidden, n_pixels))
        flux = (flux + noise * rng.normal(size=flux.shape)).astype(np.float32)
        error = np.full_like(flux, noise)
        sides.append(Side(flux, error, np.ones(n), 4000.0 + np.arange(n_pixels)))
    return Pairs(np.array([f"s{k}" for k in range(n)], dtype=object), *sides)


@pytest.fixture(scope="module")
def stars(tmp_path_factory):
    path = tmp_path_factory.mktemp("stars") / "stars.h5"
    simulate_spectra.main(path, "xp", SimulatedSpectra(n_stars=400, extinction_mean_mag=0.5), 1)
    return path


def test_each_end_is_in_units_of_its_own_median_and_none_lies_in_the_gap(stars, tmp_path):
    paths = tmp_path / "a.h5", tmp_path / "b.h5"
    write_pairs(stars, paths, "ends", Pairing(), 1)
    pairs = read_pairs(paths)
    for side in (pairs.a, pairs.b):
        assert np.nanmedian(side.flux, axis=1) == pytest.approx(np.ones(len(pairs)), rel=1e-5)
    assert pairs.a.wavelength.max() < 6250 and pairs.b.wavelength.min() > 6550
    # The scales bring both ends back into the one unit of the whole spectrum.
    with SpectrumStore(stars) as store:
        flux, wave = store.flux(), store.wavelength
    whole = flux / np.median(flux, axis=1, keepdims=True)
    for side in (pairs.a, pairs.b):
        there = np.isin(wave, side.wavelength)
        assert side.flux * side.scale[:, None] == pytest.approx(whole[:, there], rel=1e-4)


def test_a_twin_is_the_star_of_the_same_labels_with_the_noise_that_it_says(stars, tmp_path):
    paths = tmp_path / "a.h5", tmp_path / "b.h5"
    write_pairs(stars, paths, "twins", Pairing(), 1)
    pairs = read_pairs(paths)
    with SpectrumStore(stars) as store:
        labels = store.catalogue().set_index("id").loc[pairs.ids, ["teff", "logg", "fe_h"]]
    clean = emulator("lamost")(labels.to_numpy())
    clean /= np.median(clean, axis=1, keepdims=True)
    pull = (pairs.b.flux - clean) / pairs.b.error
    # Noise moves the median that a spectrum is divided by: lines reach to one side only.
    assert pull.std() == pytest.approx(1, abs=0.05) and abs(pull.mean()) < 0.2


def test_bad_pairs_are_refused_by_name(stars, tmp_path):
    paths = tmp_path / "a.h5", tmp_path / "b.h5"
    with pytest.raises(DataError, match="0 of 343 samples are above gap_high_nm"):
        write_pairs(stars, paths, "ends", Pairing(gap_high_nm=1100), 1)
    with SpectrumStore(stars) as store:
        flux, error, wave, table = (
            store.flux(), store.error(), store.wavelength, store.catalogue()
        )  # fmt: skip
    write_spectra(tmp_path / "bare.h5", wave, flux, error, table[["id", "teff"]])
    with pytest.raises(DataError, match="no column logg, fe_h: a twin is simulated"):
        write_pairs(tmp_path / "bare.h5", paths, "twins", Pairing(), 1)
    write_pairs(stars, paths, "ends", Pairing(), 1)
    write_spectra(tmp_path / "turned.h5", wave, flux[::-1], error[::-1],
                  table[::-1][["id"]].assign(scale=1.0))  # fmt: skip
    with pytest.raises(DataError, match=r"turned.h5: row 1 is not the star of .*a.h5"):
        read_pairs((paths[0], tmp_path / "turned.h5"))
    with pytest.raises(ValueError, match="above gap_high_nm"):
        Pairing(gap_low_nm=700)


def test_spectra_of_a_star_that_has_one_are_left_out(tmp_path):
    wave = np.arange(3360.0, 10201.0, 20.0)
    flux = np.random.default_rng(0).uniform(0.5, 1.5, (6, len(wave)))
    table = pd.DataFrame({"id": ["s", "t", "s", "u", "v", "v"]})
    flux[3, wave < 6250] = np.nan
    flux[4] = np.nan  # of v there is a second one, which this does not hide
    write_spectra(tmp_path / "s.h5", wave, flux, 0.1 * flux, table)
    paths = tmp_path / "a.h5", tmp_path / "b.h5"
    write_pairs(tmp_path / "s.h5", paths, "ends", Pairing(), 1)
    assert list(read_pairs(paths).ids) == ["s", "t", "v"]


def test_whitened_components_give_the_spectrum_back():
    rng = np.random.default_rng(0)
    flux = (1 + rng.normal(size=(200, 3)) @ rng.normal(size=(3, 20))).astype(np.float32)
    whiten = Whitening(20, 3).fit(flux, np.zeros_like(flux))
    parts = whiten.parts(torch.from_numpy(flux))
    assert parts.std(dim=0).numpy() == pytest.approx(np.ones(3), rel=0.02)
    inside = (parts.abs() < 5).all(dim=1).numpy()
    assert whiten.spectra(parts).numpy()[inside] == pytest.approx(flux[inside], abs=2e-3)


def test_ranks_by_hand():
    similarity = np.array([[3.0, 1.0, 2.0], [5.0, 4.0, 4.0], [0.0, 0.0, 9.0]])
    assert list(ranks(similarity)) == [1, 3, 1]  # a tie counts against the own one


def test_the_gaussian_floor_ranks_by_the_density_of_the_one_given_the_other():
    """Against scipy's normal densities of the canonical variates."""
    rng = np.random.default_rng(0)
    pairs = made_pairs(300, rng, noise=1.0)
    split = split_pairs(pairs, SPLITS, 1)
    similarity = dict(canonical_floors(split))["cca_gaussian"]
    variates = next(
        c.cell_contents for c in similarity.__closure__ if hasattr(c.cell_contents, "__self__")
    )
    n = next(c.cell_contents for c in similarity.__closure__ if isinstance(c.cell_contents, int))
    own = variates.__self__
    a, b = own._of(split.val, n)
    r = own.correlation[:n]
    assert (np.diff(r) < 0.05).all() and 0 < r[0] < 1
    given = stats.norm.logpdf(b[None], a[:, None] * r, np.sqrt(1 - r**2)).sum(axis=2)
    expected = given - stats.norm.logpdf(b).sum(axis=1)
    found = similarity(split.val)
    assert found - found.mean(axis=1, keepdims=True) == pytest.approx(
        expected - expected.mean(axis=1, keepdims=True), abs=1e-6
    )


def test_galleries_hold_each_star_once_and_like_noise_is_sorted():
    pairs = made_pairs(25, np.random.default_rng(0))
    pairs.a.error[:] = np.linspace(1, 2, 25)[::-1, None]
    for kind in ("random", "like_noise"):
        rows = galleries(pairs, kind, 10, 1)
        assert [len(r) for r in rows] == [10, 10] and len(set(np.concatenate(rows))) == 20
    assert list(rows[0]) == list(range(24, 14, -1))
    assert len(galleries(pairs, "random", 100, 1)[0]) == 25


def test_a_gallery_of_all_stars_is_told_once():
    """Stars of like noise, all of them, are the random gallery again, rank by rank."""
    pairs = made_pairs(25, np.random.default_rng(0))

    def similarity(some):
        return some.a.flux @ some.b.flux[:, :12].T

    kinds = {size: rank_table(pairs, "cca", similarity, size, 1) for size in (10, 25, 100)}
    assert set(kinds[10]["gallery"]) == {"random", "like_noise"}
    for size in (25, 100):
        assert set(kinds[size]["gallery"]) == {"random"} and len(kinds[size]) == 2 * 25


def test_a_star_twice_in_a_batch_is_no_counterexample_of_itself():
    torch.manual_seed(0)
    pairs = made_pairs(60, np.random.default_rng(0))
    module = AlignedNetworks(architecture(SMALL, pairs)).fit(pairs, 1.0).eval()
    a, b = torch.randn(4, 8), torch.randn(4, 8)
    star = torch.tensor([5, 6, 7, 8])
    once = module._contrast(a, b, star)
    doubled = module._contrast(
        torch.cat([a, a[:1]]), torch.cat([b, b[:1]]), torch.cat([star, star[:1]])
    )
    # The first star's own loss counts twice; nothing else changes but what the others see twice.
    logits = module.log_scale.exp() * (
        torch.nn.functional.normalize(a) @ torch.nn.functional.normalize(b).T
    )
    first = torch.nn.functional.cross_entropy(logits[:1], torch.tensor([0]))
    wide = torch.cat([logits, logits[:, :1]], dim=1)[1:]
    others = torch.nn.functional.cross_entropy(wide, torch.tensor([1, 2, 3]), reduction="sum")
    rows = (2 * first + others) / 5
    logits_t = logits.T
    first_t = torch.nn.functional.cross_entropy(logits_t[:1], torch.tensor([0]))
    wide_t = torch.cat([logits_t, logits_t[:, :1]], dim=1)[1:]
    others_t = torch.nn.functional.cross_entropy(wide_t, torch.tensor([1, 2, 3]), reduction="sum")
    assert doubled.item() == pytest.approx(
        ((rows + (2 * first_t + others_t) / 5) / 2).item(), rel=1e-5
    )
    assert once.item() != pytest.approx(doubled.item())


def test_missing_pixels_teach_nothing():
    pairs = made_pairs(60, np.random.default_rng(0))
    module = AlignedNetworks(architecture(SMALL, pairs)).fit(pairs, 1.0)
    flux = torch.from_numpy(pairs.a.flux[:5].copy())
    parts = module.a.whiten.parts(flux) + 0.1
    holed = flux.clone()
    holed[:, 3] = torch.nan
    made = module.a.whiten.spectra(parts)
    kept = [k for k in range(12) if k != 3]
    expected = ((made - flux).abs() / module.a.unit)[:, kept].mean()
    assert module.a.error(parts, holed).item() == pytest.approx(expected.item(), rel=1e-5)
    assert module.a.error(parts, torch.full_like(flux, torch.nan)) == 0


def test_errors_by_star_and_by_wavelength():
    true = Side(
        np.array([[1.0, 2.0, np.nan], [4.0, 4.0, np.nan]]),
        np.ones((2, 3)),
        np.ones(2),
        np.arange(3.0),
    )
    made = np.array([[1.1, 2.6, 1.0], [4.0, 8.0, 1.0]])
    assert star_errors(made, true) == pytest.approx([0.2, 0.5])
    assert error_profile(made, true) == pytest.approx([0.05, 0.65, np.nan], nan_ok=True)


def test_a_binary_is_the_light_of_two_stars_on_both_sides():
    pairs = made_pairs(30, np.random.default_rng(0), noise=0.01)
    pairs.a.scale[:] = 2.0
    made = binaries(pairs, 50, (0.5, 0.5), 3)
    assert np.median(made.a.flux, axis=1) == pytest.approx(np.ones(50), rel=1e-5)
    whole = made.a.flux * made.a.scale[:, None]
    sums = pairs.a.flux[:, None] + pairs.a.flux[None]
    closest = np.abs(whole[:, None, None] - sums[None]).max(axis=3).reshape(50, -1)
    first, second = np.unravel_index(closest.argmin(axis=1), (30, 30))
    assert (closest.min(axis=1) < 1e-4).all() and (first != second).all()
    other = made.b.flux * made.b.scale[:, None]
    assert other == pytest.approx((pairs.b.flux[first] + pairs.b.flux[second]) / 2, rel=1e-4)


def test_misfits_of_usual_stars_are_about_one_whatever_the_error():
    rng = np.random.default_rng(0)
    error = rng.uniform(0.1, 0.2, (4000, 1)) * np.ones((1, 6))
    flux = rng.normal(size=(4000, 6)) * np.hypot(error, 0.3)
    side = Side(flux, error, np.ones(4000), np.arange(6.0))
    scatter = usual_scatter(np.zeros_like(flux), side)
    assert scatter == pytest.approx(np.full(6, 0.09), rel=0.15)
    found = misfit(np.zeros_like(flux), side, scatter)
    assert found.mean() == pytest.approx(1, abs=0.1)
    calm, wild = (found[rows].mean() for rows in (error[:, 0] < 0.12, error[:, 0] > 0.18))
    assert calm == pytest.approx(wild, rel=0.15)


def test_recall_of_anomalies_is_at_the_limit_of_validation_stars():
    table = pd.DataFrame(
        {
            "model": "x",
            "id": list("abcdef"),
            "injected": [0, 0, 0, 0, 1, 1],
            "score": [1, 2, 3, 9, 8, 4],
        }
    )
    rows = anomaly_rows(table, {"x": 5.0}, "ends", 1)
    found = {row["metric"]: row["value"] for row in rows}
    assert found["recall"] == 0.5 and found["false_positives"] == 0.25 and found["n_test"] == 4
    assert found["auroc"] == 6 / 8


def test_floors_are_not_chosen_by_test_stars():
    split = split_pairs(made_pairs(200, np.random.default_rng(0)), SPLITS, 1)
    module = AlignedNetworks(architecture(SMALL, split.train)).fit(split.train, 1.0)
    before = dict(translations(split, split.test, module, 1))["quadratic"]
    shuffled = np.random.default_rng(1).normal(size=split.test.b.flux.shape)
    split.test.b.flux[:] = shuffled
    after = dict(translations(split, split.test, module, 1))["quadratic"]
    assert (before == after).all()
    # Linear in the hidden numbers: the floor makes the other side to about its noise.
    fresh = split_pairs(made_pairs(200, np.random.default_rng(0)), SPLITS, 1).test.b
    assert np.std(before - fresh.flux) < 2 * 0.05


def test_a_batch_depends_on_the_step_alone():
    pairs = made_pairs(40, np.random.default_rng(0))
    feed = PairFeed(pairs, 16, 1.0, 3, rank=0, world_size=1)
    first, again, other = feed.batch(5), feed.batch(5), feed.batch(6)
    assert torch.equal(first["seen_a"], again["seen_a"])
    assert not torch.equal(first["star"], other["star"])
    assert (first["seen_b"] - first["b"]).std().item() == pytest.approx(0.05, rel=0.2)


@pytest.fixture(scope="module")
def aligned(tmp_path_factory, stars):
    """Run the chapter's scripts on the ends of simulated stars."""
    folder = tmp_path_factory.mktemp("align")
    a, b = (str(folder / name) for name in ("a.h5", "b.h5"))
    pair_spectra.main(stars, a, b, "ends", Pairing(), 1)
    weights = str(folder / "ends.safetensors")
    settings = AlignTraining(
        shape=AlignShape(n_components=10, width=64, n_shared=16, n_private=4),
        batch_size=128,
        optim=AlignOptim(steps=150, learning_rate=0.005, precision="float32"),
    )
    files = (weights, str(folder / "ends.csv"), str(folder / "state"))
    align_modalities.main(a, b, *files, 1, "ends", settings, SPLITS, 1)
    names = ("search.csv", "search.parquet", "translation.csv", "errors.parquet",
             "profiles.parquet", "anomalies.parquet")  # fmt: skip
    search, found, metrics, errors, profiles, odd = (str(folder / name) for name in names)
    search_across.main(a, b, weights, search, found, "ends", 50, SPLITS, 1)
    translate_spectra.main(
        a, b, weights, metrics, errors, profiles, odd, "ends", Binaries(n_binaries=60), SPLITS, 1
    )
    drawn = [str(folder / name) for name in ("figure.pdf", "table.csv", "claims.csv")]
    plot_alignment.main(
        [search, metrics], [found], [errors], [profiles], [odd], ["ends"], *drawn, 1
    )
    return folder


def test_networks_find_and_translate_far_above_chance(aligned):
    """A short training: above chance and the mean; nothing is claimed against the floors."""
    results = read_results([aligned / "search.csv", aligned / "translation.csv"])
    recall = results.query("metric == 'recall10' and condition == 'a_to_b, random'")
    recall = recall.set_index("model")["value"]
    assert recall["aligned"] > 0.5 and recall["cca"] > 0.5  # 10 of 50 by chance: 0.2
    error = results.query("metric == 'error' and condition == 'a_to_b'").set_index("model")["value"]
    assert error["aligned"] < 0.5 * error["mean"] and error["quadratic"] < 0.5 * error["mean"]


def test_rows_verdicts_and_page_follow_from_the_predictions(aligned):
    found, missed = (load_table(aligned / f"{name}.parquet") for name in ("search", "errors"))
    rows = read_results(aligned / "search.csv")
    part = found.query("model == 'cca' and direction == 'b_to_a' and gallery == 'random'")
    assert len(part) == 100  # 133 test stars fill two galleries of 50
    row = rows.query("model == 'cca' and condition == 'b_to_a, random' and metric == 'recall10'")
    assert row["value"].item() == pytest.approx((part["rank"] <= 10).mean())
    again = search_rows(found, "ends", 50, 1)
    assert len(again) == len(rows)
    claims = claims_table(found.assign(experiment="ends"), missed.assign(experiment="ends"), 1)
    assert len(claims) == 6 and claims["detail"].str.contains("paired by stars").all()
    page = (aligned / "table.html").read_text()
    assert "blue end and red end" in page and "binaries found at 1 % of single stars" in page
    assert "like noise: searched" in page and "Twins share" not in page
    # Shares and their ends have as many digits.
    assert re.search(r"<td>0\.\d{3} \(0\.\d{3} to [01]\.\d{3}\)</td>", page)
    once = read_results([aligned / "search.csv", aligned / "translation.csv"])
    once = once[~once["condition"].str.contains("like_noise")]
    assert "like noise" not in alignment_html(alignment_table(once), claims)
    assert (aligned / "figure.png").exists()
    odd = load_table(aligned / "anomalies.parquet")
    assert odd.groupby("model")["injected"].sum().to_dict() == {
        "components": 60, "quadratic": 60, "aligned": 60
    }  # fmt: skip


def test_networks_come_back_from_their_file_and_turned_ones_exchange_the_sides(aligned):
    pairs = read_pairs((aligned / "a.h5", aligned / "b.h5"))
    module = load_aligned(aligned / "ends.safetensors")
    a, b = module.vectors(pairs)
    assert np.linalg.norm(a, axis=1) == pytest.approx(np.ones(len(pairs)))
    turned_a, turned_b = module.turned().vectors(pairs.turned())
    assert (turned_a == b).all() and (turned_b == a).all()
    split = split_pairs(pairs, SPLITS, 1)
    assert isinstance(split, SplitPairs) and not set(split.train.ids) & set(split.test.ids)
    with pytest.raises(ValueError, match="above share_max"):
        Binaries(share_min=0.4, share_max=0.3)
    assert SpectrumNoise().snr_min == Pairing().twin_noise.snr_min
