"""The protocol that all few-shot models share, as the config describes it."""

import math
from dataclasses import dataclass, field
from typing import Any

# Keys of the config's sections that are not about one training.
_NOT_PROTOCOL = ("dataset", "models", "seeds_per_job")


@dataclass(frozen=True)
class HeadSettings:
    """The fully connected head on frozen features: one layer, or two, as validation decides."""

    hidden_dim: int = 256
    """Width of the hidden layer of the head with two layers."""
    weight_decays: tuple[float, ...] = (0.01, 1.0)
    """AdamW's decays to choose from, for two layers."""
    dropout: float = 0.2
    """Share of hidden units left out in training."""
    learning_rate: float = 1e-3
    """Of AdamW, on the whole training set at once."""
    steps: int = 150
    """Updates at most; the best validation decides."""


@dataclass(frozen=True)
class FewShotSettings:
    """The protocol that all models share."""

    sizes: tuple[int, ...] = (10, 30, 100)
    """Training galaxies per class."""
    n_seeds: int = 3
    """Repetitions, each with training sets and starting weights of its own."""
    batch_size: int = 16
    """Galaxies per step."""
    min_epochs: float = 3.0
    """How often a network sees every galaxy at least; large training sets get more steps."""
    validate_every_fraction: float = 0.2
    """Share of the steps between validations; the weights of the best one are kept."""
    learning_rates: tuple[float, ...] = (1e-3,)
    """Peaks to choose from for a network from scratch."""
    finetune_learning_rates: tuple[float, ...] = (1e-4,)
    """Peaks to choose from for a pretrained encoder."""
    finetune_head_factor: float = 1.0
    """Learning rate of the new layer on a pretrained encoder, in units of the encoder's."""
    dropout: float = 0.2
    """Share of the features left out in training, before the last layer of a network."""
    label_smoothing: float = 0.0
    """Share of a label that is spread over all classes while a network learns."""
    optim: dict[str, Any] = field(default_factory=dict)
    """Fields of OptimSettings but the learning rates; `steps` is the least number of updates."""
    views: dict[str, Any] = field(default_factory=dict)
    """Fields of ViewRecipe but the side."""
    head: HeadSettings = field(default_factory=HeadSettings)
    """Head on frozen features."""
    logistic_c: tuple[float, ...] = (0.0001, 0.001, 0.01, 0.1, 1.0)
    """Single layer on frozen features or HOG: inverse strengths of the penalty to choose from."""
    view_side_pix: int = 64
    """Side of the images that a network sees."""
    n_orientations: int = 1
    """Symmetries of the square over which a network's class probabilities are averaged."""
    zooms: tuple[float, ...] = (1.0,)
    """Enlargements over which they are averaged too; 1 shows the whole crop."""

    def steps(self, n_galaxies: int) -> int:
        """Return the number of updates on a training set: the same rule for every network."""
        by_epochs = math.ceil(self.min_epochs * n_galaxies / self.batch_size)
        return max(self.optim["steps"], by_epochs)


def settings_from(sections: dict[str, Any]) -> FewShotSettings:
    """Return the protocol that the config's `fewshot` and `features` describe."""
    values = {k: v for k, v in sections["fewshot"].items() if k not in _NOT_PROTOCOL}
    head = HeadSettings(**_tuples(values.pop("head")))
    optim = without_rates(values.pop("optim"))
    return FewShotSettings(
        **_tuples(values),
        optim=optim,
        head=head,
        view_side_pix=sections["features"]["view_side_pix"],
        n_orientations=sections["features"]["n_orientations"],
    )


def without_rates(optim: dict[str, Any]) -> dict[str, Any]:
    """Return a section `optim` without learning rates: they are chosen, not set once."""
    return {k: v for k, v in optim.items() if k not in ("learning_rate", "head_factor")}


def _tuples(values: dict[str, Any]) -> dict[str, Any]:
    return {k: tuple(v) if isinstance(v, list) else v for k, v in values.items()}
