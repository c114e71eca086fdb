"""The network, how it is trained, and what it sees."""

from collections.abc import Iterator
from typing import Annotated, Literal

from pydantic import Field

from galaxy_lvm.core.config.base import UNIQUE, Contradiction, Section, order, part

Objective = Literal[
    "reconstruct", "masked", "contrastive", "hybrid", "momentum", "byol", "vicreg", "distilled"
]


class LvmShape(Section):
    """What the large vision model is built of."""

    preset: Literal["lvm_base", "lvm_tiny", "lvm_micro"] = Field(
        "lvm_tiny",
        description=(
            "lvm_base is the paper's (100 M weights), lvm_tiny for two CPU cores, lvm_micro for "
            "tests"
        ),
    )
    embed_dim: int | None = Field(
        None, ge=8, description="channels after the patch embedding; null keeps the preset's"
    )
    depths: tuple[Annotated[int, Field(ge=1)], ...] | None = Field(
        None,
        min_length=2,
        max_length=5,
        description="Swin layers of each encoder stage; null keeps the preset's",
    )
    head_dim: int | None = Field(
        None, ge=4, description="channels of one attention head; null keeps the preset's"
    )
    window: int | None = Field(
        None, ge=2, description="side of an attention window in tokens; null keeps the preset's"
    )
    image_side_pix: int | None = Field(
        None, ge=32, description="nominal image side; null keeps the preset's 128"
    )
    conv: Literal["none", "stage", "block", "layer"] | None = Field(
        None,
        description=(
            "3 x 3 convolutions in a stage - none, one depthwise per stage, a full one per pair "
            "of layers (block) or per layer; null keeps the preset's"
        ),
    )
    norm: Literal["layer", "batch"] | None = Field(
        None,
        description=(
            "normalisation of the encoder's convolutions - layer (per token) or batch (with "
            "statistics for each kind of image); null keeps the preset's"
        ),
    )
    pooling: Literal["mean", "mean_std", "stages", "attention"] | None = Field(
        None,
        description=(
            "what a galaxy's feature vector keeps of the encoder's maps - the mean over the "
            "coarsest (the paper's), mean and standard deviation over it (mean_std) or over every "
            "stage's map (stages), or a learned weighting of its places (attention); null keeps "
            "the preset's"
        ),
    )
    skip_connections: bool = Field(
        True,
        description=(
            "whether the LVM's decoder sees the encoder's finer maps and the image (the paper's "
            "U-Net) while pretraining"
        ),
    )

    @property
    def coarsest_pix(self) -> int:
        """Side of the coarsest token in pixels; images are a multiple of it."""
        n_stages = len(self.depths) if self.depths else 3 if self.preset == "lvm_micro" else 4
        return 4 * 2 ** (n_stages - 1)


class Lvm(LvmShape):
    """Shape of the large vision model (paper II.A), or weights that it is taken from."""

    weights: str | None = Field(
        None,
        min_length=1,
        description=(
            "weights to take instead of pretraining - released, or the path of a .safetensors with "
            "its card beside it, which says the shape; null pretrains"
        ),
    )


class Views(Section):
    """Random views (flips, rotations, crops, levels); galaxies have no preferred direction."""

    zoom_min: float = Field(0.85, gt=0, le=4, description="smallest magnification")
    zoom_max: float = Field(1.25, gt=0, le=8, description="largest magnification")
    shift: float = Field(0.08, ge=0, le=0.5, description="largest shift as a fraction of the side")
    stretch: float = Field(
        0.05, ge=0, le=0.5, description="largest relative change of the axis ratio"
    )
    brightness: float = Field(0.2, ge=0, le=1, description="largest relative change of brightness")
    colour: float = Field(0.1, ge=0, le=1, description="largest relative change of one channel")
    contrast: float = Field(
        0.0, ge=0, le=0.9, description="largest change of the exponent of the grey levels"
    )
    noise_sigma: float = Field(
        0.02, ge=0, le=0.5, description="largest sigma of added noise, grey levels in [0, 1]"
    )
    blur_fwhm_max_pix: float = Field(
        0.0, ge=0, le=10, description="largest FWHM of an extra blur in pixels of the view"
    )

    def contradictions(self) -> Iterator[Contradiction]:
        """Yield an empty range."""
        yield from order("zoom_min", self.zoom_min, "zoom_max", self.zoom_max)


class Optim(Section):
    """How weights are updated."""

    steps: int = Field(300, ge=1, description="number of updates")
    learning_rate: float = Field(0.001, gt=0, le=1, description="peak of the cosine schedule")
    head_factor: float = Field(
        1.0,
        gt=0,
        le=100,
        description="multitask - factor on the learning rate of the heads that start from nothing",
    )
    optimizer: Literal["adam", "adamw"] = Field("adamw", description="adam is the paper's")
    weight_decay: float = Field(0.05, ge=0, le=1, description="adamw only")
    warmup_fraction: float = Field(
        0.05, ge=0, le=1, description="share of the steps with a rising learning rate"
    )
    ema_decay: float = Field(
        0.0,
        ge=0,
        lt=1,
        description=(
            "decay of the running average of the weights that is kept; 0 keeps the last ones"
        ),
    )
    clip_norm: float = Field(1.0, ge=0, description="largest norm of the gradient; 0 sets no limit")
    precision: Literal["auto", "float32", "bfloat16"] = Field(
        "auto", description="auto computes in bfloat16 where the device does"
    )
    compile: bool = Field(False, description="compile the network (long runs on a GPU)")
    checkpoint_seconds: float = Field(60.0, gt=0, description="time between checkpoints")

    def contradictions(self) -> Iterator[Contradiction]:
        """Yield a decay that the optimiser does not know."""
        if self.optimizer == "adam" and self.weight_decay:
            yield "weight_decay", f"{self.weight_decay} needs optimizer 'adamw'; 0?"


class Teacher(Section):
    """Network whose vectors the objective distilled hands on."""

    model: str = Field(
        "timm:tf_efficientnet_lite0", pattern="^timm:.", description="any model of timm"
    )
    weights: str = Field(
        "imagenet",
        min_length=1,
        description=(
            "imagenet (from a package on this machine, or downloaded), or the path of a weights "
            "file"
        ),
    )
    view_side_pix: int = Field(128, ge=16, description="side to which crops are resized for it")
    pooling: Literal["mean", "mean_std", "stages"] | None = Field(
        "stages",
        description=(
            "what is kept of its last four maps (see lvm.pooling); null takes the vector in front "
            "of the classes"
        ),
    )
    n_orientations: int = Field(
        1, ge=1, le=8, description="orientations over which its vectors are averaged"
    )
    n_components: int = Field(
        128, ge=1, description="principal components of its vectors that are taught"
    )
    contrast_weight: float = Field(
        1.0, ge=0, description="weight of the contrastive loss beside it; 0 teaches alone"
    )


class Pretraining(Section):
    """One pretraining without labels."""

    objective: Objective = Field(
        "reconstruct",
        description=(
            "reconstruct (the paper's), masked (hidden squares filled in), contrastive (NT-Xent), "
            "hybrid (masked and contrastive), momentum (contrast with an averaged network, MoCo), "
            "byol (an averaged network predicted, without contrast), vicreg (equal views, "
            "independent numbers), or distilled (a teacher's vectors beside the contrast)"
        ),
    )
    start: str | None = Field(
        None,
        min_length=1,
        description=(
            "weights that the encoder starts from - released, or the path of a .safetensors with "
            "its card beside it, of the shape that lvm says; null starts from random numbers"
        ),
    )
    batch_size: int = Field(128, ge=2, description="galaxies per step, over all GPUs")
    accumulate: int = Field(
        1,
        ge=1,
        description=(
            "parts that each GPU computes its share of a step's gradient in, one after the other, "
            "where the share does not fit into its memory; the result is that of so many more GPUs"
        ),
    )
    recompute: bool = Field(
        False,
        description=(
            "keep one map per Swin layer for the backward pass and compute the rest again "
            "(gradient checkpointing); less memory for more time, same result"
        ),
    )
    view_side_pix: int = Field(
        64,
        ge=16,
        description="side of the views that the network sees; a multiple of its coarsest token",
    )
    final_view_side_pix: int | None = Field(
        None,
        ge=16,
        description=(
            "side of the views in the last steps; a larger one than before fits the encoder to "
            "the side that features are read at; null keeps view_side_pix"
        ),
    )
    final_fraction: float = Field(
        0.1, gt=0, le=1, description="share of the steps on views of final_view_side_pix"
    )
    mask_fraction: float = Field(
        0.6, gt=0, lt=1, description="masked - share of squares that is hidden"
    )
    mask_patch_pix: int = Field(8, ge=2, description="masked - side of a hidden square")
    mask_weight: float = Field(
        10.0, ge=0, description="hybrid - weight of the squared error over hidden pixels"
    )
    temperature: float = Field(
        0.2,
        gt=0,
        description=(
            "contrastive, hybrid, momentum, distilled - softmax temperature on cosine similarities"
        ),
    )
    target_decay: float = Field(
        0.99, ge=0, lt=1, description="momentum, byol - decay of the averaged network"
    )
    queue_size: int = Field(
        0,
        ge=0,
        description="momentum - vectors of earlier steps that galaxies are told apart from too",
    )
    teacher: Teacher = part(Teacher)
    views: Views = part(Views)
    optim: Optim = part(Optim)

    def contradictions(self) -> Iterator[Contradiction]:
        """Yield parts of a step where an average moves with every part."""
        if self.accumulate > 1 and self.objective in ("momentum", "byol"):
            yield "accumulate", f"{self.accumulate} does not go with {self.objective!r}; 1?"

    @property
    def last_side_pix(self) -> int:
        """Side of the views in the last steps."""
        return self.final_view_side_pix or self.view_side_pix

    def side_at(self, step: int) -> int:
        """Return the side of the views of a step."""
        is_final = step >= (1 - self.final_fraction) * self.optim.steps
        return self.last_side_pix if is_final else self.view_side_pix


class Pretrain(Pretraining):
    """Pretraining without labels (paper II.B)."""

    compare: Annotated[
        tuple[
            Literal[
                "reconstruct_skips",
                "reconstruct_noskips",
                "masked_skips",
                "masked_noskips",
                "contrastive_noskips",
                "hybrid_noskips",
                "momentum_noskips",
                "byol_noskips",
                "vicreg_noskips",
                "distilled_noskips",
            ],
            ...,
        ],
        UNIQUE,
    ] = Field(
        (),
        description=(
            "objectives to compare with the one in use, by frozen features; with skip connections"
            " where named so"
        ),
    )


class NetworkTraining(Section):
    """How a network learns classes; the defaults are those of Table 1."""

    batch_size: int = Field(32, ge=2, description="galaxies per step")
    min_epochs: float = Field(
        14.0,
        ge=0,
        description=(
            "how often a network sees every galaxy at least; the steps are optim.steps or more "
            "for it"
        ),
    )
    validate_every_fraction: float = Field(
        0.1,
        gt=0,
        le=1,
        description="share of the steps between validations; the best one's weights are kept",
    )
    learning_rates: tuple[Annotated[float, Field(gt=0, le=1)], ...] = Field(
        (0.001,),
        min_length=1,
        description="networks from scratch - peaks to choose from on validation",
    )
    finetune_learning_rates: tuple[Annotated[float, Field(gt=0, le=1)], ...] = Field(
        (0.0001,),
        min_length=1,
        description="pretrained networks - peaks to choose from on validation",
    )
    dropout: float = Field(
        0.2,
        ge=0,
        lt=1,
        description="share of the features left out in training before a network's last layer",
    )
    optim: Optim = part(Optim)
