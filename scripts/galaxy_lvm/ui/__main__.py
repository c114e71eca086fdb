"""Start the labelling page: python -m galaxy_lvm.ui --run demo --target spiral."""

import argparse
import logging
import sys
from pathlib import Path

from galaxy_lvm.core.errors import ConfigError, DataError
from galaxy_lvm.ui.labelling import Labelling
from galaxy_lvm.ui.security import access_of
from galaxy_lvm.ui.serve import serve
from galaxy_lvm.ui.workplace import Workplace, open_run


def parser() -> argparse.ArgumentParser:
    """Return the options."""
    made = argparse.ArgumentParser(prog="galaxy_lvm.ui", description="Label galaxies on a page.")
    add = made.add_argument
    add("--run", default="demo", help="finished run, by name or folder (default demo)")
    add("--target", help="what is looked for: a class of the run, or a key of hitl.targets")
    add("--new", metavar="NAME", help="instead: what is looked for, which no label says")
    add("--dataset", help="of the run, where it has several")
    add("--configfile", nargs="+", default=[], help="the run's config, for hitl.targets")
    add("--store", type=Path, help="file of the labels (default labels/RUN/TARGET.sqlite)")
    add("--per-round", type=int, help="galaxies of a round (default: the config's)")
    add("--new-features", action="store_true", help="go on with other features; labels stay")
    add("--host", default="127.0.0.1", help="address; another one needs a token")
    add("--port", type=int, default=8765)
    add("--allow-host", nargs="+", default=[], help="further names that this machine answers to")
    add("--token", help="what one has to know to come in; others may see it in lists of processes")
    add("--token-file", type=Path, help="the same, read from a file")
    add("--no-browser", action="store_true", help="only print the address")
    return made


def store_of(place: Workplace, run: str) -> Path:
    """Return where the labels of a search are kept: not in the run, which may be made again."""
    name = "".join(c if c.isalnum() or c in "-_" else "_" for c in place.name)
    return Path("labels") / Path(run).name / f"{name}.sqlite"


def start(options: argparse.Namespace) -> None:
    """Open what the options name, and serve it."""
    token = options.token
    if options.token_file is not None:
        try:
            token = options.token_file.read_text(encoding="utf-8").strip()
        except (OSError, UnicodeDecodeError) as error:
            raise ConfigError(f"--token-file {options.token_file}: {error}") from error
    place = open_run(
        options.run, options.target, options.new, options.dataset, tuple(options.configfile)
    )
    path = options.store or store_of(place, options.run)
    names = tuple(options.allow_host)
    access = access_of(options.host, options.port, token, path.with_suffix(".key"), names)
    path.parent.mkdir(parents=True, exist_ok=True)
    labelling = Labelling(place, path, options.per_round, options.new_features)
    serve(labelling, access, not options.no_browser)


def main(arguments: list[str] | None = None) -> int:
    """Start it; errors that a user can mend are one sentence."""
    logging.basicConfig(level=logging.WARNING, format="%(levelname)s %(message)s")
    try:
        start(parser().parse_args(arguments))
    except (DataError, ConfigError) as error:
        print(f"galaxy_lvm.ui: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
