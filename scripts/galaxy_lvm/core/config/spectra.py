"""Spectra of stars: where they come from, and what is estimated from them."""

from collections.abc import Iterator
from typing import Annotated, Literal

from pydantic import Field

from galaxy_lvm.core.config.base import UNIQUE, Contradiction, Section, order, part
from galaxy_lvm.core.config.training import Optim

Grid = Literal["xp", "lamost"]
SpectrumLabel = Literal[
    "teff", "logg", "fe_h", "alpha_m",
    "c_fe", "n_fe", "o_fe", "na_fe", "mg_fe", "al_fe", "si_fe", "p_fe", "s_fe", "k_fe", "ca_fe",
    "ti_fe", "v_fe", "cr_fe", "mn_fe", "co_fe", "ni_fe", "cu_fe", "ce_fe", "nd_fe",
]  # fmt: skip


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
    redshift_column: str | None = Field(
        None,
        min_length=1,
        description=(
            "column with the redshift (no km/s) that spectra are brought to rest by; null takes "
            "that of the files of LAMOST and SDSS and leaves tables as they are, none moves nothing"
        ),
    )
    min_good_share: float = Field(
        0.8, gt=0, le=1, description="pixels of the grid that a spectrum must have, as a share"
    )


class SpectrumLabels(Section):
    """What is estimated."""

    labels: Annotated[tuple[SpectrumLabel, ...], UNIQUE] = Field(
        ("teff", "logg", "fe_h", "alpha_m"),
        min_length=1,
        description=(
            "columns of the catalogue, teff in K, all others in dex, also 20 abundances from c_fe "
            "to nd_fe; one that it lacks is left out with a note"
        ),
    )
    continuum_angstrom: float | None = Field(
        None,
        ge=0,
        le=1000,
        description=(
            "width of the running mean that spectra are divided by, 0 for none; null takes 50 on "
            "the grid lamost, where simulated spectra have no continuum, and none on xp"
        ),
    )
    n_neighbours: int = Field(10, ge=1, description="neighbours of the floor that averages them")
    n_components: int = Field(
        60, ge=1, le=200, description="principal components of the floor with their products"
    )


class SpectrumSplits(Section):
    """Which stars are learned from and which are asked."""

    val_share: float = Field(0.1, gt=0, lt=0.5, description="stars that choose between settings")
    test_share: float = Field(1 / 3, gt=0, lt=0.9, description="stars that the scores are of")


class LanguageModel(Section):
    """A pretrained language model that reads the digits in place of the own Transformer."""

    path: str | None = Field(
        None,
        min_length=1,
        description=(
            "local folder with config.json, weights and tokenizer, as save_pretrained writes it; "
            "needs pip install '.[language]'"
        ),
    )
    lora_rank: int = Field(8, ge=1, le=1024, description="rank of the adapters (LoRA)")
    lora_alpha: float = Field(16.0, gt=0, description="adapters count lora_alpha / lora_rank times")
    lora_dropout: float = Field(0.0, ge=0, lt=1, description="share of their inputs left out")
    precision: Literal["float32", "bfloat16"] = Field(
        "float32", description="of the language model's own weights, which stay as they are"
    )
    gradient_checkpointing: bool = Field(
        False, description="less memory for a third more time; for models of many layers"
    )


class TransformerShape(Section):
    """The network that reads spectra: tokens and sizes."""

    tokens: Literal["patches", "digits"] = Field(
        "patches",
        description=(
            "how numbers are read - continuous patches of samples, or their decimal digits as "
            "words of a vocabulary"
        ),
    )
    n_digits: int = Field(4, ge=1, le=6, description="digits of a number; tokens: digits only")
    language_model: LanguageModel = part(LanguageModel)
    patch_pix: int = Field(
        14, ge=1, le=200, description="samples of one token; a language model reads their mean"
    )
    width: int = Field(64, ge=8, description="numbers of a token, a multiple of n_heads")
    depth: int = Field(2, ge=1, le=24, description="layers")
    n_heads: int = Field(4, ge=1, description="heads of the self-attention")
    n_components: int = Field(
        60,
        ge=0,
        le=2000,
        description=(
            "principal components that are brought to equal size before a spectrum is read; 0 "
            "reads standardised pixels"
        ),
    )
    dropout: float = Field(
        0.0, ge=0, lt=1, description="share of the numbers inside that a training leaves out"
    )

    def contradictions(self) -> Iterator[Contradiction]:
        """Yield heads that cannot share the width, and a language model without digits."""
        if self.width % self.n_heads:
            yield "width", f"{self.width} is no multiple of n_heads, {self.n_heads}"
        if self.language_model.path is not None and self.tokens != "digits":
            yield "tokens", f"{self.tokens!r}, but a language_model reads 'digits'"


class SpectrumOptim(Optim):
    """How the weights of the spectra's Transformer are updated."""

    steps: int = Field(400, ge=1, description="number of updates")
    learning_rate: float = Field(0.002, gt=0, le=1, description="peak of the cosine schedule")
    weight_decay: float = Field(0.01, ge=0, le=1, description="adamw only")
    precision: Literal["auto", "float32", "bfloat16"] = Field(
        "float32",
        description=(
            "of the computation; auto is bfloat16 where the device has it, which takes twice as "
            "long for a network as narrow as the default one on a CPU"
        ),
    )


class SpectrumPretraining(Section):
    """Stage 1, on simulated stars, new ones at every update."""

    shape: TransformerShape = part(TransformerShape)
    batch_size: int = Field(128, ge=1, description="stars of an update, over all GPUs")
    optim: SpectrumOptim = part(SpectrumOptim)


class Finetuning(Section):
    """Stage 2, on stars with good labels."""

    batch_size: int = Field(128, ge=1, description="stars of an update, over all GPUs")
    n_members: int = Field(
        3, ge=1, le=20, description="trainings of the same stars whose predictions are averaged"
    )
    added_noise: float = Field(
        1.0, ge=0, le=3, description="noise added at every view, in units of the spectrum's errors"
    )
    optim: SpectrumOptim = part(SpectrumOptim)


class Scaling(Section):
    """Error against the number of training stars; made by the target scaling alone."""

    n_stars: Annotated[tuple[Annotated[int, Field(ge=10)], ...], UNIQUE] = Field(
        (100, 200, 400, 800, 1600),
        min_length=4,
        description="training stars, each number's among the next one's; a curve has three numbers",
    )
    steps: int = Field(600, ge=1, description="updates of each training, instead of finetune's")
    n_resamples: int = Field(200, ge=20, description="of the test stars, for the intervals")


class SpectrumMethods(SpectrumSplits, SpectrumLabels):
    """What the estimates depend on beside the spectra."""

    finetune: Finetuning = part(Finetuning)


class Spectra(SpectrumMethods):
    """Stellar parameters from spectra (after Lu et al. 2026); target spectra."""

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
    pretrain: SpectrumPretraining = part(SpectrumPretraining)
    scaling: Scaling = part(Scaling)

    def contradictions(self) -> Iterator[Contradiction]:
        """Yield files that are asked for and not named, and splits that leave nothing."""
        if self.source == "files" and self.files.path is None:
            yield "files.path", "needed by source 'files'"
        if self.val_share + self.test_share >= 0.95:
            yield "test_share", "with val_share leaves under 5 % of the stars to learn from"
