"""Which galaxies the image tasks are scored on: spread over classes, whatever the table's order."""

import evaluate_baselines
import h5py
import numpy as np
import pandas as pd
import pytest
from galaxy_lvm.core.config.tasks import (
    Baselines,
    Blur,
    Mask,
    MultitaskRun,
    MultitaskTraining,
)
from galaxy_lvm.multitask.train import validation_sets

CLASSES = ("elliptical", "edge_on", "spiral", "")
N_PER_CLASS, SIDE_PIX, N_DRAWN = 30, 16, 12
RESTORATION = Blur(fwhm_max_pix=3.0)
RECONSTRUCTION = Mask(fraction_max=0.3, patch_sizes_pix=(4,))


def write_dataset(folder, order):
    """Write a dataset in which a crop's brightness tells the class, rows of the table in order."""
    n = len(CLASSES) * N_PER_CLASS
    labels = np.repeat(CLASSES, N_PER_CLASS)
    rng = np.random.default_rng(0)
    images = rng.integers(0, 30, (n, SIDE_PIX, SIDE_PIX, 3)).astype(np.uint8)
    images += (60 * np.repeat(np.arange(len(CLASSES)), N_PER_CLASS)).astype(np.uint8)[
        :, None, None, None
    ]
    ids = [f"g{i}" for i in range(n)]
    folder.mkdir()
    with h5py.File(folder / "crops.h5", "w") as file:
        file["images"] = images
        file.create_dataset("id", data=ids, dtype=h5py.string_dtype("utf-8"))
    split = np.array(["train", "val", "test"])[np.arange(n) % 3]
    table = pd.DataFrame(
        {"index": np.arange(n), "id": ids, "split": split, "label": labels, "group": np.arange(n)}
    )
    table.iloc[order].to_parquet(folder / "splits.parquet", index=False)
    return folder / "crops.h5", folder / "splits.parquet"


@pytest.fixture(scope="module")
def by_class(tmp_path_factory):
    n = len(CLASSES) * N_PER_CLASS
    return write_dataset(tmp_path_factory.mktemp("data") / "sorted", np.arange(n))


@pytest.fixture(scope="module")
def shuffled(tmp_path_factory):
    n = len(CLASSES) * N_PER_CLASS
    order = np.random.default_rng(1).permutation(n)
    return write_dataset(tmp_path_factory.mktemp("data") / "shuffled", order)


def baseline_ids(data, folder):
    evaluate_baselines.main(
        crops=str(data[0]),
        splits=str(data[1]),
        metrics_csv=str(folder / "metrics.csv"),
        per_galaxy=str(folder / "per_galaxy.parquet"),
        n_image_test=N_DRAWN,
        restoration=RESTORATION,
        reconstruction=RECONSTRUCTION,
        baselines=Baselines(n_image_val=4, n_class_train=20),
        seed=1,
    )
    table = pd.read_parquet(folder / "per_galaxy.parquet")
    return {task: list(dict.fromkeys(part["id"])) for task, part in table.groupby("task")}


def classes_of(ids):
    counts = pd.Series([CLASSES[int(name[1:]) // N_PER_CLASS] for name in ids]).value_counts()
    return counts.to_dict()


def test_baselines_are_scored_on_all_classes_of_a_sorted_table(by_class, tmp_path):
    ids = baseline_ids(by_class, tmp_path)
    for task in ("restoration", "reconstruction"):
        assert len(ids[task]) == N_DRAWN
        assert classes_of(ids[task]) == dict.fromkeys(CLASSES, N_DRAWN // len(CLASSES)), task


def test_images_that_steer_the_shares_are_of_all_classes(by_class):
    settings = MultitaskRun(
        strategy="multi_active",
        multitask=MultitaskTraining(n_validation_images=8, lag="input"),
        restoration=RESTORATION,
        reconstruction=RECONSTRUCTION,
        seed=1,
    )
    sets = validation_sets(*by_class, settings)
    for reference in (sets.restoration[0], sets.reconstruction[0]):
        brightness = np.round(255 * reference.mean(axis=(1, 2, 3))).astype(int)
        assert np.bincount(brightness // 60).tolist() == [2, 2, 2, 2]


def test_the_order_of_the_table_changes_no_galaxy(by_class, shuffled, tmp_path):
    (tmp_path / "a").mkdir()
    (tmp_path / "b").mkdir()
    first, second = baseline_ids(by_class, tmp_path / "a"), baseline_ids(shuffled, tmp_path / "b")
    assert first["restoration"] == second["restoration"]
    assert first["reconstruction"] == second["reconstruction"]
