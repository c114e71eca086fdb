"""The config: one model of every key, and how files become a complete config."""

from importlib import import_module
from typing import TYPE_CHECKING, Any

from galaxy_lvm.core.config.handed import part_of, section

if TYPE_CHECKING:
    from galaxy_lvm.core.config.command_line import type_command_line
    from galaxy_lvm.core.config.load import (
        check_config,
        load_config,
        merge,
        parse_config,
        resolve,
    )
    from galaxy_lvm.core.config.run import RunConfig

__all__ = [
    "RunConfig",
    "check_config",
    "load_config",
    "merge",
    "parse_config",
    "part_of",
    "resolve",
    "section",
    "type_command_line",
]

# A script takes `section` alone; the models of all sections would be 0.15 CPU seconds of its start.
_OF_THE_WHOLE = {
    "RunConfig": "run",
    "type_command_line": "command_line",
    **dict.fromkeys(("check_config", "load_config", "merge", "parse_config", "resolve"), "load"),
}


def __getattr__(name: str) -> Any:
    """Return what reads the whole config, loaded when it is first asked for."""
    if name not in _OF_THE_WHOLE:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_OF_THE_WHOLE[name]}"), name)
