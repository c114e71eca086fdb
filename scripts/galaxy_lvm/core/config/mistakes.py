"""What is wrong with a config, one line a mistake: the key's path, what stands there, a hint."""

import difflib
from collections.abc import Iterator, Sequence
from typing import Any, get_args

from pydantic import ValidationError
from pydantic.fields import FieldInfo

from galaxy_lvm.core.config.base import Contradictions, Section

TYPES = {
    "int": "integer",
    "int_from_float": "integer",
    "float": "number",
    "finite_number": "number",
    "string": "string",
    "bool": "boolean",
    "tuple": "array",
    "list": "array",
    "dict": "object",
    "model": "object",
    "model_attributes": "object",
}
LIMITS = {
    "greater_than_equal": ("is less than the minimum of", "ge"),
    "greater_than": ("is less than or equal to the minimum of", "gt"),
    "less_than_equal": ("is greater than the maximum of", "le"),
    "less_than": ("is greater than or equal to the maximum of", "lt"),
    "multiple_of": ("is not a multiple of", "multiple_of"),
    "string_pattern_mismatch": ("does not match", "pattern"),
    "string_too_short": ("is shorter than", "min_length"),
}


def section_in(annotation: Any) -> type[Section] | None:
    """Return the section that a field's type is, or holds."""
    if isinstance(annotation, type) and issubclass(annotation, Section):
        return annotation
    return next(filter(None, map(section_in, get_args(annotation))), None)


def field_of(section: type[Section], key: str) -> FieldInfo | None:
    """Return a section's field by its key in a file."""
    fields = section.model_fields
    return next((f for name, f in fields.items() if key in (f.alias or name,)), None)


def keys_of(section: type[Section]) -> list[str]:
    """Return a section's keys as a file writes them."""
    return [field.alias or name for name, field in section.model_fields.items()]


def place(model: type[Section], loc: Sequence[str | int]) -> tuple[type[Section], FieldInfo | None]:
    """Return the section at a place in a config, and the field there if the place is one."""
    section, field, within = model, None, False
    for key in loc:
        # A name or a number within a mapping or a list of sections, or of plain values.
        if within:
            field, within = None, False
            continue
        field = field_of(section, str(key))
        inner = section_in(field.annotation) if field else None
        within = field is not None and field.annotation is not inner
        section = inner or section
    return section, field


def _what(error: dict[str, Any]) -> str:
    kind, value, context = error["type"], error["input"], error.get("ctx", {})
    if kind in LIMITS:
        words, limit = LIMITS[kind]
        return f"{value!r} {words} {context[limit]!r}"
    if kind == "literal_error":
        return f"{value!r} is none of {context['expected']}"
    if kind in ("too_short", "too_long"):
        words = {f"{word}_length": limit for word, limit in (("min", "least"), ("max", "most"))}
        limit = next(key for key in words if key in context)
        return f"{value!r} is {kind.replace('_', ' ')}, expected at {words[limit]} {context[limit]}"
    if kind == "value_error":
        return str(context["error"])
    if kind == "missing":
        return "is needed"
    name = TYPES.get(kind.removesuffix("_type"))
    return f"{value!r} is not of type '{name}'" if name else error["msg"]


def _unknown(section: type[Section], path: str, key: str) -> str:
    known = keys_of(section)
    near = difflib.get_close_matches(key, known, n=1)
    hint = f"; did you mean '{near[0]}'?" if near else f"; known: {', '.join(known)}"
    return f"{path}: no such key{hint}"


def _joined(loc: Sequence[str | int]) -> str:
    return ".".join(str(part) for part in loc if part != "[key]")


def mistakes(error: ValidationError, model: type[Section]) -> Iterator[str]:
    """Yield a line for every mistake that pydantic found.

    Parameters
    ----------
    error
        What `model` raised on a config.
    model
        The config's model, for the keys that it knows and what they mean.
    """
    errors = error.errors(include_url=False)
    places = [found["loc"] for found in errors]
    for found in errors:
        loc = found["loc"]
        deeper = any(len(other) > len(loc) and other[: len(loc)] == loc for other in places)
        if found["type"] == "too_short" and deeper:
            continue  # entries with mistakes of their own are not counted
        path = _joined(loc)
        reason = found.get("ctx", {}).get("error")
        if isinstance(reason, Contradictions):
            for key, what in reason.found:
                yield f"{_joined([*loc, key] if key else loc) or '(top)'}: {what}"
        elif found["type"] == "extra_forbidden":
            yield _unknown(place(model, loc[:-1])[0], path, str(loc[-1]))
        else:
            field = place(model, loc)[1]
            about = f" - {field.description}" if field and field.description else ""
            yield f"{path or '(top)'}: {_what(found)}{about}"
