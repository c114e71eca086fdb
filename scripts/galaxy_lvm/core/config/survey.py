"""Where galaxies come from: the simulated survey, files, the cutout service; crops and splits."""

import math
from collections.abc import Iterator
from typing import Literal
from urllib.parse import urlparse

from pydantic import Field

from galaxy_lvm.core.config.base import Contradiction, Section, part


class ClassFractions(Section):
    """Share of each class; scaled to unit sum."""

    elliptical: float = Field(0.25, ge=0, description="share of ellipticals")
    edge_on: float = Field(0.25, ge=0, description="share of edge-on discs")
    spiral: float = Field(0.25, ge=0, description="share of spirals")
    other: float = Field(0.25, ge=0, description="share of irregulars and mergers")


class MockSky(Section):
    """Depth, seeing and what else is in the sky of simulated images."""

    depth_mag_g: float = Field(24.7, ge=15, le=32, description="5-sigma point-source depth in g")
    depth_mag_r: float = Field(23.9, ge=15, le=32, description="5-sigma point-source depth in r")
    depth_mag_z: float = Field(23.0, ge=15, le=32, description="5-sigma point-source depth in z")
    psf_fwhm_arcsec_g: float = Field(1.3, ge=0.6, le=4, description="median seeing in g")
    psf_fwhm_arcsec_r: float = Field(1.2, ge=0.6, le=4, description="median seeing in r")
    psf_fwhm_arcsec_z: float = Field(1.1, ge=0.6, le=4, description="median seeing in z")
    psf_moffat_beta: float = Field(3.0, ge=2, le=8, description="slope of the PSF's wings")
    neighbour_density_per_arcmin2: float = Field(
        20.0, ge=0, le=200, description="galaxies around the central one"
    )
    star_density_per_arcmin2: float = Field(2.5, ge=0, le=200, description="foreground stars")
    barred_fraction: float = Field(0.35, ge=0, le=1, description="share of the spirals with a bar")


class Mock(MockSky):
    """Embedded simulated survey (source 'mock')."""

    n_galaxies: int = Field(2000, ge=1, description="galaxies to render")
    class_fractions: ClassFractions = part(ClassFractions)
    distant_red_share: float = Field(
        0.0,
        ge=0,
        le=1,
        description=(
            "share of the ellipticals that are distant massive red galaxies like those in front "
            "of lenses"
        ),
    )
    n_lenses: int = Field(0, ge=0, description="ellipticals that are strong lenses")

    def contradictions(self) -> Iterator[Contradiction]:
        """Yield shares and lenses that the survey cannot hold."""
        shares = self.class_fractions
        total = shares.elliptical + shares.edge_on + shares.spiral + shares.other
        if total <= 0:
            yield "class_fractions", "the shares are all 0"
            return
        n_elliptical = math.ceil(self.n_galaxies * shares.elliptical / total)
        if self.n_lenses > n_elliptical:
            yield (
                "n_lenses",
                f"{self.n_lenses} lenses among about {n_elliptical} ellipticals; "
                "raise mock.n_galaxies or mock.class_fractions.elliptical",
            )


class FileReading(Section):
    """What is known of image files where they do not say it themselves."""

    picture_white_level: int | None = Field(
        None,
        ge=255,
        le=65535,
        description=(
            "value of white in pictures of 16 bits a channel, 4095 for data of 12 bits; null takes "
            "65535 and rejects pictures that stay below 16384 (14 bits)"
        ),
    )
    max_picture_megapixels: float = Field(
        178.0, gt=0, le=2000, description="larger JPEG and PNG pictures are rejected"
    )
    fits_extension: int | str | None = Field(
        None,
        description=(
            "FITS - number or name of the extension with the fluxes, which is then taken whatever "
            "its name, unit and values are; null finds it by these, and rejects files where they "
            "leave it open"
        ),
    )
    fits_bands: str | None = Field(
        None,
        pattern="^([ugrizyY]{2,}|[A-Za-z0-9_]+(,[A-Za-z0-9_]+)+)$",
        description=(
            "FITS - bands of the planes in their order, such as zrg or W1,W2, whatever the header "
            "says; null asks the header (BANDS, BANDn, FILTERn), and takes those of the survey "
            "(g, r, z) where it is silent"
        ),
    )
    fits_checksums: bool = Field(
        True,
        description=(
            "FITS - reject files whose CHECKSUM or DATASUM does not agree; false for those of "
            "programs that copy these cards and leave them as they were"
        ),
    )


class Folder(FileReading):
    """A user's own images (source 'folder')."""

    id_column: str = Field("id", description="column with a unique name per galaxy")
    file_column: str = Field(
        "file", description="column with the image's path relative to the folder"
    )
    label_column: str = Field("label", description="column with the class; empty cells have none")
    second_label_column: str | None = Field(
        None,
        min_length=1,
        description=(
            "column with another judgement of the classes in the table of tasks_dataset: Table 1 "
            "also scores against it, nothing is trained, split or chosen by it"
        ),
    )
    image_side_pix: int | None = Field(
        None, ge=32, le=2048, description="side of the stored colour frames; null takes the median"
    )
    max_image_side_pix: int = Field(
        424, ge=32, description="largest side of the stored colour frames"
    )
    flux_unit: Literal["per_native_pixel", "per_own_pixel"] = Field(
        "per_native_pixel",
        description=(
            "FITS - values are nanomaggies per pixel of the survey (0.262 arcsec) whatever the "
            "scale of the file, as the cutout service gives them (per_native_pixel), or per pixel "
            "of the file (per_own_pixel)"
        ),
    )
    pixel_scale_arcsec: float | None = Field(
        None, gt=0, description="FITS without a WCS - pixel scale; null rejects such files"
    )
    max_pixel_scale_arcsec: float = Field(
        0.6, gt=0, description="FITS with coarser pixels are rejected"
    )
    max_bad_fraction: float = Field(
        0.1, ge=0, le=1, description="images with a larger share of bad pixels are rejected"
    )
    zero_is_missing: bool = Field(True, description="FITS pixels of exactly 0 count as bad")
    shard_images: int = Field(
        100_000,
        ge=1,
        description=(
            "images to a file; larger tables are imported shard by shard, and go on behind the "
            "last complete one"
        ),
    )


class Crop(Section):
    """Adaptive crop (paper II.B)."""

    side_pix: int = Field(128, ge=32, le=512, description="side of the crops")
    margin: float = Field(
        1.2, ge=1, le=5, description="side of the box in units of the galaxy's extent"
    )
    threshold_sigma: float = Field(
        3.0, gt=0, le=50, description="grey level above the sky that belongs to a galaxy"
    )
    min_side_pix: int = Field(24, ge=8, le=4096, description="smallest box")
    max_fraction: float = Field(
        1.0, ge=0.05, le=1, description="largest box as a fraction of the frame"
    )
    default_fraction: float = Field(
        0.4, ge=0.05, le=1, description="box as a fraction of the frame where no galaxy is found"
    )
    centre_fraction: float = Field(
        0.08,
        ge=0.005,
        le=0.45,
        description="how far from the centre the galaxy may lie as a fraction of the frame",
    )
    neighbour_growth: float = Field(
        1.6, ge=1, le=10, description="growth of the box at which a touching neighbour is cut off"
    )
    max_bad_fraction: float = Field(
        0.1, ge=0, le=1, description="cutouts with a larger share of missing pixels are rejected"
    )
    zero_is_missing: bool = Field(
        True, description="FITS-based pixels of exactly 0 count as missing"
    )


class Splits(Section):
    """Splits by galaxy."""

    column: str | None = Field(
        "split",
        min_length=1,
        description=(
            "column of a table that gives train, val or test (or unused), where the table has it; "
            "galaxies without a value are divided over the sets that it names nowhere, and train; "
            "null passes the column over"
        ),
    )
    train: float = Field(0.7, gt=0, le=1, description="share of each class")
    val: float = Field(0.1, gt=0, le=1, description="share of each class")
    test: float = Field(0.2, gt=0, le=1, description="share of each class")
    n_train_per_class: int | None = Field(
        None, ge=1, description="cap; what is above it is left unused (paper - 500)"
    )
    n_test_per_class: int | None = Field(
        None,
        ge=1,
        description=(
            "cap; what is above it is left unused (paper - 250); a given test set stays whole"
        ),
    )
    min_per_class: int = Field(
        10,
        ge=3,
        description="classes with fewer galaxies, copies counted once, are left out and listed",
    )
    duplicate_arcsec: float = Field(
        3.0, ge=0, le=60, description="galaxies closer than this on the sky are one"
    )

    def contradictions(self) -> Iterator[Contradiction]:
        """Yield shares whose sum is not 1."""
        total = self.train + self.val + self.test
        if abs(total - 1) > 1e-6:
            yield "", f"train + val + test is {total:g}, expected 1"


# What the public service is asked at most; a mirror of one's own has no such limit.
PUBLIC_LIMITS = {"n_workers": 16, "requests_per_second": 20}


class Service(Section):
    """Cutout service of the DESI Legacy Imaging Surveys, for datasets and lens candidates."""

    base_url: str = Field(
        "https://www.legacysurvey.org/viewer/fits-cutout",
        pattern="^https?://",
        description="address of the service",
    )
    layer: str = Field("ls-dr9", min_length=1, description="release as the service calls it")
    n_workers: int = Field(
        4,
        ge=1,
        le=256,
        description="requests under way at a time; at most 16 at legacysurvey.org",
    )
    requests_per_second: float = Field(
        2.0,
        gt=0,
        description="limit over all workers; at most 20 at legacysurvey.org, not at your mirror",
    )
    n_tries: int = Field(6, ge=1, description="requests for one position before it is given up")
    timeout_s: float = Field(60.0, gt=0, description="longest silence of the service")
    first_wait_s: float = Field(1.0, ge=0, description="pause after a failure; doubled each time")
    max_wait_s: float = Field(120.0, ge=0, description="longest pause")
    max_bad_fraction: float = Field(
        0.1, ge=0, le=1, description="cutouts with a larger share of missing pixels are rejected"
    )
    max_failed_share: float = Field(
        0.02, ge=0, le=1, description="the download stops where more positions got no answer"
    )
    shard_galaxies: int = Field(
        100_000,
        ge=1,
        description=(
            "positions to a file; larger tables are downloaded shard by shard, and a complete one "
            "leaves the cache"
        ),
    )

    def contradictions(self) -> Iterator[Contradiction]:
        """Yield what is too much for the public service."""
        host = urlparse(self.base_url).hostname or ""
        if host == "legacysurvey.org" or host.endswith(".legacysurvey.org"):
            for key, value in PUBLIC_LIMITS.items():
                if getattr(self, key) > value:
                    yield key, f"{getattr(self, key):g} is above {value}, the most for {host}"
