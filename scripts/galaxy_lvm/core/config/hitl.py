"""The human in the loop."""

from collections.abc import Iterator
from typing import Annotated, Literal

from pydantic import Field

from galaxy_lvm.core.config.base import UNIQUE, Contradiction, Section, part
from galaxy_lvm.core.config.schemes import Condition

Name = Annotated[str, Field(pattern="^[a-z0-9_]+$")]
"""A name that becomes part of a file's."""


# The keys of `hitl.selection.RULES`; a new rule is named here.
OtherRule = Literal["top_score", "uncertainty", "random", "k_centre", "mix"]
RuleName = Literal["alpha", OtherRule]


class RankerSettings(Section):
    """Network with one hidden layer on fixed features."""

    hidden_dim: int = Field(2048, ge=1, description="width of the hidden layer (paper - 2048)")
    n_components: int = Field(
        128, ge=1, description="principal components of the features that it looks at"
    )
    steps: int = Field(20, ge=1, description="updates with all labels")
    learning_rate: float = Field(0.001, gt=0, le=1, description="of Adam")
    weight_decay: float = Field(0.1, ge=0, description="decay per unit of learning rate")
    balance: float = Field(0.5, ge=0, le=1, description="0 counts all labels alike, 1 both classes")


class Sizes(Section):
    """Training sets of figure 10."""

    few_per_class: int = Field(5, ge=1, description="positives and as many negatives to begin with")
    more_per_class: int = Field(15, ge=1, description="the same without a loop")
    small_per_class: int = Field(50, ge=1, description="the same for the small training set")
    n_recommended: int = Field(
        10, ge=1, description="galaxies labelled in the one step of the loop"
    )
    n_big: int = Field(1000, ge=2, description="galaxies drawn at random for the big training set")

    @property
    def loop(self) -> str:
        """Condition of one step of the loop."""
        return f"initial={2 * self.few_per_class} rounds=1 recommended={self.n_recommended}"


class ComparedTarget(Sizes):
    """Figure 10's training sets and what they are labelled for."""

    target: str | None = Field("face_on_spiral", description="key of targets; null takes the first")


class OnFeatures(ComparedTarget):
    """Figure 10 on the LVM's features."""

    rules: Annotated[tuple[OtherRule, ...], UNIQUE] = Field(
        ("top_score", "uncertainty", "random", "k_centre", "mix"),
        description="further selection rules for the one step",
    )
    n_seeds: int = Field(20, ge=1, description="repetitions of what works on features")


class OnImages(ComparedTarget):
    """Figure 10 with ResNet18."""

    n_resnet18_seeds: int = Field(
        10, ge=1, description="repetitions of ResNet18 on images with the small training set"
    )
    n_resnet18_big_seeds: int = Field(
        3, ge=1, description="the same with the big one, whose training takes longer"
    )


class Comparison(OnFeatures, OnImages):
    """Figure 10."""


class Sweep(Section):
    """What alpha does."""

    alphas: Annotated[tuple[Annotated[float, Field(ge=0, le=1)], ...], UNIQUE] = Field(
        (0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9), min_length=1, description="values to try"
    )
    lower: Annotated[tuple[Literal["below_boundary", "lowest"], ...], UNIQUE] = Field(
        ("below_boundary", "lowest"), min_length=1, description="readings of lower scores to try"
    )
    n_rounds: int = Field(5, ge=1, description="rounds of a session")
    n_seeds: int = Field(4, ge=1, description="repetitions")


class Discovery(Section):
    """Searches in a pool from positives alone (paper V.C)."""

    rules: Annotated[tuple[RuleName, ...], UNIQUE] = Field(
        ("alpha", "top_score", "uncertainty", "random", "k_centre", "mix"),
        min_length=1,
        description="selection rules; random is the control",
    )
    n_prompts: int = Field(5, ge=1, description="positives to begin with")
    n_rounds: int = Field(10, ge=1, description="rounds of a search")
    n_seeds: int = Field(3, ge=1, description="searches of each kind")
    flip_rate: float = Field(
        0.1,
        ge=0,
        le=0.5,
        description="share of wrong answers of the noisy annotator; 0 leaves them out",
    )
    n_shown: int = Field(8, ge=1, description="recommended galaxies in figure 7")


class Target(Section):
    """Galaxies to look for, by columns of the catalogue."""

    where: tuple[Condition, ...] = Field(min_length=1, description="conditions that must all hold")
    positive_fraction: float | None = Field(
        None,
        gt=0,
        lt=1,
        description=("share of the pool that galaxies are left out to reach; null keeps all"),
    )
    votes: Annotated[tuple[str, ...], UNIQUE] = Field(
        (),
        description=(
            "columns of vote fractions whose product is the share of volunteers for the target "
            "(the fractions along the way to its question; a way that needs a 'no' needs the "
            "column of the no); with them an annotator who votes like the volunteers takes part "
            "in the searches"
        ),
    )
    n_rounds_shown: int = Field(10, ge=0, description="rounds before figure 7's recommendations")


def _own_targets() -> dict[str, Target]:
    """Return the targets of the embedded survey."""

    def rare(column: str, **others: float) -> Target:
        return Target(where=(Condition(column=column, min=1),), **others)

    spiral = Condition(column="label", equals="spiral")
    return {
        "face_on_spiral": Target(where=(spiral,), n_rounds_shown=1),
        "barred": rare("barred"),
        "lens": rare("lens", positive_fraction=0.001),
        "merger": rare("merging", positive_fraction=0.015),
    }


class Targets(Section):
    """What is looked for."""

    targets: Annotated[dict[Name, Target], Field(min_length=1)] | None = Field(
        default_factory=_own_targets,
        description=(
            "what is looked for, by columns of the catalogue; a target that the pool lacks is "
            "listed and left out; null looks for every class of the labels"
        ),
    )


class Compared(Targets):
    """What figure 10 looks for."""

    comparison: ComparedTarget = part(ComparedTarget)

    def contradictions(self) -> Iterator[Contradiction]:
        """Yield a comparison of what is not looked for."""
        target = self.comparison.target
        if self.targets is not None and target not in (None, *self.targets):
            yield "comparison.target", f"{target!r} is none of {sorted(self.targets)}"


class Selection(Section):
    """How galaxies are ranked and chosen."""

    alpha: float = Field(
        0.5, ge=0, le=1, description="threshold on positives over negatives of the latest round"
    )
    lower: Literal["below_boundary", "lowest"] = Field(
        "below_boundary",
        description=(
            "what the alpha rule takes for lower scores - those just below 0.5, or the lowest of "
            "all"
        ),
    )
    ranker: RankerSettings = part(RankerSettings)


class Loop(Selection):
    """What a session of the loop is run with."""

    assumed_negatives: int = Field(
        100, ge=1, description="galaxies of the pool that stand in for negatives"
    )
    assumed_weight: float = Field(
        0.1,
        ge=0,
        description=(
            "their weight in total in units of the labelled negatives'; 0 uses them only while no"
            " negative is labelled"
        ),
    )


class Module(Selection):
    """What figure 8 names."""

    n_recommended: int = Field(10, ge=1, description="galaxies asked about in a round")


class ImageSets(Compared):
    """Figure 10 with ResNet18."""

    comparison: OnImages = part(OnImages)


class TrainingSets(Loop, Module, Compared):
    """Figure 10 on features, and the sweep over alpha."""

    comparison: OnFeatures = part(OnFeatures)
    sweep: Sweep = part(Sweep)


class Place(Loop, Module, Targets):
    """What the labelling page starts with (figure 9)."""


class Searches(Loop, Module, Targets):
    """Figure 7 and the searches in a pool."""

    discovery: Discovery = part(Discovery)


class Hitl(TrainingSets, Searches):
    """The human in the loop (paper V, figures 7, 8 and 10)."""

    comparison_dataset: str | None = Field(
        None,
        description=(
            "labelled dataset of figure 10 and of the sweep over alpha; null takes the tasks' "
            "dataset"
        ),
    )
    discovery_dataset: str | None = Field(
        None, description="pool of figure 7 and of the searches; null takes the tasks' dataset"
    )
    comparison: Comparison = part(Comparison)
