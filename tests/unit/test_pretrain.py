"""Pretraining as a whole: two processes train one set of weights on both halves of a batch."""

import h5py
import numpy as np
import pandas as pd
import pytest
from galaxy_lvm.core.config import check_config
from galaxy_lvm.core.errors import DataError
from galaxy_lvm.lvm.weights import load_lvm, read_card
from galaxy_lvm.training.feed import CropImages
from galaxy_lvm.training.launch import launch, launch_processes
from galaxy_lvm.training.pretrain import PretrainFeed, ViewRecipe, pretrain


@pytest.fixture
def arguments(tmp_path):
    rng = np.random.default_rng(0)
    with h5py.File(tmp_path / "crops.h5", "w") as file:
        file["images"] = rng.integers(0, 255, (12, 64, 64, 3), dtype=np.uint8)
    config = check_config(
        {
            "run": "x",
            "datasets": {"galaxies": {"source": "mock"}},
            "lvm": {"preset": "lvm_micro"},
            "pretrain": {"batch_size": 4, "optim": {"steps": 3, "precision": "float32"}},
        }
    )
    settings = {key: value for key, value in config["pretrain"].items() if key != "compare"}
    return {
        "crops_path": str(tmp_path / "crops.h5"),
        "rows": None,
        "lvm_settings": config["lvm"],
        "settings": settings,
        "seed": 1,
        "state_root": str(tmp_path / "state"),
        "recipe_version": 1,
        "weights_path": str(tmp_path / "out" / "lvm.safetensors"),
        "history_path": str(tmp_path / "out" / "history.csv"),
    }


def test_two_processes_write_one_model(arguments):
    launch_processes(pretrain, 2, 1, **arguments)
    history = pd.read_csv(arguments["history_path"])
    assert list(history["step"]) == [0, 1, 2]
    assert np.isfinite(history["loss"]).all()
    assert load_lvm(arguments["weights_path"]).config.embed_dim == 16
    assert read_card(arguments["weights_path"])["n_crops"] == 12


def test_the_same_seed_gives_the_same_weights(arguments, tmp_path):
    launch(pretrain, 0, 1, **arguments)
    first = load_lvm(arguments["weights_path"]).state_dict()
    launch(pretrain, 0, 1, **arguments)
    again = load_lvm(arguments["weights_path"]).state_dict()
    assert all((first[name] == again[name]).all() for name in first)
    assert not list((tmp_path / "state").glob("*/checkpoint.pt"))  # nothing is left behind


def test_processes_share_a_batch_without_overlap(arguments):
    crops = CropImages(arguments["crops_path"])
    feeds = [PretrainFeed(crops, ViewRecipe(), 1, 4, 1, rank, 2) for rank in (0, 1)]
    parts = [feed.batch(0)["views"][0] for feed in feeds]
    assert [len(part) for part in parts] == [2, 2]
    assert not np.allclose(parts[0], parts[1])


def test_weights_without_a_card_are_refused(arguments):
    with pytest.raises(DataError, match="card"):
        load_lvm(arguments["weights_path"])
