"""Detectron2's Mask R-CNN against torchvision's: one shape, the same fields, the same scores.

Runs in an environment that has Detectron2 (`make test-detectron2`); without it the tests fail.
"""

from dataclasses import asdict

import numpy as np
import pandas as pd
import pytest
import torch
from detectron2.structures import Boxes
from galaxy_lvm.core.config.lenses import DetectorTraining
from galaxy_lvm.core.config.training import Optim
from galaxy_lvm.lenses.curves import average_precisions
from galaxy_lvm.lenses.detector import DetectorConfig, LensDetector, load_detector
from galaxy_lvm.lenses.match import KINDS, match_fields
from galaxy_lvm.lenses.train import FieldFeed, detect_in, detector_config
from galaxy_lvm.lvm.model import PRESETS
from galaxy_lvm.lvm.weights import load_lvm
from galaxy_lvm.survey.fields import FieldStore, decode_mask
from ring_fields import OPTIM, SETTINGS, SIDE_PIX, train_on, write_ring_fields, write_small_lvm
from torchvision.models.detection.image_list import ImageList

BACKENDS = ("torchvision", "detectron2")
SHAPE = DetectorTraining(
    batch_size=4, n_levels=2, fpn_dim=32, head_dim=64, rois_per_field=32,
    optim=Optim(**{**OPTIM, "steps": 80, "learning_rate": 3e-3}),
)  # fmt: skip
N_TRAIN, STRIDES = 24, (4, 8)
# Over seven pairs of trainings: AP50 0.96 to 1 everywhere, largest difference of the masks' IoU
# 0.14. Untrained, AP50 stays below 0.32 for boxes and at 0 for masks.
LEARNT, UNTRAINED, AP50_TOLERANCE, IOU_TOLERANCE = 0.85, 0.5, 0.1, 0.2


def of_backend(backend):
    """Return the shape that both have, of one of them."""
    return SHAPE.model_copy(update={"backend": backend})


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    path = tmp_path_factory.mktemp("backends")
    write_ring_fields(path / "fields.h5", N_TRAIN, 4, 20)
    write_small_lvm(path / "lvm.safetensors")
    return path


@pytest.fixture(scope="module")
def trained(folder):
    """Train both backends on the LVM; return the folder of each."""
    lvm = folder / "lvm.safetensors"
    return {
        backend: train_on(
            *(folder / "fields.h5", folder / backend, "lvm", lvm),
            *(of_backend(backend), N_TRAIN),
        )
        for backend in BACKENDS
    }


def ap50(store, detections):
    """Average precision at IoU 0.5 of boxes and masks in the test fields."""
    matches = {kind: match_fields(store, "test", detections, kind) for kind in KINDS}
    return {kind: average_precisions(match)[1] for kind, match in matches.items()}


def best_masks(store, detections):
    """Yield each test lens's true mask and the found one that covers it best."""
    shape = (SIDE_PIX, SIDE_PIX)
    for lens in store.lenses[store.lenses["field"].isin(store.rows("test"))].itertuples():
        true = decode_mask(lens.mask_rle, *shape).astype(bool)
        here = detections.loc[detections["field"] == lens.field, "mask_rle"]
        found = [decode_mask(rle, *shape).astype(bool) for rle in here]
        yield true, max(found, key=lambda mask, true=true: mask_iou(mask, true))


def mask_iou(mask, other):
    return (mask & other).sum() / (mask | other).sum()


def test_detectron2_learns_what_torchvision_learns(folder, trained):
    store = FieldStore(folder / "fields.h5")
    scores, ious = {}, {}
    for backend, where in trained.items():
        found = pd.read_parquet(where / "found.parquet")
        scores[backend] = ap50(store, found)
        ious[backend] = np.mean([mask_iou(*pair) for pair in best_masks(store, found)])
        torch.manual_seed(1)
        lvm, settings = load_lvm(folder / "lvm.safetensors"), of_backend(backend)
        start = LensDetector(detector_config(store, store.rows("train"), "lvm", lvm, settings))
        before = ap50(store, detect_in(store, "test", start))
        for kind in KINDS:
            assert before[kind] < UNTRAINED < LEARNT < scores[backend][kind]
    for kind in KINDS:
        assert abs(scores["detectron2"][kind] - scores["torchvision"][kind]) < AP50_TOLERANCE
    assert abs(ious["detectron2"] - ious["torchvision"]) < IOU_TOLERANCE


def test_detectron2_puts_its_masks_where_the_lenses_are(folder, trained):
    """A wrong convention of pixel edges moves all masks alike, by half a pixel or one."""
    store = FieldStore(folder / "fields.h5")
    found = pd.read_parquet(trained["detectron2"] / "found.parquet")
    centres = [[np.argwhere(m).mean(axis=0) for m in pair] for pair in best_masks(store, found)]
    assert np.abs(np.mean([found - true for true, found in centres], axis=0)).max() < 0.7


def test_a_loaded_detectron2_detects_the_same(folder, trained):
    store = FieldStore(folder / "fields.h5")
    detector = load_detector(trained["detectron2"] / "weights.safetensors")
    assert detector.config.backend == "detectron2"
    again = detect_in(store, "test", detector)
    first = pd.read_parquet(trained["detectron2"] / "found.parquet")
    first = first[first["split"] == "test"].reset_index(drop=True)[list(again)]
    pd.testing.assert_frame_equal(again, first, check_exact=True)


def test_detectron2_history_has_the_columns_of_torchvisions(trained):
    tables = [pd.read_csv(where / "history.csv") for where in trained.values()]
    assert set(tables[0]) == set(tables[1])
    for table in tables:
        assert table["loss"].tail(10).mean() < 0.5 * table["loss"].head(10).mean()


def networks():
    lvm = asdict(PRESETS["lvm_micro"])
    return {
        name: LensDetector(DetectorConfig("lvm", (12.3, 20.6), lvm, name)).network.rcnn
        for name in BACKENDS
    }


def test_detectron2_has_the_same_anchors_in_the_middle_of_the_tokens():
    """torchvision rounds edges to whole pixels and centres anchors on the tokens' corners."""
    theirs, ours = (networks()[name] for name in BACKENDS)
    maps = [torch.zeros(1, 64, SIDE_PIX // stride, SIDE_PIX // stride) for stride in STRIDES]
    images = ImageList(torch.zeros(1, 3, SIDE_PIX, SIDE_PIX), [(SIDE_PIX, SIDE_PIX)])
    expected = theirs.rpn.anchor_generator(images, maps)[0]
    anchors = ours.proposal_generator.anchor_generator(maps)
    middles = [each.tensor - stride / 2 for each, stride in zip(anchors, STRIDES, strict=True)]
    assert torch.cat(middles).shape == expected.shape
    assert (torch.cat(middles) - expected).abs().max() <= 0.5


def test_detectron2_pools_a_box_from_the_same_level():
    theirs, ours = (networks()[name] for name in BACKENDS)
    sizes = enumerate(SIDE_PIX // stride for stride in STRIDES)
    levels = {str(i): torch.full((1, 64, side, side), float(i)) for i, side in sizes}
    boxes = torch.tensor([[4.0, 4.0, 4.0 + side, 4.0 + side] for side in (20, 50, 55, 57, 100)])
    pooled = ours.roi_heads.box_pooler(list(levels.values()), [Boxes(boxes)]).amax((1, 2, 3))
    expected = theirs.roi_heads.box_roi_pool(levels, [boxes], [(SIDE_PIX, SIDE_PIX)])
    assert pooled.tolist() == expected.amax((1, 2, 3)).tolist() == [0, 0, 0, 1, 1]


def test_detectron2_trains_in_half_precision(folder):
    torch.manual_seed(1)
    store = FieldStore(folder / "fields.h5")
    detector = LensDetector(DetectorConfig("resnet18", (12.0, 20.0), backend="detectron2"))
    with torch.autocast("cpu", torch.bfloat16):
        losses = detector.train()(**FieldFeed(store, store.rows("train"), SETTINGS, 1).batch(0))
    losses["loss"].backward()
    assert torch.isfinite(losses["loss"])
    assert all(torch.isfinite(p.grad).all() for p in detector.parameters())
