"""Labels made elsewhere: a user's table, or an export of Zooniverse, with its annotators kept."""

import datetime
import json
import os
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import astropy.units as u
import numpy as np
import pandas as pd
from astropy.coordinates import SkyCoord

from galaxy_lvm.core.errors import DataError
from galaxy_lvm.core.tables import GAPS, as_text
from galaxy_lvm.core.user_tables import LINE, read_user_table
from galaxy_lvm.hitl.majority import SETTLED
from galaxy_lvm.hitl.pools import Pool
from galaxy_lvm.hitl.store import NEGATIVE, POSITIVE, UNSURE
from galaxy_lvm.hitl.store_file import time_of
from galaxy_lvm.survey.position_columns import position_columns
from galaxy_lvm.survey.positions import find_column
from galaxy_lvm.survey.sky_columns import degrees_of

# A galaxy of the pool is meant by a position that lies this near to its own.
MATCH_ARCSEC = 2.0
MOST_NAME = 200
WORDS: dict[str, frozenset[str]] = {
    POSITIVE: frozenset({"positive", "yes", "true", "1"}),
    NEGATIVE: frozenset({"negative", "no", "false", "0"}),
    UNSURE: frozenset({"unsure", "maybe", "unknown", "not sure", "?"}),
}
_ID_NAMES = ("id", "name", "object_id", "objid", "galaxy")
_LABEL_NAMES = ("label", "value", "answer")
_PERSON_NAMES = ("annotator", "user_name", "user", "observer")
_TIME_NAMES = ("time", "created_at", "timestamp", "date")
_ZOONIVERSE = ("annotations", "subject_data")


@dataclass
class Given:
    """Labels of a table, row by row, and the rows that cannot be used.

    Attributes
    ----------
    n_rows
        Rows of the table.
    rows
        (id, value, annotator) in the order of the table.
    times
        When each of them was given, as label stores write it; "" where the table does not say.
    problems
        Line of the table and what is wrong with it.
    """

    n_rows: int
    rows: list[tuple[str, str, str]] = field(default_factory=list)
    times: list[str] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)


def words_of(positive: str = "", negative: str = "", target: str = "") -> dict[str, str]:
    """Return what every word of a table means, in lower case.

    Parameters
    ----------
    positive, negative
        Further words, separated by commas.
    target
        What is looked for; means positive, and with `not_` or `not ` in front negative.

    Raises
    ------
    DataError
        If a word is said to mean both.
    """
    meaning = {word: value for value, words in WORDS.items() for word in words}
    if target:
        name = target.lower()
        meaning |= {name: POSITIVE, f"not_{name}": NEGATIVE, f"not {name}": NEGATIVE}
    more = {value: {w.strip().lower() for w in text.split(",")} - {""}
            for value, text in ((POSITIVE, positive), (NEGATIVE, negative))}  # fmt: skip
    both = more[POSITIVE] & more[NEGATIVE]
    if both:
        raise DataError(f"{sorted(both)[0]!r} is said to mean positive and negative; choose one")
    return meaning | {word: value for value, words in more.items() for word in words}


def read_labels(
    path: str | os.PathLike,
    pool: Pool,
    catalogue: pd.DataFrame,
    words: Mapping[str, str],
    unlabelled: str,
    annotator: str,
) -> Given:
    """Read a table of labels.

    Parameters
    ----------
    path
        Any table that `read_user_table` reads: `id` or positions, and where it has them `label`
        and `annotator`; or classifications as Zooniverse exports them.
    pool, catalogue
        Galaxies that may be labelled, and their positions (`ra`, `dec` in degrees) if known.
    words
        What the words of the table mean, of `words_of`.
    unlabelled
        Label of rows without one.
    annotator
        Who brings the table; the annotator of rows where it names none.

    Raises
    ------
    DataError
        If the file is no such table. What is wrong with single rows is in the result.
    """
    path = Path(path)
    table = read_user_table(path, expected=("id",))
    names = [name for name in table.columns if name != LINE]
    if set(_ZOONIVERSE) <= set(names):
        ids, labels = _of_zooniverse(table, pool)
    else:
        ids = _ids_of(table, names, path, catalogue)
        labels = _texts(table, names, _LABEL_NAMES, path, "")
    people = _texts(table, names, _PERSON_NAMES, path, annotator)
    moments = _texts(table, names, _TIME_NAMES, path, "")
    given = Given(len(table))
    known = set(pool.ids_of(pool.known_rows(pd.unique(np.array([i for i, _ in ids], object)))))
    rows = zip(table[LINE], ids, labels, people, moments, strict=True)
    for line, (name, problem), label, who, moment in rows:
        value, time = _meaning(label, words, unlabelled), _time(moment)
        problem = problem or _problem(name, known, label, value, who)
        if not problem and time is None:
            problem = f"time {moment!r} is none; write it as 2026-01-31T12:00:00Z"
        if problem:
            given.problems.append(f"line {line}: {problem}")
        else:
            given.rows.append((name, value, who))
            given.times.append(time)
    return given


def _texts(
    table: pd.DataFrame, names: list[str], wanted: Sequence[str], path: Path, otherwise: str
) -> list[str]:
    """Return the column that bears one of the names as text; `otherwise` where there is none."""
    column = find_column(names, wanted, path)
    return [otherwise] * len(table) if column is None else as_text(table[column], path).tolist()


def _time(text: str) -> str | None:
    """Return a moment as label stores write it, "" for a gap, None for what is no moment."""
    if text.strip().lower() in GAPS:
        return ""
    try:
        # Zooniverse writes the zone as a word.
        return time_of(datetime.datetime.fromisoformat(text.strip().removesuffix(" UTC")))
    except ValueError:
        return None


def _meaning(label: str, words: Mapping[str, str], unlabelled: str) -> str:
    plain = label.strip().lower()
    return words.get(plain, unlabelled if plain in GAPS else "")


def _problem(name: str, known: Collection[str], label: str, value: str, who: str) -> str:
    if not name:
        return "the id is empty; give every row one"
    if name not in known:
        return f"no galaxy {name!r} in this pool; correct the id"
    if not value:
        return f"label {label!r} is not known; say below the table's name which word means what"
    if not who or len(who) > MOST_NAME or not who.isprintable() or who.startswith(SETTLED):
        return f"{who[:40]!r} is no name of an annotator"
    return ""


def _ids_of(
    table: pd.DataFrame, names: list[str], path: Path, catalogue: pd.DataFrame
) -> list[tuple[str, str]]:
    """Return for every row its id, and what is wrong."""
    column = find_column(names, _ID_NAMES, path)
    if column is not None:
        return [(name, "") for name in as_text(table[column], path)]
    places = position_columns(names, path)
    if not places:
        raise DataError(f"{path}: neither a column id nor positions (ra, dec); it has {names}")
    if "ra" not in catalogue or "dec" not in catalogue:
        raise DataError(f"{path}: the galaxies of this pool have no positions; give ids")
    units = table.attrs["units"]
    degrees, problems = degrees_of(
        pd.DataFrame({name: table[places[name]] for name in ("ra", "dec")}),
        {name: units.get(places[name]) for name in places},
    )
    return _nearest(degrees, problems, catalogue)


def _nearest(
    degrees: pd.DataFrame, problems: list[str], catalogue: pd.DataFrame
) -> list[tuple[str, str]]:
    here = catalogue[np.isfinite(catalogue[["ra", "dec"]].astype(float)).all(axis=1)]
    good = np.flatnonzero(np.isfinite(degrees).all(axis=1))
    found = [("", why or "the row has no position; give ra and dec") for why in problems]
    if not len(good) or not len(here):
        return found
    sky = SkyCoord(here["ra"].to_numpy(float), here["dec"].to_numpy(float), unit="deg")
    given = SkyCoord(degrees["ra"].to_numpy()[good], degrees["dec"].to_numpy()[good], unit="deg")
    nearest, distance, _ = given.match_to_catalog_sky(sky)
    ids = here["id"].to_numpy(object)
    for row, match, apart in zip(good, nearest, distance.to(u.arcsec).value, strict=True):
        if apart <= MATCH_ARCSEC:
            found[row] = (str(ids[match]), "")
        else:
            nothing = f"no galaxy of the pool within {MATCH_ARCSEC:g} arcsec of this position"
            found[row] = ("", f"{nothing}, the nearest is {apart:.1f} away")
    return found


def _of_zooniverse(table: pd.DataFrame, pool: Pool) -> tuple[list[tuple[str, str]], list[str]]:
    """Return ids with what is wrong, and answers, of classifications as Zooniverse exports them.

    A subject is the galaxy whose id one of its fields bears, or the name of its file.
    """
    ids, labels = [], []
    for subject, notes in zip(table["subject_data"], table["annotations"], strict=True):
        try:
            ids.append(_subject(json.loads(subject), pool))
            labels.append(_answer(json.loads(notes)))
        except (ValueError, TypeError, AttributeError) as error:
            ids[len(labels) :] = [("", f"subject or annotation cannot be read: {error}")]
            labels.append("")
    return ids, labels


def _subject(data: Mapping[str, Mapping[str, object]], pool: Pool) -> tuple[str, str]:
    texts = [str(value) for fields in data.values() for value in fields.values()]
    texts += [Path(text).stem for text in texts] + [str(number) for number in data]
    found = sorted({text for text in texts if len(pool.known_rows([text]))})
    if len(found) == 1:
        return found[0], ""
    if found:
        return "", f"the subject could be {' or '.join(map(repr, found[:3]))}"
    return "", "none of the subject's fields is the id of a galaxy of this pool"


def _answer(tasks: list[Mapping[str, object]]) -> str:
    """Return the answer of the first task."""
    answer = tasks[0]["value"] if tasks else ""
    if not isinstance(answer, str):
        raise ValueError(f"the answer {answer!r} of task {tasks[0].get('task')!r} is not one word")
    return answer
