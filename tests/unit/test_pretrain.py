"""Pretraining as a whole: two processes train one set of weights on both halves of a batch."""

import h5py
import numpy as np
import pandas as pd
import pytest
import torch
from galaxy_lvm.core.config.training import Lvm, Pretraining
from galaxy_lvm.core.errors import DataError
from galaxy_lvm.lvm.weights import load_lvm, read_card
from galaxy_lvm.training.feed import CropImages
from galaxy_lvm.training.job import JobFiles
from galaxy_lvm.training.launch import launch, launch_processes
from galaxy_lvm.training.pretrain import PretrainFeed, pretrain


def files_in(folder):
    return JobFiles(
        folder / "state", 1, folder / "out" / "lvm.safetensors", folder / "out" / "history.csv"
    )


@pytest.fixture
def arguments(tmp_path):
    rng = np.random.default_rng(0)
    with h5py.File(tmp_path / "crops.h5", "w") as file:
        file["images"] = rng.integers(0, 255, (12, 64, 64, 3), dtype=np.uint8)
    optim = {"steps": 3, "precision": "float32", "checkpoint_seconds": 1e-9}
    return {
        "parts": [(str(tmp_path / "crops.h5"), None)],
        "shape": Lvm(preset="lvm_micro"),
        "settings": Pretraining(batch_size=4, optim=optim),
        "seed": 1,
        "files": files_in(tmp_path),
    }


def test_two_processes_write_one_model(arguments):
    launch_processes(pretrain, 2, 1, **arguments)
    history = pd.read_csv(arguments["files"].history)
    assert list(history["step"]) == [0, 1, 2]
    assert np.isfinite(history["loss"]).all()
    assert load_lvm(arguments["files"].weights).config.embed_dim == 16
    assert read_card(arguments["files"].weights)["n_crops"] == 12


def test_the_same_seed_gives_the_same_weights(arguments, tmp_path):
    launch(pretrain, 0, 1, **arguments)
    first = load_lvm(arguments["files"].weights).state_dict()
    launch(pretrain, 0, 1, **arguments)
    again = load_lvm(arguments["files"].weights).state_dict()
    assert all((first[name] == again[name]).all() for name in first)
    assert not list((tmp_path / "state").glob("*/checkpoint.pt"))  # nothing is left behind


def test_processes_share_a_batch_without_overlap(arguments):
    crops = CropImages(arguments["parts"][0][0])
    feeds = [PretrainFeed(crops, arguments["settings"], 1, 1, rank, 2) for rank in (0, 1)]
    parts = [feed.batch(0)[0]["views"][0] for feed in feeds]
    assert [len(part) for part in parts] == [2, 2]
    assert not np.allclose(parts[0], parts[1])


def test_a_training_starts_from_weights_that_are_given(arguments, tmp_path):
    torch.set_num_threads(1)
    pretrain(**arguments)
    start = arguments["files"].weights
    still = {"steps": 1, "learning_rate": 1e-12, "weight_decay": 0, "precision": "float32"}
    settings = Pretraining(batch_size=4, start=str(start), optim=still)
    files = files_in(tmp_path / "on")
    pretrain(**{**arguments, "seed": 2, "settings": settings, "files": files})
    first, second = (load_lvm(path) for path in (start, files.weights))
    for name, value in first.encoder.named_parameters():
        assert torch.allclose(value, second.encoder.state_dict()[name], atol=1e-8), name
    assert not torch.equal(first.decoder.output.weight, second.decoder.output.weight)
    with pytest.raises(DataError, match=r"lvm\.safetensors: an encoder of another shape.*first"):
        pretrain(**{**arguments, "settings": settings, "shape": Lvm(preset="lvm_tiny")})


def test_weights_without_a_card_are_refused(arguments):
    with pytest.raises(DataError, match="card"):
        load_lvm(arguments["files"].weights)


class Killed(Exception):
    pass


def test_a_killed_training_goes_on_with_the_same_galaxies_alone(arguments, tmp_path, monkeypatch):
    """Another split of the same size is another training, from its own start."""
    first, other = [0, 1, 2, 3, 4, 5], [6, 7, 8, 9, 10, 11]
    torch.set_num_threads(1)

    def weights_of(rows, folder):
        files = files_in(folder)
        pretrain(**{**arguments, "parts": [(arguments["parts"][0][0], rows)], "files": files})
        return load_lvm(files.weights).state_dict()

    def kill(feed, step, device, batch=PretrainFeed.batch):
        if step == 2:
            raise Killed
        return batch(feed, step, device)

    with monkeypatch.context() as patch, pytest.raises(Killed):
        patch.setattr(PretrainFeed, "batch", kill)
        weights_of(first, tmp_path / "killed")
    assert len(list((tmp_path / "killed" / "state").rglob("checkpoint.pt"))) == 1
    for rows, name in ((other, "other"), (first, "first")):
        whole, again = (weights_of(rows, tmp_path / folder) for folder in (name, "killed"))
        assert all(torch.equal(whole[key], again[key]) for key in whole), name


def weights_from(arguments, folder, **changes):
    """Weights after a training in one process with other settings, and its losses."""
    settings = arguments["settings"].model_copy(update=changes)
    files = files_in(folder)
    launch(pretrain, 0, 1, **{**arguments, "settings": settings, "files": files})
    return load_lvm(files.weights).state_dict(), pd.read_csv(files.history)["loss"]


@pytest.mark.parametrize("objective", ["reconstruct", "masked"])
def test_parts_of_a_step_give_what_as_many_processes_give(arguments, tmp_path, objective):
    settings = arguments["settings"].model_copy(update={"objective": objective})
    arguments = {**arguments, "settings": settings}
    launch_processes(pretrain, 2, 1, **arguments)
    together = load_lvm(arguments["files"].weights).state_dict()
    losses = pd.read_csv(arguments["files"].history)["loss"]
    parts, losses_of_parts = weights_from(arguments, tmp_path / "parts", accumulate=2)
    whole, _ = weights_from(arguments, tmp_path / "whole")
    np.testing.assert_allclose(losses_of_parts, losses, rtol=1e-6)
    for name in together:
        torch.testing.assert_close(parts[name], together[name], rtol=1e-5, atol=1e-6)
    assert any(not torch.equal(parts[name], whole[name]) for name in whole)  # other views


def test_maps_that_are_computed_again_change_nothing(arguments, tmp_path):
    kept, _ = weights_from(arguments, tmp_path / "kept")
    again, _ = weights_from(arguments, tmp_path / "again", recompute=True)
    assert all(torch.equal(kept[name], again[name]) for name in kept)


def test_a_training_out_of_memory_goes_on_with_less(arguments, tmp_path, monkeypatch):
    """`recompute` is no other training: its checkpoint is that of the one without."""

    def kill(feed, step, device, batch=PretrainFeed.batch):
        if step == 2:
            raise Killed
        return batch(feed, step, device)

    with monkeypatch.context() as patch, pytest.raises(Killed):
        patch.setattr(PretrainFeed, "batch", kill)
        weights_from(arguments, tmp_path / "once")
    weights_from(arguments, tmp_path / "once", recompute=True)
    assert len(list((tmp_path / "once" / "state").iterdir())) == 1
