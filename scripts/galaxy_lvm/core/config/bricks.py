"""Cutouts from coadded bricks on disk."""

from pydantic import Field

from galaxy_lvm.core.config.base import Section, with_default
from galaxy_lvm.core.config.survey import Service


class BrickCuts(Section):
    """What is read of the section legacysurvey where cutouts come from bricks on disk."""

    max_bad_fraction: float = with_default(Service, "max_bad_fraction", 0.1)
    shard_galaxies: int = with_default(Service, "shard_galaxies", 100_000)


class BrickPlace(BrickCuts):
    """Where the bricks lie, and what is read of the section legacysurvey."""

    path: str = Field(min_length=1, description="folder that holds coadd/RRR/BRICK")
