"""The search for lenses in new images: what they are, how they are cut, what is looked for."""

from collections.abc import Iterator
from typing import Literal

from pydantic import Field

from galaxy_lvm.core.config.base import Contradiction, Section
from galaxy_lvm.core.config.survey import FileReading


class ImageReading(FileReading):
    """What is known of images beyond their files."""

    pixel_scale_arcsec: float | None = Field(
        None,
        gt=0,
        description=(
            "pixel scale of JPEG and PNG images and of FITS without a WCS; null refuses them"
        ),
    )
    max_pixel_scale_arcsec: float = Field(
        0.6, gt=0, description="images with coarser pixels are rejected"
    )
    flux_unit: Literal["per_native_pixel", "per_own_pixel"] = Field(
        "per_native_pixel", description="FITS - see folder.flux_unit"
    )


class Tiles(Section):
    """How large images are cut for a detector."""

    tile_side_pix: int = Field(
        160,
        ge=64,
        le=2048,
        multiple_of=32,
        description=(
            "side of the tiles that larger images are cut into; best that of the training fields"
        ),
    )
    overlap_pix: int = Field(
        64,
        ge=0,
        description="overlap of the tiles; lenses up to this size are whole in one of them",
    )
    batch_size: int = Field(8, ge=1, description="tiles that the detector takes at a time")

    def contradictions(self) -> Iterator[Contradiction]:
        """Yield tiles that do not advance."""
        if self.overlap_pix > self.tile_side_pix // 2:
            half = self.tile_side_pix // 2
            yield "overlap_pix", f"{self.overlap_pix} is above half of tile_side_pix, {half}"


class Search(Tiles, ImageReading):
    """Search for lenses in new images (detect_lenses); needs images or positions."""

    images: str | None = Field(
        None, description="folder of FITS, JPEG or PNG images; null searches none"
    )
    positions: str | None = Field(
        None,
        description=(
            "table with ra and dec in degrees whose cutouts are fetched and searched; null "
            "searches none"
        ),
    )
    backbone: str = Field("lvm", description="detector to search with; one of detector.backbones")
    score_threshold: float | None = Field(
        None,
        ge=0,
        le=1,
        description="smallest score; null takes what the evaluation chose on the validation fields",
    )
    side_pix: int = Field(
        160,
        ge=64,
        le=2048,
        description="side of the cutouts around positions at 0.262 arcsec per pixel",
    )
    n_gallery: int = Field(40, ge=1, description="detections in the gallery; the best ones")

    def contradictions(self) -> Iterator[Contradiction]:
        """Yield two things to search at once, and tiles that do not advance."""
        yield from super().contradictions()
        if self.images and self.positions:
            yield "", "give images or positions, not both"
