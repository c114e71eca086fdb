"""Classes by the columns of a catalogue: votes along a path of questions, or conditions."""

from collections.abc import Iterator
from typing import Annotated

from pydantic import Field

from galaxy_lvm.core.config.base import Contradiction, Section, Sparse

DEFAULT_SHARE = 0.5
"""What the votes along a path must exceed where a class gives no limit: more than half."""


class Condition(Sparse):
    """One condition on a column of the catalogue; needs min, max or equals."""

    question: str | None = Field(None, description="question of the decision tree")
    column: str = Field(description="column of the catalogue")
    min: float | None = Field(None, description="smallest value")
    max: float | None = Field(None, description="largest value")
    equals: str | None = Field(None, description="text instead of limits")

    def contradictions(self) -> Iterator[Contradiction]:
        """Yield limits that say nothing, or leave nothing."""
        if self.min is None and self.max is None and self.equals is None:
            yield "", f"{self.column!r} needs min, max or equals"
        if self.min is not None and self.max is not None and self.min > self.max:
            yield "min", f"{self.min:g} is above max, {self.max:g}"


class Answer(Sparse):
    """One question on the way to a class: the answers that lead on, or those that lead away."""

    question: str | None = Field(None, description="question of the decision tree")
    any_of: tuple[str, ...] | None = Field(
        None, min_length=1, description="columns of the answers that lead on; their shares add up"
    )
    none_of: tuple[str, ...] | None = Field(
        None,
        min_length=1,
        description="columns of the answers that lead away - a 'no' is one minus their shares",
    )

    @property
    def columns(self) -> tuple[str, ...]:
        """The columns that are read."""
        return self.any_of or self.none_of or ()

    def contradictions(self) -> Iterator[Contradiction]:
        """Yield a question with no answer, or with two."""
        if (self.any_of is None) == (self.none_of is None):
            yield "", "needs one of any_of and none_of"


class ClassRule(Sparse):
    """A class: what the volunteers' votes along a path of questions, or columns, say of it."""

    class_: str = Field(alias="class", min_length=1, description="name of the class")
    path: tuple[Answer, ...] | None = Field(
        None,
        min_length=1,
        description=(
            "answers along the questions that lead to the class; fractions count those who came to "
            "a question, so that the product is the share of all who went the whole way"
        ),
    )
    above: float | None = Field(
        None,
        ge=0,
        lt=1,
        description=(
            "share along the path that must be exceeded, 0.5 where none is given; of several "
            "classes that are, the largest share counts"
        ),
    )
    where: tuple[Condition, ...] | None = Field(
        None, min_length=1, description="conditions that must all hold, beside a path or alone"
    )

    def contradictions(self) -> Iterator[Contradiction]:
        """Yield a class that nothing defines, and a limit without a path."""
        if self.path is None and self.where is None:
            yield "", f"class {self.class_!r} needs path or where"
        if self.path is None and self.above is not None:
            yield "above", "is the limit of a path, which is not given"


Scheme = Annotated[tuple[ClassRule, ...], Field(min_length=2)]


class NamedScheme(Section):
    """One of the class_schemes, as a dataset's splits take it."""

    name: str = Field(description="its key in class_schemes")
    rules: Scheme = Field(description="its classes")


def _rule(name: str, *conditions: Condition) -> ClassRule:
    return ClassRule(**{"class": name}, where=conditions)


def _says(question: str, column: str, **limits: float | str) -> Condition:
    return Condition(question=question, column=column, **limits)


def _way(name: str, *answers: Answer) -> ClassRule:
    return ClassRule(**{"class": name}, path=answers)


def _yes(question: str, *columns: str) -> Answer:
    return Answer(question=question, any_of=columns)


def _no(question: str, *columns: str) -> Answer:
    return Answer(question=question, none_of=columns)


def _decals(round_: str = "round") -> Scheme:
    """Return five types by what most volunteers said (Walmsley et al. 2022).

    The answer that means round is called "completely" in the campaigns GZD-1 and GZD-2.
    """
    first, edge = "smooth or featured", "disk edge-on"
    smooth = _yes(first, "smooth-or-featured_smooth_fraction")
    featured = _yes(first, "smooth-or-featured_featured-or-disk_fraction")
    edge_on = "disk-edge-on_yes_fraction"
    arms = _yes("has spiral arms", "has-spiral-arms_yes_fraction")
    how_rounded = {
        "smooth_round": f"how-rounded_{round_}_fraction",
        "smooth_in_between": "how-rounded_in-between_fraction",
        "smooth_cigar": "how-rounded_cigar-shaped_fraction",
    }
    return (
        *(_way(name, smooth, _yes("how rounded", column)) for name, column in how_rounded.items()),
        _way("edge_on", featured, _yes(edge, edge_on)),
        _way("spiral", featured, _no(edge, edge_on), arms),
    )


def _zoo_2() -> Scheme:
    """Return four types by most of the debiased votes (Willett et al. 2013, Hart et al. 2016)."""
    first, edge = "T01 smooth or features", "T02 edge-on"
    smooth = _yes(first, "t01_smooth_or_features_a01_smooth_debiased")
    disc = _yes(first, "t01_smooth_or_features_a02_features_or_disk_debiased")
    edge_on = "t02_edgeon_a04_yes_debiased"
    arms = _yes("T04 spiral arms", "t04_spiral_a08_spiral_debiased")
    odd = _yes("T06 anything odd", "t06_odd_a14_yes_debiased")
    disturbed = _yes(
        "T08 what is odd",
        "t08_odd_feature_a21_disturbed_debiased",
        "t08_odd_feature_a22_irregular_debiased",
        "t08_odd_feature_a24_merger_debiased",
    )
    return (
        _way("elliptical", smooth),
        _way("edge_on", disc, _yes(edge, edge_on)),
        _way("spiral", disc, _no(edge, edge_on), arms),
        _way("other", odd, disturbed),
    )


def _zoo_2_clean() -> Scheme:
    """Return the five clean samples of Zhu et al. 2019: at every question of the path a limit.

    The limits are those of Willett et al. 2013 (their table 3) for smooth, featured, edge-on and
    spiral galaxies, and one half for how round; inclusive, on debiased shares of those asked.
    """
    first, edge = "T01 smooth or features", "T02 edge-on"
    smooth = _says(first, "t01_smooth_or_features_a01_smooth_debiased", min=0.469)
    disc = _says(first, "t01_smooth_or_features_a02_features_or_disk_debiased", min=0.430)
    arms = _says("T04 spiral arms", "t04_spiral_a08_spiral_debiased", min=0.619)
    how_rounded = {
        "smooth_round": "t07_rounded_a16_completely_round_debiased",
        "smooth_in_between": "t07_rounded_a17_in_between_debiased",
        "smooth_cigar": "t07_rounded_a18_cigar_shaped_debiased",
    }
    return (
        *(
            _rule(name, smooth, _says("T07 how rounded", column, min=0.5))
            for name, column in how_rounded.items()
        ),
        _rule("edge_on", disc, _says(edge, "t02_edgeon_a04_yes_debiased", min=0.602)),
        _rule("spiral", disc, _says(edge, "t02_edgeon_a05_no_debiased", min=0.715), arms),
    )


def _simulated() -> Scheme:
    """Return five types by the truth of the embedded survey."""

    def drawn(kind: str) -> Condition:
        return _says("class it was drawn from", "label", equals=kind)

    def ratio(**limits: float) -> Condition:
        return _says("minor over major axis", "axis_ratio", **limits)

    return (
        _rule("smooth_round", drawn("elliptical"), ratio(min=0.8)),
        _rule("smooth_in_between", drawn("elliptical"), ratio(max=0.75)),
        _rule("edge_on", drawn("edge_on")),
        _rule("spiral", drawn("spiral")),
        _rule("disturbed", drawn("other")),
    )


def own_schemes() -> dict[str, Scheme]:
    """Return the schemes that every config has: a user's of the same name takes the place."""
    return {
        "galaxy_zoo_decals": _decals(),
        "galaxy_zoo_decals_1_and_2": _decals("completely"),
        "galaxy_zoo_2": _zoo_2(),
        "galaxy_zoo_2_clean": _zoo_2_clean(),
        "simulated": _simulated(),
    }
