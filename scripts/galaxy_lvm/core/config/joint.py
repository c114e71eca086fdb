"""Images and spectra of the same galaxies: the simulated ones, and what is estimated from both."""

from collections.abc import Iterator
from typing import Literal

from pydantic import Field

from galaxy_lvm.core.config.base import Contradiction, Section, order, part


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
    spectra: GalaxySpectra = part(GalaxySpectra)


class Joint(Section):
    """Images and spectra of the same galaxies together; made by the target joint alone."""

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
    simulated: JointSimulation = part(JointSimulation)
