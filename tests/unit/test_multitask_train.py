"""Multitask training: what a step is fed, who judges when, and one training from end to end."""

from pathlib import Path

import h5py
import numpy as np
import pandas as pd
import pytest
import torch
from galaxy_lvm.core.config import check_config, part_of
from galaxy_lvm.core.config.tasks import MultitaskRun, TaskSections
from galaxy_lvm.core.config.training import Lvm, Optim
from galaxy_lvm.core.errors import ConfigError
from galaxy_lvm.lvm.model import LVM, build_config
from galaxy_lvm.lvm.weights import load_into, save_lvm
from galaxy_lvm.multitask.feed import (
    MultitaskFeed,
    TaskImages,
    ValidationMonitor,
    ValidationSets,
    validate,
)
from galaxy_lvm.multitask.heads import TASKS, MultitaskModel
from galaxy_lvm.multitask.schedule import TaskSchedule
from galaxy_lvm.multitask.train import load_multitask, train_multitask
from galaxy_lvm.training.accelerator import make_accelerator
from galaxy_lvm.training.augment import to_float
from galaxy_lvm.training.job import JobFiles
from galaxy_lvm.training.launch import launch_processes
from galaxy_lvm.training.loop import TrainingLoop
from torch import nn

SIDE, SIZES = 64, {"classification": 6, "restoration": 4, "reconstruction": 4}
SCORES = {"accuracy": 0.5, "f1": 0.25, "mse_restoration": 0.01, "mse_input_restoration": 0.02,
          "mse_reconstruction": 0.03, "mse_input_reconstruction": 0.03}  # fmt: skip


def galaxies(n=24):
    """Return crops whose grey level tells which galaxy it is; every third has no label."""
    levels = np.linspace(20, 230, n).round().astype(np.uint8)
    images = np.broadcast_to(levels[:, None, None, None], (n, SIDE, SIDE, 3)).copy()
    labels = np.where(np.arange(n) % 3 == 2, -1, np.arange(n) % 3)
    return TaskImages(images, labels.astype(np.int64))


def make_feed(mixup_alpha=0.0, rank=0, world_size=1, train=None):
    views = {"brightness": 0, "colour": 0, "noise_sigma": 0}
    settings = MultitaskRun.model_validate(
        {
            "strategy": "multi_uniform",
            "seed": 1,
            "multitask": {"batch_size": 6, "image_batch_size": 4, "patch_side_pix": 32},
            "classification": {"view_side_pix": 32, "mixup_alpha": mixup_alpha, "views": views},
            "reconstruction": {"fraction_min": 0.3},
        }
    )
    assert settings.multitask.batch_sizes == SIZES
    schedule = TaskSchedule(TASKS, active=False)
    return MultitaskFeed(train or galaxies(), schedule, settings, 2, 5, rank, world_size)


def by_task(feed, n_steps=9):
    batches = {task: [] for task in TASKS}
    for step in range(n_steps):
        batch = feed.batch(step)
        batches[batch["task"]].append(batch)
    return batches


def which(images):
    """Return the grey level, in [0, 255], of every constant image."""
    return (255 * images.mean(dim=(1, 2, 3))).round().int().tolist()


def test_classification_sees_labelled_galaxies_with_their_labels():
    train = galaxies()
    label_of = dict(zip(train.images[:, 0, 0, 0].tolist(), train.labels.tolist(), strict=True))
    for batch in by_task(make_feed())["classification"]:
        assert batch["images"].shape == (6, 3, 32, 32)
        assert [label_of[level] for level in which(batch["images"])] == batch["target"].tolist()
        assert min(batch["target"]) >= 0


@pytest.mark.parametrize("task", ["restoration", "reconstruction"])
def test_image_tasks_see_all_galaxies_degraded_beside_the_clean_patch(task):
    seen = set()
    for batch in by_task(make_feed(), 18)[task]:
        assert batch["images"].shape == batch["target"].shape == (4, 3, 32, 32)
        assert not torch.equal(batch["images"], batch["target"])
        seen |= set(which(batch["target"]))
    assert seen == set(galaxies().images[:, 0, 0, 0].tolist())  # 6 batches of 4: an epoch


def test_masked_images_lack_squares_and_are_else_the_target():
    for batch in by_task(make_feed())["reconstruction"]:
        hidden = (batch["images"] == 0).all(dim=1, keepdim=True)
        shares = hidden.float().mean(dim=(1, 2, 3))
        assert ((shares > 0.2) & (shares < 0.8)).all()
        assert torch.equal(batch["images"], batch["target"] * ~hidden)


def test_a_batch_depends_on_how_often_its_task_came_and_on_nothing_else():
    one, other = make_feed(), make_feed()
    other.schedule.shares = {"classification": 0.5, "restoration": 0.5, "reconstruction": 0.0}
    first, second = by_task(one), by_task(other)
    torch.manual_seed(99)
    for task in ("classification", "restoration"):
        for a, b in zip(first[task], second[task], strict=False):
            assert torch.equal(a["images"], b["images"]) and torch.equal(a["target"], b["target"])


def test_mixup_blends_pairs_and_their_labels_alike():
    plain, mixed = by_task(make_feed()), by_task(make_feed(mixup_alpha=1.0))
    for a, b in zip(plain["classification"], mixed["classification"], strict=True):
        assert torch.allclose(b["target"].sum(dim=1), torch.ones(6))
        one_hot = nn.functional.one_hot(a["target"], 2).float()
        apart = a["images"] - a["images"].flip(0)
        share = ((b["images"] - a["images"].flip(0)) * apart).sum() / apart.square().sum()
        assert torch.allclose(b["images"], a["images"].flip(0) + share * apart, atol=1e-5)
        blended = share * one_hot + (1 - share) * one_hot.flip(0)
        assert torch.allclose(b["target"], blended, atol=1e-4)


def test_processes_share_every_batch_without_overlap():
    whole = by_task(make_feed())
    parts = [by_task(make_feed(rank=rank, world_size=2)) for rank in (0, 1)]
    for task in TASKS:
        key = "images" if task == "classification" else "target"
        for batch, *shares in zip(whole[task], *(part[task] for part in parts), strict=True):
            assert [len(share[key]) for share in shares] == [SIZES[task] // 2] * 2
            together = which(torch.cat([share[key] for share in shares]))
            assert sorted(together) == sorted(which(batch[key]))


def monitor_of(active, scores=SCORES):
    asked = []

    def score():
        asked.append(len(asked))
        return scores

    return ValidationMonitor(TaskSchedule(TASKS, active, 0.1), score, 4, 2), asked


@pytest.mark.parametrize("active", [True, False])
def test_monitor_validates_on_time_and_steers_the_active_strategy_alone(active):
    monitor, asked = monitor_of(active)
    before = dict(monitor.schedule.shares)
    for step in range(10):
        monitor.after_step(step)
    assert len(asked) == 2 and [record["step"] for record in monitor.records] == [4, 8]
    record = monitor.records[-1]
    assert {name: record[name] for name in SCORES} == SCORES
    assert {f"{kind}_{task}" for kind in ("lag", "share") for task in TASKS} <= set(record)
    assert (monitor.schedule.shares != before) == active
    assert sum(monitor.schedule.shares.values()) == pytest.approx(1)


def test_monitor_goes_on_from_its_state(tmp_path):
    whole, _ = monitor_of(True)
    for step in range(5):
        whole.schedule.next_task()
        whole.after_step(step)
    torch.save(whole.state_dict(), tmp_path / "state.pt")
    again, _ = monitor_of(True)
    again.load_state_dict(torch.load(tmp_path / "state.pt", weights_only=True))
    for monitor in (whole, again):
        for step in range(5, 12):
            monitor.schedule.next_task()
            monitor.after_step(step)
    assert whole.state_dict() == again.state_dict()


def sections(norm="layer", **optim):
    changes = {"steps": 8, "precision": "float32", "checkpoint_seconds": 1e-9, **optim}
    config = check_config(
        {
            "run": "x",
            "datasets": {"galaxies": {"source": "mock"}},
            "lvm": {"preset": "lvm_micro", "norm": norm},
            "classification": {"view_side_pix": 32, "dropout": 0.3},
            "multitask": {
                "batch_size": 4, "image_batch_size": 2, "patch_side_pix": 32, "drop_path": 0.3,
                "validate_every_steps": 2, "n_validation_images": 4, "optim": changes,
            },
        }
    )  # fmt: skip
    return Lvm(**config["lvm"]), part_of(TaskSections, config)


def arguments(folder, strategy="multi_active", norm="layer", **optim):
    """Write a dozen galaxies with splits and an LVM; return what `train_multitask` takes."""
    folder = Path(folder)
    folder.mkdir(exist_ok=True)
    rng = np.random.default_rng(0)
    ids = [f"g{i}" for i in range(12)]
    with h5py.File(folder / "crops.h5", "w") as file:
        file["images"] = rng.integers(0, 255, (12, SIDE, SIDE, 3), dtype=np.uint8)
        file["id"] = ids
    table = {"index": range(12), "id": ids, "label": ["round", "flat"] * 6}
    splits = pd.DataFrame({**table, "split": ["train"] * 6 + ["val"] * 4 + ["test"] * 2})
    splits.to_parquet(folder / "splits.parquet")
    shape, chosen = sections(norm, **optim)
    torch.manual_seed(0)
    save_lvm(folder / "lvm.safetensors", LVM(build_config(shape)), {})
    return {
        "crops_path": folder / "crops.h5",
        "splits_path": folder / "splits.parquet",
        "lvm_path": folder / "lvm.safetensors",
        "settings": MultitaskRun.model_validate({"strategy": strategy, "seed": 1, **chosen}),
        "files": JobFiles(folder / "state", 1, folder / "out.safetensors", folder / "history.csv"),
    }


@pytest.mark.parametrize("strategy", ["pre_train", "multi_uniform", "multi_active"])
def test_a_training_writes_its_weights_its_record_and_its_card(tmp_path, strategy):
    torch.set_num_threads(1)
    given = arguments(tmp_path, strategy)
    train_multitask(**given)
    record = pd.read_csv(given["files"].history)
    assert record["step"].tolist() == [2, 4, 6, 8]
    wanted = {f"{kind}_{task}" for kind in ("lag", "share") for task in TASKS}
    assert wanted | {"accuracy", "f1"} <= set(record) and record.notna().all(axis=None)
    shares = record[[f"share_{task}" for task in TASKS]]
    assert np.allclose(shares.sum(axis=1), 1)
    assert np.allclose(shares, 1 / 3) == (strategy != "multi_active")
    model, card = load_multitask(given["files"].weights)
    assert sum(card["steps_per_task"].values()) == 8 and card["classes"] == ["flat", "round"]
    before = load_encoder(given["lvm_path"])
    moved = any(not torch.equal(v, before[k]) for k, v in model.encoder.state_dict().items())
    assert moved == (strategy != "pre_train")
    assert not list(given["files"].state_root.rglob("*.pt"))


def load_encoder(path):
    shape, _ = sections()
    lvm = LVM(build_config(shape))
    load_into(lvm, path)
    return lvm.encoder.state_dict()


class Killed(Exception):
    pass


def test_a_killed_training_ends_with_the_weights_of_one_that_was_not(tmp_path, monkeypatch):
    torch.set_num_threads(1)
    whole, killed = (arguments(tmp_path / name) for name in ("whole", "killed"))
    train_multitask(**whole)

    def kill(monitor, step, after_step=ValidationMonitor.after_step):
        after_step(monitor, step)
        if step == 4:
            raise Killed

    with monkeypatch.context() as patch, pytest.raises(Killed):
        patch.setattr(ValidationMonitor, "after_step", kill)
        train_multitask(**killed)
    assert len(list(killed["files"].state_root.rglob("checkpoint.pt"))) == 1
    train_multitask(**killed)
    one, two = (load_multitask(x["files"].weights)[0].state_dict() for x in (whole, killed))
    assert all(torch.equal(one[name], two[name]) for name in one)
    assert whole["files"].history.read_text() == killed["files"].history.read_text()


def test_validation_reads_no_galaxy_of_training_or_test(tmp_path, monkeypatch):
    given, seen = arguments(tmp_path), []
    with h5py.File(given["crops_path"]) as file:
        images = file["images"][:]

    def note(model, sets, *args, **kwargs):
        found = [sets.classification.images, *(np.rint(255 * s[0]).astype(np.uint8)
                 for s in (sets.restoration, sets.reconstruction))]  # fmt: skip
        seen.extend(image for part in found for image in part)
        return SCORES

    monkeypatch.setattr("galaxy_lvm.multitask.train.validate", note)
    train_multitask(**given)
    rows = {int(np.flatnonzero((images == image).all(axis=(1, 2, 3)))[0]) for image in seen}
    assert rows == {6, 7, 8, 9}


def test_validation_images_arrive_on_the_device():
    class Asked(nn.Module):
        encoder = None

        def __init__(self):
            super().__init__()
            self.devices = set()

        def classify(self, images):
            self.devices.add(images.device.type)
            return torch.zeros(len(images), 2)

        def restore(self, task, images):
            self.devices.add(images.device.type)
            return torch.zeros(images.shape)

    model, train = Asked(), galaxies(6)
    pair = (train.images.astype(np.float32) / 255,) * 2
    labelled = TaskImages(train.images, np.array([0, 1] * 3))
    validate(model, ValidationSets(labelled, pair, pair), 32, 2, device="meta")
    assert model.devices == {"meta"}


# Two processes. What they do has to be importable from this module.


def train_and_note(folder, **given):
    """Train in this process and write what its schedule dealt out and the weights it ends with."""
    noted = {}

    class Noting(ValidationMonitor):
        def __init__(self, schedule, *args):
            super().__init__(schedule, *args)
            noted["monitor"] = self

        def after_step(self, step):
            super().after_step(step)
            noted.setdefault("dealt", []).append(dict(self.schedule.counts))

    class Keeping(TrainingLoop):
        def finish(self):
            super().finish()
            noted["weights"] = {k: v.clone() for k, v in self.module.state_dict().items()}

    from galaxy_lvm.multitask import train
    from galaxy_lvm.training import job

    rank = make_accelerator("float32").process_index
    # Without a common judge each process would follow its own noise.
    true_score = train._score

    def noisy(*args):
        scores = true_score(*args)
        return {**scores, "f1": scores["f1"] * (1 - rank), "mse_restoration": 0.02 * rank}

    train.ValidationMonitor, job.TrainingLoop, train._score = Noting, Keeping, noisy
    train_multitask(**given)
    monitor = noted.pop("monitor")
    torch.save({**noted, **monitor.state_dict()}, Path(folder) / f"rank{rank}.pt")


def test_two_processes_train_the_same_tasks_and_end_with_equal_weights(tmp_path):
    given = arguments(tmp_path, norm="batch", steps=8)
    launch_processes(train_and_note, 2, 1, folder=tmp_path, **given)
    one, two = (torch.load(tmp_path / f"rank{r}.pt", weights_only=True) for r in (0, 1))
    assert one["dealt"] == two["dealt"]
    assert one["schedule"] == two["schedule"] and one["records"] == two["records"]
    assert sum(one["schedule"]["counts"].values()) == 8
    for name, value in one["weights"].items():
        assert torch.equal(value, two["weights"][name]), name


def image_steps(folder, n_expected):
    """Train the image tasks on fixed batches, shared by this process and the others."""
    torch.manual_seed(0)
    lvm = LVM(build_config(Lvm(preset="lvm_micro", norm="layer")))
    settings = Optim(steps=6, precision="float32", ema_decay=0.9)
    loop = TrainingLoop(
        MultitaskModel(lvm, 2), settings, Path(folder) / "none", 1, make_accelerator("float32")
    )
    rank, world_size = loop.accelerator.process_index, loop.accelerator.num_processes
    assert world_size == n_expected
    images = to_float(galaxies(8).images[:, :32, :32])

    def batch(step):
        noise = torch.randn(8, 3, 32, 32, generator=torch.Generator().manual_seed(step))
        mine = slice(rank, None, world_size)
        task = ("restoration", "reconstruction")[step % 2]
        return {"task": task, "images": (images + 0.1 * noise)[mine], "target": images[mine]}

    loop.run(batch)
    if rank == 0:
        kept = {"history": loop.history, "weights": loop.averaged_state()}
        torch.save(kept, Path(folder) / f"of{n_expected}.pt")


def test_two_processes_train_as_one_does_on_the_same_batches(tmp_path):
    """Image tasks, normalised by layer: a mean of two halves' means is the mean of the whole."""
    torch.set_num_threads(1)
    image_steps(tmp_path, 1)
    launch_processes(image_steps, 2, 1, folder=tmp_path, n_expected=2)
    one, two = (torch.load(tmp_path / f"of{n}.pt", weights_only=True) for n in (1, 2))
    assert [r["loss"] for r in two["history"]] == pytest.approx(
        [r["loss"] for r in one["history"]], rel=1e-4
    )
    for name, value in one["weights"].items():
        assert torch.allclose(value, two["weights"][name], atol=2e-4), name


def test_a_batch_that_two_processes_cannot_share_is_refused():
    with pytest.raises(ConfigError, match="batch size"):
        make_feed(world_size=4).batch(0)
