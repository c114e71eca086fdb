"""Lens detectors: shapes, targets, anchors, training that resumes, what is refused."""

import sys
from dataclasses import asdict

import numpy as np
import pandas as pd
import pytest
import torch
from galaxy_lvm.core.errors import ConfigError, DataError
from galaxy_lvm.lenses.detector import (
    DetectorConfig,
    LensDetector,
    anchor_cover,
    anchor_sides,
    load_detector,
)
from galaxy_lvm.lenses.pyramid import LVMLevels, ResNetLevels, strides_pix
from galaxy_lvm.lenses.train import DetectorSettings, FieldFeed, train_detector, training_rows
from galaxy_lvm.lvm.model import LVM, PRESETS
from galaxy_lvm.lvm.weights import load_lvm, save_lvm
from galaxy_lvm.survey.fields import BOX_COLUMNS, FieldStore, box_of_mask, lens_row, write_fields

SIDE_PIX = 64
OPTIM = {"steps": 6, "learning_rate": 1e-3, "ema_decay": 0.9, "precision": "float32"}
SETTINGS = DetectorSettings(
    batch_size=2, n_levels=2, fpn_dim=16, head_dim=32, rois_per_field=16, optim=OPTIM
)


def ring_field(rng: np.random.Generator, n_lenses: int) -> tuple[np.ndarray, list[np.ndarray]]:
    """Return a noisy field and the masks of the bright rings in it."""
    y, x = np.mgrid[:SIDE_PIX, :SIDE_PIX] + 0.5
    light = rng.normal(0.1, 0.02, (SIDE_PIX, SIDE_PIX))
    masks = []
    for number in range(n_lenses):
        radius = rng.uniform(6, 9)
        centre = rng.uniform([12, 12], [20, 52]) + [28 * number, 0]
        mask = np.abs(np.hypot(x - centre[0], y - centre[1]) - radius) < 2
        light[mask] = 0.9
        masks.append(mask)
    image = np.clip(light, 0, 1)[..., None] * [0.5, 0.7, 1.0]
    return (255 * image).astype(np.uint8), masks


@pytest.fixture
def fields(tmp_path):
    """Write a store of 16 training, 4 validation and 6 test fields; every fourth is empty."""
    rng = np.random.default_rng(3)
    splits = ["train"] * 16 + ["val"] * 4 + ["test"] * 6
    images, lenses = [], []
    for row in range(len(splits)):
        image, masks = ring_field(rng, 0 if row % 4 == 3 else 1 + row % 2)
        images.append(image)
        lenses += [lens_row(row, f"lens_{row}_{k}", mask) for k, mask in enumerate(masks)]
    path = tmp_path / "fields.h5"
    ids = [f"field_{row}" for row in range(len(splits))]
    write_fields(path, np.stack(images), {"id": ids, "split": splits}, lenses)
    return path


@pytest.fixture
def lvm_weights(tmp_path):
    """Write the weights of a very small LVM."""
    torch.manual_seed(0)
    save_lvm(tmp_path / "lvm.safetensors", LVM(PRESETS["lvm_micro"]), {})
    return tmp_path / "lvm.safetensors"


def run(fields, folder, backbone="lvm", lvm=None, settings=SETTINGS, n_train=16):
    """Train into a folder and return it."""
    train_detector(
        *(fields, backbone, n_train, lvm, settings, 1, folder / "state", 1),
        *(folder / "weights.safetensors", folder / "history.csv", folder / "found.parquet"),
    )
    return folder


@pytest.mark.parametrize("kind", ["lvm", "resnet18"])
def test_levels_have_the_stated_channels_and_strides(kind):
    levels = LVMLevels(PRESETS["lvm_tiny"], 3) if kind == "lvm" else ResNetLevels(kind, 3)
    maps = levels(torch.rand(2, 3, 96, 64))
    shapes = [tuple(maps[str(i)].shape) for i in range(3)]
    expected = zip(levels.dims, strides_pix(3), strict=True)
    assert shapes == [(2, dim, 96 // stride, 64 // stride) for dim, stride in expected]


def test_unknown_backbone_is_refused_with_the_known_ones():
    with pytest.raises(ConfigError, match="resnet50"):
        ResNetLevels("resnet51", 3)


@pytest.mark.parametrize("backbone", ["lvm", "resnet18"])
def test_gradients_reach_every_weight_of_the_levels_in_use(backbone, fields, lvm_weights):
    torch.manual_seed(1)
    lvm = asdict(PRESETS["lvm_micro"]) if backbone == "lvm" else None
    detector = LensDetector(DetectorConfig(backbone, (12.0, 20.0, 24.0), lvm, fpn_dim=16))
    store = FieldStore(fields)
    batch = FieldFeed(store, store.rows("train"), DetectorSettings(batch_size=4), 1).batch(0)
    losses = detector.train()(**batch)
    losses["loss"].backward()
    assert torch.isfinite(losses["loss"])
    idle = [n for n, p in detector.named_parameters() if p.grad is None or not p.grad.any()]
    assert idle == []


def test_fields_keep_their_scale():
    detector = LensDetector(DetectorConfig("resnet18", (12.0, 20.0), fpn_dim=16))
    images, _ = detector.network.rcnn.transform([torch.rand(3, SIDE_PIX, SIDE_PIX)])
    assert images.tensors.shape == (1, 3, SIDE_PIX, SIDE_PIX)


def test_a_batch_without_any_lens_gives_a_finite_loss(fields):
    store = FieldStore(fields)
    empty = np.array([row for row in store.rows("train") if row % 4 == 3])
    batch = FieldFeed(store, empty, DetectorSettings(batch_size=2), 1).batch(0)
    assert all(len(target["boxes"]) == 0 for target in batch["targets"])
    torch.manual_seed(1)
    losses = LensDetector(DetectorConfig("resnet18", (12.0, 20.0), fpn_dim=16)).train()(**batch)
    assert torch.isfinite(losses["loss"]) and losses["loss"] > 0


def test_turned_fields_keep_box_mask_and_light_together(fields):
    store = FieldStore(fields)
    feed = FieldFeed(store, store.rows("train"), DetectorSettings(batch_size=16), 5)
    batch, again = feed.batch(3), feed.batch(3)
    for image, target, same in zip(batch["images"], batch["targets"], again["images"], strict=True):
        assert torch.equal(image, same)
        for box, mask in zip(target["boxes"], target["masks"], strict=True):
            assert tuple(box.tolist()) == box_of_mask(mask.numpy())
            inside = image[2][mask.bool()]
            assert inside.min() > 0.5 > image[2].median()


def test_anchor_sides_cover_the_boxes_they_were_measured_on():
    rng = np.random.default_rng(0)
    sides, corners = rng.uniform(10, 40, 200), rng.uniform(0, 80, (200, 2))
    boxes = np.column_stack([corners, corners + sides[:, None]])
    measured = anchor_sides(boxes, 3)
    assert measured == tuple(sorted(measured))
    assert anchor_cover(boxes, measured, 128) > 0.9
    assert anchor_cover(boxes, (300.0, 400.0, 500.0), 128) == 0


def test_small_training_sets_are_part_of_larger_ones(fields):
    store = FieldStore(fields)
    small, large = training_rows(store, 5, 7), training_rows(store, 12, 7)
    assert set(small) < set(large) <= set(store.rows("train"))
    with pytest.raises(DataError, match="n_train"):
        training_rows(store, 17, 7)


def test_a_killed_training_ends_with_the_same_detector(fields, lvm_weights, tmp_path, monkeypatch):
    whole = run(fields, tmp_path / "whole", lvm=lvm_weights)
    settings = DetectorSettings(**{**asdict(SETTINGS), "optim": {**OPTIM, "checkpoint_seconds": 0}})
    original = FieldFeed.batch

    def killed(self, step, *args):
        if step == 4:
            raise KeyboardInterrupt
        return original(self, step, *args)

    monkeypatch.setattr(FieldFeed, "batch", killed)
    with pytest.raises(KeyboardInterrupt):
        run(fields, tmp_path / "parts", lvm=lvm_weights, settings=settings)
    monkeypatch.setattr(FieldFeed, "batch", original)
    parts = run(fields, tmp_path / "parts", lvm=lvm_weights, settings=settings)
    assert len(pd.read_csv(parts / "history.csv")) == OPTIM["steps"]
    states = [load_detector(f / "weights.safetensors").state_dict() for f in (whole, parts)]
    assert all(torch.equal(states[0][name], states[1][name]) for name in states[0])


def test_a_detector_learns_to_find_rings(fields, lvm_weights, tmp_path):
    settings = DetectorSettings(
        batch_size=4, n_levels=2, fpn_dim=32, head_dim=64, rois_per_field=32, score_floor=0.3,
        optim={**OPTIM, "steps": 90, "learning_rate": 3e-3},
    )  # fmt: skip
    folder = run(fields, tmp_path, lvm=lvm_weights, settings=settings)
    store, found = FieldStore(fields), pd.read_parquet(folder / "found.parquet")
    assert set(found["split"]) == {"val", "test"}
    hits = 0
    truth = store.lenses[store.lenses["field"].isin(store.rows("test"))]
    for lens in truth.itertuples():
        here = found[found["field"] == lens.field]
        true = np.array([getattr(lens, name) for name in BOX_COLUMNS])
        boxes = here[list(BOX_COLUMNS)].to_numpy()
        hits += bool(len(boxes)) and np.abs(boxes - true).max(axis=1).min() < 4
    assert hits >= 0.75 * len(truth)
    encoder = load_detector(folder / "weights.safetensors").levels.encoder
    start = load_lvm(lvm_weights).encoder
    assert not torch.equal(encoder.embed.body[0].weight, start.embed.body[0].weight)


def test_weights_of_something_else_are_refused(lvm_weights):
    with pytest.raises(DataError, match="train_detector"):
        load_detector(lvm_weights)


def test_levels_and_anchor_sides_must_agree():
    with pytest.raises(ConfigError, match="anchor_sides_pix"):
        DetectorSettings(n_levels=3, anchor_sides_pix=(10.0, 20.0))
    with pytest.raises(ConfigError, match="levels"):
        LVMLevels(PRESETS["lvm_micro"], 4)


def test_without_detectron2_the_error_names_the_environment(monkeypatch):
    monkeypatch.setitem(sys.modules, "detectron2", None)
    monkeypatch.delitem(sys.modules, "galaxy_lvm.lenses.mask_rcnn_detectron2", raising=False)
    with pytest.raises(ConfigError, match="envs/detectron2.yaml"):
        LensDetector(DetectorConfig("resnet18", (12.0, 20.0), backend="detectron2"))


def test_detectron2_gives_losses_and_detections(fields):
    pytest.importorskip("detectron2")
    torch.manual_seed(1)
    detector = LensDetector(DetectorConfig("resnet18", (12.0, 20.0), backend="detectron2"))
    store = FieldStore(fields)
    batch = FieldFeed(store, store.rows("train"), DetectorSettings(batch_size=4), 1).batch(0)
    losses = detector.train()(**batch)
    losses["loss"].backward()
    assert torch.isfinite(losses["loss"])
    found = detector.detect(store.images([0, 3]))
    assert [item.masks.shape[1:] for item in found] == [(SIDE_PIX, SIDE_PIX)] * 2
