"""Volunteers' votes: shares of those who came to a question, and their product along a path.

A survey of the Galaxy Zoo family asks on by what was said before, and its tables give the share of
those who were asked. How many of all volunteers went a whole way is the product of the shares.
"""

import difflib
from collections.abc import Sequence

import numpy as np
import pandas as pd

from galaxy_lvm.core.config.schemes import Answer
from galaxy_lvm.core.errors import DataError
from galaxy_lvm.core.tables import GAPS

# Tables keep shares in single precision, and debiasing rounds.
_ROUNDING = 1e-6


def need_column(catalogue: pd.DataFrame, column: str, where: str, about: str | None = None) -> None:
    """Raise a DataError with the nearest names where a catalogue lacks a column."""
    if column in catalogue:
        return
    near = difflib.get_close_matches(column, list(catalogue.columns), n=3)
    hint = f"nearest: {', '.join(near)}" if near else f"it has {list(catalogue.columns)}"
    question = f" ({about})" if about else ""
    raise DataError(f"{where}: the catalogue has no column {column!r}{question}; {hint}")


def vote_fractions(catalogue: pd.DataFrame, columns: Sequence[str], where: str) -> np.ndarray:
    """Return columns of vote fractions (N, n_columns) in [0, 1], NaN where one is empty.

    Parameters
    ----------
    catalogue
        One row per galaxy, with `id` for the messages.
    columns
        Names.
    where
        Key of the config that names them, for the messages.

    Raises
    ------
    DataError
        If a column is missing or holds something that is no fraction, with the galaxy.
    """
    found = []
    for column in columns:
        need_column(catalogue, column, where)
        given = catalogue[column]
        numbers = pd.to_numeric(given, errors="coerce")
        empty = given.isna() | given.astype(str).str.strip().str.lower().isin(GAPS)
        wrong = ~empty & ~numbers.between(-_ROUNDING, 1 + _ROUNDING)
        if wrong.any():
            first = catalogue.loc[wrong.idxmax()]
            row = f", row {first['row']}" if "row" in catalogue else ""
            raise DataError(
                f"{where}: column {column!r} is '{first[column]}' for galaxy {first.get('id')!r}"
                f"{row} and {int(wrong.sum())} of {len(catalogue)} in all; expected a vote "
                "fraction, 0 to 1"
            )
        found.append(numbers.to_numpy(dtype=float, na_value=np.nan).clip(0, 1))
    return np.stack(found, axis=1)


def path_share(catalogue: pd.DataFrame, path: Sequence[Answer], where: str) -> np.ndarray:
    """Return the share of all volunteers who went a path of questions to its end (N,).

    Parameters
    ----------
    catalogue
        One row per galaxy with the columns that the path names.
    path
        The answers on it, in any order.
    where
        Key of the config that it stands at, for the messages.

    Returns
    -------
    numpy.ndarray
        0 to 1, or a little above where debiased answers to one question add up to more; NaN where
        a fraction is missing.
    """
    share = np.ones(len(catalogue))
    for answer in path:
        given = vote_fractions(catalogue, answer.columns, where).sum(axis=1)
        share *= given if answer.any_of else np.clip(1 - given, 0, None)
    return share
