"""Images and spectra of the same galaxies: the simulated ones, and what is estimated from both."""

from collections.abc import Iterator
from typing import Annotated, Literal

from pydantic import Field

from galaxy_lvm.core.config.base import UNIQUE, Contradiction, Section, order, part


class GalaxySpectra(Section):
    """The spectrum beside the image of each galaxy of a dataset of source populations."""

    wavelength_min_angstrom: float = Field(
        3600.0, ge=3000, le=9000, description="first sample, observed, in vacuum"
    )
    wavelength_max_angstrom: float = Field(
        9800.0, ge=4000, le=11000, description="last sample, observed, in vacuum"
    )
    n_samples: int = Field(
        400, ge=20, le=4000, description="samples, at equal steps of the logarithm"
    )
    snr_at_mag_18: float = Field(
        4.0, gt=0, description="median signal-to-noise per sample of a galaxy of r = 18 mag"
    )
    sky_mag: float = Field(
        18.0,
        ge=10,
        le=25,
        description="r of a galaxy that is as bright as the sky in the spectrograph's aperture",
    )

    def contradictions(self) -> Iterator[Contradiction]:
        """Yield an empty range."""
        low, high = self.wavelength_min_angstrom, self.wavelength_max_angstrom
        yield from order("wavelength_min_angstrom", low, "wavelength_max_angstrom", high)


class JointSimulation(Section):
    """Datasets of source populations; the section mock gives depth, seeing and classes."""

    n_galaxies: int = Field(1500, ge=30, description="galaxies to render")
    magnitude_error_mag: float = Field(
        0.03, ge=0, le=1, description="error of the measured magnitudes in g, r and z"
    )
    spectra: GalaxySpectra = part(GalaxySpectra)


class JointEstimates(Section):
    """What is estimated from images, spectra and magnitudes, and how."""

    star_forming_halpha_angstrom: float = Field(
        20.0,
        description=(
            "class star_forming - galaxies with a larger equivalent width of H alpha with [N II]"
        ),
    )
    quadratic_components: Annotated[tuple[Annotated[int, Field(ge=1, le=200)], ...], UNIQUE] = (
        Field(
            (10, 25),
            min_length=1,
            description=(
                "principal components of each input, with squares and products, for ridge "
                "regression; validation chooses"
            ),
        )
    )
    perceptron_components: int = Field(
        60, ge=1, le=1000, description="whitened components of each input for the perceptron"
    )
    perceptron_width: int = Field(128, ge=2, description="its hidden numbers")
    perceptron_epochs: int = Field(
        200, ge=1, description="passes over the galaxies at most; it stops where it learns no more"
    )
    weight_decays: Annotated[tuple[Annotated[float, Field(ge=0)], ...], UNIQUE] = Field(
        (0.01, 1.0), min_length=1, description="of the perceptron; validation chooses"
    )
    n_seeds: int = Field(
        3,
        ge=1,
        le=50,
        description="repetitions, each on another nine tenths of the training galaxies",
    )


class JointVectors(Section):
    """Where the joint vectors of images and spectra take the place of the LVM's features."""

    similar: bool = Field(False, description="search for similar galaxies")
    label_loop: bool = Field(False, description="simulated label loop, and searches in a pool")


class RealCatalogues(Section):
    """Real data for the same regressors; made by the target joint_real alone."""

    catalogues: Annotated[tuple[Literal["photometry", "stars"], ...], UNIQUE] = Field(
        ("photometry", "stars"),
        min_length=1,
        description=(
            "photometry - redshifts of SDSS galaxies; stars - parameters from spectra with "
            "magnitudes beside (section spectra)"
        ),
    )
    photometry_path: str | None = Field(
        None,
        min_length=1,
        description=(
            "gst_tests_small.fits of the package kcorrect 5.1.9, or its wheel (pip download "
            "--no-deps kcorrect==5.1.9)"
        ),
    )
    magnitudes: Annotated[tuple[str, ...], UNIQUE] = Field(
        ("gaiaedr3_phot_g_mean_mag", "j", "h", "k"),
        min_length=2,
        description="columns of the stars' catalogue; neighbouring ones make colours",
    )


class Joint(JointEstimates):
    """Images and spectra of the same galaxies together; target joint."""

    dataset: str = Field(
        "populations", description="dataset of source populations that the target is about"
    )
    encoder: Literal["released", "lvm"] = Field(
        "released",
        description=(
            "what turns images into features - the encoder that comes with the project, or the "
            "run's own LVM"
        ),
    )
    feature_noise: float = Field(
        1.0,
        ge=0,
        le=5,
        description=(
            "noise added to features while they are aligned, in units of their standard deviations"
        ),
    )
    simulated: JointSimulation = part(JointSimulation)
    real: RealCatalogues = part(RealCatalogues)
    vectors: JointVectors = part(JointVectors)
