"""Config files: what lies under which, and the complete config that follows."""

import json
import os
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import yaml
from pydantic import ValidationError

from galaxy_lvm.core.config.mistakes import mistakes
from galaxy_lvm.core.config.run import RunConfig
from galaxy_lvm.core.config.weights_shape import with_shape_of_weights
from galaxy_lvm.core.errors import ConfigError

CONFIG_FOLDER = Path(__file__).parents[4] / "config"
NO_SIZES = ("defaults", "config.schema")
"""Files of that folder that are written from the models."""
NO_BASE = (None, "", "null", "none")


def load_config(*paths: str | os.PathLike) -> dict[str, Any]:
    """Read config files, later ones over earlier ones, and return the complete config.

    Without a file it is the demo.

    Raises
    ------
    ConfigError
        If a file is no mapping, names a base that is none, or the result has a mistake.
    """
    config: dict[str, Any] = {}
    for path in paths:
        merge(config, read(Path(path)))
    return resolve(config, [Path(path) for path in paths])


def resolve(config: dict[str, Any], files: Sequence[Path] = ()) -> dict[str, Any]:
    """Lay a config over its base and return it complete.

    Parameters
    ----------
    config
        What the files and the command line say, merged; `base` names the size below it (null for
        the defaults alone), `default_base` the one that is taken where nothing is said.
    files
        Where that comes from; a base that is a path is looked for beside them. Without any, and
        without a base, the base is the demo.

    Raises
    ------
    ConfigError
        As `load_config`.
    """
    given = {key: value for key, value in config.items() if key != "default_base"}
    if "base" not in given:
        given["base"] = config.get("default_base", None if files else "demo")
    places = [*reversed([path.parent for path in files]), Path()]
    return check_config(with_shape_of_weights(_over_base(given, places, ())))


def check_config(config: Mapping[str, Any]) -> dict[str, Any]:
    """Return a config complete with all defaults, or refuse it with all of its mistakes.

    Parameters
    ----------
    config
        Merged config of a run, without `base`.

    Raises
    ------
    ConfigError
        One line per mistake: the key's path, what stands there, what was expected.
    """
    return parse_config(config).model_dump(mode="json", by_alias=True)


def parse_config(config: Mapping[str, Any]) -> RunConfig:
    """Return a config as its model; see `check_config`."""
    text = json.dumps(config, default=str)
    try:
        return RunConfig.model_validate_json(text, strict=True)
    except ValidationError as error:
        lines = "\n  ".join(mistakes(error, RunConfig))
    raise ConfigError(
        f"the config has mistakes; nothing was started\n  {lines}\n"
        "Every key is described in docs/config.md; a file that names no base stands on the "
        "defaults alone, `base: demo` lays it over the demo."
    )


def merge(below: dict[str, Any], over: Mapping[str, Any]) -> None:
    """Write `over` into `below`, mappings key by key, as Snakemake does with `--configfile`."""
    for key, value in over.items():
        if isinstance(value, Mapping) and isinstance(below.get(key), dict):
            merge(below[key], value)
        else:
            below[key] = value


def read(path: Path) -> dict[str, Any]:
    """Return what a config file says by itself."""
    try:
        content = yaml.safe_load(path.read_text())
    except OSError as error:
        raise ConfigError(f"{path}: {error.strerror or error}") from None
    except yaml.YAMLError as error:
        raise ConfigError(f"{path}: not YAML; {error}") from None
    if not isinstance(content, dict | None):
        raise ConfigError(f"{path}: a {type(content).__name__}, expected keys with values")
    return content or {}


def sizes() -> dict[str, Path]:
    """Return the configs that a base may name, by their names."""
    return {
        path.stem: path
        for path in sorted(CONFIG_FOLDER.glob("*.yaml"))
        if path.stem not in NO_SIZES
    }


def _over_base(
    config: Mapping[str, Any], places: Iterable[Path], chain: tuple[Path, ...]
) -> dict[str, Any]:
    """Return a config laid over its base, and that over its own."""
    own = {key: value for key, value in config.items() if key != "base"}
    if config.get("base") in NO_BASE:
        return own
    path = _find_base(str(config["base"]), places)
    if path in chain:
        names = " -> ".join(step.name for step in (*chain[chain.index(path) :], path))
        raise ConfigError(f"base: {names} is a loop; expected a base that ends in none")
    merged = _over_base(read(path), [path.parent], (*chain, path))
    merge(merged, own)
    return merged


def _find_base(name: str, places: Iterable[Path]) -> Path:
    known = sizes()
    if name in known:
        return known[name].resolve()
    for place in places:
        if (place / name).is_file():
            return (place / name).resolve()
    raise ConfigError(
        f"base: {name!r} is none of {', '.join(known)}, and no file; expected one of these names, "
        "or the path of a config file as seen from the file that names it"
    )
