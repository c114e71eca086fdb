"""Classes by conditions on the columns of a catalogue."""

from collections.abc import Iterator
from typing import Annotated

from pydantic import Field

from galaxy_lvm.core.config.base import Contradiction, Section, Sparse


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


class ClassRule(Section):
    """A class and the conditions that its galaxies meet."""

    class_: str = Field(alias="class", min_length=1, description="name of the class")
    where: tuple[Condition, ...] = Field(min_length=1, description="conditions that must all hold")


Scheme = Annotated[tuple[ClassRule, ...], Field(min_length=2)]


class NamedScheme(Section):
    """One of the class_schemes, as a dataset's splits take it."""

    name: str = Field(description="its key in class_schemes")
    rules: Scheme = Field(description="its classes")


def _rule(name: str, *conditions: Condition) -> ClassRule:
    return ClassRule(**{"class": name}, where=conditions)


def _says(question: str, column: str, **limits: float | str) -> Condition:
    return Condition(question=question, column=column, **limits)


_SMOOTH = _says("smooth or featured", "smooth-or-featured_smooth_fraction", min=0.6)
_FEATURED = _says("smooth or featured", "smooth-or-featured_featured-or-disk_fraction", min=0.6)
_PLAIN = _says("T06 anything odd", "t06_odd_a14_yes_debiased", max=0.42)
_DISC = _says(
    "T01 smooth or features", "t01_smooth_or_features_a02_features_or_disk_debiased", min=0.43
)


def _decals() -> Scheme:
    """Return five types by volunteers' votes (Walmsley et al. 2022)."""
    how_rounded = {
        "smooth_round": "how-rounded_round_fraction",
        "smooth_in_between": "how-rounded_in-between_fraction",
        "smooth_cigar": "how-rounded_cigar-shaped_fraction",
    }
    smooth = (
        _rule(name, _SMOOTH, _says("how rounded", column, min=0.6))
        for name, column in how_rounded.items()
    )
    edge_on = _says("disk edge-on", "disk-edge-on_yes_fraction", min=0.7)
    open_disc = _says("disk edge-on", "disk-edge-on_no_fraction", min=0.7)
    arms = _says("has spiral arms", "has-spiral-arms_yes_fraction", min=0.7)
    return (
        *smooth,
        _rule("edge_on", _FEATURED, edge_on),
        _rule("spiral", _FEATURED, open_disc, arms),
    )


def _zoo_2() -> Scheme:
    """Return four types by debiased votes (Hart et al. 2016, Willett et al. 2013)."""
    smooth = _says("T01 smooth or features", "t01_smooth_or_features_a01_smooth_debiased", min=0.7)
    edge_on = _says("T02 edge-on", "t02_edgeon_a04_yes_debiased", min=0.602)
    open_disc = _says("T02 edge-on", "t02_edgeon_a05_no_debiased", min=0.715)
    arms = _says("T04 spiral arms", "t04_spiral_a08_spiral_debiased", min=0.619)
    return (
        _rule("elliptical", smooth, _PLAIN),
        _rule("edge_on", _DISC, edge_on, _PLAIN),
        _rule("spiral", _DISC, open_disc, arms, _PLAIN),
        _rule("other", _says("T06 anything odd", "t06_odd_a14_yes_debiased", min=0.6)),
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
    return {"galaxy_zoo_decals": _decals(), "galaxy_zoo_2": _zoo_2(), "simulated": _simulated()}
