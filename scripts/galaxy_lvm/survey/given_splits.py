"""Splits that a user's table gives, so that published test sets can be used."""

import logging
import os

import pandas as pd

from galaxy_lvm.core.errors import DataError
from galaxy_lvm.core.tables import GAPS, as_text
from galaxy_lvm.survey.rejected import rejection

log = logging.getLogger("galaxy_lvm.splits")

USUAL_COLUMN = "split"
_NAMES = {
    "train": "train", "training": "train",
    "val": "val", "valid": "val", "validation": "val", "dev": "val",
    "test": "test", "testing": "test",
    "unused": "unused",
}  # fmt: skip
# A copy goes with the strongest set that one of its group is given; what is unused joins none.
_STRENGTH = {"test": 0, "val": 1, "train": 2, "": 3, "unused": 4}


def given_splits(
    table: pd.DataFrame, column: str | None, path: str | os.PathLike, needed: bool
) -> pd.Series:
    """Return the split that a table gives each galaxy, "" where it gives none.

    Parameters
    ----------
    table
        Catalogue with `id` and, for the messages, `row`.
    column
        The config's `splits.column`, found in any case (`Split`); None gives none.
    path
        Where the catalogue comes from, for the messages.
    needed
        Whether tasks are trained on the galaxies: a column that was named must then be there.

    Returns
    -------
    pandas.Series
        Text (N,): train, val, test, unused or "".

    Raises
    ------
    DataError
        If a column that was named is missing, or a value is unknown, with row and value.
    """
    none = pd.Series("", index=table.index, dtype=object)
    name = _column_of(table, column, path, needed)
    if name is None:
        return none
    written = as_text(table[name], path)
    lower = written.str.lower()
    given = lower.map(_NAMES).where(~lower.isin(GAPS), "")
    unknown = given.isna()
    if unknown.any():
        first = table.loc[unknown.idxmax()]
        row = f"row {first['row']}, " if "row" in table else ""
        raise DataError(
            f"{path}: column {name!r} is {written[unknown.idxmax()]!r} in {row}galaxy "
            f"{first['id']!r}, and unknown in {int(unknown.sum())} rows; expected train, val, "
            "test, unused or an empty cell. Correct the table, or set splits.column: null to pass "
            "the column over"
        )
    counts = given.replace("", "(none)").value_counts().to_dict()
    log.info("column %r gives the splits: %s", name, counts)
    return given


def _column_of(
    table: pd.DataFrame, column: str | None, path: str | os.PathLike, needed: bool
) -> str | None:
    if column is None:
        return None
    found = [name for name in table if name.lower() == column.lower()]
    if column in found:
        return column
    if len(found) == 1:
        return found[0]
    if found or (needed and column != USUAL_COLUMN):
        raise DataError(
            f"{path}: splits.column is {column!r}, the catalogue has {found or list(table)}; "
            "name one of them"
        )
    return None


def without_copies(galaxies: pd.DataFrame) -> tuple[list[dict[str, object]], pd.Series]:
    """Return rejections of copies of given test and validation galaxies, and who stays (N,).

    A galaxy whose copy is given to the test set is neither trained nor tested on, unless it is
    given to it as well: a published test set stays as it was published.

    Parameters
    ----------
    galaxies
        Columns `id`, `group`, `given`; where present, `file` and `row` go into the rejections.
    """
    strength = galaxies["given"].map(_STRENGTH)
    strongest = strength.groupby(galaxies["group"]).transform("min")
    kept_apart = strongest <= _STRENGTH["val"]
    dropped = kept_apart & (strength > strongest) & (strength < _STRENGTH["unused"])
    originals = galaxies[kept_apart & (strength == strongest)].groupby("group")[["id", "given"]]
    originals = originals.first()
    rejections = []
    for record in galaxies[dropped].to_dict("records"):
        original = originals.loc[record["group"]]
        own = f"was given to {record['given']}" if record["given"] else "had no split"
        reason = (
            f"is a copy of {original['id']!r}, which the table gives to {original['given']}, and "
            f"{own}; left out, so that nothing is learned from it"
        )
        rejections.append(
            rejection("split", reason, record["id"], record.get("file", ""), record.get("row"))
        )
    if rejections:
        log.warning("%d copies of given test or validation galaxies are left out", len(rejections))
    return rejections, ~dropped


def without_unused_copies(
    galaxies: pd.DataFrame,
) -> tuple[list[dict[str, object]], pd.Series]:
    """Return rejections of unused copies of test and validation galaxies, and who stays (N,).

    The label loop asks about unused galaxies and learns from the answers.

    Parameters
    ----------
    galaxies
        Columns `id`, `group`, `given`, `split`; where present, `file` and `row` go into the
        rejections.
    """
    judging = galaxies[galaxies["split"].isin(("test", "val"))]
    originals = judging.groupby("group")[["id", "split"]].first()
    dropped = (galaxies["given"] == "unused") & galaxies["group"].isin(originals.index)
    rejections = []
    for record in galaxies[dropped].to_dict("records"):
        original = originals.loc[record["group"]]
        reason = (
            f"is a copy of {original['id']!r}, which is in {original['split']}, and was given to "
            "unused; left out, so that the label loop does not learn from it"
        )
        rejections.append(
            rejection("split", reason, record["id"], record.get("file", ""), record.get("row"))
        )
    if rejections:
        log.warning("%d unused copies of test or validation galaxies are left out", len(rejections))
    return rejections, ~dropped
