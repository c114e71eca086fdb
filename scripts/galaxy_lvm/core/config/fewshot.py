"""Features, and classification from few labels."""

from typing import Annotated, Literal

from pydantic import Field

from galaxy_lvm.core.config.base import UNIQUE, Section, part, with_default
from galaxy_lvm.core.config.tasks import Network
from galaxy_lvm.core.config.training import NetworkTraining, Views


class FeatureViews(Section):
    """What encoders and the networks beside them see of a galaxy."""

    view_side_pix: int = Field(
        64,
        ge=16,
        description=(
            "side to which crops are resized; for the networks of the few-shot comparison too"
        ),
    )
    n_orientations: int = Field(
        2,
        ge=1,
        le=8,
        description=(
            "orientations over which vectors (and the networks' class probabilities) are averaged"
        ),
    )


class Features(FeatureViews):
    """Feature vectors, extracted once for all that reads them."""

    batch_size: int = Field(32, ge=1, description="crops per call of the network")
    block_crops: int = Field(512, ge=1, description="crops read at a time")
    shard_crops: int = Field(50000, ge=1, description="crops per shard; what a kill may lose")
    precision: Literal["auto", "float32", "bfloat16"] = Field(
        "auto", description="auto computes in bfloat16 where the device does"
    )


class Head(Section):
    """Fully connected head on frozen features; validation decides between one layer and two."""

    hidden_dim: int = Field(256, ge=1, description="width of the hidden layer")
    weight_decays: tuple[Annotated[float, Field(ge=0)], ...] = Field(
        (0.01, 1.0), min_length=1, description="decays to choose from"
    )
    dropout: float = Field(
        0.2, ge=0, lt=1, description="share of hidden units left out in training"
    )
    learning_rate: float = Field(0.001, gt=0, le=1, description="of AdamW")
    steps: int = Field(150, ge=1, description="updates at most")


class FewShotNetwork(Network):
    """A classifier of figure 5; the LVM and its features as well."""

    model: str = Field(
        min_length=1,
        description=(
            "lvm_frozen, lvm_finetuned, lvm_scratch, alexnet, googlenet, vgg16, resnet18, "
            "resnet50, hog_logistic, timm:NAME for any model of timm, or python:MODULE:FUNCTION"
        ),
    )
    weights: str = Field(
        "none",
        min_length=1,
        description=(
            "none, imagenet (from a package on this machine, or downloaded), or the path of a "
            "weights file; for the LVM none means this run's, and released those of the project"
        ),
    )


class NetworkChoices(NetworkTraining):
    """How networks and heads learn from few labels, and what they may choose from."""

    batch_size: int = with_default(NetworkTraining, "batch_size", 16)
    min_epochs: float = with_default(NetworkTraining, "min_epochs", 3.0)
    validate_every_fraction: float = with_default(NetworkTraining, "validate_every_fraction", 0.2)
    finetune_head_factor: float = Field(
        1.0,
        gt=0,
        le=100,
        description="pretrained networks - learning rate of the new layer in units of the others'",
    )
    logistic_c: tuple[Annotated[float, Field(gt=0)], ...] = Field(
        (0.0001, 0.001, 0.01, 0.1, 1.0),
        min_length=1,
        description=(
            "single layer on frozen features or HOG - inverse strengths of its penalty to choose "
            "from"
        ),
    )
    head: Head = part(Head)
    views: Views = part(Views)


class FewShotTraining(NetworkChoices):
    """What a job of the few-shot comparison reads."""

    sizes: Annotated[tuple[Annotated[int, Field(ge=1)], ...], UNIQUE] = Field(
        (10, 30, 100), min_length=1, description="training galaxies per class"
    )


class FewShot(FewShotTraining):
    """Few-shot classification (paper IV.A, figure 5)."""

    dataset: str | None = Field(
        None, description="dataset with the labels; null takes that of the tasks"
    )
    models: tuple[FewShotNetwork, ...] = Field(
        (
            FewShotNetwork(model="lvm_frozen"),
            FewShotNetwork(model="hog_logistic"),
            FewShotNetwork(model="alexnet", learning_rates=(0.0003,)),
            FewShotNetwork(model="resnet18"),
        ),
        min_length=1,
        description="classifiers to compare, one a line",
    )
    n_seeds: int = Field(
        3, ge=1, description="repetitions with other training sets and other starts"
    )
    seeds_per_job: int = Field(
        3, ge=1, description="repetitions that one job does one after the other"
    )


class NetworkSections(Section):
    """The sections that networks are trained by on few labels."""

    fewshot: NetworkChoices = part(NetworkChoices)
    features: FeatureViews = part(FeatureViews)


class FewShotSections(NetworkSections):
    """The sections that a job of the few-shot comparison reads."""

    fewshot: FewShotTraining = part(FewShotTraining)
