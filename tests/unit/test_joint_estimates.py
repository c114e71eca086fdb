"""Estimates from image, spectrum and both: views made by hand; the chapter's scripts in line."""

import re
import subprocess
import sys
from pathlib import Path

import h5py
import numpy as np
import pandas as pd
import pytest
from galaxy_lvm.align.network import AlignedNetworks, architecture, save_aligned
from galaxy_lvm.align.pairs import read_pairs
from galaxy_lvm.core.config import check_config
from galaxy_lvm.core.config.align import AlignOptim, AlignShape, AlignTraining
from galaxy_lvm.core.config.joint import GalaxySpectra, JointEstimates, JointSimulation
from galaxy_lvm.core.config.spectra import SpectrumSplits
from galaxy_lvm.core.config.survey import Mock
from galaxy_lvm.core.errors import ConfigError, DataError
from galaxy_lvm.core.tables import load_table
from galaxy_lvm.features.store import FeatureStore, write_features
from galaxy_lvm.joint.claims import claims_table
from galaxy_lvm.joint.estimate import estimate_all, score_rows
from galaxy_lvm.joint.galaxies import Galaxies
from galaxy_lvm.joint.names import MODELS, TARGETS
from galaxy_lvm.joint.pairs import write_galaxy_pairs
from galaxy_lvm.joint.regress import repetition
from galaxy_lvm.joint.skills import skills
from galaxy_lvm.joint.tables import joint_table
from galaxy_lvm.report.results import read_results
from galaxy_lvm.report.verdicts import ONE_HIGHER
from galaxy_lvm.spectra.store import SpectrumStore, write_spectra

ROOT = Path(__file__).parents[2]
sys.path.append(str(ROOT / "scripts"))
import align_modalities  # noqa: E402
import estimate_galaxies  # noqa: E402
import join_features  # noqa: E402
import pair_galaxies  # noqa: E402
import plot_joint  # noqa: E402
import search_across  # noqa: E402
import simulate_galaxy_spectra  # noqa: E402
import simulate_populations  # noqa: E402

QUICK = JointEstimates(
    quadratic_components=(3,), perceptron_components=3, perceptron_width=8, weight_decays=(0.01,),
    perceptron_epochs=20, n_seeds=2,
)  # fmt: skip


def made_galaxies(n=400, useful=True):
    """Two views that know one of two hidden numbers each; every target is their sum."""
    rng = np.random.default_rng(0)
    hidden = rng.normal(size=(n, 2))
    if not useful:
        hidden[:, 1] = 0  # only the spectrum's half is left
    total = hidden.sum(axis=1)
    targets = np.stack([total, -2 * total, total > 0, total < 0], axis=1).astype(float)

    def view(k):
        noise = 0.02 * rng.normal(size=(n, 3))
        return hidden[:, [k]] * np.array([1.0, -2.0, 0.5]) + noise

    image, spectrum = view(1), view(0)
    views = {"image": image, "spectrum": spectrum, "photometry": rng.normal(size=(n, 3)),
             "image_aligned": image[:, :2], "spectrum_aligned": spectrum[:, :2]}  # fmt: skip
    split = np.repeat(["train", "val", "test"], [n // 2, n // 10, n - n // 2 - n // 10])
    return Galaxies(np.array([f"g{k}" for k in range(n)], dtype=object), split, targets, views)


@pytest.fixture(scope="module")
def found():
    return estimate_all(made_galaxies(), QUICK, 1)


def test_both_views_together_know_what_neither_knows_alone(found):
    results = pd.DataFrame(score_rows(found, 200))
    r2 = results[results["metric"] == "r2"].groupby(["task", "model"])["value"].mean()
    for target in TARGETS[:2]:
        assert r2[target, "joint"] > 0.97
        assert 0.3 < r2[target, "image"] < 0.7 and 0.3 < r2[target, "spectrum"] < 0.7
        assert r2[target, "photometry"] < 0.1
    accuracy = results[results["metric"] == "accuracy"].groupby(["task", "model"])["value"].mean()
    assert accuracy["star_forming", "joint"] > 0.93 > 0.85 > accuracy["star_forming", "spectrum"]
    verdicts = claims_table(found).set_index("claim")["verdict"]
    joint = verdicts[verdicts.index.str.contains(": joint above")]
    assert len(joint) == len(TARGETS) and (joint == ONE_HIGHER).all()


def test_a_view_that_knows_nothing_more_gains_nothing():
    found = estimate_all(made_galaxies(useful=False), QUICK, 1)
    verdicts = claims_table(found).set_index("claim")["verdict"]
    assert "redshift: joint above spectrum" in verdicts  # the better one by validation galaxies
    joint = verdicts[verdicts.index.str.contains(": joint above")]
    assert not (joint == ONE_HIGHER).any()


def test_what_is_true_of_test_galaxies_does_not_change_what_is_said_of_them(found):
    galaxies = made_galaxies()
    asked = galaxies.split == "test"
    galaxies.targets[asked] = 1 - galaxies.targets[asked]
    again = estimate_all(galaxies, QUICK, 1)
    assert np.array_equal(again["predicted"], found["predicted"])


def test_skills_are_r2_and_accuracy_by_hand():
    table = pd.DataFrame({
        "model": "image", "target": "redshift", "seed": 1, "split": "test", "id": ["a", "b", "c"],
        "true": [0.1, 0.2, 0.3], "predicted": [0.1, 0.2, 0.2],
    })  # fmt: skip
    values = skills(table, "redshift", "test")["image"]
    assert values.to_numpy().mean() == pytest.approx(1 - 0.01 / 0.02)
    [r2] = [r["value"] for r in score_rows(table, 5) if r["metric"] == "r2"]
    assert r2 == pytest.approx(0.5)
    classes = table.assign(target="smooth", true=[0.0, 1.0, 1.0], predicted=[0.4, 0.6, 0.1])
    assert list(skills(classes, "smooth", "test")["image"].iloc[0]) == [1, 1, 0]


def test_repetitions_leave_out_other_galaxies():
    first, second = repetition(100, 1, 0), repetition(100, 1, 1)
    assert len(first) == len(set(first)) == 90 and set(first) != set(second)
    assert np.array_equal(first, repetition(100, 1, 0))


@pytest.fixture(scope="module")
def chapter(tmp_path_factory):
    """Spectra of 60 simulated galaxies, and features in another order with one galaxy less."""
    folder = tmp_path_factory.mktemp("joint")
    simulate_populations.main(folder / "cutouts.h5", Mock(), 60, SpectrumSplits(), 1)
    settings = JointSimulation(spectra=GalaxySpectra(n_samples=60))
    simulate_galaxy_spectra.main(folder / "cutouts.h5", folder / "spectra.h5", settings, 1)
    with SpectrumStore(folder / "spectra.h5") as store:
        table = store.catalogue()
    rng = np.random.default_rng(0)
    known = table[["redshift", "log_mass_to_light_r", "mag_r"]].to_numpy()
    vectors = np.concatenate([known, rng.normal(size=(60, 9))], axis=1)
    order = rng.permutation(60)[:59]
    write_features(folder / "lvm.npy", vectors[order], table["id"].to_numpy()[order], order)
    with h5py.File(folder / "crops.h5", "w") as file:
        file["images"] = rng.integers(0, 256, (60, 16, 16, 3)).astype(np.uint8)
        file["box"] = np.zeros((60, 4), np.int32)
        file.create_dataset("id", data=list(table["id"]), dtype=h5py.string_dtype("utf-8"))
    return folder


def test_pairs_are_of_the_galaxies_that_have_both(chapter, tmp_path):
    paths = tmp_path / "a.h5", tmp_path / "b.h5"
    write_galaxy_pairs(chapter / "lvm.npy", chapter / "spectra.h5", paths, 0.3)
    pairs = read_pairs(paths)
    images = FeatureStore.open(chapter / "lvm.npy")
    assert len(pairs) == 59 and set(pairs.ids) == set(images.ids)
    assert np.array_equal(pairs.a.flux, images.take(pairs.ids))
    spread = 0.3 * pairs.a.flux.std(axis=0)
    assert pairs.a.error == pytest.approx(np.tile(spread, (59, 1)), rel=1e-5)
    # Errors that are the same for all do not rank galaxies by their noise.
    assert np.array_equal(pairs.error_level(), np.median(pairs.b.error, axis=1))
    assert np.median(pairs.b.flux, axis=1) == pytest.approx(np.ones(59), abs=1e-5)
    with SpectrumStore(chapter / "spectra.h5") as store:
        rows = store.catalogue()["id"].isin(pairs.ids).to_numpy()
        assert pairs.b.flux * pairs.b.scale[:, None] == pytest.approx(store.flux()[rows], rel=1e-4)
        assert list(pairs.split) == list(store.catalogue()["split"][rows])
    others = pd.DataFrame({"id": ["x", "y"]})
    write_spectra(tmp_path / "s.h5", np.arange(3.0), np.ones((2, 3)), np.ones((2, 3)), others)
    with pytest.raises(DataError, match=r"lvm.npy and .*s.h5 have no galaxy in common"):
        write_galaxy_pairs(chapter / "lvm.npy", tmp_path / "s.h5", paths, 0.3)


def test_the_scripts_in_line_give_table_page_figure_and_verdicts(chapter, tmp_path):
    a, b, weights = (str(tmp_path / name) for name in ("a.h5", "b.h5", "galaxies.safetensors"))
    splits = SpectrumSplits()
    pair_galaxies.main(chapter / "lvm.npy", chapter / "spectra.h5", a, b, 0.3)
    training = AlignTraining(
        shape=AlignShape(n_components=8, width=16, n_shared=4, n_private=2),
        batch_size=32,
        optim=AlignOptim(steps=5),
    )
    history = str(tmp_path / "galaxies.csv")
    align_modalities.main(a, b, weights, history, str(tmp_path / "state"), 1, "galaxies", training,
                          splits, 1)  # fmt: skip
    metrics, table = tmp_path / "joint.csv", tmp_path / "table.csv"
    search, ranks = tmp_path / "search.csv", tmp_path / "search.parquet"
    search_across.main(a, b, weights, search, ranks, "galaxies", 10, splits, 1)
    predictions, claims = tmp_path / "joint.parquet", tmp_path / "claims.csv"
    estimate_galaxies.main(a, b, weights, metrics, predictions, QUICK, splits, 1)
    plot_joint.main(metrics, predictions, search, ranks, b, chapter / "crops.h5",
                    tmp_path / "joint.pdf", table, claims, 1)  # fmt: skip
    results = read_results(metrics)
    assert set(results["model"]) == set(MODELS) and set(results["task"]) == set(TARGETS)
    assert set(results["condition"]) == {"train=33"} and results["seed"].nunique() == 2
    rows = load_table(table)
    assert len(rows) == len(TARGETS) * len(MODELS) and set(rows["n_test"].astype(int)) == {20}
    again = joint_table(results, load_table(predictions), 1)
    assert again["score"].to_numpy() == pytest.approx(rows["score"].to_numpy(float))
    assert (again["score_low95"] <= again["score"]).all()
    page = table.with_suffix(".html").read_text()
    assert "spectrum by image" in page and "not comparable" in page
    assert len(load_table(claims)) == 3 * len(TARGETS)
    assert (tmp_path / "joint.pdf").stat().st_size > 10_000


def test_joint_vectors_lie_as_features_do_and_search_finds_by_both(chapter, tmp_path):
    a, b, weights = (str(tmp_path / name) for name in ("a.h5", "b.h5", "w.safetensors"))
    pair_galaxies.main(chapter / "lvm.npy", chapter / "spectra.h5", a, b, 0.3)
    about = architecture(AlignShape(n_components=4, width=8, n_shared=3, n_private=1),
                         read_pairs((a, b)))  # fmt: skip
    module = AlignedNetworks(about).fit(read_pairs((a, b)), 1.0)
    save_aligned(weights, module, {})
    join_features.main(chapter / "lvm.npy", a, b, weights, tmp_path / "joint.npy")
    joint, images = (FeatureStore.open(f / n) for f, n in
                     ((tmp_path, "joint.npy"), (chapter, "lvm.npy")))  # fmt: skip
    assert set(joint.ids) == set(images.ids) and joint.dim == 6
    assert np.array_equal(joint.index, images.index[images.rows_of(joint.ids)])
    assert np.linalg.norm(joint.values, axis=1) == pytest.approx(np.ones(59), abs=1e-5)
    of_image, of_spectrum = module.vectors(read_pairs((a, b)))
    both = (of_image @ of_image.T + of_spectrum @ of_spectrum.T) / 2
    assert joint.values @ joint.values.T == pytest.approx(both, abs=1e-5)


def test_joint_vectors_are_refused_for_galaxies_without_spectra():
    config = {"run": "r", "datasets": {"galaxies": {"source": "mock"}}}
    config["joint"] = {"vectors": {"similar": True}}
    with pytest.raises(ConfigError, match="only joint.dataset, 'populations', has joint vectors"):
        check_config(config)
    config["datasets"]["populations"] = {"source": "populations"}
    config |= {"tasks_dataset": "populations", "pretrain_datasets": ["populations"]}
    config["joint"]["vectors"]["label_loop"] = True
    assert check_config(config)["joint"]["vectors"] == {"similar": True, "label_loop": True}


def test_search_and_label_loop_plan_with_joint_vectors(tmp_path):
    command = [sys.executable, "-m", "snakemake", "--snakefile", str(ROOT / "Snakefile")]
    command += ["--directory", str(tmp_path), "-n", "--quiet", "host", "--config"]
    command += ["tasks_dataset=populations", "pretrain_datasets=[populations]"]
    command += ["joint={vectors: {similar: true, label_loop: true}}", "--"]
    command += ["results/demo/metrics/hitl.csv", "results/demo/tables/similar_galaxies.csv"]
    plan = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    jobs = dict(re.findall(r"^(\w+) +(\d+)$", plan, re.M))
    assert jobs["join_features"] == jobs["make_splits"] == jobs["align_modalities"] == "1"
    assert "pretrain_lvm" not in jobs  # neither needs the run's own encoder then
