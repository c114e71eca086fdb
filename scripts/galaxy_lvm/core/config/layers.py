"""Decomposition of a network's weights."""

from typing import Annotated

from pydantic import Field

from galaxy_lvm.core.config.base import UNIQUE, Section, part, with_default
from galaxy_lvm.core.config.spectra import SpectrumOptim


class Layers(Section):
    """How weights are decomposed, and what rank is enough."""

    kept_shares: Annotated[tuple[Annotated[float, Field(gt=0, le=1)], ...], UNIQUE] = Field(
        (0.02, 0.05, 0.1, 0.2, 0.3, 0.5, 0.75, 1.0),
        min_length=2,
        description="ranks that are tried, as shares of a matrix's smaller side",
    )
    enough: float = Field(
        0.99, gt=0, le=1, description="share of the whole network's score that is asked for"
    )
    n_stars: int = Field(
        500, ge=3, description="validation stars, at most, that single layers are scored by"
    )
    n_random: int = Field(3, ge=1, description="draws of the random projections")


class CapacityOptim(SpectrumOptim):
    """How their weights are updated."""

    steps: int = with_default(SpectrumOptim, "steps", 300)


class Capacity(Section):
    """Networks that learn true or shuffled labels of few stars: how much rank that takes."""

    n_stars: Annotated[tuple[Annotated[int, Field(ge=10)], ...], UNIQUE] = Field(
        (100, 400), description="training stars, each number twice; none leaves this out"
    )
    batch_size: int = Field(64, ge=1, description="stars of an update")
    optim: CapacityOptim = part(CapacityOptim)


class LvmLayers(Layers):
    """The same of an LVM's encoder, scored by classes of galaxies; target layers_lvm."""

    n_galaxies: int = Field(
        200, ge=2, description="validation, and test galaxies, at most, that an LVM is scored by"
    )


class LayersChapter(LvmLayers):
    """What is written in the weights: of the spectra's Transformer, target layers; of the LVM."""

    capacity: Capacity = part(Capacity)
