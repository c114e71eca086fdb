"""The checks that the settings of the simulation share: known keys, numbers within limits."""

from collections.abc import Mapping
from dataclasses import fields
from typing import TypeVar

from galaxy_lvm.core.errors import ConfigError

Settings = TypeVar("Settings")


def settings_from(cls: type[Settings], values: Mapping[str, object], section: str) -> Settings:
    """Return settings of a dataclass, checked by its method `check`.

    Parameters
    ----------
    cls
        Dataclass with a method `check`.
    values
        Its fields by name.
    section
        Section of the config, for messages.

    Raises
    ------
    ConfigError
        If a key is unknown or a value impossible.
    """
    known = [item.name for item in fields(cls)]
    unknown = sorted(set(values) - set(known))
    if unknown:
        raise ConfigError(f"{section}: unknown setting {unknown[0]!r}, expected one of {known}")
    made = cls(**values)
    made.check()
    return made


def check_limits(settings: object, limits: Mapping[str, tuple[float, float]], section: str) -> None:
    """Raise ConfigError where a field is no number or outside its limits.

    Parameters
    ----------
    settings
        Holds the values.
    limits
        Smallest and largest value by name.
    section
        Section of the config, for messages.
    """
    for key, (low, high) in limits.items():
        value = getattr(settings, key)
        number = isinstance(value, int | float) and not isinstance(value, bool)
        if not number or not low <= value <= high:
            raise ConfigError(f"{section}.{key} is {value!r}, expected {low} to {high}")
