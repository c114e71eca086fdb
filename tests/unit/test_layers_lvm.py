"""The encoder of an LVM at a rank that is kept: two classes that a head on its features tells."""

import sys
from dataclasses import asdict
from pathlib import Path

import h5py
import numpy as np
import pandas as pd
import pytest
import torch
from galaxy_lvm.core.config.fewshot import Features
from galaxy_lvm.core.config.layers import LvmLayers
from galaxy_lvm.core.errors import DataError
from galaxy_lvm.core.tables import load_table, save_table
from galaxy_lvm.layers.galaxies import GalaxyTask, LabelledCrops
from galaxy_lvm.layers.matrices import matrices_of
from galaxy_lvm.lvm.model import LVM, PRESETS
from galaxy_lvm.lvm.weights import load_lvm, save_weights
from galaxy_lvm.report.results import read_results

sys.path.append(str(Path(__file__).parents[2] / "scripts"))
import decompose_lvm  # noqa: E402

N, SIDE = 60, 32
HOW = Features(view_side_pix=SIDE, n_orientations=1, batch_size=64)
SPLITS = np.repeat(["train", "val", "test"], N // 3)


def discs():
    """Round and thin ones by turns; nothing else tells them."""
    rng = np.random.default_rng(0)
    y, x = np.mgrid[:SIDE, :SIDE] - (SIDE - 1) / 2
    squared = np.where(np.arange(N) % 2, 9.0, 1.0)[:, None, None] * y**2 + x**2
    light = 200 * np.exp(-squared / (2 * rng.uniform(3, 5, N)[:, None, None] ** 2))
    noisy = np.clip(light + rng.normal(20, 5, light.shape), 0, 255)
    return np.repeat(noisy[..., None], 3, axis=3).astype(np.uint8)


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """Crops, splits, weights of an LVM, and what the script makes of them."""
    torch.set_num_threads(1)
    folder = tmp_path_factory.mktemp("layers_lvm")
    ids = [f"g{number}" for number in range(N)]
    with h5py.File(folder / "crops.h5", "w") as file:
        file["images"], file["box"] = discs(), np.zeros((N, 4), np.int32)
        file.create_dataset("id", data=ids, dtype=h5py.string_dtype("utf-8"))
    labels = np.where(np.arange(N) % 2, "thin", "round")
    table = pd.DataFrame({"index": range(N), "id": ids, "split": SPLITS, "label": labels})
    save_table(folder / "splits.parquet", table)
    torch.manual_seed(1)
    lvm = LVM(PRESETS["lvm_micro"])
    save_weights(folder / "lvm.safetensors", lvm, {"architecture": asdict(lvm.config)})
    files = [str(folder / name) for name in (
        "crops.h5", "splits.parquet", "lvm.safetensors", "metrics.csv", "values.parquet",
        "table.csv",
    )]  # fmt: skip
    settings = LvmLayers(kept_shares=(0.05, 1.0), n_random=1, n_galaxies=10)
    decompose_lvm.main(*files, settings, SIDE, 1)
    return folder


def task_of(folder):
    crops, labels = discs(), np.arange(N) % 2
    encoder = load_lvm(folder / "lvm.safetensors").encoder
    parts = {s: LabelledCrops(crops[SPLITS == s], labels[SPLITS == s]) for s in set(SPLITS)}
    return encoder, parts, GalaxyTask(encoder, parts["train"], parts["val"], HOW)


def test_every_matrix_has_the_singular_values_of_the_file_and_a_row_in_the_table(made):
    matrices = matrices_of(load_lvm(made / "lvm.safetensors").encoder)
    values, table = load_table(made / "values.parquet"), load_table(made / "table.csv")
    for network, same in (("trained", True), ("untrained", False)):
        own = values[(values["network"] == network) & (values["layer"] == matrices[3].name)]
        kept = np.linalg.svd(
            matrices[3].read(load_lvm(made / "lvm.safetensors").encoder), compute_uv=False
        )
        assert np.allclose(own["value"], kept) == same
    assert list(table["layer"]) == ["all"] * 3 + [matrix.name for matrix in matrices]


def test_the_whole_rank_keeps_the_score_and_little_of_it_does_not(made):
    results = read_results(made / "metrics.csv")
    at = results[(results["task"] == "all") & (results["metric"] == "test")]
    at = at.set_index(["model", "condition"])["value"]
    # The untrained encoder's features tell round from thin; without its directions they do not.
    assert at["svd", "share=1"] == at["pruned", "share=1"] > 0.5
    assert at["svd", "share=0.05"] < at["svd", "share=1"]
    assert load_table(made / "table.csv")["enough_share"].astype(float).between(0.05, 1).all()


def test_the_score_is_the_share_of_errors_beside_that_of_the_commonest_class(made):
    encoder, parts, task = task_of(made)
    skill = task.skill_of(parts["test"])(encoder)
    wrong = LabelledCrops(parts["test"].crops, 1 - parts["test"].labels)
    # As many of both classes: half of the calls of the commonest are wrong.
    assert task.skill_of(wrong)(encoder) == pytest.approx(-skill)


def test_one_class_has_no_score(made):
    encoder, parts, task = task_of(made)
    one = LabelledCrops(parts["train"].crops, np.zeros_like(parts["train"].labels))
    with pytest.raises(DataError, match="are of one class"):
        GalaxyTask(encoder, one, parts["val"], HOW)
    with pytest.raises(DataError, match=r"commonest class; raise layers\.n_galaxies"):
        task.skill_of(LabelledCrops(parts["test"].crops, np.zeros(N // 3, int)))
