"""Simulated galaxies without their noise, and what is scored against them."""

import numpy as np
import pandas as pd
import pytest
from galaxy_lvm.core.config.survey import Crop, Mock
from galaxy_lvm.core.errors import DataError
from galaxy_lvm.multitask.tables import TABLES, build_table, table_html
from galaxy_lvm.multitask.tasks import noise_free_images
from galaxy_lvm.report.image_scores import image_metrics, noise_free_scores
from galaxy_lvm.report.results import long_rows
from galaxy_lvm.simulation.noise_free import noise_free_crops
from galaxy_lvm.simulation.survey import simulate_survey
from galaxy_lvm.survey.crop_store import CropStore
from galaxy_lvm.survey.splits_table import Galaxies

MOCK, SEED, SIDE = Mock(n_galaxies=6), 3, 64


@pytest.fixture(scope="module")
def crops(tmp_path_factory):
    from crop_cutouts import main

    folder = tmp_path_factory.mktemp("noise_free")
    simulate_survey(folder / "cutouts.h5", MOCK, SEED)
    main(
        str(folder / "cutouts.h5"),
        str(folder / "crops.h5"),
        str(folder / "rejected.csv"),
        Crop(side_pix=SIDE),
    )
    return folder / "crops.h5"


def test_the_same_galaxies_without_the_noise(crops):
    with CropStore(crops) as store:
        noisy, ids, boxes = store[0 : len(store)], store.ids.tolist(), store.boxes
    clean = noise_free_crops(ids, boxes, MOCK, SEED, SIDE)
    assert clean.shape == noisy.shape and clean.dtype == np.uint8
    difference = noisy.astype(float) - clean
    # Noise: without a mean, of about equal strength at all corners, and gone from the empty sky.
    assert abs(difference.mean()) < 1.0
    corner_noise = noisy[:, :8, :8].astype(float).std(axis=(1, 2)).mean()
    assert clean[:, :8, :8].astype(float).std(axis=(1, 2)).mean() < 0.5 * corner_noise
    # Each is that galaxy and no other.
    apart = np.square(noisy[:, None].astype(float) - clean[None]).mean(axis=(2, 3, 4))
    assert apart.argmin(axis=1).tolist() == list(range(len(ids)))


def test_a_galaxy_of_another_survey_is_refused():
    boxes = np.array([[0, 0, 152, 152]])
    for name in ("NGC1300", "mock_000006"):
        with pytest.raises(DataError, match=f"'{name}' is none of the 6"):
            noise_free_crops([name], boxes, MOCK, SEED, SIDE)


def test_the_rule_writes_the_drawn_test_galaxies_in_their_order(crops, tmp_path):
    from render_noise_free import main

    with CropStore(crops) as store:
        ids, boxes = store.ids.tolist(), store.boxes
    table = pd.DataFrame(
        {
            "index": range(len(ids)),
            "id": ids,
            "split": ["train", "val"] + ["test"] * (len(ids) - 2),
            "label": "spiral",
        }
    )
    table.to_parquet(tmp_path / "splits.parquet")
    target = tmp_path / "noise_free.h5"
    main(str(crops), str(tmp_path / "splits.parquet"), str(target), MOCK, 3, SEED)
    with CropStore(target) as store:
        drawn, written = store.ids.tolist(), store[0:3]
    assert len(drawn) == 3 and set(drawn) <= set(ids[2:])
    rows = np.array([ids.index(name) for name in drawn])
    assert np.array_equal(written, noise_free_crops(drawn, boxes[rows], MOCK, SEED, SIDE))
    galaxies = Galaxies(rows, np.array(drawn, object), np.zeros(3, np.int64))
    images = noise_free_images(target, galaxies)
    assert np.array_equal(images, written.astype(np.float32) / np.float32(255))
    assert noise_free_images(None, galaxies) is None


def test_scores_against_noise_free_images_see_the_noise_of_the_original():
    rng = np.random.default_rng(0)
    clean = np.full((5, 32, 32, 3), 0.4, np.float32)
    original = clean + rng.normal(0, 0.05, clean.shape).astype(np.float32)
    scores = noise_free_scores(clean, clean, seed=1)
    # A perfect restoration: against its noisy original no better than that one's noise.
    assert image_metrics(original, clean)["psnr"].mean() == pytest.approx(26.0, abs=0.3)
    assert scores["psnr_noise_free"] > 50 and scores["ssim_noise_free"] == pytest.approx(1)
    worse = noise_free_scores(clean, original, seed=1)
    assert worse["psnr_noise_free_low95"] < worse["psnr_noise_free"] < scores["psnr_noise_free"]
    assert noise_free_scores(None, clean, seed=1) == {}


def test_table_2_shows_them_where_they_are_known():
    plain = {"mse": 0.001, "psnr": 28.0, "ssim": 0.8}
    paper = pd.DataFrame(columns=["model", "condition", "metric", "value"])
    spec = next(spec for spec in TABLES if spec.item == "table2")
    for extra in ({}, {"psnr_noise_free": 31.25, "ssim_noise_free": 0.93}):
        rows = long_rows("multitask", "restoration", "wiener", "", 1, plain | extra)
        table = build_table(spec, pd.DataFrame(rows), paper)
        assert ("psnr_noise_free" in table) == bool(extra)
        assert ("PSNR against noise-free [dB]" in table_html(spec, table)) == bool(extra)
