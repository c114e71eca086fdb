"""What both backends of the lens detectors are: Mask R-CNN behind one interface."""

from abc import ABC, abstractmethod
from typing import TYPE_CHECKING, NamedTuple

from torch import Tensor, nn

if TYPE_CHECKING:
    from galaxy_lvm.lenses.detector import DetectorConfig


class Scaling(NamedTuple):
    """What the channels, with values in [0, 1], are normalised by."""

    mean: tuple[float, float, float]
    std: tuple[float, float, float]


class DetectionNetwork(nn.Module, ABC):
    """Mask R-CNN of some library for one class, with heads of a size that suits small fields.

    Parameters
    ----------
    config
        Shape.
    levels
        Backbone, see `pyramid`.
    scaling
        Of the channels.
    """

    def __init__(self, config: "DetectorConfig", levels: nn.Module, scaling: Scaling) -> None:
        super().__init__()
        self.rcnn = self._build(config, levels, scaling)

    @property
    @abstractmethod
    def levels(self) -> nn.Module:
        """The backbone below the feature pyramid."""

    def forward(
        self, images: list[Tensor], targets: list[dict[str, Tensor]] | None = None
    ) -> dict[str, Tensor] | list[dict[str, Tensor]]:
        """Return losses in training, else `boxes`, `scores` and `masks` (n, H, W) of each image.

        Parameters
        ----------
        images
            (3, H, W) each, in [0, 1].
        targets
            As `LensDetector.forward` takes them; needed in training.
        """
        return self._losses(images, targets) if self.training else self._found(images)

    @abstractmethod
    def _build(self, config: "DetectorConfig", levels: nn.Module, scaling: Scaling) -> nn.Module:
        """Return the library's network."""

    @abstractmethod
    def _losses(
        self, images: list[Tensor], targets: list[dict[str, Tensor]]
    ) -> dict[str, Tensor]: ...

    @abstractmethod
    def _found(self, images: list[Tensor]) -> list[dict[str, Tensor]]: ...
