"""Start the labelling page: python -m galaxy_lvm.ui --run demo --target spiral.

The process that trains the model reads this module too: what is needed is imported when it is.
"""

import logging
import sys

import click

from galaxy_lvm.ui.command import label_run


def main(arguments: list[str] | None = None) -> int:
    """Start it; errors that a user can mend are one sentence."""
    logging.basicConfig(level=logging.WARNING, format="%(levelname)s %(message)s")
    try:
        label_run.main(arguments, standalone_mode=False)
    except click.ClickException as error:
        error.show()
        return error.exit_code
    except click.Abort:
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
