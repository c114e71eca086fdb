"""Detectors of strong lenses: Mask R-CNN on the LVM's encoder or a residual network (IV.B)."""

import os
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import torch
import torchvision
from torch import Tensor, nn
from torchvision.models.detection.image_list import ImageList

from galaxy_lvm.core.errors import ConfigError, DataError
from galaxy_lvm.lenses.mask_rcnn import TorchvisionNetwork, anchor_generator
from galaxy_lvm.lenses.network import DetectionNetwork, Scaling
from galaxy_lvm.lenses.pyramid import LVMLevels, ResNetLevels, strides_pix
from galaxy_lvm.lvm.model import LVMConfig
from galaxy_lvm.lvm.weights import load_into, read_card, save_weights, shape_from_card
from galaxy_lvm.training.augment import to_float

# The LVM was trained on values in [0, 1], residual networks come with ImageNet's scaling.
LVM_SCALING = Scaling((0.0, 0.0, 0.0), (1.0, 1.0, 1.0))
IMAGENET_SCALING = Scaling((0.485, 0.456, 0.406), (0.229, 0.224, 0.225))
BACKENDS = ("torchvision", "detectron2")


@dataclass(frozen=True)
class DetectorConfig:
    """Shape of a detector; what cannot be built is refused."""

    backbone: str
    """`lvm`, or a residual network of torchvision by name (`resnet18`, `resnet50`, ...)."""
    anchor_sides_pix: tuple[float, ...]
    """Side of the anchors of each level, finest first; one a level, 2 to 4 levels."""
    lvm: dict[str, Any] | None = None
    """Shape of the LVM where it is the backbone."""
    backend: str = "torchvision"
    """Whose Mask R-CNN: `torchvision` or `detectron2`."""
    fpn_dim: int = 64
    """Channels of the feature pyramid."""
    head_dim: int = 256
    """Width of the two fully connected layers of the box head."""
    rois_per_field: int = 64
    """Proposals of a field that the heads are trained on."""
    n_proposals: int = 100
    """Proposals of a field that are kept after suppression."""
    max_detections: int = 20
    """Detections of a field at most."""
    score_floor: float = 0.02
    """Detections below this score are not kept."""

    def __post_init__(self) -> None:
        """Refuse what cannot be built."""
        object.__setattr__(self, "anchor_sides_pix", tuple(self.anchor_sides_pix))
        if not 2 <= len(self.anchor_sides_pix) <= 4:
            raise ConfigError(f"anchor_sides_pix: {len(self.anchor_sides_pix)} levels, not 2 to 4")
        if (self.backbone == "lvm") != (self.lvm is not None):
            raise ConfigError("lvm: the LVM's shape belongs to the backbone 'lvm', and to it alone")
        if self.backend not in BACKENDS:
            raise ConfigError(f"lenses.detector.backend: {self.backend!r} is none of {BACKENDS}")

    @property
    def n_levels(self) -> int:
        """Number of levels of the pyramid."""
        return len(self.anchor_sides_pix)


@dataclass(frozen=True)
class Detections:
    """What was found in one image, best first.

    Attributes
    ----------
    boxes
        (n, 4) float32 edges x_min, y_min, x_max, y_max in pixels.
    scores
        (n,) float32 in [0, 1].
    masks
        (n, H, W) bool.
    """

    boxes: np.ndarray
    scores: np.ndarray
    masks: np.ndarray


class LensDetector(nn.Module):
    """Mask R-CNN for one class of objects, with heads of a size that suits small fields.

    Parameters
    ----------
    config
        Shape.
    """

    def __init__(self, config: DetectorConfig) -> None:
        super().__init__()
        self.config = config
        own = config.lvm is not None
        if own:
            levels = LVMLevels(LVMConfig(**config.lvm), config.n_levels)
        else:
            levels = ResNetLevels(config.backbone, config.n_levels)
        scaling = LVM_SCALING if own else IMAGENET_SCALING
        self.network = _network_class(config.backend)(config, levels, scaling)

    @property
    def levels(self) -> nn.Module:
        """The backbone below the feature pyramid."""
        return self.network.levels

    def forward(self, images: list[Tensor], targets: list[dict[str, Tensor]]) -> dict[str, Tensor]:
        """Return the five losses of Mask R-CNN and their sum `loss`.

        Parameters
        ----------
        images
            (3, H, W) each, in [0, 1].
        targets
            `boxes` (n, 4) float32 edges in pixels, `labels` (n,) int64, all 1, `masks` (n, H, W)
            uint8; n may be 0.
        """
        losses = self.network(images, targets)
        return {**losses, "loss": sum(losses.values())}

    @torch.no_grad()
    def detect(self, images: np.ndarray) -> list[Detections]:
        """Return what is found in images (B, H, W, 3) uint8, at 0.262 arcsec per pixel."""
        device = next(self.parameters()).device
        found = self.eval().network(list(to_float(images, device)))
        return [_as_detections(item) for item in found]


def anchor_sides(boxes: np.ndarray, n_levels: int) -> tuple[float, ...]:
    """Return one anchor side a level: quantiles of the root of the boxes' areas.

    Parameters
    ----------
    boxes
        (n, 4) edges of the training boxes in pixels, at least one.
    n_levels
        Number of levels.
    """
    sides = np.sqrt((boxes[:, 2] - boxes[:, 0]) * (boxes[:, 3] - boxes[:, 1]))
    shares = (np.arange(n_levels) + 0.5) / n_levels
    return tuple(round(float(v), 1) for v in np.quantile(sides, shares))


def anchor_cover(
    boxes: np.ndarray, sides_pix: Sequence[float], field_side_pix: int, iou: float = 0.5
) -> float:
    """Return the share of boxes that some anchor overlaps with more than `iou`.

    Parameters
    ----------
    boxes
        (n, 4) edges in pixels.
    sides_pix
        Anchor side of each level, finest first.
    field_side_pix
        Side of the fields.
    iou
        Intersection over union that counts as covered.
    """
    sides = [field_side_pix // stride for stride in strides_pix(len(sides_pix))]
    field = torch.zeros(1, 3, field_side_pix, field_side_pix)
    maps = [torch.zeros(1, 1, side, side) for side in sides]
    anchors = anchor_generator(sides_pix)(ImageList(field, [tuple(field.shape[-2:])]), maps)[0]
    best = torchvision.ops.box_iou(torch.tensor(boxes, dtype=torch.float32), anchors).amax(1)
    return float((best > iou).float().mean())


def save_detector(path: str | os.PathLike, detector: LensDetector, card: dict[str, Any]) -> None:
    """Write a detector; its shape goes into the card under `architecture`."""
    save_weights(path, detector, {"architecture": asdict(detector.config), **card})


def load_detector(path: str | os.PathLike) -> LensDetector:
    """Return the detector that a weights file and its card describe, ready to detect.

    Raises
    ------
    DataError
        If the card is missing or describes something else than a detector, or the weights do not
        fit it.
    """
    architecture = read_card(path).get("architecture", {})
    if "backbone" not in architecture:
        raise DataError(
            f"{path}: weights of another architecture, not of a lens detector; "
            "give the file that train_detector wrote (models/lenses/*.safetensors)"
        )
    if architecture.get("lvm"):
        shape_from_card(path, LVMConfig, architecture["lvm"])
    detector = LensDetector(shape_from_card(path, DetectorConfig, architecture))
    load_into(detector, path)
    return detector.eval()


def _network_class(backend: str) -> type[DetectionNetwork]:
    if backend == "torchvision":
        return TorchvisionNetwork
    # Heavy, and absent on most machines: imported only when asked for.
    from galaxy_lvm.lenses.mask_rcnn_detectron2 import Detectron2Network

    return Detectron2Network


def _as_detections(found: dict[str, Tensor]) -> Detections:
    return Detections(
        boxes=found["boxes"].float().cpu().numpy(),
        scores=found["scores"].float().cpu().numpy(),
        masks=found["masks"].cpu().numpy(),
    )
