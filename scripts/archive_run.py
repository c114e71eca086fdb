"""Archive a finished run as an RO-Crate: `make archive`, or `archive_run.py results/demo`."""

import argparse
import sys
from pathlib import Path

from galaxy_lvm.core.errors import DataError
from galaxy_lvm.report.archive import write_archive


def main(run: str, archive: str, environment: str, with_data: bool = False) -> None:
    """Write the archive and say where it is; the parameters are those of `write_archive`."""
    n_files = write_archive(run, environment, archive, with_data)
    size = Path(archive).stat().st_size / 1e6
    print(f"{archive}: {n_files} files, {size:.1f} MB, an RO-Crate with checksums, read back")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("run", help="folder of a finished run, results/NAME")
    parser.add_argument("--archive", help="zip to write; results/NAME.crate.zip by default")
    parser.add_argument("--environment", default="envs/cpu.txt", help="file of pinned packages")
    parser.add_argument("--with-data", action="store_true", help="also galaxies and features")
    given = parser.parse_args()
    name = given.archive or f"{given.run.rstrip('/')}.crate.zip"
    try:
        main(given.run, name, given.environment, given.with_data)
    except DataError as error:
        sys.exit(str(error))
