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

from galaxy_lvm.core.errors import DataError
from galaxy_lvm.core.tables import as_text, load_table, save_table
from galaxy_lvm.core.user_tables import LINE, read_user_table
from galaxy_lvm.hitl.surveys import bgs_query, select_bgs, select_decals
from galaxy_lvm.survey.position_columns import position_columns

SELECTIONS = {"bright": select_bgs, "decals": select_decals}


def main(pool: str, catalogue: str | Path, positions: str | Path) -> dict[str, int]:
    """Write the selected rows as CSV, all columns kept; return what each cut removed.

    Parameters
    ----------
    pool
        bright or decals.
    catalogue
        Any table that `read_user_table` reads.
    positions
        CSV to write.

    Raises
    ------
    DataError
        If a column is missing or nothing is left.
    """
    table = read_user_table(catalogue).drop(columns=LINE)
    found = position_columns(list(table), catalogue)
    table = table.rename(columns={column: name for name, column in found.items()})
    if "id" in table:
        table["id"] = as_text(table["id"], catalogue)
    selection = SELECTIONS[pool](table)
    save_table(positions, selection.galaxies)
    return selection.removed


def command_line() -> None:
    """Read the options; print the query, or select and say what was removed."""
    text = __doc__.partition("\n\n")
    parser = argparse.ArgumentParser(
        description=text[0], epilog=text[2], formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("pool", choices=SELECTIONS)
    parser.add_argument("catalogue", nargs="?", help="table (CSV, FITS, VOTable, parquet ...)")
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
    print(f"{len(load_table(options.positions))} galaxies in {options.positions}")


if __name__ == "__main__":
    command_line()
