"""Options of how the page is served, and the command that starts it on a finished run."""

import functools
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import click

from galaxy_lvm.core.errors import ConfigError, DataError


@dataclass(frozen=True)
class Serving:
    """Where the page is served, who may use it, and where labels are kept; see `OPTIONS`."""

    host: str
    port: int
    allow_host: tuple[str, ...]
    token: str | None
    token_file: Path | None
    browser: bool
    store: Path | None
    per_round: int | None
    new_features: bool


_PATH = click.Path(path_type=Path)
_SHOWN = {"show_default": True}
OPTIONS = (
    click.option("--store", type=_PATH, help="File of the labels."),
    click.option("--per-round", type=click.IntRange(min=1), help="Galaxies of a round."),
    click.option("--new-features", is_flag=True, help="Go on with other features; labels stay."),
    click.option("--host", default="127.0.0.1", help="Address; others need a token.", **_SHOWN),
    click.option("--port", type=int, default=8765, **_SHOWN),
    click.option("--allow-host", multiple=True, help="Further name that this machine answers to."),
    click.option("--token", help="What one has to know to come in; lists of processes show it."),
    click.option("--token-file", type=_PATH, help="The same, read from a file."),
    click.option("--browser/--no-browser", default=True, help="Open it where there is a display."),
)


def serving_options(function: Callable) -> Callable:
    """Give a command the options of serving; it gets them as `serving`."""

    @functools.wraps(function)
    def wrapped(**given: Any) -> Any:
        serving = Serving(**{name: given.pop(name) for name in Serving.__dataclass_fields__})
        try:
            return function(serving=serving, **given)
        except (DataError, ConfigError) as error:
            raise click.ClickException(str(error)) from error

    for option in reversed(OPTIONS):
        wrapped = option(wrapped)
    return wrapped


def run_options(required: bool) -> Callable:
    """Return the options that name a run and what is looked for in it."""
    options = (
        click.option(
            "--run", default="demo" if required else None, show_default=required,
            help="Finished run, by name or folder.",
        ),
        click.option("--target", help="What is looked for: a class, or a key of hitl.targets."),
        click.option("--new", metavar="NAME", help="Instead: what no label says."),
        click.option("--dataset", help="Of the run, where it has several."),
        click.option("--configfile", multiple=True, help="The run's config, for hitl.targets."),
    )  # fmt: skip

    def give(function: Callable) -> Callable:
        for option in reversed(options):
            function = option(function)
        return function

    return give


@click.command("python -m galaxy_lvm.ui")
@run_options(required=True)
@serving_options
def label_run(
    run: str,
    target: str | None,
    new: str | None,
    dataset: str | None,
    configfile: tuple[str, ...],
    serving: Serving,
) -> None:
    """Label galaxies of a finished run on a page."""
    from galaxy_lvm.ui.start import start_run

    start_run(run, target, new, dataset, configfile, serving)
