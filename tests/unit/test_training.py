"""Training: a killed run equals one that was not, objectives learn, shares follow the lag."""

import h5py
import numpy as np
import pytest
import torch
from galaxy_lvm.core.config.training import Lvm, Optim, Pretraining, Views
from galaxy_lvm.core.errors import ConfigError
from galaxy_lvm.lvm.model import LVM, build_config
from galaxy_lvm.multitask.schedule import TaskSchedule, lag_of_f1, lag_of_mse
from galaxy_lvm.training.augment import dihedral, random_patches, random_views, resize
from galaxy_lvm.training.feed import CropImages, Sampler, local_share
from galaxy_lvm.training.loop import (
    TrainingLoop,
    decays,
    learning_rate_factor,
    placed,
)
from galaxy_lvm.training.objectives import build_objective, nt_xent, square_mask

PRETRAIN = {"mask_fraction": 0.5, "mask_patch_pix": 8, "temperature": 0.2}
TASKS = ("a", "b", "c")


def blobs(n=12, side=32):
    y, x = np.mgrid[:side, :side] - (side - 1) / 2
    rng = np.random.default_rng(0)
    width = rng.uniform(2, 6, n)[:, None, None]
    grey = np.exp(-(x**2 + (y * rng.uniform(1, 3, n)[:, None, None]) ** 2) / width**2)
    return torch.tensor(grey, dtype=torch.float32)[:, None].repeat(1, 3, 1, 1)


def make_loop(tmp_path, objective, steps, **changes):
    torch.manual_seed(3)
    torch.set_num_threads(1)
    lvm = LVM(build_config(Lvm(preset="lvm_micro", depths=(1, 1), skip_connections=False)))
    module = build_objective(lvm, Pretraining(objective=objective, **PRETRAIN))
    settings = Optim(steps=steps, learning_rate=3e-3, precision="float32", **changes)
    return TrainingLoop(module, settings, tmp_path, seed=3)


def batch_of(step):
    images = blobs()
    generator = torch.Generator().manual_seed(step)
    recipe = Views(noise_sigma=0.0)
    return {"views": [random_views(images, recipe, 32, generator) for _ in range(2)], "seed": step}


@pytest.mark.parametrize("objective", ["reconstruct", "masked", "contrastive"])
def test_every_objective_learns(tmp_path, objective):
    loop = make_loop(tmp_path, objective, steps=40)
    loop.run(batch_of)
    losses = [record["loss"] for record in loop.history]
    assert np.mean(losses[-10:]) < 0.9 * np.mean(losses[:3])


class Killed(Exception):
    pass


def test_a_killed_run_equals_one_that_was_not(tmp_path):
    whole = make_loop(tmp_path / "whole", "contrastive", steps=8, ema_decay=0.9)
    whole.run(batch_of)

    def kill(step):
        if step == 4:
            raise Killed

    changes = {"ema_decay": 0.9, "checkpoint_seconds": 1e-9}  # a checkpoint after every step
    killed = make_loop(tmp_path / "killed", "contrastive", steps=8, **changes)
    with pytest.raises(Killed):
        killed.run(batch_of, kill)
    again = make_loop(tmp_path / "killed", "contrastive", steps=8, **changes)
    assert 0 < again.step < 8
    again.run(batch_of)
    for name, value in whole.averaged_state().items():
        assert torch.equal(value, again.averaged_state()[name]), name
    assert len(again.history) == 8


def test_an_average_that_is_read_back_lies_where_the_weights_do():
    """Checkpoints are read into the CPU's memory; there it would be averaged at every step."""
    module = torch.nn.BatchNorm1d(3).to("meta")
    state = torch.nn.BatchNorm1d(3).state_dict()
    assert {value.device.type for value in placed(state, module).values()} == {"meta"}


def test_a_training_that_goes_on_otherwise_says_so(tmp_path, monkeypatch, caplog):
    """The machine decides precision and number of processes; other weights come of others."""
    first = make_loop(tmp_path, "contrastive", steps=4)
    first.step = 1
    first.save()
    assert make_loop(tmp_path, "contrastive", steps=4).changes == []
    monkeypatch.setattr(type(first.accelerator), "num_processes", 4)
    loop = make_loop(tmp_path, "contrastive", steps=4)
    told = "from step 1 on in float32 by 4 process(es), before in float32 by 1 process(es)"
    assert loop.changes == [told] and f"{told}: the weights will be those of neither" in caplog.text
    loop.save()
    assert make_loop(tmp_path, "contrastive", steps=4).changes == [told]


def test_a_loss_that_is_not_a_number_stops_the_run(tmp_path):
    loop = make_loop(tmp_path, "reconstruct", steps=3)
    with pytest.raises(FloatingPointError, match="step 0"):
        loop.run(lambda step: {"views": [torch.full((2, 3, 32, 32), torch.nan)], "seed": 0})


def test_learning_rate_rises_and_falls():
    factors = [learning_rate_factor(s, 100, 0.1) for s in range(100)]
    assert np.argmax(factors) == 9 or np.argmax(factors) == 10
    assert max(factors) == 1.0
    assert factors[-1] < 0.01
    assert all(a >= b for a, b in zip(factors[10:], factors[11:], strict=False))


def test_weight_decay_needs_adamw():
    with pytest.raises(ValueError, match="adamw"):
        Optim(steps=1, optimizer="adam", weight_decay=0.1)


def test_mask_hides_the_stated_share_in_whole_squares():
    hidden = square_mask(5, 64, 8, 0.6, seed=1)
    assert hidden.float().mean().item() == pytest.approx(round(0.6 * 64) / 64)
    squares = hidden.reshape(5, 8, 8, 8, 8).float().mean(dim=(2, 4))
    assert set(squares.unique().tolist()) == {0.0, 1.0}


def test_contrastive_loss_prefers_the_true_partner():
    vectors = torch.nn.functional.normalize(torch.randn(8, 16), dim=1)
    right, share = nt_xent(vectors, vectors, 0.1)
    wrong, _ = nt_xent(vectors, vectors.roll(1, 0), 0.1)
    assert share == 1.0
    assert right < wrong


def test_views_keep_the_galaxy_and_follow_the_seed():
    recipe = Views(
        zoom_min=1, zoom_max=1, shift=0, stretch=0, brightness=0, colour=0, noise_sigma=0
    )
    images = blobs(4, 64)
    first = random_views(images, recipe, 32, torch.Generator().manual_seed(1))
    same = random_views(images, recipe, 32, torch.Generator().manual_seed(1))
    other = random_views(images, recipe, 32, torch.Generator().manual_seed(2))
    assert torch.equal(first, same)
    assert not torch.equal(first, other)
    # A rotation moves light but does not make any: total light per pixel stays.
    assert torch.allclose(first.mean((1, 2, 3)), images.mean((1, 2, 3)), rtol=0.03)


def test_orientations_are_the_eight_symmetries():
    image = torch.arange(9.0).reshape(1, 3, 3)
    views = {tuple(dihedral(image, k).flatten().tolist()) for k in range(8)}
    assert len(views) == 8
    assert torch.equal(dihedral(image, 0), image)


def test_patches_are_cut_from_the_image_and_resize_averages():
    images = torch.rand(3, 3, 16, 16)
    patches, corners = random_patches(images, 8, torch.Generator().manual_seed(0))
    for image, patch, (row, column) in zip(images, patches, corners.tolist(), strict=True):
        original = image[:, row : row + 8, column : column + 8]
        assert any(torch.equal(dihedral(original, k), patch) for k in range(8))
    assert torch.allclose(resize(images, 8).mean(), images.mean())


def test_sampler_shows_every_item_once_an_epoch():
    sampler = Sampler(10, 4, seed=1)
    seen = np.concatenate([sampler.positions(step) for step in range(5)])
    assert sorted(seen[:10]) == list(range(10))
    assert sorted(seen[10:]) == list(range(10))
    assert list(seen[:10]) != list(seen[10:])
    parts = [local_share(sampler.positions(3), rank, 2) for rank in (0, 1)]
    assert sorted(np.concatenate(parts)) == sorted(sampler.positions(3))


def test_crops_read_from_disk_equal_those_in_memory(tmp_path, monkeypatch):
    images = np.random.default_rng(0).integers(0, 255, (6, 8, 8, 3), dtype=np.uint8)
    with h5py.File(tmp_path / "crops.h5", "w") as file:
        file["images"] = images
    monkeypatch.setattr("galaxy_lvm.training.feed.IN_MEMORY_BYTES", 0)
    crops = CropImages(tmp_path / "crops.h5", rows=[5, 1, 2])
    assert np.array_equal(crops.take(np.array([2, 0, 0])), images[[2, 5, 5]])


def test_uniform_schedule_deals_equal_numbers():
    schedule = TaskSchedule(TASKS, active=False)
    schedule.update({"a": 1.0, "b": 0.0, "c": 0.0})
    for _ in range(30):
        schedule.next_task()
    assert schedule.counts == {"a": 10, "b": 10, "c": 10}


def test_active_schedule_gives_the_lagging_task_more():
    schedule = TaskSchedule(TASKS, active=True, min_share=0.1)
    schedule.update({"a": 0.8, "b": 0.2, "c": 0.0})
    assert schedule.shares == pytest.approx({"a": 0.66, "b": 0.24, "c": 0.1})
    for _ in range(100):
        schedule.next_task()
    assert schedule.counts == {"a": 66, "b": 24, "c": 10}
    schedule.update({"a": 0.1, "b": 0.1, "c": 0.8})
    assert schedule.shares["c"] > schedule.shares["a"]


def test_schedule_goes_on_where_it_was():
    one, two = (TaskSchedule(TASKS, active=True) for _ in range(2))
    one.update({"a": 0.5, "b": 0.2, "c": 0.1})
    dealt = [one.next_task() for _ in range(7)]
    two.load_state_dict(one.state_dict())
    assert [one.next_task() for _ in range(5)] == [two.next_task() for _ in range(5)]
    assert len(dealt) == 7


def test_lags_share_a_scale():
    assert lag_of_f1(0.25, 4) == pytest.approx(1)
    assert lag_of_f1(1.0, 4) == 0
    assert lag_of_mse(0.02, 0.02) == 1
    assert lag_of_mse(0.0, 0.02) == 0
    with pytest.raises(ConfigError, match="lag of a"):
        TaskSchedule(TASKS, active=True).update({"a": 1.5, "b": 0, "c": 0})
    with pytest.raises(ConfigError, match="min_share"):
        TaskSchedule(TASKS, active=True, min_share=0.5)


def test_weight_decay_spares_all_but_matrices_and_filters():
    lvm = LVM(build_config(Lvm(preset="lvm_tiny")))
    shrunk = {name for name, value in lvm.named_parameters() if decays(name, value)}
    kinds = {name.rsplit(".", 1)[1] for name, _ in lvm.named_parameters()}
    assert kinds == {"weight", "bias", "relative_position_bias_table"}
    assert not any(name.endswith("bias_table") or ".norm" in name for name in shrunk)
    assert {"encoder.stages.0.layers.1.attn.qkv.weight", "decoder.output.weight"} <= shrunk


def test_one_update_without_gradient_shrinks_matrices_alone(tmp_path):
    lvm = LVM(build_config(Lvm(preset="lvm_micro")))
    lvm.forward = lambda: {"loss": sum(0 * value.sum() for value in lvm.parameters())}
    before = {name: value.detach().clone() for name, value in lvm.named_parameters()}
    settings = Optim(
        steps=1, precision="float32", optimizer="adamw", weight_decay=0.5, learning_rate=0.1
    )
    TrainingLoop(lvm, settings, tmp_path, seed=1).run(lambda step: {})
    for name, value in lvm.named_parameters():
        if value.ndim > 1 and "bias_table" not in name:
            assert torch.allclose(value, 0.95 * before[name]), name
        else:
            assert torch.equal(value, before[name]), name


def test_processes_that_cannot_share_a_batch_equally_are_refused():
    with pytest.raises(ConfigError, match="batch of 5 .* multiple of 2"):
        local_share(np.arange(5), 0, 2)
