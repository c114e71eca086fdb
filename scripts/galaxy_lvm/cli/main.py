"""The group of subcommands; each is imported only when it is called or described."""

from importlib import import_module

import click

from galaxy_lvm import __version__

# Subcommand -> module and name of its click command. A further one is a line here.
COMMANDS = {
    "embed": "galaxy_lvm.cli.embed:embed",
    "similar": "galaxy_lvm.cli.similar:similar",
    "outliers": "galaxy_lvm.cli.outliers:outliers",
    "classify": "galaxy_lvm.cli.classify:classify",
    "compress": "galaxy_lvm.cli.compress:compress",
    "detect": "galaxy_lvm.cli.detect:detect",
    "label": "galaxy_lvm.cli.label:label",
}
# Package that only some subcommands need -> the extra of `pip install` that brings it.
EXTRAS = {
    "flask": "label", "markupsafe": "label", "waitress": "label", "werkzeug": "label",
    "httpx": "detect", "pycocotools": "detect",
}  # fmt: skip


def advice(error: ModuleNotFoundError) -> str | None:
    """Return what to install where a package of an extra is missing; None where it is another."""
    package = (error.name or "").partition(".")[0]
    if package not in EXTRAS:
        return None
    # By its folder: the name alone would ask an index for whatever is called so there.
    return (
        f"{package} is not installed; in the project's folder: pip install '.[{EXTRAS[package]}]'"
    )


class LazyGroup(click.Group):
    """A group whose subcommands are imported when they are asked for."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Return the names, in the order of COMMANDS."""
        return [*COMMANDS, *super().list_commands(ctx)]

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Return a subcommand; None where there is none of this name."""
        if cmd_name not in COMMANDS:
            return super().get_command(ctx, cmd_name)
        module, _, name = COMMANDS[cmd_name].partition(":")
        try:
            return getattr(import_module(module), name)
        except ModuleNotFoundError as error:
            if (said := advice(error)) is None:
                raise
            return _unavailable(cmd_name, said)

    def invoke(self, ctx: click.Context) -> object:
        """Run a subcommand; one that lacks a package ends with what to install."""
        try:
            return super().invoke(ctx)
        except ModuleNotFoundError as error:
            if (said := advice(error)) is None:
                raise
            raise click.ClickException(said) from error


def _unavailable(name: str, said: str) -> click.Command:
    """Return a command that says what to install, so that the others can still be listed."""

    def say(**_: object) -> None:
        raise click.ClickException(said)

    anything = {"ignore_unknown_options": True, "allow_extra_args": True}
    return click.Command(name, context_settings=anything, callback=say, help=said)


@click.group(cls=LazyGroup, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="galaxy-lvm")
def main() -> None:
    """Features, classes, similar and unusual galaxies, lenses, labels of a folder of images."""
