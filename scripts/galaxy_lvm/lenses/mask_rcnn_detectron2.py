"""Mask R-CNN of Detectron2 on the same backbones; needs the environment envs/detectron2.yaml.

The fields are fed as tensors, not through Detectron2's data catalogue: its default filter would
drop every field without a lens. Its classes start at 0 and the background comes last.
"""

from typing import TYPE_CHECKING

from torch import Tensor, nn

from galaxy_lvm.core.errors import ConfigError
from galaxy_lvm.lenses.mask_rcnn import (
    ASPECT_RATIOS,
    CANONICAL_LEVEL,
    CANONICAL_SIDE_PIX,
    MASK_BINS,
    ROI_BINS,
)
from galaxy_lvm.lenses.network import DetectionNetwork, Scaling
from galaxy_lvm.lenses.pyramid import strides_pix

try:
    from detectron2.layers import ShapeSpec
    from detectron2.modeling import anchor_generator, backbone, poolers, proposal_generator
    from detectron2.modeling import roi_heads as heads
    from detectron2.modeling.box_regression import Box2BoxTransform
    from detectron2.modeling.matcher import Matcher
    from detectron2.modeling.meta_arch import GeneralizedRCNN
    from detectron2.structures import BitMasks, Boxes, Instances
    from detectron2.utils.events import EventStorage
except (ImportError, AttributeError) as error:  # it may ask packages for what they lost
    raise ConfigError(
        f"lenses.detector.backend: detectron2 cannot be imported ({error}); make the environment "
        "of envs/detectron2.yaml (conda), run Snakemake with --sdm conda, or set torchvision; "
        "other ways are in docs/detectron2.md"
    ) from error

if TYPE_CHECKING:
    from galaxy_lvm.lenses.detector import DetectorConfig

# Weights of the box offsets in the losses, as Mask R-CNN has them in both libraries.
PROPOSAL_WEIGHTS, BOX_WEIGHTS = (1.0, 1.0, 1.0, 1.0), (10.0, 10.0, 5.0, 5.0)
ANCHORS_PER_FIELD = 256
# The losses go by one name in the history, whichever library they come from.
LOSS_NAMES = {
    "loss_rpn_cls": "loss_objectness",
    "loss_rpn_loc": "loss_rpn_box_reg",
    "loss_cls": "loss_classifier",
    "loss_box_reg": "loss_box_reg",
    "loss_mask": "loss_mask",
}


class _BottomUp(backbone.Backbone):
    """A module of `pyramid` behind Detectron2's interface."""

    def __init__(self, levels: nn.Module) -> None:
        super().__init__()
        self.levels = levels
        strides = strides_pix(len(levels.dims))
        self._out_features = [str(i) for i in range(len(strides))]
        self._out_feature_strides = dict(zip(self._out_features, strides, strict=True))
        self._out_feature_channels = dict(zip(self._out_features, levels.dims, strict=True))

    def forward(self, images: Tensor) -> dict[str, Tensor]:
        return self.levels(images)


class Detectron2Network(DetectionNetwork):
    """Detectron2's Mask R-CNN."""

    @property
    def levels(self) -> nn.Module:
        """The backbone below the feature pyramid."""
        return self.rcnn.backbone.bottom_up.levels

    def _build(self, config: "DetectorConfig", levels: nn.Module, scaling: Scaling) -> nn.Module:
        bottom_up = _BottomUp(levels)
        names = list(bottom_up.output_shape())
        return GeneralizedRCNN(
            backbone=backbone.FPN(bottom_up, names, config.fpn_dim),
            proposal_generator=_proposals(config),
            roi_heads=_heads(config),
            pixel_mean=scaling.mean,
            pixel_std=scaling.std,
        )

    def _losses(self, images: list[Tensor], targets: list[dict[str, Tensor]]) -> dict[str, Tensor]:
        inputs = [
            {"image": image, "instances": _instances(image, target)}
            for image, target in zip(images, targets, strict=True)
        ]
        with EventStorage():  # Detectron2 logs into one; ours are in the losses
            losses = self.rcnn(inputs)
        return {LOSS_NAMES[name]: loss for name, loss in losses.items()}

    def _found(self, images: list[Tensor]) -> list[dict[str, Tensor]]:
        found = [item["instances"] for item in self.rcnn([{"image": image} for image in images])]
        return [
            {"boxes": item.pred_boxes.tensor, "scores": item.scores, "masks": item.pred_masks}
            for item in found
        ]


def _instances(image: Tensor, target: dict[str, Tensor]) -> Instances:
    made = Instances(tuple(image.shape[-2:]))
    made.gt_boxes = Boxes(target["boxes"])
    made.gt_classes = target["labels"] - 1
    made.gt_masks = BitMasks(target["masks"])
    return made


def _names(config: "DetectorConfig") -> list[str]:
    # The pyramid calls its maps after the logarithm of their stride.
    return [f"p{stride.bit_length() - 1}" for stride in strides_pix(config.n_levels)]


def _proposals(config: "DetectorConfig") -> nn.Module:
    kept = (config.n_proposals, config.n_proposals)
    return proposal_generator.RPN(
        in_features=_names(config),
        head=proposal_generator.StandardRPNHead(
            in_channels=config.fpn_dim, num_anchors=len(ASPECT_RATIOS)
        ),
        anchor_generator=anchor_generator.DefaultAnchorGenerator(
            sizes=[[side] for side in config.anchor_sides_pix],
            aspect_ratios=list(ASPECT_RATIOS),
            strides=strides_pix(config.n_levels),
        ),
        anchor_matcher=Matcher([0.3, 0.7], [0, -1, 1], allow_low_quality_matches=True),
        box2box_transform=Box2BoxTransform(weights=PROPOSAL_WEIGHTS),
        batch_size_per_image=ANCHORS_PER_FIELD,
        positive_fraction=0.5,
        pre_nms_topk=tuple(4 * n for n in kept),
        post_nms_topk=kept,
        nms_thresh=0.7,
    )


def _heads(config: "DetectorConfig") -> nn.Module:
    dim = config.fpn_dim
    box_shape = ShapeSpec(channels=dim, height=ROI_BINS, width=ROI_BINS)
    mask_shape = ShapeSpec(channels=dim, height=MASK_BINS, width=MASK_BINS)
    return heads.StandardROIHeads(
        num_classes=1,
        batch_size_per_image=config.rois_per_field,
        positive_fraction=0.25,
        proposal_matcher=Matcher([0.5], [0, 1], allow_low_quality_matches=False),
        box_in_features=_names(config),
        box_pooler=_pooler(config, ROI_BINS),
        box_head=heads.FastRCNNConvFCHead(
            box_shape, conv_dims=[], fc_dims=[config.head_dim, config.head_dim]
        ),
        box_predictor=heads.FastRCNNOutputLayers(
            ShapeSpec(channels=config.head_dim),
            box2box_transform=Box2BoxTransform(weights=BOX_WEIGHTS),
            num_classes=1,
            test_score_thresh=config.score_floor,
            test_nms_thresh=0.5,
            test_topk_per_image=config.max_detections,
        ),
        mask_in_features=_names(config),
        mask_pooler=_pooler(config, MASK_BINS),
        mask_head=heads.MaskRCNNConvUpsampleHead(mask_shape, num_classes=1, conv_dims=[dim] * 5),
    )


def _pooler(config: "DetectorConfig", bins: int) -> nn.Module:
    return poolers.ROIPooler(
        output_size=bins,
        scales=[1 / stride for stride in strides_pix(config.n_levels)],
        sampling_ratio=2,
        pooler_type="ROIAlignV2",
        canonical_box_size=CANONICAL_SIDE_PIX,
        canonical_level=CANONICAL_LEVEL,
    )
