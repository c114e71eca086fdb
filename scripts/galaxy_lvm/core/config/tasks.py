"""The three tasks on one encoder, and what is compared with them in Tables 1 to 4."""

from collections.abc import Iterator
from typing import Annotated, Literal

from pydantic import Field

from galaxy_lvm.core.config.base import UNIQUE, Contradiction, Section, order, part
from galaxy_lvm.core.config.training import NetworkTraining, Optim, Views


class MultitaskTraining(Section):
    """What one multitask training reads."""

    lag: Literal["paper", "input", "classical"] = Field(
        "input",
        description=(
            "multi_active - what a task's lag is measured by: paper (1 - F1 and MSE as they are), "
            "input (from doing nothing to perfect) or classical (to what classical methods reach "
            "that know PSF, noise and mask)"
        ),
    )
    batch_size: int = Field(64, ge=1, description="images per step over all GPUs")
    masked_statistics: Literal["clean", "fixed"] = Field(
        "clean",
        description=(
            "what masked images are normalised with where norm is batch - clean takes the running"
            " statistics of clean images, fixed those of clean images before the training; fixed "
            "was better for real galaxies in one training, worse in the demo"
        ),
    )
    image_batch_size: int | None = Field(
        None, ge=1, description="images per step of the image tasks; null takes batch_size"
    )
    patch_side_pix: int = Field(
        64,
        ge=16,
        description=(
            "image tasks train on random patches of this side and are scored on whole crops"
        ),
    )
    skip_connections: bool = Field(
        True,
        description="whether the tasks' image decoders see the encoder's finer maps and the image",
    )
    image_output: Literal["image", "correction", "filling", "guided", "mixture"] = Field(
        "correction",
        description=(
            "what the image decoders put out - image (the paper's), a correction to their input, "
            "filling (a correction, and visible pixels are kept), guided (as filling, and smoothed"
            " copies of the input are seen) or mixture (as guided, and the network says how these "
            "are mixed at every pixel)"
        ),
    )
    image_loss: Literal["mse", "psnr"] = Field(
        "mse",
        description=(
            "what the image tasks minimise - mse (mean squared error) or psnr (the mean over "
            "images of its logarithm: every image counts alike)"
        ),
    )
    fine_layers: int = Field(
        1,
        ge=1,
        le=8,
        description="3 x 3 convolutions at full resolution before an image decoder's last one",
    )
    drop_path: float = Field(
        0.1, ge=0, le=0.8, description="stochastic-depth rate of the deepest encoder layer"
    )
    min_share: float = Field(
        0.15,
        ge=0,
        le=0.3333,
        description="multi_active - share of the steps that no task falls below",
    )
    validate_every_steps: int = Field(
        50, ge=1, description="steps between validations; each updates the shares"
    )
    n_validation_images: int = Field(
        48, ge=1, description="validation galaxies that the image tasks are judged on"
    )
    optim: Optim = part(Optim)

    @property
    def batch_sizes(self) -> dict[str, int]:
        """Images of one step of each task."""
        of_images = self.image_batch_size or self.batch_size
        return {
            "classification": self.batch_size,
            "restoration": of_images,
            "reconstruction": of_images,
        }


class TestViews(Section):
    """Views of a test galaxy over which class probabilities are averaged."""

    __test__ = False  # no test, whatever its name begins with

    n_orientations: int = Field(
        8,
        ge=1,
        le=8,
        description="orientations over which class probabilities are averaged at the end",
    )
    zooms: tuple[Annotated[float, Field(ge=1, le=4)], ...] = Field(
        (1.0,),
        min_length=1,
        description=(
            "magnifications of the crop over which they are averaged as well; 1 shows the whole "
            "crop"
        ),
    )


class Multitask(MultitaskTraining, TestViews):
    """Three tasks on one encoder (paper III)."""

    n_seeds: int = Field(
        1,
        ge=1,
        description=(
            "trainings of every strategy and of every network of reference.models; their scatter "
            "is in the intervals of Tables 1 to 4"
        ),
    )
    from_scratch: bool = Field(
        True,
        description=(
            "whether multi_uniform is also trained on an encoder without pretraining, to see what"
            " that adds"
        ),
    )
    n_test_images: int = Field(
        100, ge=1, description="test galaxies that the image tasks are scored on (paper - 100)"
    )


class ClassificationViews(Section):
    """What a network of Table 1 learns classes from, the LVM's tasks and others."""

    view_side_pix: int = Field(64, ge=16, description="side to which crops are resized")
    label_smoothing: float = Field(
        0.1, ge=0, lt=1, description="share of a label spread over all classes"
    )
    views: Views = part(Views)


class Classification(ClassificationViews):
    """Classification task; two fully connected layers (paper III.A)."""

    hidden_dim: int = Field(256, ge=1, description="width of the hidden layer")
    dropout: float = Field(
        0.2, ge=0, lt=1, description="share of hidden units left out in training"
    )
    mixup_alpha: float = Field(
        0.0, ge=0, description="Beta parameter for blending two galaxies; 0 turns it off"
    )


class Blur(Section):
    """Restoration task; Moffat PSF and Gaussian noise (paper III.A)."""

    fwhm_min_pix: float = Field(2.0, gt=0, le=64, description="narrowest PSF")
    fwhm_max_pix: float = Field(8.0, gt=0, le=64, description="widest PSF")
    noise_sigma_min: float = Field(
        1.0, ge=0, le=255, description="weakest noise on the 8-bit scale"
    )
    noise_sigma_max: float = Field(
        15.0, ge=0, le=255, description="strongest noise on the 8-bit scale"
    )
    moffat_beta: float = Field(
        4.765,
        gt=1,
        le=100,
        description="slope of the PSF's wings (4.765 is atmospheric turbulence's)",
    )

    def contradictions(self) -> Iterator[Contradiction]:
        """Yield empty ranges."""
        yield from order("fwhm_min_pix", self.fwhm_min_pix, "fwhm_max_pix", self.fwhm_max_pix)
        low, high = self.noise_sigma_min, self.noise_sigma_max
        yield from order("noise_sigma_min", low, "noise_sigma_max", high)


class Mask(Section):
    """Reconstruction task; hidden squares (paper III.A)."""

    fraction_min: float = Field(0.0, ge=0, le=1, description="smallest hidden share")
    fraction_max: float = Field(0.7, ge=0, le=1, description="largest hidden share")
    patch_sizes_pix: Annotated[tuple[Annotated[int, Field(ge=1)], ...], UNIQUE] = Field(
        (4, 8, 16), min_length=1, description="sides of the squares"
    )

    def contradictions(self) -> Iterator[Contradiction]:
        """Yield an empty range."""
        yield from order("fraction_min", self.fraction_min, "fraction_max", self.fraction_max)


class Baselines(Section):
    """What the classical baselines may choose from on the validation split."""

    n_image_val: int = Field(
        32, ge=1, description="validation galaxies that the image baselines are tuned on"
    )
    n_class_train: int = Field(
        20000, ge=2, description="labelled training galaxies of HOG + logistic regression at most"
    )
    logistic_c: tuple[Annotated[float, Field(gt=0)], ...] = Field(
        (0.0001, 0.001, 0.01, 0.1),
        min_length=1,
        description="inverse regularisation strengths of the logistic regression",
    )
    richardson_lucy_iterations: tuple[Annotated[int, Field(ge=1)], ...] = Field(
        (2, 3, 5, 8, 12, 20, 30), min_length=1, description="numbers of iterations"
    )
    denoise_strengths: tuple[Annotated[float, Field(ge=0)], ...] = Field(
        (0.0, 0.3, 1.0),
        min_length=1,
        description="strengths of the noise filter before Richardson-Lucy; 0 leaves it out",
    )
    wiener_strengths: tuple[Annotated[float, Field(gt=0)], ...] = Field(
        (0.3, 1.0, 3.0),
        min_length=1,
        description="factors on the noise power in the Wiener filter; 1 is optimal in theory",
    )
    sky_offsets: tuple[Annotated[float, Field(ge=0)], ...] = Field(
        (0.0, 0.1, 0.2, 0.3), min_length=1, description="sky to subtract in units of the noise"
    )
    inpainting_methods: tuple[Literal["telea", "navier_stokes", "biharmonic"], ...] = Field(
        ("telea", "navier_stokes", "biharmonic"),
        min_length=1,
        description="inpainting methods to choose from",
    )


class TaskSections(Section):
    """The sections that a multitask training reads."""

    multitask: MultitaskTraining = part(MultitaskTraining)
    classification: Classification = part(Classification)
    restoration: Blur = part(Blur)
    reconstruction: Mask = part(Mask)
    baselines: Baselines = part(Baselines)


class MultitaskRun(TaskSections):
    """One multitask training: its strategy, its seed, and all that it reads."""

    strategy: Literal["pre_train", "multi_uniform", "multi_active", "from_scratch"] = Field(
        description="one of the paper's three, or from_scratch to compare with"
    )
    seed: int = Field(ge=0, description="seed of this training")


class Network(Section):
    """A classifier of the comparison."""

    model: str = Field(
        min_length=1,
        description=(
            "alexnet, googlenet, vgg16, resnet18, resnet50, timm:NAME for any model of timm, or "
            "python:MODULE:FUNCTION"
        ),
    )
    weights: str = Field(
        "none",
        min_length=1,
        description=(
            "none, imagenet (from a package on this machine, or downloaded), or the path of a "
            "weights file"
        ),
    )
    name: str | None = Field(
        None,
        pattern="^[a-z0-9_]+$",
        description="name in tables and files; made from the others where left out",
    )
    learning_rates: tuple[Annotated[float, Field(gt=0, le=1)], ...] = Field(
        (),
        description=("peaks to choose from for this model; empty takes those of the section"),
    )
    frozen: bool = Field(
        False, description="train a head on frozen features instead of the whole network"
    )
    view_side_pix: int | None = Field(
        None,
        ge=16,
        description=(
            "frozen encoders - side to which crops are resized; null takes that of the features"
        ),
    )
    pooling: Literal["mean", "mean_std", "stages"] | None = Field(
        None,
        description=(
            "frozen timm models - what is kept of their last four maps (see lvm.pooling); null "
            "takes the vector in front of the classes"
        ),
    )


class Reference(NetworkTraining):
    """Networks trained on the whole training split, in Table 1 beside the LVM.

    Random views, label smoothing and test views are the LVM's (not mixup_alpha), rates are in
    learning_rates (not in optim).
    """

    models: tuple[Network, ...] = Field(
        (),
        description="networks, one a line; resnet18 takes 4 minutes of one core for 2000 galaxies",
    )


class ReferenceSections(Section):
    """The sections that a network of Table 1 is trained by."""

    reference: NetworkTraining = part(NetworkTraining)
    classification: ClassificationViews = part(ClassificationViews)
    multitask: TestViews = part(TestViews)
