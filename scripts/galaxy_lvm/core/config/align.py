"""Alignment of two kinds of spectra of the same stars."""

from collections.abc import Iterator
from typing import Annotated, Literal

from pydantic import Field

from galaxy_lvm.core.config.base import UNIQUE, Contradiction, Section, part
from galaxy_lvm.core.config.spectra import SpectrumNoise, SpectrumOptim

Experiment = Literal["ends", "twins"]


class Pairing(Section):
    """Which two spectra of a star make a pair."""

    gap_low_nm: float = Field(
        625.0, gt=0, description="ends - the blue end has the wavelengths below"
    )
    gap_high_nm: float = Field(
        655.0, gt=0, description="ends - the red end has the wavelengths above"
    )
    twin_noise: SpectrumNoise = part(SpectrumNoise)

    def contradictions(self) -> Iterator[Contradiction]:
        """Yield ends that overlap."""
        if self.gap_low_nm > self.gap_high_nm:
            yield "gap_low_nm", f"{self.gap_low_nm} is above gap_high_nm, {self.gap_high_nm}"


class AlignShape(Section):
    """Sizes of the networks on both sides."""

    n_components: int = Field(
        40, ge=1, le=2000, description="principal components that a spectrum is read and made by"
    )
    width: int = Field(256, ge=4, description="numbers of a hidden layer")
    n_shared: int = Field(
        32, ge=2, description="numbers that both spectra of a star are to agree in"
    )
    n_private: int = Field(
        16, ge=0, description="numbers beside, which only rebuild the spectrum that they are from"
    )
    dropout: float = Field(0.1, ge=0, lt=1, description="share of the hidden numbers left out")


class AlignOptim(SpectrumOptim):
    """How the weights of aligned networks are updated."""

    steps: int = Field(800, ge=1, description="number of updates")
    learning_rate: float = Field(0.002, gt=0, le=1, description="peak of the cosine schedule")
    precision: Literal["auto", "float32", "bfloat16"] = Field(
        "auto", description="auto computes in bfloat16 where the device does"
    )


class AlignTraining(Section):
    """How pairs are learned from."""

    shape: AlignShape = part(AlignShape)
    batch_size: int = Field(512, ge=2, description="stars told apart in an update")
    added_noise: float = Field(
        1.0, ge=0, le=3, description="noise added at every view, in units of the spectrum's errors"
    )
    translation_weight: float = Field(
        0.2, ge=0, description="weight of rebuilt and translated spectra beside InfoNCE"
    )
    optim: AlignOptim = part(AlignOptim)


class Binaries(Section):
    """Pairs of test stars whose light is added, as anomalies to be found."""

    n_binaries: int = Field(1000, ge=1, description="how many are made of test stars")
    share_min: float = Field(0.2, gt=0, le=0.5, description="smallest share of the second star")
    share_max: float = Field(0.5, gt=0, le=0.5, description="largest share of the second star")

    def contradictions(self) -> Iterator[Contradiction]:
        """Yield an empty range."""
        if self.share_min > self.share_max:
            yield "share_min", f"{self.share_min} is above share_max, {self.share_max}"


class Align(AlignTraining):
    """Two kinds of spectra of a star in one space; target align."""

    experiments: Annotated[tuple[Experiment, ...], UNIQUE] = Field(
        ("ends", "twins"),
        min_length=1,
        description=(
            "ends - blue and red end of a spectrum; twins - a spectrum on the grid xp and one of "
            "LAMOST simulated from the star's Teff, logg and [Fe/H]"
        ),
    )
    pairing: Pairing = part(Pairing)
    gallery_size: int = Field(1000, ge=2, description="test stars among which a star is searched")
    binaries: Binaries = part(Binaries)
