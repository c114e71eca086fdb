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
    "detect": "galaxy_lvm.cli.detect:detect",
    "label": "galaxy_lvm.cli.label:label",
}


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
        return getattr(import_module(module), name)


@click.group(cls=LazyGroup, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="galaxy-lvm")
def main() -> None:
    """Features, classes, similar and unusual galaxies, lenses, labels of a folder of images."""
