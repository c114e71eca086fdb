"""Objectives of pretraining: what their losses are at known places, and what a kill leaves."""

import h5py
import numpy as np
import pytest
import torch
from galaxy_lvm.core.config.training import Lvm, Optim, Pretraining, Teacher, Views
from galaxy_lvm.core.errors import DataError
from galaxy_lvm.lvm.model import LVM, build_config
from galaxy_lvm.lvm.weights import read_card
from galaxy_lvm.survey.row_choice import Rows
from galaxy_lvm.training.augment import random_views
from galaxy_lvm.training.job import JobFiles
from galaxy_lvm.training.loop import TrainingLoop
from galaxy_lvm.training.objectives import build_objective, square_mask
from galaxy_lvm.training.pretrain import pretrain
from galaxy_lvm.training.siamese import deviation, direction_loss, key_loss, vicreg
from galaxy_lvm.training.teacher import TeacherVectors
from torch.nn import functional

N, SIDE, N_TARGETS = 12, 32, 5
NEW = ("hybrid", "momentum", "byol", "vicreg", "distilled")


def images_of_blobs():
    y, x = np.mgrid[:SIDE, :SIDE] - (SIDE - 1) / 2
    rng = np.random.default_rng(0)
    width = rng.uniform(2, 6, N)[:, None, None]
    grey = np.exp(-(x**2 + (y * rng.uniform(1, 3, N)[:, None, None]) ** 2) / width**2)
    return torch.tensor(grey, dtype=torch.float32)[:, None].repeat(1, 3, 1, 1)


def make_objective(objective, **settings):
    torch.manual_seed(3)
    torch.set_num_threads(1)
    lvm = LVM(build_config(Lvm(preset="lvm_micro", depths=(1, 1), skip_connections=False)))
    return build_objective(lvm, Pretraining(objective=objective, **settings), N_TARGETS)


def batch_of(step, module):
    generator = torch.Generator().manual_seed(step)
    images, recipe = images_of_blobs(), Views(noise_sigma=0.0)
    views = [random_views(images, recipe, SIDE, generator) for _ in range(module.n_views)]
    batch = {"views": views, "seed": step}
    if hasattr(module, "pupil"):
        batch["targets"] = images[:, 0, SIDE // 2, :N_TARGETS] * 100
    return batch


def make_loop(folder, objective, steps, settings=None, **optim):
    module = make_objective(objective, **(settings or {}))
    how = Optim(steps=steps, learning_rate=3e-3, precision="float32", **optim)
    return TrainingLoop(module, how, folder, seed=3)


def run(loop, after_step=None):
    loop.run(lambda step: batch_of(step, loop.module), after_step)


def unit(*shape):
    return functional.normalize(torch.randn(*shape), dim=1)


@pytest.mark.parametrize("objective", NEW)
def test_every_objective_learns_without_collapse(tmp_path, objective):
    loop = make_loop(tmp_path, objective, 40, {"target_decay": 0.9, "mask_fraction": 0.25})
    run(loop)
    losses = [record["loss"] for record in loop.history]
    assert np.mean(losses[-10:]) < 0.95 * np.mean(losses[:3])
    vectors = loop.module.lvm.encoder.eval().pooled(images_of_blobs())
    assert vectors.std(dim=0).max() > 0.01  # galaxies keep different vectors


class Killed(Exception):
    pass


@pytest.mark.parametrize(
    ("objective", "settings"),
    [("momentum", {"queue_size": 7}), ("byol", {}), ("hybrid", {}), ("distilled", {})],
)
def test_a_killed_run_equals_one_that_was_not(tmp_path, objective, settings):
    """The averaged network, its statistics and the queue travel with the checkpoint."""
    changes = {"checkpoint_seconds": 1e-9}

    def kill(step):
        if step == 3:
            raise Killed

    whole = make_loop(tmp_path / "whole", objective, 6, settings, **changes)
    run(whole)
    with pytest.raises(Killed):
        run(make_loop(tmp_path / "killed", objective, 6, settings, **changes), kill)
    again = make_loop(tmp_path / "killed", objective, 6, settings, **changes)
    assert again.step == 3
    run(again)
    for name, value in whole.module.state_dict().items():
        assert torch.equal(value, again.module.state_dict()[name]), name
    assert whole.history == again.history


@pytest.mark.parametrize("objective", ["momentum", "byol"])
def test_the_target_is_the_running_average_of_the_network(tmp_path, objective):
    decay = 0.8
    loop = make_loop(tmp_path, objective, 5, {"target_decay": decay})
    online = dict(loop.module.lvm.encoder.named_parameters())
    seen = []

    def batch(step):
        seen.append({name: value.detach().clone() for name, value in online.items()})
        return batch_of(step, loop.module)

    loop.run(batch)
    target = dict(loop.module.target.networks[0].encoder.named_parameters())
    assert target.keys() == online.keys()
    for name, value in target.items():
        average = seen[0][name]
        for weights in seen:  # as they were in front of every step
            average = decay * average + (1 - decay) * weights[name]
        assert torch.allclose(value, average, atol=1e-6), name
        assert value.grad is None
        assert not value.requires_grad
    moved = [not torch.equal(seen[0][name], seen[-1][name]) for name in online]
    assert any(moved)
    optimised = {id(p) for group in loop.optimizer.param_groups for p in group["params"]}
    assert not optimised & {id(p) for p in loop.module.target.parameters()}


def test_judging_does_not_move_the_target_or_the_queue():
    module = make_objective("momentum", queue_size=4).eval()
    before = {name: value.clone() for name, value in module.state_dict().items()}
    module(**batch_of(0, module))
    for name, value in module.state_dict().items():
        assert torch.equal(value, before[name]), name


def test_the_queue_keeps_the_newest_vectors():
    module = make_objective("momentum", queue_size=5)
    dim = module.queue.shape[1]
    vectors = torch.arange(7.0)[:, None].repeat(1, dim)
    for first in (0, 2, 4):
        module._enqueue(vectors[first : first + 2])
    assert sorted(module.queue[:, 0].tolist()) == [1, 2, 3, 4, 5]
    module._enqueue(vectors)  # more than it holds
    assert sorted(module.queue[:, 0].tolist()) == [2, 3, 4, 5, 6]


def test_keys_are_found_by_their_row():
    keys = torch.eye(6)
    loss, matched = key_loss(keys[2:4], keys, torch.zeros(0, 6), 0.05, first=2)
    assert loss < 1e-6
    assert matched == 1
    wrong, missed = key_loss(keys[2:4], keys, torch.zeros(0, 6), 0.05, first=0)
    assert wrong > 10
    assert missed == 0


def test_equal_keys_leave_the_loss_of_a_guess():
    same = unit(1, 8).repeat(6, 1)
    loss, _ = key_loss(same, same, same[:2], 0.1)
    assert loss == pytest.approx(np.log(8), rel=1e-5)  # six keys and two of the queue


def test_directions_lie_between_equal_and_opposite():
    vectors = unit(6, 16)
    assert direction_loss(vectors, vectors) == pytest.approx(0, abs=1e-5)
    assert direction_loss(vectors, -vectors) == pytest.approx(4, abs=1e-5)


def test_deviation_tells_a_collapse():
    torch.manual_seed(0)
    assert deviation(unit(1, 64).repeat(9, 1)) == pytest.approx(0, abs=1e-5)
    assert deviation(unit(2000, 64)) == pytest.approx(1, abs=0.02)


def test_vicreg_is_zero_where_numbers_vary_alone_and_views_agree():
    signs = torch.tensor([[1.0, 1], [1, -1], [-1, 1], [-1, -1]])
    terms = vicreg(2 * signs, 2 * signs)
    assert terms["loss"] == pytest.approx(0, abs=1e-5)


def test_vicreg_sees_collapse_and_repetition():
    torch.manual_seed(0)
    equal = torch.ones(8, 3)
    collapsed = vicreg(equal, equal)
    assert collapsed["variance"] == pytest.approx(0.99, abs=1e-3)  # 1 - sqrt(0.0001)
    assert collapsed["invariance"] == 0
    once = torch.randn(500, 1)
    twice = vicreg(once.repeat(1, 2), once.repeat(1, 2))
    assert twice["covariance"] == pytest.approx(2 * float(once.var()) ** 2, rel=1e-4)


def test_the_hybrid_does_not_look_below_its_mask():
    module = make_objective("hybrid", mask_fraction=0.5, mask_patch_pix=8, mask_weight=3.0).eval()
    batch = batch_of(0, module)
    hidden = square_mask(N, SIDE, 8, 0.5, batch["seed"])
    other = {**batch, "views": [batch["views"][0], batch["views"][1] + 0.5 * hidden]}
    first, second = module(**batch), module(**other)
    contrast = [x["loss"] - 3.0 * x["filled"] for x in (first, second)]
    assert torch.allclose(*contrast, atol=1e-5)
    assert second["filled"] > first["filled"]


def test_a_teacher_alone_needs_one_view_and_no_contrast():
    module = make_objective("distilled", teacher=Teacher(contrast_weight=0)).eval()
    assert module.n_views == 1
    batch = batch_of(0, module)
    with torch.no_grad():
        batch["targets"] = module.pupil(module.lvm.encoder.pooled(batch["views"][0]))
    assert float(module(**batch)["loss"].detach()) == pytest.approx(0, abs=1e-10)
    batch["targets"] = batch["targets"] + 2
    assert float(module(**batch)["loss"].detach()) == pytest.approx(4, rel=1e-5)


def features_file(path, n, dim, shift=0.0):
    values = np.random.default_rng(n).normal(shift, 3, (n, dim)).astype(np.float32)
    np.save(path, values)
    return values


def test_teacher_vectors_are_those_of_the_rows_in_use(tmp_path):
    first = features_file(tmp_path / "a.npy", 40, 6, shift=5)
    features_file(tmp_path / "b.npy", 30, 6)
    rows = np.arange(39, -1, -2)
    vectors = TeacherVectors([(tmp_path / "a.npy", rows), (tmp_path / "b.npy", None)], 4)
    assert len(vectors) == 50
    everything = vectors.take(np.arange(50))
    assert everything.shape == (50, 4)
    assert np.allclose(everything.mean(axis=0), 0, atol=1e-4)
    assert np.allclose(everything.std(axis=0, ddof=1), 1, atol=1e-3)
    assert np.allclose(np.corrcoef(everything.T), np.eye(4), atol=1e-3)
    expected = vectors.space.transform(first[[35, 39]])
    assert np.allclose(vectors.take(np.array([2, 0])), expected, atol=1e-5)


def test_rows_that_leave_few_out_are_not_listed_for_a_teacher(tmp_path):
    """A list of the largest pool's rows takes 600 MB in every process."""
    features_file(tmp_path / "a.npy", 40, 6)
    left = Rows([range(3), range(4, 40)])
    vectors = TeacherVectors([(tmp_path / "a.npy", left)], 4)
    assert vectors._rows[0] is left and len(vectors) == 39
    listed = TeacherVectors([(tmp_path / "a.npy", np.array([0, 1, 2, *range(4, 40)]))], 4)
    assert np.array_equal(vectors.take(np.arange(39)), listed.take(np.arange(39)))


def test_a_card_names_a_teacher_only_where_one_has_taught(tmp_path):
    torch.set_num_threads(1)
    with h5py.File(tmp_path / "crops.h5", "w") as file:
        file["images"] = np.random.default_rng(0).integers(0, 255, (12, 64, 64, 3), dtype=np.uint8)
    features_file(tmp_path / "teacher.npy", 12, 6)
    for objective in ("distilled", "contrastive"):
        weights = tmp_path / f"{objective}.safetensors"
        pretrain(
            [(tmp_path / "crops.h5", np.arange(0, 12, 2))],
            Lvm(preset="lvm_micro"),
            Pretraining(objective=objective, batch_size=4, view_side_pix=32, optim={"steps": 2}),
            1,
            JobFiles(tmp_path / "state", 1, weights, weights.with_suffix(".csv")),
            [tmp_path / "teacher.npy"],
        )
        assert ("teacher" in read_card(weights)["pretrain"]) == (objective == "distilled")


def test_vectors_of_other_crops_are_refused(tmp_path):
    features_file(tmp_path / "a.npy", 8, 6)
    features_file(tmp_path / "b.npy", 8, 5)
    with pytest.raises(DataError, match=r"a\.npy: 8 vectors, row 8"):
        TeacherVectors([(tmp_path / "a.npy", [0, 8])], 4)
    with pytest.raises(DataError, match=r"b\.npy: vectors of 5 numbers"):
        TeacherVectors([(tmp_path / "a.npy", None), (tmp_path / "b.npy", None)], 4)
