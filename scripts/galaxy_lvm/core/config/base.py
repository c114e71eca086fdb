"""What all sections of the config have in common."""

from collections.abc import Iterator
from copy import copy
from typing import Any

from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
    Field,
    GetJsonSchemaHandler,
    model_serializer,
    model_validator,
)

Contradiction = tuple[str, str]
"""A key's path below its section, and what is wrong with its value."""


class Contradictions(ValueError):
    """Values of a section that do not go together."""

    def __init__(self, found: list[Contradiction]) -> None:
        super().__init__("; ".join(f"{key}: {what}" if key else what for key, what in found))
        self.found = found


class Section(BaseModel):
    """A part of the config: frozen, closed, every field with its limits and one line of text."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    def contradictions(self) -> Iterator[Contradiction]:
        """Yield keys whose values do not go together, once each value is allowed by itself."""
        yield from ()

    @model_validator(mode="after")
    def _is_consistent(self) -> "Section":
        found = list(self.contradictions())
        if found:
            raise Contradictions(found)
        return self


class Sparse(Section):
    """A section that holds only what was given: what is None is left out when written."""

    @model_serializer(mode="wrap")
    def _given(self, handler: Any) -> dict[str, Any]:
        return {key: value for key, value in handler(self).items() if value is not None}


def _refuse_twins(values: tuple) -> tuple:
    twins = [value for i, value in enumerate(values) if value in values[:i]]
    if twins:
        raise ValueError(f"names {twins[0]!r} twice")
    return values


class _Unique(AfterValidator):
    """Marks a list without repeated entries."""

    def __init__(self) -> None:
        super().__init__(_refuse_twins)

    def __get_pydantic_json_schema__(
        self, schema: Any, handler: GetJsonSchemaHandler
    ) -> dict[str, Any]:
        return {**handler(schema), "uniqueItems": True}


UNIQUE = _Unique()


def order(low_key: str, low: float, high_key: str, high: float) -> Iterator[Contradiction]:
    """Yield a contradiction where a smallest value lies above its largest one."""
    if low > high:
        yield low_key, f"{low:g} is above {high_key}, {high:g}"


def part(section: type[Section]) -> Any:
    """Return the field for a section within another; its line of text is the class's own."""
    line = (section.__doc__ or "").split("\n")[0].rstrip(".")
    starts_with_a_word = line[:2] != line[:2].upper()
    return Field(
        default_factory=section,
        description=line[0].lower() + line[1:] if starts_with_a_word else line,
    )


def with_default(section: type[Section], key: str, default: Any) -> Any:
    """Return another section's field, its limits and its line of text, with another default."""
    field = copy(section.model_fields[key])
    field.default = default
    return field
