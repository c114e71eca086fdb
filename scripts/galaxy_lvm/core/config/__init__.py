"""The config: one model of every key, and how files become a complete config."""

from galaxy_lvm.core.config.command_line import type_command_line
from galaxy_lvm.core.config.handed import part_of, section
from galaxy_lvm.core.config.load import check_config, load_config, merge, parse_config, resolve
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
