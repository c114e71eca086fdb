"""What the subcommands have in common: options, errors in one line, the last sentence."""

import functools
from collections.abc import Callable
from pathlib import Path
from typing import Any

import click

from galaxy_lvm.core.errors import ConfigError, DataError

FOLDER = click.argument("folder", type=click.Path(path_type=Path))
ENCODER = click.option(
    "--encoder",
    default="released",
    show_default=True,
    help="Encoder: 'released', weights (.safetensors), or a run's name or folder.",
)
KIND = click.option(
    "--kind",
    type=click.Choice(["image", "fits"]),
    help="Take JPEG and PNG alone, or FITS alone, where a folder holds both.",
)
CORES = click.option(
    "--cores",
    type=click.IntRange(min=1),
    default=None,
    help="CPU threads.  [default: all cores]",
)
SETTINGS = click.option(
    "--set",
    "settings",
    multiple=True,
    metavar="KEY=VALUE",
    help="How files are read: a key that a reason in skipped.csv names, such as "
    "pixel_scale_arcsec=0.4 (docs/config.md, folder); may be repeated.",
)


def output_option(command: str) -> Callable:
    """Return the option --output with the default folder of a subcommand."""
    return click.option(
        "--output",
        type=click.Path(path_type=Path),
        default=f"galaxy-lvm-{command}",
        show_default=True,
        help="Folder for the results.",
    )


def errors_in_words(function: Callable) -> Callable:
    """Let a subcommand end with the message alone where input or options are at fault."""

    @functools.wraps(function)
    def wrapped(*args: Any, **kwargs: Any) -> Any:
        try:
            return function(*args, **kwargs)
        except (DataError, ConfigError) as error:
            raise click.ClickException(str(error)) from error

    return wrapped


def counted(n: int, thing: str) -> str:
    """Return a number with its thing, in the plural where there is not one."""
    return f"{n} {thing}{'' if n == 1 else 's'}"
