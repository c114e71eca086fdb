"""The size that a Snakemake profile stands for, kept where the command line replaces its config."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from galaxy_lvm.core.config.load import read
from galaxy_lvm.core.errors import ConfigError


def check_profile(
    config: Mapping[str, Any], profiles: Sequence[str], places: Sequence[Path]
) -> None:
    """Refuse a command line that has lost the size of its profile without a word.

    A profile names its size twice, as `configfile` and as `default_base` in `config`. Snakemake
    replaces the one by `--configfile` and the other by `--config`; with both given it has none.

    Parameters
    ----------
    config
        What the files and the command line say, merged.
    profiles
        Names of the profiles in use, as given to Snakemake.
    places
        Folders that relative names may stand in.

    Raises
    ------
    ConfigError
        If a profile stands for a size, both are replaced, and no base is named instead.
    """
    if {"base", "default_base"} & set(config):
        return
    for name in profiles:
        files = [Path(place, name, "config.yaml") for place in places]
        content = next((read(file) for file in files if file.is_file()), {})
        for entry in content.get("config") or []:
            key, _, size = str(entry).partition("=")
            if key == "default_base":
                raise ConfigError(
                    f"base: --configfile and --config take the place of all that the profile "
                    f"{name!r} says, its size as well; write `base: {size}` into your file or "
                    f"add default_base={size} behind --config (base: null for the defaults alone)"
                )


def profiles_of(arguments: Sequence[str], environment: Mapping[str, str]) -> list[str]:
    """Return the profiles that a Snakemake command line, or its environment, names."""
    named = [
        value
        for option, value in zip(arguments, [*arguments[1:], ""], strict=True)
        if option == "--profile"
    ]
    named += [a.partition("=")[2] for a in arguments if a.startswith("--profile=")]
    return named or environment.get("SNAKEMAKE_PROFILE", "").split(",")
