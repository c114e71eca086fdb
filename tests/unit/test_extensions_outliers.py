"""Oddities change what they should; detectors and their scores mean what they say."""

import h5py
import numpy as np
import pandas as pd
import pytest
from galaxy_lvm.core.config.extensions import Outliers
from galaxy_lvm.core.config.fewshot import Features
from galaxy_lvm.core.errors import ConfigError, DataError
from galaxy_lvm.features.encode import check_same_encoder, lvm_extractor
from galaxy_lvm.features.oddities import ODDITIES, inject
from galaxy_lvm.features.outlier_detectors import OutlierDetectors, PixelResidual
from galaxy_lvm.features.outlier_trials import rare_kind_rows, score_oddities
from galaxy_lvm.features.outliers import (
    METHODS,
    detection_scores,
    list_recall,
    rare_kinds,
    share_above,
    unusual_galaxies,
)
from galaxy_lvm.features.store import FeatureStore, write_features
from galaxy_lvm.lvm.model import LVM, LVMConfig
from galaxy_lvm.lvm.weights import save_lvm
from galaxy_lvm.survey.crop_store import read_crops

SETTINGS = Outliers(n_neighbours=3, n_trees=20, n_components=8)


def galaxies(n, seed=0, side=64):
    """Return images (n, side, side, 3) of round, reddish spots on noisy sky."""
    rng = np.random.default_rng(seed)
    y, x = np.mgrid[:side, :side] - (side - 1) / 2
    size = rng.uniform(4, 9, n)[:, None, None]
    light = 170 * np.exp(-np.hypot(x, y) / size)
    colour = np.array([1.0, 0.8, 0.6])
    images = 20 + light[..., None] * colour + rng.normal(0, 2, (n, side, side, 3))
    return np.clip(images, 0, 255).astype(np.uint8)


@pytest.mark.parametrize("kind", ODDITIES)
def test_every_oddity_changes_every_image_visibly_and_repeatably(kind):
    images = galaxies(6)
    ids = [f"g{i}" for i in range(6)]
    odd = inject(images, ids, kind, 1)
    assert odd.shape == images.shape and odd.dtype == np.uint8
    change = np.abs(odd.astype(int) - images).max(axis=3)
    assert (np.percentile(change.reshape(6, -1), 99.5, axis=1) > 8).all()
    # The same galaxy has the same oddity wherever it stands in the list; others have others.
    np.testing.assert_array_equal(inject(images[3:4], ids[3:4], kind, 1)[0], odd[3])
    assert (inject(images, ids, kind, 2) != odd).any()


def test_oddities_are_what_their_names_say():
    images, ids = galaxies(12), [f"g{i}" for i in range(12)]
    before = images.astype(int)
    trail = np.abs(inject(images, ids, "satellite_trail", 1) - before)
    bright = np.sort(trail.sum(axis=(1, 2)), axis=1)
    assert (bright[:, 2] > 3 * bright[:, 1]).all()  # nearly all of it in one band
    swapped = inject(images, ids, "wrong_bands", 1)
    np.testing.assert_array_equal(np.sort(swapped, axis=3), np.sort(images, axis=3))
    dead = inject(images, ids, "dead_band", 1).astype(int)
    changed = (dead != before).any(axis=(1, 2))
    assert (changed.sum(axis=1) == 1).all()
    for image, band in zip(dead, changed.argmax(axis=1), strict=True):
        assert image[..., band].max() < 60  # sky alone
    edge = inject(images, ids, "chip_edge", 1)
    share = (edge == 0).all(axis=3).mean(axis=(1, 2))
    assert ((share > 0.1) & (share < 0.5)).all()
    star = inject(images, ids, "saturated_star", 1)
    white = (star >= 245).all(axis=3).sum(axis=(1, 2))
    assert (white >= 4).all() and not (images >= 245).all(axis=3).any()
    arcs = inject(images, ids, "blue_arcs", 1) - before
    assert (arcs.sum(axis=(1, 2))[:, 2] > arcs.sum(axis=(1, 2))[:, 0]).all()


def test_unknown_kinds_and_wrong_images_are_refused():
    with pytest.raises(ConfigError, match="outliers.kinds: 'ufo'"):
        inject(galaxies(1), ["a"], "ufo", 1)
    with pytest.raises(DataError, match="uint8"):
        inject(galaxies(1).astype(float), ["a"], "chip_edge", 1)


def test_far_vectors_come_first_and_members_do_not_count_themselves():
    rng = np.random.default_rng(0)
    usual = rng.normal(size=(300, 10)).astype(np.float32)
    detect = OutlierDetectors(usual, SETTINGS, 1)
    far = detect(usual[:50] + 6)
    near = detect(rng.normal(size=(50, 10)).astype(np.float32))
    for method in METHODS:
        assert far[method].min() > near[method].max()
    member = detect(usual, np.ones(300, bool))
    stranger = detect(usual)  # taken as strangers they find themselves at distance 0
    assert (member["knn"] > stranger["knn"]).all()
    assert member["knn"].mean() == pytest.approx(near["knn"].mean(), rel=0.1)


def test_the_finest_maps_tell_what_the_whole_vector_hides():
    rng = np.random.default_rng(0)
    loud = rng.normal(size=(400, 60))
    fine = rng.normal(size=(400, 1)) + 0.05 * rng.normal(size=(400, 4))  # four that go together
    usual = np.concatenate([fine, loud], axis=1).astype(np.float32)
    odd = usual[:40].copy()
    odd[:, 0] += 0.5  # half of its scatter, ten times that of the difference to the other three
    detect = OutlierDetectors(usual[100:], SETTINGS, 1, n_fine=4)
    plain, found = detect(usual[40:100]), detect(odd)
    assert found["mahalanobis_fine"].min() > plain["mahalanobis_fine"].max()
    assert found["knn"].median() < plain["knn"].quantile(0.9)
    expected = np.sqrt(detect.scatter.mahalanobis(detect.plain(odd)[:, :4]))
    np.testing.assert_allclose(found["mahalanobis_fine"], expected, rtol=1e-4)


@pytest.mark.parametrize(("pooling", "n"), [("stages", 32), ("mean", 64), ("mean_std", 128)])
def test_a_shape_knows_what_of_its_vector_is_finest(pooling, n):
    config = LVMConfig(embed_dim=16, depths=(1, 1, 1), head_dim=8, pooling=pooling)
    assert config.n_fine == n <= config.feature_dim


def test_too_small_a_reference_is_refused():
    with pytest.raises(DataError, match="n_neighbours = 3"):
        OutlierDetectors(np.ones((3, 4), np.float32), SETTINGS, 1)


def test_recall_in_a_list_is_one_zero_or_chance():
    rng = np.random.default_rng(0)
    plain = rng.normal(size=990)
    top = {"recall_at_1pct": 1.0, "recall_at_10pct": 1.0}
    assert list_recall(plain, np.full(40, 9.0), [0.01, 0.1], rng) == top
    assert list_recall(plain, np.full(40, -9.0), [0.01], rng) == {"recall_at_1pct": 0.0}
    guess = list_recall(plain, rng.normal(size=5000), [0.01, 0.1], rng, n_lists=2000)
    assert guess["recall_at_1pct"] == pytest.approx(0.01, abs=0.005)
    assert guess["recall_at_10pct"] == pytest.approx(0.1, abs=0.02)
    # Oddities compete for places with one another: ten of them fill the first ten.
    mixed = list_recall(plain, np.full(40, 9.0), [0.005], rng)
    assert mixed["recall_at_0.5pct"] == pytest.approx(0.5, abs=0.01)


def test_detection_scores_have_intervals_and_half_for_ties():
    rng = np.random.default_rng(1)
    scores = detection_scores(np.zeros(50), np.zeros(10), [0.1], 1)
    assert scores["auc"] == 0.5
    scores = detection_scores(rng.normal(size=200), rng.normal(1.5, 1, 40), [0.1], 1)
    assert scores["auc_low95"] < scores["auc"] < scores["auc_high95"]
    assert scores["auc"] == pytest.approx(0.856, abs=0.06)  # Phi(1.5 / sqrt 2)
    assert (scores["n_plain"], scores["n_odd"]) == (200, 40)


def test_pixels_show_a_star_to_the_baseline():
    residual = PixelResidual(galaxies(80))
    test = galaxies(20, seed=5)
    odd = inject(test, [f"t{i}" for i in range(20)], "saturated_star", 1)
    assert np.median(residual(odd)) > residual(test).max()


def test_rare_kinds_are_those_below_the_share_with_test_galaxies():
    kinds = pd.Series(["a"] * 80 + ["b"] * 10 + ["c"] * 6 + [""] * 4)
    split = np.array(["train", "test"] * 50)
    assert rare_kinds(kinds, split, 0.1) == ["b", "c"]
    split[90:96] = "train"
    assert rare_kinds(kinds, split, 0.1) == ["b"]


def test_a_missing_column_of_kinds_is_a_note():
    rows = rare_kind_rows(None, None, None, None, None, Outliers(kind_column="subtype"), 1)
    assert rows[0]["condition"] == "skipped: no column 'subtype' in the catalogue"


def test_the_list_goes_by_the_mean_of_the_ranks():
    table = pd.DataFrame({"id": list("abc"), "isolation_forest": [3, 2, 1.0],
                          "knn": [0.3, 0.5, 0.1], "knn_whitened": [9.0, 8, 7],
                          "mahalanobis_fine": [4.0, 2, 3]})  # fmt: skip
    assert unusual_galaxies(table, 2)["id"].tolist() == ["a", "b"]
    assert share_above(np.arange(10), np.array([9.5, 4.0, -1.0])).tolist() == [0.0, 0.5, 1.0]


@pytest.fixture(scope="module")
def encoded(tmp_path_factory):
    """Return crops, a store of their features and the weights these came from."""
    folder = tmp_path_factory.mktemp("encoded")
    lvm = folder / "lvm.safetensors"
    save_lvm(lvm, LVM(LVMConfig(embed_dim=16, depths=(1, 1, 1), head_dim=8)), {})
    images, ids = galaxies(40), [f"g{i}" for i in range(40)]
    with h5py.File(folder / "crops.h5", "w") as file:
        file["images"] = images
    settings = Features(view_side_pix=32, n_orientations=1, precision="float32")
    values = lvm_extractor(lvm, settings)(images)
    write_features(folder / "lvm.npy", values, ids, range(40))
    return folder, FeatureStore.open(folder / "lvm.npy"), settings


def test_oddities_go_through_the_encoder_and_are_ranked(encoded):
    folder, store, settings = encoded
    detectors = OutlierDetectors(np.asarray(store.values[:30]), SETTINGS, 1)
    plain = pd.DataFrame({"index": range(30, 40), "id": [f"g{i}" for i in range(30, 40)]})
    plain = pd.concat([plain, detectors(np.asarray(store.values[30:]))], axis=1)
    baseline = PixelResidual(read_crops(folder / "crops.h5", range(30)))
    kinds = Outliers(kinds=("chip_edge", "dead_band"), n_per_kind=4)
    arguments = (folder / "crops.h5", store, folder / "lvm.safetensors", detectors)
    odd = score_oddities(plain, baseline, *arguments, kinds, settings, 1)
    assert odd.groupby("kind").size().to_dict() == {"chip_edge": 4, "dead_band": 4}
    assert set(odd["id"]) <= set(plain["id"])
    assert np.isfinite(odd[[*METHODS, "pixel_residual"]].to_numpy()).all()
    assert odd["share_above_knn"].between(0, 1).all()


def test_features_of_other_settings_are_refused(encoded):
    folder, store, settings = encoded
    images = read_crops(folder / "crops.h5", [3, 1, 3])
    np.testing.assert_array_equal(images[0], images[2])
    check_same_encoder(lvm_extractor(folder / "lvm.safetensors", settings), store, images[1:],
                       ["g1", "g3"])  # fmt: skip
    other = lvm_extractor(
        folder / "lvm.safetensors", settings.model_copy(update={"view_side_pix": 64})
    )
    with pytest.raises(DataError, match="not those of these weights and settings"):
        check_same_encoder(other, store, images[1:], ["g1", "g3"])
