"""Spectra of stars: where they come from, and what is estimated from them."""

from collections.abc import Iterator
from typing import Annotated, Literal

from pydantic import Field

from galaxy_lvm.core.config.base import UNIQUE, Contradiction, Section, order, part

Grid = Literal["xp", "lamost"]


class SpectrumNoise(Section):
    """What stands between a simulated star and its spectrum."""

    snr_min: float = Field(20.0, gt=0, description="smallest median signal-to-noise per pixel")
    snr_max: float = Field(280.0, gt=0, description="largest one; drawn evenly in the logarithm")
    extinction_mean_mag: float = Field(
        1.0, ge=0, le=20, description="mean A_V of an exponential distribution; 0 leaves it out"
    )

    def contradictions(self) -> Iterator[Contradiction]:
        """Yield an empty range."""
        yield from order("snr_min", self.snr_min, "snr_max", self.snr_max)


class SimulatedSpectra(SpectrumNoise):
    """The embedded stars."""

    n_stars: int = Field(3000, ge=30, description="stars with a spectrum and good labels")


class SpectrumFiles(Section):
    """How the user's spectra are read."""

    path: str | None = Field(
        None,
        min_length=1,
        description=(
            "table with arrays of fluxes (HDF5, npz, FITS, VOTable) or folder of LAMOST and SDSS "
            "FITS files"
        ),
    )
    id_column: str | None = Field(
        None,
        description=(
            "column that names the star, so that its spectra stay on one side of a split; null "
            "takes the first of source_id, gaiaedr3_source_id, id"
        ),
    )
    unit: Literal["auto", "angstrom", "nm", "micron"] = Field(
        "auto",
        description="of the wavelengths; auto takes the file's word for it, or their size",
    )
    medium: Literal["auto", "vacuum", "air"] = Field(
        "auto",
        description="of the wavelengths; auto takes the file's word for it, else vacuum",
    )
    min_good_share: float = Field(
        0.8, gt=0, le=1, description="pixels of the grid that a spectrum must have, as a share"
    )


class SpectrumLabels(Section):
    """What is estimated."""

    labels: Annotated[tuple[Literal["teff", "logg", "fe_h", "alpha_m"], ...], UNIQUE] = Field(
        ("teff", "logg", "fe_h", "alpha_m"),
        min_length=1,
        description="columns of the catalogue; one that it lacks is left out with a note",
    )
    n_neighbours: int = Field(10, ge=1, description="neighbours of the floor that averages them")
    n_components: int = Field(
        60, ge=1, le=200, description="principal components of the floor with their products"
    )


class SpectrumSplits(Section):
    """Which stars are learned from and which are asked."""

    val_share: float = Field(0.1, gt=0, lt=0.5, description="stars that choose between settings")
    test_share: float = Field(1 / 3, gt=0, lt=0.9, description="stars that the scores are of")


class SpectrumMethods(SpectrumSplits, SpectrumLabels):
    """What the estimates depend on beside the spectra."""


class Spectra(SpectrumMethods):
    """Stellar parameters from spectra (after Lu et al. 2026); made by the target spectra alone."""

    source: Literal["simulated", "files"] = Field(
        "simulated",
        description="simulated by the embedded emulator, or files of spectra and labels",
    )
    grid: Grid = Field(
        "xp",
        description=(
            "wavelengths of all spectra - xp (336 to 1020 nm, 343 samples of Gaia) or lamost (4000 "
            "to 5600 Angstrom, 1462 pixels); others are interpolated"
        ),
    )
    simulated: SimulatedSpectra = part(SimulatedSpectra)
    files: SpectrumFiles = part(SpectrumFiles)

    def contradictions(self) -> Iterator[Contradiction]:
        """Yield files that are asked for and not named, and splits that leave nothing."""
        if self.source == "files" and self.files.path is None:
            yield "files.path", "needed by source 'files'"
        if self.val_share + self.test_share >= 0.95:
            yield "test_share", "with val_share leaves under 5 % of the stars to learn from"
