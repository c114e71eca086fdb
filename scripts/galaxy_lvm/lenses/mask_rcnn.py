"""Mask R-CNN of torchvision at the scale of lens fields."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn
from torchvision.models.detection import MaskRCNN
from torchvision.models.detection.anchor_utils import AnchorGenerator
from torchvision.models.detection.faster_rcnn import FastRCNNPredictor, TwoMLPHead
from torchvision.models.detection.mask_rcnn import MaskRCNNHeads, MaskRCNNPredictor
from torchvision.models.detection.rpn import RPNHead
from torchvision.models.detection.transform import GeneralizedRCNNTransform
from torchvision.ops import FeaturePyramidNetwork, MultiScaleRoIAlign

from galaxy_lvm.lenses.network import DetectionNetwork, Scaling

if TYPE_CHECKING:
    from galaxy_lvm.lenses.detector import DetectorConfig

ASPECT_RATIOS = (0.5, 1.0, 2.0)
ROI_BINS, MASK_BINS = 7, 14
# A box of ROI_BINS tokens of this stride is pooled on the level of this stride.
CANONICAL_STRIDE_PIX, CANONICAL_LEVEL = 16, 4
CANONICAL_SIDE_PIX = ROI_BINS * CANONICAL_STRIDE_PIX
MASK_THRESHOLD = 0.5


class Pyramid(nn.Module):
    """Bottom-up maps joined from coarse to fine, all with the same number of channels.

    Parameters
    ----------
    levels
        Module with `dims`, mapping images to a dict of maps.
    fpn_dim
        Channels of every output map.
    """

    def __init__(self, levels: nn.Module, fpn_dim: int) -> None:
        super().__init__()
        self.levels = levels
        self.fpn = FeaturePyramidNetwork(levels.dims, fpn_dim)
        self.out_channels = fpn_dim

    def forward(self, images: Tensor) -> dict[str, Tensor]:
        """Map (B, 3, H, W) to maps (B, fpn_dim, H/4, W/4), (B, fpn_dim, H/8, W/8), ..."""
        return self.fpn(self.levels(images))


class _KeepSize(GeneralizedRCNNTransform):
    """Normalise and pad, at the image's own scale; torchvision's enlarges all to 800 pixels."""

    def resize(
        self, image: Tensor, target: dict[str, Tensor] | None = None
    ) -> tuple[Tensor, dict[str, Tensor] | None]:
        return image, target


class TorchvisionNetwork(DetectionNetwork):
    """torchvision's Mask R-CNN."""

    @property
    def levels(self) -> nn.Module:
        """The backbone below the feature pyramid."""
        return self.rcnn.backbone.levels

    def _build(self, config: "DetectorConfig", levels: nn.Module, scaling: Scaling) -> nn.Module:
        rcnn = _mask_rcnn(config, levels)
        rcnn.transform = _KeepSize(1, 1, list(scaling.mean), list(scaling.std))
        # A training step takes 0.85 to 0.95 of the time with a pixel's channels side by side
        # (ResNet50 and LVM, float32 and bfloat16, one core with AVX-512 and without).
        return rcnn.to(memory_format=torch.channels_last)

    def _losses(self, images: list[Tensor], targets: list[dict[str, Tensor]]) -> dict[str, Tensor]:
        return self.rcnn(images, targets)

    def _found(self, images: list[Tensor]) -> list[dict[str, Tensor]]:
        return [
            {**found, "masks": found["masks"][:, 0] > MASK_THRESHOLD} for found in self.rcnn(images)
        ]


def anchor_generator(sides_pix: Sequence[float]) -> AnchorGenerator:
    """Return anchors of one side and three axis ratios a level."""
    return AnchorGenerator(tuple((side,) for side in sides_pix), (ASPECT_RATIOS,) * len(sides_pix))


def _roi_align(n_levels: int, bins: int) -> MultiScaleRoIAlign:
    """Return a pooling that takes a box from the level where it is ROI_BINS tokens wide, or more.

    With torchvision's 224 pixels a box is twice as wide, in tokens, as the bins can use.
    """
    return MultiScaleRoIAlign(
        [str(i) for i in range(n_levels)],
        output_size=bins,
        sampling_ratio=2,
        canonical_scale=CANONICAL_SIDE_PIX,
        canonical_level=CANONICAL_LEVEL,
    )


def _mask_rcnn(config: "DetectorConfig", levels: nn.Module) -> MaskRCNN:
    dim, n = config.fpn_dim, config.n_levels
    return MaskRCNN(
        Pyramid(levels, dim),
        rpn_anchor_generator=anchor_generator(config.anchor_sides_pix),
        rpn_head=RPNHead(dim, len(ASPECT_RATIOS)),
        rpn_pre_nms_top_n_train=4 * config.n_proposals,
        rpn_pre_nms_top_n_test=4 * config.n_proposals,
        rpn_post_nms_top_n_train=config.n_proposals,
        rpn_post_nms_top_n_test=config.n_proposals,
        box_roi_pool=_roi_align(n, ROI_BINS),
        box_head=TwoMLPHead(dim * ROI_BINS**2, config.head_dim),
        box_predictor=FastRCNNPredictor(config.head_dim, 2),  # 0 is the background
        box_batch_size_per_image=config.rois_per_field,
        box_score_thresh=config.score_floor,
        box_detections_per_img=config.max_detections,
        mask_roi_pool=_roi_align(n, MASK_BINS),
        mask_head=MaskRCNNHeads(dim, (dim,) * 4, 1),
        mask_predictor=MaskRCNNPredictor(dim, dim, 2),
    )
