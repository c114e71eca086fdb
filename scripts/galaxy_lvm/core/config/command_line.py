"""Types of what Snakemake's `--config` says inside of a mapping or a list."""

import re
from collections.abc import Mapping
from typing import Any

import yaml

# A number to everybody but YAML 1.1, which wants a point in it.
_NUMBER = re.compile(r"[+-]?\d+[eE][+-]?\d+")
_TAGS = {f"tag:yaml.org,2002:{kind}" for kind in ("int", "float", "bool", "null")}


def type_command_line(config: dict[str, Any], told: Mapping[str, Any]) -> None:
    """Read the texts that the command line left in a config as a config file is read, in place.

    Snakemake gives a type to `--config n=3` alone: `--config 'multitask={n_seeds: 3}'` arrives as
    `{"n_seeds": "3"}`, and every number would be refused.

    Parameters
    ----------
    config
        Merged config of the run.
    told
        What the command line alone said.
    """
    for key, value in told.items():
        if isinstance(value, Mapping) and isinstance(config.get(key), dict):
            type_command_line(config[key], value)
        else:
            config[key] = _typed(value)


def _typed(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {key: _typed(one) for key, one in value.items()}
    if isinstance(value, list):
        return [_typed(one) for one in value]
    if not isinstance(value, str):
        return value
    if _NUMBER.fullmatch(value):
        return float(value)
    loader = yaml.SafeLoader("")
    tag = loader.resolve(yaml.ScalarNode, value, (True, False))
    return loader.construct_object(yaml.ScalarNode(tag, value)) if tag in _TAGS else value
