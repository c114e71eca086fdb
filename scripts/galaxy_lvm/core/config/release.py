"""What is said of an encoder that is given away."""

from pydantic import Field

from galaxy_lvm.core.config.base import Section


class Release(Section):
    """Encoder of the run as a file to give away (target release)."""

    data: str | None = Field(
        None, description="what it was pretrained on, in words; null names the datasets alone"
    )
    licence: str | None = Field(None, description="licence of the images, in words")
    limits: str | None = Field(None, description="what it is not good for, in words")
    max_megabytes: float = Field(
        25.0, gt=0, description="largest file; a larger encoder is refused"
    )
