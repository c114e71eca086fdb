"""The protocol that networks of one comparison share, from the sections that describe it."""

import math

from pydantic import Field

from galaxy_lvm.core.config.base import Section
from galaxy_lvm.core.config.fewshot import NetworkChoices, NetworkSections
from galaxy_lvm.core.config.tasks import ReferenceSections
from galaxy_lvm.core.config.training import NetworkTraining, Optim, Views


class NetworkProtocol(Section):
    """How every network of a comparison is trained and asked."""

    training: NetworkTraining = Field(description="steps, rates to choose from, optimiser")
    views: Views | None = Field(
        description="random views in training; None turns and mirrors images, pixel by pixel"
    )
    view_side_pix: int = Field(description="side of the images that a network sees")
    n_orientations: int = Field(description="orientations of a test galaxy that are averaged")
    zooms: tuple[float, ...] = Field((1.0,), description="magnifications that are averaged too")
    channels_last: bool = Field(
        False, description="keep the channels of a pixel side by side in memory"
    )
    label_smoothing: float = Field(0.0, description="share of a label spread over all classes")
    finetune_head_factor: float = Field(
        description="learning rate of a new layer on a pretrained encoder, in the encoder's"
    )
    logistic_c: tuple[float, ...] = Field(
        description="inverse strengths of the penalty on that layer to choose its start from"
    )

    def steps(self, n_galaxies: int) -> int:
        """Return the number of updates on a training set: the same rule for every network."""
        by_epochs = math.ceil(self.training.min_epochs * n_galaxies / self.training.batch_size)
        return max(self.training.optim.steps, by_epochs)

    def optim(self, rate: float, n_galaxies: int, pretrained: bool) -> Optim:
        """Return how weights are updated with one of the learning rates to choose from."""
        own = {
            "steps": self.steps(n_galaxies),
            "learning_rate": rate,
            "head_factor": self.finetune_head_factor if pretrained else 1.0,
        }
        return self.training.optim.model_copy(update=own)


def protocol_of(sections: NetworkSections) -> NetworkProtocol:
    """Return the protocol that the config's `fewshot` and `features` describe."""
    own = sections.fewshot
    return NetworkProtocol(
        training=own,
        views=own.views,
        view_side_pix=sections.features.view_side_pix,
        n_orientations=sections.features.n_orientations,
        finetune_head_factor=own.finetune_head_factor,
        logistic_c=own.logistic_c,
    )


def reference_protocol(sections: ReferenceSections) -> NetworkProtocol:
    """Return the protocol of the config's section `reference`.

    What does not belong to a network is the LVM's: the random views, the side and the smoothing of
    labels are those of `classification`, the views of a test galaxy those of `multitask`. Blending
    of galaxies (`mixup_alpha`) is the LVM's alone. A new layer on a pretrained network is treated
    as `fewshot` does when nothing is set.
    """
    lvm, as_usual = sections.classification, NetworkChoices()
    return NetworkProtocol(
        training=sections.reference,
        views=lvm.views,
        view_side_pix=lvm.view_side_pix,
        n_orientations=sections.multitask.n_orientations,
        zooms=sections.multitask.zooms,
        label_smoothing=lvm.label_smoothing,
        finetune_head_factor=as_usual.finetune_head_factor,
        logistic_c=as_usual.logistic_c,
    )
