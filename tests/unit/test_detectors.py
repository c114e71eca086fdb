"""Lens detectors: shapes, targets, anchors, training that resumes, what is refused."""

import sys
from dataclasses import asdict
from importlib.util import find_spec
from types import ModuleType

import numpy as np
import pandas as pd
import pytest
import torch
from galaxy_lvm.core.config.lenses import DetectorTraining
from galaxy_lvm.core.config.training import Optim
from galaxy_lvm.core.errors import ConfigError, DataError
from galaxy_lvm.lenses.detector import (
    DetectorConfig,
    LensDetector,
    anchor_cover,
    anchor_sides,
    load_detector,
)
from galaxy_lvm.lenses.pyramid import LVMLevels, ResNetLevels, strides_pix
from galaxy_lvm.lenses.train import FieldFeed, training_rows
from galaxy_lvm.lvm.model import PRESETS
from galaxy_lvm.lvm.weights import load_lvm
from galaxy_lvm.survey.fields import BOX_COLUMNS, FieldStore, box_of_mask
from pydantic import ValidationError
from ring_fields import OPTIM, SETTINGS, SIDE_PIX, train_on, write_ring_fields, write_small_lvm

# Detectron2's runs where it can be imported: make test-detectron2.
BACKENDS_HERE = ["torchvision"] + ["detectron2"] * bool(find_spec("detectron2"))
each_backend = pytest.mark.parametrize("backend", BACKENDS_HERE)


LOSSES = {"loss_objectness", "loss_rpn_box_reg", "loss_classifier", "loss_box_reg", "loss_mask"}
LOSSES |= {"loss"}


@pytest.fixture
def fields(tmp_path):
    """Write a store of 16 training, 4 validation and 6 test fields; every fourth is empty."""
    write_ring_fields(tmp_path / "fields.h5", 16, 4, 6)
    return tmp_path / "fields.h5"


@pytest.fixture
def lvm_weights(tmp_path):
    write_small_lvm(tmp_path / "lvm.safetensors")
    return tmp_path / "lvm.safetensors"


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


@each_backend
@pytest.mark.parametrize("backbone", ["lvm", "resnet18"])
def test_gradients_reach_every_weight_of_the_levels_in_use(backbone, backend, fields):
    torch.manual_seed(1)
    lvm = asdict(PRESETS["lvm_micro"]) if backbone == "lvm" else None
    detector = LensDetector(DetectorConfig(backbone, (12.0, 20.0, 24.0), lvm, backend, fpn_dim=16))
    store = FieldStore(fields)
    batch = FieldFeed(store, store.rows("train"), DetectorTraining(batch_size=4), 1).batch(0)
    losses = detector.train()(**batch)
    losses["loss"].backward()
    assert set(losses) == LOSSES and torch.isfinite(losses["loss"])
    idle = [n for n, p in detector.named_parameters() if p.grad is None or not p.grad.any()]
    assert idle == []


def test_fields_keep_their_scale():
    detector = LensDetector(DetectorConfig("resnet18", (12.0, 20.0), fpn_dim=16))
    images, _ = detector.network.rcnn.transform([torch.rand(3, SIDE_PIX, SIDE_PIX)])
    assert images.tensors.shape == (1, 3, SIDE_PIX, SIDE_PIX)


@each_backend
def test_a_batch_without_any_lens_gives_a_finite_loss(backend, fields):
    store = FieldStore(fields)
    empty = np.array([row for row in store.rows("train") if row % 4 == 3])
    batch = FieldFeed(store, empty, DetectorTraining(batch_size=2), 1).batch(0)
    assert all(len(target["boxes"]) == 0 for target in batch["targets"])
    torch.manual_seed(1)
    config = DetectorConfig("resnet18", (12.0, 20.0), backend=backend, fpn_dim=16)
    losses = LensDetector(config).train()(**batch)
    assert set(losses) == LOSSES
    assert torch.isfinite(losses["loss"]) and losses["loss"] > 0


def test_turned_fields_keep_box_mask_and_light_together(fields):
    store = FieldStore(fields)
    feed = FieldFeed(store, store.rows("train"), DetectorTraining(batch_size=16), 5)
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


@each_backend
def test_a_killed_training_ends_with_the_same_detector(
    backend, fields, lvm_weights, tmp_path, monkeypatch
):
    settings = SETTINGS.model_copy(update={"backend": backend})
    whole = train_on(fields, tmp_path / "whole", lvm=lvm_weights, settings=settings)
    often = settings.optim.model_copy(update={"checkpoint_seconds": 1e-9})
    settings = settings.model_copy(update={"optim": often})
    original = FieldFeed.batch

    def killed(self, step, *args):
        if step == 4:
            raise KeyboardInterrupt
        return original(self, step, *args)

    monkeypatch.setattr(FieldFeed, "batch", killed)
    with pytest.raises(KeyboardInterrupt):
        train_on(fields, tmp_path / "parts", lvm=lvm_weights, settings=settings)
    monkeypatch.setattr(FieldFeed, "batch", original)
    parts = train_on(fields, tmp_path / "parts", lvm=lvm_weights, settings=settings)
    assert len(pd.read_csv(parts / "history.csv")) == OPTIM["steps"]
    states = [load_detector(f / "weights.safetensors").state_dict() for f in (whole, parts)]
    assert all(torch.equal(states[0][name], states[1][name]) for name in states[0])


@each_backend
def test_a_detector_learns_to_find_rings(backend, fields, lvm_weights, tmp_path):
    settings = DetectorTraining(
        backend=backend, batch_size=4, n_levels=2, fpn_dim=32, head_dim=64, rois_per_field=32,
        score_floor=0.3, optim=Optim(**{**OPTIM, "steps": 90, "learning_rate": 3e-3}),
    )  # fmt: skip
    folder = train_on(fields, tmp_path, lvm=lvm_weights, settings=settings)
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
    with pytest.raises(ValidationError, match="anchor_sides_pix"):
        DetectorTraining(n_levels=3, anchor_sides_pix=(10.0, 20.0))
    with pytest.raises(ConfigError, match="levels"):
        LVMLevels(PRESETS["lvm_micro"], 4)


@each_backend
def test_fields_of_any_size_are_searched_and_nothing_found_is_still_masks(backend):
    torch.manual_seed(1)
    lvm = asdict(PRESETS["lvm_micro"])
    shape = {"backend": backend, "fpn_dim": 16}
    for floor, n_found in ((0.0, 20), (1.0, 0)):
        config = DetectorConfig("lvm", (12.0, 20.0), lvm, **shape, score_floor=floor)
        noise = np.random.default_rng(0).integers(0, 255, (2, 70, 54, 3), dtype=np.uint8)
        for found in LensDetector(config).detect(noise):
            assert found.masks.dtype == bool and found.masks.shape == (n_found, 70, 54)
            assert found.boxes.shape == (n_found, 4) and found.scores.shape == (n_found,)


def replace_detectron2(monkeypatch, package):
    """Let another package, or none, be imported as Detectron2."""
    backend = "galaxy_lvm.lenses.mask_rcnn_detectron2"
    for name in [name for name in sys.modules if name.startswith("detectron2.")] + [backend]:
        monkeypatch.delitem(sys.modules, name, raising=False)
    monkeypatch.setitem(sys.modules, "detectron2", package)


def test_without_detectron2_the_error_names_the_environment(monkeypatch):
    replace_detectron2(monkeypatch, None)
    with pytest.raises(ConfigError, match="envs/detectron2.yaml"):
        LensDetector(DetectorConfig("resnet18", (12.0, 20.0), backend="detectron2"))


def test_a_detectron2_that_is_out_of_step_with_its_packages_is_named_too(monkeypatch, tmp_path):
    """As release 0.6, which asks Pillow for a constant that newer ones no longer have."""
    (tmp_path / "layers.py").write_text("from PIL import Image\n\nImage.LINEAR\n")
    package = ModuleType("detectron2")
    package.__path__ = [str(tmp_path)]
    replace_detectron2(monkeypatch, package)
    with pytest.raises(ConfigError, match="LINEAR.*docs/detectron2.md"):
        LensDetector(DetectorConfig("resnet18", (12.0, 20.0), backend="detectron2"))
