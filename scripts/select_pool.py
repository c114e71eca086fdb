"""Select the galaxies of a pool of paper V from a catalogue, as positions for `legacysurvey`.

    python scripts/select_pool.py bright --query             # what to ask the catalogue service
    python scripts/select_pool.py bright ANSWER.csv positions.csv
    python scripts/select_pool.py decals VOTES.parquet positions.csv

`bright` is the pool of paper V.C (Bright Galaxy Survey), `decals` that of figure 10 (face-on
spirals and others of Galaxy Zoo DECaLS). The query is ADQL for the survey's catalogue service.
"""

import argparse
import sys
from pathlib import Path

import pandas as pd
from galaxy_lvm.core.errors import DataError
from galaxy_lvm.core.state import atomic_path
from galaxy_lvm.hitl.surveys import bgs_query, select_bgs, select_decals
from galaxy_lvm.survey.text_table import read_text_table

SELECTIONS = {"bright": select_bgs, "decals": select_decals}


def main(pool: str, catalogue: str | Path, positions: str | Path) -> dict[str, int]:
    """Write the selected rows as CSV, all columns kept; return what each cut removed.

    Parameters
    ----------
    pool
        bright or decals.
    catalogue
        CSV, TSV or parquet.
    positions
        CSV to write.

    Raises
    ------
    DataError
        If a column is missing or nothing is left.
    """
    path = Path(catalogue)
    table = pd.read_parquet(path) if path.suffix == ".parquet" else read_text_table(path)
    selection = SELECTIONS[pool](table)
    with atomic_path(positions) as temporary:
        selection.galaxies.to_csv(temporary, index=False)
    return selection.removed


def command_line() -> None:
    """Read the options; print the query, or select and say what was removed."""
    text = __doc__.partition("\n\n")
    parser = argparse.ArgumentParser(
        description=text[0], epilog=text[2], formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("pool", choices=SELECTIONS)
    parser.add_argument("catalogue", nargs="?", help="table (CSV, TSV, parquet)")
    parser.add_argument("positions", nargs="?", help="CSV to write")
    parser.add_argument("--query", action="store_true", help="print the query for `bright`")
    options = parser.parse_args()
    if options.query and options.pool == "bright":
        print(bgs_query())
        return
    if not options.positions:
        parser.error("give the catalogue and the file to write; only `bright` has a query")
    try:
        removed = main(options.pool, options.catalogue, options.positions)
    except DataError as error:
        sys.exit(f"{options.catalogue}: {error}")
    for reason, count in removed.items():
        print(f"removed {count}: {reason}")
    print(f"{len(pd.read_csv(options.positions))} galaxies in {options.positions}")


if __name__ == "__main__":
    command_line()
