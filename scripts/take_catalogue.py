"""Take a published catalogue of `config/sources.csv` as a table of galaxies with their votes.

    python scripts/take_catalogue.py --list
    python scripts/take_catalogue.py galaxy_zoo_2 positions.csv --file gz2_hart16.csv.gz
    python scripts/take_catalogue.py galaxy_zoo_2 positions.csv --classes galaxy_zoo_2_clean
    python scripts/take_catalogue.py galaxy_zoo_decals votes.csv --match mine.csv --radius 2

The file is fetched once, into `data/catalogues`, and compared with its checksum; `--file` takes one
that is on disk. With `--match` the galaxies are those of a table of yours, with what the catalogue
says of each. What falls out is listed beside the table, with its reason.
"""

import argparse
import sys
from pathlib import Path

from galaxy_lvm.core.config.schemes import NamedScheme, own_schemes
from galaxy_lvm.core.config.survey import Service
from galaxy_lvm.core.errors import DataError
from galaxy_lvm.core.tables import save_table
from galaxy_lvm.core.user_tables import LINE
from galaxy_lvm.survey.classes import labels_from_columns
from galaxy_lvm.survey.positions import read_positions
from galaxy_lvm.survey.published import Chosen, put_beside, read_published
from galaxy_lvm.survey.rejected import rejection, write_rejected
from galaxy_lvm.survey.sources import Source, check_file, obtain, read_sources

SOURCES = Path(__file__).parents[1] / "config" / "sources.csv"
CATALOGUES = Path("data/catalogues")


def main(
    source: Source,
    positions: str | Path,
    file: str | Path | None = None,
    classes: str | None = None,
    match: str | Path | None = None,
    radius_arcsec: float = 2.0,
) -> Chosen:
    """Write the galaxies as CSV, and what falls out beside it as `..._rejected.csv`.

    Parameters
    ----------
    source
        An entry of `config/sources.csv`.
    positions
        CSV to write.
    file
        The catalogue on disk; None fetches it.
    classes
        One of the class schemes that every config has: writes `label`, and leaves out galaxies of
        no class.
    match
        Table of positions whose galaxies are wanted; None takes the whole catalogue.
    radius_arcsec
        Largest distance to a counterpart.

    Raises
    ------
    DataError
        If the catalogue cannot be had or read, or nothing is left.
    """
    if file is None:
        file = obtain(source, CATALOGUES, Service())
    elif source.file and Path(file).name == source.file:
        check_file(file, source)
    chosen = read_published(file, source)
    galaxies, rejections = chosen.galaxies, list(chosen.rejections)
    if match is not None:
        mine, bad = read_positions(match, make_ids=True)
        found = put_beside(mine, galaxies, radius_arcsec)
        galaxies, rejections = found.galaxies, [*bad, *found.rejections]
    if classes is not None:
        rules = NamedScheme(name=classes, rules=own_schemes()[classes])
        galaxies = galaxies.assign(label=labels_from_columns(galaxies, rules))
        lost = galaxies[galaxies["label"] == ""]
        reason = f"of no class of {classes}, or of two"
        table = Path(match or file).name
        rejections += [
            rejection("import", reason, name, table, line)
            for name, line in zip(lost["id"], lost[LINE], strict=True)
        ]
        galaxies = galaxies[galaxies["label"] != ""]
    positions = Path(positions)
    save_table(positions, galaxies.drop(columns=LINE))
    write_rejected(positions.with_name(f"{positions.stem}_rejected.csv"), rejections)
    return Chosen(galaxies, rejections)


def command_line() -> None:
    """Read the options; list the sources, or write a table and say what fell out."""
    text = __doc__.partition("\n\n")
    parser = argparse.ArgumentParser(
        description=text[0], epilog=text[2], formatter_class=argparse.RawDescriptionHelpFormatter
    )
    sources = read_sources(SOURCES)
    parser.add_argument("source", nargs="?", choices=sources)
    parser.add_argument("positions", nargs="?", help="CSV to write")
    parser.add_argument("--list", action="store_true", help="print the sources")
    parser.add_argument("--file", help="catalogue on disk")
    parser.add_argument("--classes", choices=own_schemes(), help="class scheme")
    parser.add_argument("--match", help="table of your galaxies")
    parser.add_argument("--radius", type=float, default=2.0, help="arcsec")
    o = parser.parse_args()
    if o.list:
        print("\n".join(map(str, sources.values())))
        return
    if not o.positions:
        parser.error("give the source and the file to write, or --list")
    try:
        found = main(sources[o.source], o.positions, o.file, o.classes, o.match, o.radius)
    except DataError as error:
        sys.exit(str(error))
    for reason, count in found.counts().items():
        print(f"left out {count}: {reason}")
    print(f"{len(found.galaxies)} galaxies in {o.positions}")


if __name__ == "__main__":
    command_line()
