"""Datasets by name: where their galaxies come from."""

from collections.abc import Iterator
from typing import Literal

from pydantic import Field

from galaxy_lvm.core.config.base import Contradiction, Section, Sparse, part
from galaxy_lvm.core.config.sky_survey import OwnSurvey


def is_pattern(path: str) -> bool:
    """Return whether a path stands for several files."""
    return "*" in path or "?" in path


class DatasetCrop(Sparse):
    """What differs from the section crop for a dataset."""

    side_pix: int | None = Field(None, ge=32, le=512, description="side of the crops")
    min_side_pix: int | None = Field(
        None,
        ge=8,
        le=4096,
        description="smallest box; the side of the frames takes them whole",
    )


Source = Literal["mock", "populations", "folder", "legacysurvey", "bricks", "ssl_legacysurvey"]
# Sources whose images may be of another survey than the Legacy Surveys.
_WITH_SURVEY = ("folder", "legacysurvey", "bricks")


class Dataset(Section):
    """A set of galaxies by the name that the rest of the config calls it."""

    source: Source = Field(
        description=(
            "where the cutouts come from; populations is the simulated survey again, with a "
            "mixture of stellar populations and a spectrum for every galaxy (section joint)"
        )
    )
    data_dir: str | None = Field(
        None,
        description=(
            "sources 'folder', 'legacysurvey', 'bricks' - folder with the table (and the images)"
        ),
    )
    table: str = Field(
        "labels.csv",
        description=(
            "sources 'folder', 'legacysurvey', 'bricks' - table inside data_dir, or a path of its "
            "own; for the last two with ra and dec in degrees"
        ),
    )
    label_column: str | None = Field(
        None,
        description=(
            "source 'folder' - column with the class where it is another than "
            "folder.label_column; '' reads no class, for datasets that only serve for pretraining"
        ),
    )
    side_pix: int = Field(
        152,
        ge=64,
        le=512,
        description="sources 'legacysurvey' and 'bricks' - side of the cutouts",
    )
    bricks: str | None = Field(
        None,
        description=(
            "source 'bricks' - folder of a release with its coadded bricks, coadd/RRR/BRICK/"
            "legacysurvey-BRICK-image-g.fits.fz and so on"
        ),
    )
    survey: OwnSurvey = part(OwnSurvey)
    path: str | None = Field(
        None,
        description=(
            "source 'ssl_legacysurvey' - HDF5 file, read in place; or a pattern such as "
            "data/images/*/*.h5 for several, the dataset's shards in the order of their paths"
        ),
    )
    n_shards: int | None = Field(
        None,
        ge=1,
        description=(
            "how many files the pattern of path has to find: with others the dataset is not used; "
            "null takes those that are there"
        ),
    )
    on_damaged_shard: Literal["stop", "leave_out"] = Field(
        "stop",
        description=(
            "a dataset in several files - stop where one is damaged or missing; or leave it out, "
            "name it in rejected_crop.csv, and go on with the others"
        ),
    )
    crop: DatasetCrop = part(DatasetCrop)
    classes: str | None = Field(
        None,
        description=(
            "scheme of class_schemes that defines the classes by catalogue columns; null takes "
            "the labels as they are"
        ),
    )

    def contradictions(self) -> Iterator[Contradiction]:
        """Yield what a source lacks."""
        if self.source == "ssl_legacysurvey" and not self.path:
            yield "path", "needed by source 'ssl_legacysurvey' (an HDF5 file)"
        if self.survey.model_dump(exclude_defaults=True) and self.source not in _WITH_SURVEY:
            yield (
                "survey",
                f"images of source {self.source!r} are g, r, z at 0.262 arcsec per pixel",
            )
        if self.survey.layer and self.source in ("folder", "bricks"):
            yield "survey.layer", "files have no layer of the cutout service; give survey.bands"
        if self.source == "bricks" and not self.bricks:
            yield "bricks", "needed by source 'bricks' (the folder that holds coadd)"
        if self.n_shards and not (self.path and is_pattern(self.path)):
            yield (
                "n_shards",
                f"path is one file, {self.path!r}; give a pattern such as *.h5, or null",
            )
