"""Published strong-lens candidates, and which wide fields to cut around them and beside them.

Tables have the form of the NeuraLens lists (Stein et al. 2022) or of lists of other searches: `ra`
and `dec` in degrees, perhaps a name and a grade.
"""

import hashlib
import logging
import os
from collections.abc import Sequence
from pathlib import Path
from urllib.parse import urlparse

import astropy.units as u
import numpy as np
import pandas as pd
from astropy.coordinates import SkyCoord, search_around_sky
from scipy.sparse import coo_matrix
from scipy.sparse.csgraph import connected_components

from galaxy_lvm.core.config.lenses import Candidates
from galaxy_lvm.core.errors import DataError
from galaxy_lvm.core.seeds import derive_seed
from galaxy_lvm.core.state import atomic_path
from galaxy_lvm.core.user_tables import LINE
from galaxy_lvm.survey.legacysurvey import CutoutService
from galaxy_lvm.survey.positions import find_column, first_of_each, read_positions, sky
from galaxy_lvm.survey.rejected import rejection
from galaxy_lvm.survey.remote import RefusedError, fetch
from galaxy_lvm.survey.store import PIXEL_SCALE_ARCSEC

log = logging.getLogger("galaxy_lvm.lens_candidates")

_GRADE_COLUMNS = ("grade", "grading")
_TRIES_PER_FIELD = 20


def local_table(address: str, folder: str | os.PathLike, service: CutoutService) -> Path:
    """Return a table's path; one with an http(s) address is downloaded into a folder, once.

    Raises
    ------
    DataError
        If there is no such file, or the address gives no answer.
    """
    if not address.startswith(("http://", "https://")):
        return Path(address)
    digest = hashlib.sha256(address.encode()).hexdigest()[:8]
    path = Path(folder) / f"{digest}_{Path(urlparse(address).path).name or 'table.csv'}"
    if not path.exists():
        try:
            content = fetch(service.client, address, service.settings, service.pace)
        except DataError as error:
            what = "was refused" if isinstance(error, RefusedError) else "could not be fetched"
            raise DataError(
                f"lenses.candidates.tables: {address} {what}: {error}. Correct the address, or "
                "give the path of a copy of the table"
            ) from error
        with atomic_path(path) as temporary:
            temporary.write_bytes(content)
    return path


def read_candidates(
    paths: Sequence[str | os.PathLike], settings: Candidates
) -> tuple[pd.DataFrame, list[dict[str, object]]]:
    """Read tables of candidates into one list without duplicates.

    Parameters
    ----------
    paths
        Tables on disk; where two name the same object, the earlier one's row is kept, with the
        grade of the later one where it has none itself.
    settings
        Grades, radius of duplicates.

    Returns
    -------
    candidates : pandas.DataFrame
        `id`, `ra`, `dec`, `grade` ("" = none), `table`, `row`, `wanted` (passes the grade cut).
    rejections : list of dict
        Bad rows, duplicates and what the grade cut leaves out.

    Raises
    ------
    DataError
        If a table cannot be read or no candidate is left.
    """
    parts, rejections = [], []
    for path in paths:
        # A copy may be the one with the grade.
        options = {"keep_copies": True, "as_written": _GRADE_COLUMNS}
        table, bad = read_positions(path, make_ids=True, **options)
        rejections += bad
        column = find_column(list(table), _GRADE_COLUMNS, Path(path))
        known = {"grade": table[column] if column else "", "table": Path(path).name}
        parts.append(table[["id", "ra", "dec"]].assign(**known, row=table[LINE]))
    table, duplicates = _without_duplicates(pd.concat(parts), settings.duplicate_arcsec)
    rejections += duplicates
    table["id"] = _distinct(table["id"])
    graded = table["grade"] != ""
    chosen = table["grade"].isin(settings.grades) if settings.grades else graded
    table["wanted"] = np.where(graded, chosen, settings.ungraded)
    for row in table[~table["wanted"]].itertuples():
        reason = f"grade {row.grade or '(none)'!r} is left out by lenses.candidates.grades"
        rejections.append(rejection("import", reason, row.id, row.table, row.row))
    if not table["wanted"].any():
        counts = table["grade"].replace("", "(none)").value_counts().to_dict()
        raise DataError(
            f"no lens candidate has a grade of lenses.candidates.grades = {list(settings.grades)}; "
            f"the tables have {counts}"
        )
    n_wanted = int(table["wanted"].sum())
    log.info("%d of %d candidates; %d duplicates", n_wanted, len(table), len(duplicates))
    return table, rejections


def _without_duplicates(
    table: pd.DataFrame, radius_arcsec: float
) -> tuple[pd.DataFrame, list[dict[str, object]]]:
    """Keep the first row of every object, with the first grade that any of its rows has."""
    table = table.reset_index(drop=True)
    first = first_of_each(table, radius_arcsec)
    grades, rejections = table["grade"].tolist(), []
    copies = np.flatnonzero(first != np.arange(len(table)))
    for copy in copies:
        row, kept = table.iloc[copy], table.iloc[first[copy]]
        grades[first[copy]] = grades[first[copy]] or row["grade"]
        reason = (
            f"within {radius_arcsec:g} arcsec of {kept['id']} ({kept['table']}, line "
            f"{kept['row']}); counted once"
        )
        rejections.append(rejection("import", reason, row["id"], row["table"], row["row"]))
    return table.assign(grade=grades).drop(index=copies).reset_index(drop=True), rejections


def _distinct(ids: pd.Series) -> list[str]:
    """Give names that stand twice, in different tables, a number that makes no other name."""
    taken, seen, distinct = set(ids), set(), []
    for name in ids:
        number, new = 1, name
        while name in seen and new in taken:
            number += 1
            new = f"{name}_{number}"
        seen.add(name)
        taken.add(new)
        distinct.append(new)
    return distinct


def plan_fields(
    candidates: pd.DataFrame, settings: Candidates, side_pix: int, seed: int
) -> pd.DataFrame:
    """Place a field around every wanted candidate, and one without a lens beside each.

    The lens lies anywhere within `max_offset` of the centre. A field without one is centred at a
    random distance and direction from a candidate, where no candidate of any grade is inside or
    within a tenth of its side around it.

    Parameters
    ----------
    candidates
        From `read_candidates`.
    settings
        Offsets and distances.
    side_pix
        Side of a field.
    seed
        The run's seed; what a field looks like depends on it and the candidate's id alone.

    Returns
    -------
    pandas.DataFrame
        `id`, `candidate` (row; that beside which the field lies, for fields without a lens),
        `empty`, `ra`, `dec` (centre) and `group` (fields that share sky have the same), in the
        random order in which they are to be used.
    """
    wanted = np.flatnonzero(candidates["wanted"])
    generators = [
        np.random.default_rng(derive_seed(seed, "lens field", name))
        for name in candidates["id"].iloc[wanted]
    ]
    reach_arcsec = settings.max_offset * side_pix / 2 * PIXEL_SCALE_ARCSEC
    east, north = np.array([rng.uniform(-reach_arcsec, reach_arcsec, 2) for rng in generators]).T
    places = sky(candidates.iloc[wanted])
    centres = places.spherical_offsets_by(east * u.arcsec, north * u.arcsec)
    with_lens = _plan_rows(candidates, wanted, centres, empty=False)
    chosen, centres = _empty_places(places, sky(candidates), settings, side_pix, generators)
    plan = pd.concat(
        [with_lens, _plan_rows(candidates, wanted[chosen], centres, empty=True)], ignore_index=True
    )
    # The service takes six decimals: this is what it will be asked for.
    plan[["ra", "dec"]] = plan[["ra", "dec"]].round(6)
    plan["group"] = _sharing_sky(plan, side_pix)
    order = np.argsort([derive_seed(seed, "order", name) for name in plan["id"]])
    return plan.iloc[order].reset_index(drop=True)


def _plan_rows(
    candidates: pd.DataFrame, numbers: np.ndarray, centres: SkyCoord, empty: bool
) -> pd.DataFrame:
    ids = [f"{'empty' if empty else 'lens'}_{name}" for name in candidates["id"].iloc[numbers]]
    columns = {"id": ids, "candidate": numbers, "empty": empty}
    return pd.DataFrame({**columns, "ra": centres.ra.deg, "dec": centres.dec.deg})


def _empty_places(
    places: SkyCoord,
    candidates: SkyCoord,
    settings: Candidates,
    side_pix: int,
    generators: Sequence[np.random.Generator],
) -> tuple[np.ndarray, SkyCoord]:
    """Return for which places a centre without a candidate around was found, and those centres."""
    limits = np.square([settings.empty_min_arcsec, settings.empty_max_arcsec])
    ra, dec = np.full((2, len(places)), np.nan)
    left = np.arange(len(places))
    for _ in range(_TRIES_PER_FIELD):
        draws = np.array([generators[i].random(2) for i in left]).reshape(-1, 2).T
        # Uniform over the ring's area.
        distance = np.sqrt(limits[0] + draws[0] * (limits[1] - limits[0])) * u.arcsec
        centres = places[left].directional_offset_by(draws[1] * 360 * u.deg, distance)
        taken = np.zeros(len(left), dtype=bool)
        taken[inside_fields(centres, candidates, 1.2 * side_pix)[0]] = True
        ra[left[~taken]], dec[left[~taken]] = centres[~taken].ra.deg, centres[~taken].dec.deg
        left = left[taken]
        if not len(left):
            break
    found = np.flatnonzero(np.isfinite(ra))
    return found, SkyCoord(ra[found], dec[found], unit="deg")


def inside_fields(
    centres: SkyCoord, places: SkyCoord, side_pix: float
) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Return which places lie inside which fields, and where.

    Parameters
    ----------
    centres, places
        Centres of the fields; positions to look for.
    side_pix
        Side of the fields; north is up (rows rise to the north), east is left.

    Returns
    -------
    field, place : numpy.ndarray
        Numbers of the field and the place of every match.
    x_pix, y_pix : numpy.ndarray
        Pixel edges: the middle of the field is side_pix / 2.
    """
    side_arcsec = side_pix * PIXEL_SCALE_ARCSEC
    field, place = search_around_sky(centres, places, side_arcsec * u.arcsec)[:2]
    east, north = centres[field].spherical_offsets_to(places[place])
    x = side_pix / 2 - east.to_value(u.arcsec) / PIXEL_SCALE_ARCSEC
    y = side_pix / 2 + north.to_value(u.arcsec) / PIXEL_SCALE_ARCSEC
    inside = (x > 0) & (x < side_pix) & (y > 0) & (y < side_pix)
    return field[inside], place[inside], x[inside], y[inside]


def _sharing_sky(plan: pd.DataFrame, side_pix: int) -> np.ndarray:
    """Return a number for every field that is the same for those that may overlap."""
    centres = sky(plan)
    diagonal = np.sqrt(2) * side_pix * PIXEL_SCALE_ARCSEC * u.arcsec
    left, right = search_around_sky(centres, centres, diagonal)[:2]
    graph = coo_matrix((np.ones(len(left), bool), (left, right)), shape=(len(plan), len(plan)))
    return connected_components(graph, directed=False)[1]
