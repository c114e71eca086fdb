"""Sections on their way from the config through a rule's params into a script."""

from collections.abc import Iterator, Mapping
from typing import Any, TypeVar

from pydantic import ValidationError
from pydantic.fields import FieldInfo

from galaxy_lvm.core.config.base import Section, Sparse
from galaxy_lvm.core.config.mistakes import field_of, keys_of, mistakes
from galaxy_lvm.core.errors import ConfigError

AnySection = TypeVar("AnySection", bound=Section)


def part_of(model: type[Section], config: Mapping[str, Any]) -> dict[str, Any]:
    """Return the keys of a section that a model has, for the params of a rule.

    A rule hands on what its script reads and nothing else: a key that another script reads, or a
    new one, reruns nothing. What is read together is a model of its own (`MultitaskTraining` of
    `Multitask`).

    Parameters
    ----------
    model
        What the script reads.
    config
        The section in the complete config. Sections within are reduced likewise, so that
        `part_of(TaskSections, config)` takes what the tasks read of the whole config.
    """
    return {key: _part(field_of(model, key), config[key]) for key in keys_of(model)}


def _part(field: FieldInfo, value: Any) -> Any:
    inner = _whole_section(field)
    return part_of(inner, value) if inner else value


def _whole_section(field: FieldInfo) -> type[Section] | None:
    """Return the section that a field holds; None for values and for what may be left out."""
    inner = field.annotation
    whole = isinstance(inner, type) and issubclass(inner, Section) and not issubclass(inner, Sparse)
    return inner if whole else None


def _forgotten(model: type[Section], given: Mapping[str, Any], within: str = "") -> Iterator[str]:
    """Yield the paths of keys that were not handed on, those of sections within as well."""
    for key in keys_of(model):
        inner = _whole_section(field_of(model, key))
        if key not in given:
            yield within + key
        elif inner and isinstance(given[key], Mapping):
            yield from _forgotten(inner, given[key], f"{within}{key}.")


def section(model: type[AnySection], given: Mapping[str, Any], name: str = "") -> AnySection:
    """Return what a rule handed on as the model that the library takes.

    Parameters
    ----------
    model
        The section, or the part of it that the script reads.
    given
        Every key of it and of the sections within. Defaults do not step in here: they have had
        their say when the config was read, and a key that a rule forgets would be another value
        than the user's.
    name
        Path of the section, for the message.

    Raises
    ------
    ConfigError
        If a key is missing, unknown or has a value that is not allowed.
    """
    missing = list(_forgotten(model, given))
    if missing:
        raise ConfigError(f"{name or model.__name__}: {', '.join(missing)} not handed on")
    try:
        return model.model_validate(dict(given))
    except ValidationError as error:
        lines = [f"{name}.{line}" if name else line for line in mistakes(error, model)]
    raise ConfigError("; ".join(lines))
