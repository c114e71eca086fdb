"""Floors, networks, scores and verdicts on sources of WISE; by hand and on an easy sky."""

import re
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import timm
import torch
from galaxy_lvm.core.config.wise import (
    COMPACT,
    Wise,
    WiseNetworks,
    WiseOptim,
    WiseScene,
    WiseScores,
    WiseSplits,
    WiseTraining,
)
from galaxy_lvm.core.errors import DataError
from galaxy_lvm.core.tables import load_table
from galaxy_lvm.report.results import long_rows, read_results
from galaxy_lvm.survey.splits_table import Splits
from galaxy_lvm.training.augment import dihedral, random_orientations
from galaxy_lvm.training.backbones import build_encoder
from galaxy_lvm.training.job import NetworkFiles
from galaxy_lvm.training.model_specs import TIMM_PREFIX, model_specs
from galaxy_lvm.wise.bands import pixel_noise
from galaxy_lvm.wise.classify import protocol_of, train_network
from galaxy_lvm.wise.floors import floor_probabilities
from galaxy_lvm.wise.levels import to_levels
from galaxy_lvm.wise.network import Apertures, compact_network, wide_network
from galaxy_lvm.wise.noise import fade, in_noise
from galaxy_lvm.wise.render import DISC_NU, Camera, Shapes
from galaxy_lvm.wise.scores import ALL, best_network, claims_table, conditions_of, score_rows
from galaxy_lvm.wise.tables import wise_table
from pages import files_told

ROOT = Path(__file__).parents[2]
sys.path.append(str(ROOT / "scripts"))
import evaluate_wise  # noqa: E402
import measure_wise  # noqa: E402
import plot_wise  # noqa: E402
import simulate_wise  # noqa: E402
import train_wise  # noqa: E402

MODELS = [{"model": COMPACT, "name": "compact"}]
SKY = "10mmag"


@pytest.fixture(scope="module")
def sky(tmp_path_factory):
    """Run the chapter's scripts on bright sources without neighbours."""
    folder = tmp_path_factory.mktemp("wise")
    scene = WiseScene(n_sources=360, w1_max_mag=14.0, neighbours_per_arcmin2=0)
    simulate_wise.main(str(folder / "cutouts.h5"), scene, 0.01, 1)
    names = "crops.h5", "photometry.parquet", "splits.parquet", "rejected.csv"
    made = [str(folder / name) for name in names]
    measure_wise.main(str(folder / "cutouts.h5"), *made, scene, WiseSplits(), 1)
    training = WiseTraining(
        batch_size=24, min_epochs=0, learning_rates=(0.01,),
        optim=WiseOptim(steps=90, precision="float32"),
    )  # fmt: skip
    networks = WiseNetworks(training=training, n_orientations=1)
    crops, photometry, splits, _ = made
    network, shares = str(folder / "network.csv"), str(folder / "network.parquet")
    train_wise.main(
        crops, splits, photometry, network, shares, SKY, MODELS[0], networks,
        str(folder / "state"), 1, 1,
    )  # fmt: skip
    scores = WiseScores(w1_edges_mag=(11.0, 13.0, 14.5), n_bootstrap=50)
    results = str(folder / "wise.csv"), str(folder / "wise.parquet")
    evaluate_wise.main(splits, photometry, [network], [shares], *results, SKY, scores, 1)
    views = [str(folder / name) for name in ("wise.pdf", "table.csv", "claims.csv")]
    plot_wise.main([results[0]], [results[1]], *views, MODELS, scores)
    return folder


def test_an_easy_sky_is_easy_for_floors_and_network(sky):
    results = read_results(sky / "wise.csv").query("condition == 'all' and metric == 'accuracy'")
    accuracy = results.set_index("model")["value"]
    assert set(accuracy.index) == {"quadratic", "boosting", "compact"}
    assert accuracy["quadratic"] > 0.85 and accuracy["boosting"] > 0.85
    assert accuracy["compact"] > 0.7  # a third by chance


def test_tables_and_pages_are_views_of_the_rows(sky):
    results, table = read_results(sky / "wise.csv"), load_table(sky / "table.csv")
    row = table[(table["model"] == "compact") & (table["condition"] == ALL)].iloc[0]
    found = results.query("model == 'compact' and metric == 'accuracy' and condition == 'all'")
    assert float(row["accuracy"]) == pytest.approx(found["value"].iloc[0])
    assert float(row["n_weights"]) == sum(p.numel() for p in compact_network().parameters())
    assert float(row["images_per_s"]) > 0 and float(row["colour_scatter_mag"]) == 0.01
    page = (sky / "table.html").read_text()
    assert "colour scatter 0.01 mag" in page and "The scatter of colours is assumed" in page
    assert list(load_table(sky / "claims.csv")["claim"]) == [
        f"{SKY}, faint end: compact above quadratic", f"{SKY}, faint end: compact above boosting",
    ]  # fmt: skip
    predictions = load_table(sky / "wise.parquet")
    shares = predictions[[c for c in predictions if c.startswith("p_")]].to_numpy(float)
    assert shares.sum(axis=1) == pytest.approx(1)
    assert (sky / "wise.png").exists()


def test_floors_are_chosen_without_test_sources(sky):
    photometry, splits = load_table(sky / "photometry.parquet"), Splits(sky / "splits.parquet")
    first = floor_probabilities(photometry, splits, 1)
    splits._all = splits._all.take(np.arange(len(splits)))
    test = (splits.table["split"] == "test").to_numpy()
    splits._all.labels[test] = np.roll(splits._all.labels[test], 1)
    again = floor_probabilities(photometry, splits, 1)
    for name in first:
        assert (first[name][0] == again[name][0]).all() and first[name][1] == again[name][1]


def test_a_network_that_is_not_trained_as_a_whole_is_refused(sky):
    files = NetworkFiles(sky / "splits.parquet", sky / "crops.h5", sky / "other", 1)
    spec = model_specs([{"model": "hog_logistic"}], "wise.models")[0]
    with pytest.raises(DataError, match="hog_logistic is no network that is trained as a whole"):
        train_network(spec, files, 32, WiseNetworks(), 1)


def test_the_compact_network_has_a_tenth_of_the_smallest_other_one():
    specs = model_specs([entry.model_dump() for entry in Wise().models], "wise.models")
    n_weights = {s.label: sum(p.numel() for p in build_encoder(s, 64).parameters()) for s in specs}
    compact = n_weights.pop("compact")
    assert compact * 10 <= min(n_weights.values())
    pixels = [protocol_of(WiseNetworks(), spec, 32).view_side_pix for spec in specs]
    assert pixels == [32, 64]  # as they are, and enlarged


def test_the_wide_network_has_a_tenth_of_repvggs_weights_at_most():
    n_weights = [
        sum(p.numel() for p in network.parameters())
        for network in (wide_network(), timm.create_model("repvgg_a0"))
    ]
    assert n_weights[0] * 10 <= n_weights[1]


def test_the_networks_of_the_paper_can_be_asked_for():
    told = Wise.model_fields["models"].description.partition("name ")[2]
    names = [name.strip(".,") for name in re.split(r",\s|\sand\s", told)]
    assert len(names) == 6
    known = set(timm.list_models())
    specs = model_specs([{"model": name} for name in names], "wise.models")
    for spec in specs:
        if spec.model.startswith(TIMM_PREFIX):
            assert spec.model.removeprefix(TIMM_PREFIX) in known
    googlenet = next(spec for spec in specs if spec.model == "googlenet")
    encoder = build_encoder(googlenet, 64)
    assert encoder(torch.rand(2, 3, 64, 64)).shape == (2, 1024)  # one output in training too
    assert sum(p.numel() for p in encoder.parameters()) < 6e6


def test_apertures_are_magnitudes_of_bright_sources():
    fluxes = np.array([[1e3, 1e4, 1e6], [10**0.4 * 1e3, 1e4, 1e6]])
    nothing = np.zeros(2)
    shapes = Shapes(nothing, nothing, nothing, nothing + 1, nothing, nothing + DISC_NU)
    images = Camera(32).images(fluxes, shapes, np.arange(2), 2)
    levels = torch.from_numpy(to_levels(images, np.array(WiseScene().depth_mag)))
    found = Apertures()(levels.permute(0, 3, 1, 2).float() / 255).reshape(2, 3, -1)
    change = (found[1] - found[0]).detach().numpy()
    # One magnitude is 0.4 ln 10; the narrow apertures are above the noise of levels.
    assert change[0, :3] == pytest.approx(0.4 * np.log(10), abs=0.03)
    assert np.abs(change[1:]).max() == 0


def test_a_faded_source_is_fainter_at_the_same_depth():
    depth = np.array(WiseScene().depth_mag)
    rng, n, bright = np.random.default_rng(1), 400, 2000.0
    noise = pixel_noise(depth)[:, None, None]
    images = noise * rng.standard_normal((n, 3, 16, 16))
    images[:, :, 4, 4] += bright * noise[:, 0, 0]
    levels = torch.from_numpy(to_levels(images, depth)).permute(0, 3, 1, 2).float() / 255
    found = fade(levels, torch.Generator().manual_seed(1), max_mag=1.5)
    kept = torch.tensor([torch.equal(a, b) for a, b in zip(found, levels, strict=True)])
    assert 0.4 < kept.float().mean() < 0.6
    fluxes = in_noise(found[~kept])
    peak = fluxes[:, :, 4, 4] / bright
    lost_mag = -2.5 * peak.log10()
    assert lost_mag.min() > -0.05 and 1.3 < lost_mag.max() < 1.55
    assert lost_mag.mean() == pytest.approx(0.75, abs=0.1)
    assert (lost_mag.max(dim=1).values - lost_mag.min(dim=1).values).max() < 0.1  # colours stay
    fluxes[:, :, 4, 4] = 0
    assert fluxes.std() == pytest.approx(1, abs=0.02) and abs(fluxes.mean()) < 0.02
    assert torch.equal(fade(levels, torch.Generator().manual_seed(1), max_mag=1.5), found)
    assert fade(levels, torch.Generator(), max_mag=0) is levels


def test_orientations_move_pixels_and_change_none():
    images = torch.arange(2 * 3 * 4 * 4.0).reshape(2, 3, 4, 4).repeat(20, 1, 1, 1)
    found = random_orientations(images, torch.Generator().manual_seed(1))
    again = random_orientations(images, torch.Generator().manual_seed(1))
    assert torch.equal(found, again)
    seen = set()
    for one, before in zip(found, images, strict=True):
        which = [k for k in range(8) if torch.equal(one, dihedral(before, k))]
        assert len(which) == 1
        seen.add(which[0])
    assert seen == set(range(8))


def predictions(right, model, seed=1, w1=16.0):
    """Return predictions of stars, right where `right` says so."""
    n = len(right)
    return pd.DataFrame({
        "model": model, "seed": seed, "id": [f"s{k}" for k in range(n)],
        "label": "star", "predicted": np.where(right, "star", "galaxy"), "w1_mag": w1,
    })  # fmt: skip


def test_scores_count_sources_of_their_bin():
    settings = WiseScores(w1_edges_mag=(11.0, 15.0, 17.0), n_bootstrap=100)
    table = predictions([True, False, True, True], "quadratic")
    table["w1_mag"] = [12.0, 15.0, 16.0, 18.0]
    table.loc[3, ["label", "predicted"]] = "quasar"
    rows = {(r["condition"], r["metric"]): r["value"] for r in score_rows(table, SKY, settings, 1)}
    assert rows["all", "accuracy"] == 0.75 and rows["all", "n_test"] == 4
    assert rows["w1=15-17", "accuracy"] == 0.5 and rows["w1=11-15", "recall_star"] == 1
    assert rows["all", "recall_quasar"] == 1 and rows["all", "recall_quasar_low95"] < 0.5
    assert ("w1=11-15", "recall_quasar") not in rows


def test_verdicts_compare_source_by_source_and_choose_the_best_network_by_validation():
    settings = WiseScores(w1_edges_mag=(11.0, 15.0, 17.0), n_bootstrap=20)
    rng = np.random.default_rng(1)
    good, poor = rng.random((2, 400)) < [[0.9], [0.6]]
    parts = [predictions(poor, "quadratic"), predictions(good, "boosting")]
    for seed in (1, 2):
        parts += [predictions(np.roll(good, seed), "compact", seed)]
        parts += [predictions(good, "large", seed), predictions(poor, "lucky", seed)]
    table = pd.concat(parts, ignore_index=True).assign(sky=SKY)
    rows = score_rows(table, SKY, settings, 1)
    for model, loss in (("compact", 0.3), ("large", 0.4), ("lucky", 0.2)):
        rows += long_rows("wise", SKY, model, "network", 1, {"loss_val": loss, "n_weights": 10})
    results = pd.DataFrame(rows)
    assert best_network(results, ["large", "lucky"]) == "lucky"
    claims = claims_table(results, table, ["compact"], settings).set_index("claim")
    assert claims["verdict"].iloc[0] == "holds" and claims["trainings"].iloc[0] == "2"
    assert not claims["verdict"].iloc[1].startswith("holds")
    assert "2 seeds and 400 sources" in claims["detail"].iloc[0]
    assert claims.index[2] == f"{SKY}, all sources: compact at or above lucky"
    assert claims["verdict"].iloc[2].startswith("not lower")
    shown = wise_table(results)
    assert list(dict.fromkeys(shown["model"]))[:2] == ["quadratic", "boosting"]
    compact = shown[(shown["model"] == "compact") & (shown["condition"] == ALL)].iloc[0]
    assert compact["n_trainings"] == 2 and compact["n_weights"] == 10
    assert conditions_of(settings)[-1] == "w1=15-17"
    # Networks of ours are not the ones that they are held against.
    claims = claims_table(results, table, ["compact", "lucky"], settings)["claim"]
    ends = [claim.partition("at or above ")[2] for claim in claims if "at or above" in claim]
    assert len(claims) == 6 and ends == ["large", "large"]


def test_the_page_names_every_file_that_the_rules_write():
    text = (ROOT / "rules" / "wise.smk").read_text()
    text = text.replace("{WISE_DATA}", "{RUN}/data/wise_*").replace("{{{{sky}}}}", "*")
    made = set(re.findall(r'f"\{RUN\}/((?:data|figures|tables|metrics|predictions)/[^"]+)"', text))
    made = {re.sub(r"\{\{?\w+\}?\}|\{WISE_SKIES\[0\]\}", "*", name) for name in made}
    told = files_told((ROOT / "docs" / "wise.md").read_text())
    made.discard("data/wise_*")
    assert len(made) > 10
    for name in made:
        assert any(Path(name).match(pattern) for pattern in told), name
