"""Published catalogues as tables of galaxies, and put beside other tables by position."""

import difflib
import fnmatch
import gzip
import os
from dataclasses import dataclass
from pathlib import Path

import astropy.units as u
import numpy as np
import pandas as pd

from galaxy_lvm.core.chosen_columns import column_names, has_columns_apart, read_columns
from galaxy_lvm.core.errors import DataError
from galaxy_lvm.core.user_tables import LINE, read_user_table
from galaxy_lvm.survey.position_columns import position_columns
from galaxy_lvm.survey.positions import first_of_each, positions_of, sky
from galaxy_lvm.survey.rejected import rejection
from galaxy_lvm.survey.sources import Source

SEPARATION = "separation_arcsec"


@dataclass(frozen=True)
class Chosen:
    """Rows that can be used, and for every other one why it cannot.

    Attributes
    ----------
    galaxies
        `id` (text), `ra`, `dec` in degrees, and other columns.
    rejections
        For `rejected.write_rejected`.
    """

    galaxies: pd.DataFrame
    rejections: list[dict[str, object]]

    def counts(self) -> dict[str, int]:
        """Return how many rows fell out, by reason without its numbers and names."""
        reasons = pd.Series([str(one["reason"]) for one in self.rejections], dtype=object)
        general = reasons.str.replace(r"'[^']*'|\d[\d.]*", "...", regex=True).str.split(";").str[0]
        return general.value_counts().to_dict()


def read_published(
    path: str | os.PathLike, source: Source, duplicate_arcsec: float = 3.0
) -> Chosen:
    """Read a published catalogue: names, positions and the columns that its source keeps.

    Only these columns are read from CSV and parquet: Galaxy Zoo 2 has 231 and 240,000 rows.

    Parameters
    ----------
    path
        The file as it is published, or any table with the same columns, in any order.
    source
        Its entry in `config/sources.csv`.
    duplicate_arcsec
        Rows closer than this to an earlier one are the same galaxy, and left out; 0 keeps all.

    Raises
    ------
    DataError
        If a column has another name (the nearest are named), nothing can be read or no row is left.
    """
    path = Path(path)
    table = _with_columns(path, source)
    if source.id_column:
        table = table.rename(columns={source.id_column: "id"})
    galaxies, rejections = positions_of(table, path, make_ids=not source.id_column)
    first = first_of_each(galaxies, duplicate_arcsec)
    copies = np.flatnonzero(first != np.arange(len(galaxies)))
    for copy in copies:
        row, kept = galaxies.iloc[copy], galaxies.iloc[first[copy]]
        reason = f"within {duplicate_arcsec:g} arcsec of '{kept['id']}'; counted once"
        rejections.append(rejection("import", reason, row["id"], path.name, row[LINE]))
    galaxies = galaxies.drop(index=copies).reset_index(drop=True)
    if galaxies.empty:
        reasons = "; ".join(f"line {r['row']}: {r['reason']}" for r in rejections[:3])
        raise DataError(f"{path}: no row can be used. First reasons: {reasons}")
    return Chosen(galaxies, rejections)


def _with_columns(path: Path, source: Source) -> pd.DataFrame:
    """Read the columns that a source names, wherever they stand; `LINE` beside them."""
    if not path.is_file():
        raise DataError(f"{path}: no such table")
    try:
        if not has_columns_apart(path):
            table = read_user_table(path, expected=("ra", "dec"))
            return table[[*_wanted(list(table), source, path), LINE]]
        wanted = _wanted(column_names(path), source, path)
        # Names and positions as they are written; votes are numbers.
        kept = _kept(wanted, source)
        table = read_columns(path, wanted, [name for name in wanted if name not in kept])
    except (OSError, EOFError, ValueError, gzip.BadGzipFile) as error:
        raise DataError(f"{path}: cannot be read: {error}; fetch it again") from error
    return table.assign(**{LINE: np.arange(len(table), dtype=np.int64) + 2})


def _kept(columns: list[str], source: Source) -> list[str]:
    return [c for c in columns if any(fnmatch.fnmatchcase(c, p) for p in source.columns)]


def _wanted(columns: list[str], source: Source, path: Path) -> list[str]:
    """Return name, positions and kept columns of a header, or say what it lacks."""
    columns = [name for name in columns if name != LINE]
    places = list(position_columns(columns, path).values())
    needed = [source.id_column] if source.id_column else []
    if not places:
        raise DataError(f"{path}: no columns ra and dec; it has {columns[:20]}")
    for pattern in (*needed, *source.columns):
        if not fnmatch.filter(columns, pattern):
            near = difflib.get_close_matches(pattern.replace("*", ""), columns, n=3, cutoff=0.4)
            raise DataError(
                f"{path}: no column {pattern!r}, which {source.name} ({source.version}) has; "
                f"nearest: {', '.join(near) or 'none'}. Give the file as it is published"
            )
    return list(dict.fromkeys([*needed, *places, *_kept(columns, source)]))


def put_beside(galaxies: pd.DataFrame, catalogue: pd.DataFrame, radius_arcsec: float) -> Chosen:
    """Return galaxies with the columns of their counterparts in a catalogue.

    A galaxy's counterpart is the nearest row within the radius, and no row serves two galaxies: it
    belongs to the nearest one.

    Parameters
    ----------
    galaxies
        `id`, `ra`, `dec` in degrees and other columns; perhaps `LINE` for the messages.
    catalogue
        `id`, `ra`, `dec` in degrees and what is wanted of it.
    radius_arcsec
        Largest separation, above 0.

    Returns
    -------
    Chosen
        Galaxies with a counterpart, in their order: their own columns, those of the catalogue
        (`catalogue_` in front of names that both have) and `SEPARATION`.

    Raises
    ------
    DataError
        If no galaxy has a counterpart, with the separation of the nearest pair.
    """
    nearest, separation, _ = sky(galaxies).match_to_catalog_sky(sky(catalogue))
    arcsec = separation.to_value(u.arcsec)
    reasons = np.full(len(galaxies), "", dtype=object)
    reasons[arcsec > radius_arcsec] = f"no counterpart within {radius_arcsec:g} arcsec"
    owner: dict[int, int] = {}
    for row in np.argsort(arcsec, kind="stable"):
        if reasons[row]:
            continue
        first = owner.setdefault(int(nearest[row]), int(row))
        if first != row:
            name, other = catalogue["id"].iloc[nearest[row]], galaxies["id"].iloc[first]
            reasons[row] = f"its counterpart '{name}' is nearer to '{other}'"
    good = np.flatnonzero(reasons == "")
    if not len(good):
        raise DataError(
            f"none of {len(galaxies)} galaxies has a counterpart within {radius_arcsec:g} arcsec; "
            f"the nearest pair is {arcsec.min():.1f} arcsec apart: is it the same part of the sky?"
        )
    theirs = catalogue.iloc[nearest[good]].drop(columns=LINE, errors="ignore")
    twice = {name: f"catalogue_{name}" for name in theirs if name in galaxies}
    theirs = theirs.rename(columns=twice).reset_index(drop=True)
    beside = theirs.assign(**{SEPARATION: arcsec[good]})
    lines = galaxies[LINE] if LINE in galaxies else pd.Series([None] * len(galaxies))
    lost = [
        rejection("import", reasons[row], galaxies["id"].iloc[row], "", lines.iloc[row])
        for row in np.flatnonzero(reasons != "")
    ]
    return Chosen(pd.concat([galaxies.iloc[good].reset_index(drop=True), beside], axis=1), lost)
