"""Classes defined by catalogue columns: vote fractions of Galaxy Zoo, or the simulated truth."""

import difflib
import logging
from collections.abc import Sequence

import numpy as np
import pandas as pd

from galaxy_lvm.core.config.schemes import Condition, NamedScheme
from galaxy_lvm.core.errors import DataError

log = logging.getLogger("galaxy_lvm.classes")

# The four classes of the paper's Table 1, in its order.
CLASSES = ("elliptical", "edge_on", "spiral", "other")

_TRUTHS = {"true": 1.0, "false": 0.0}


def labels_from_columns(catalogue: pd.DataFrame, scheme: NamedScheme) -> pd.Series:
    """Return the class of every galaxy by one of the config's schemes.

    Parameters
    ----------
    catalogue
        One row per galaxy, with the columns that the scheme names: vote fractions in [0, 1]
        (Galaxy Zoo 2: Willett et al. 2013, Hart et al. 2016; Galaxy Zoo DECaLS: Walmsley et al.
        2022) or true parameters.
    scheme
        Classes, each with its conditions, all of which must hold; limits are inclusive.

    Returns
    -------
    pandas.Series
        Text; "" for galaxies that are of no class or meet the conditions of two. Both are counted
        in the log.

    Raises
    ------
    DataError
        If the catalogue lacks a column (the nearest ones are named) or no galaxy has a class.
    """
    names = [rule.class_ for rule in scheme.rules]
    member = np.stack(
        [_members(catalogue, scheme.name, rule.where) for rule in scheme.rules], axis=1
    )
    n_met = member.sum(axis=1)
    labels = np.where(n_met == 1, np.asarray(names, dtype=object)[member.argmax(axis=1)], "")
    counts = {name: int((labels == name).sum()) for name in names}
    log.info(
        "classes by %s: %s; %d galaxies are of no class, %d of more than one; neither is used",
        scheme.name, counts, int((n_met == 0).sum()), int((n_met > 1).sum()),
    )  # fmt: skip
    if not (n_met == 1).any():
        raise DataError(
            f"no galaxy is of any class of {scheme.name!r}; lower its thresholds: {counts}"
        )
    return pd.Series(labels, index=catalogue.index, dtype=object)


def _members(catalogue: pd.DataFrame, scheme: str, conditions: Sequence[Condition]) -> np.ndarray:
    for condition in conditions:
        if condition.column not in catalogue:
            near = difflib.get_close_matches(condition.column, list(catalogue.columns), n=3)
            hint = f"nearest: {', '.join(near)}" if near else f"it has {list(catalogue.columns)}"
            raise DataError(
                f"class_schemes.{scheme}: the catalogue has no column {condition.column!r} "
                f"({condition.question or 'no question given'}); {hint}"
            )
    return np.logical_and.reduce([holds(condition, catalogue) for condition in conditions])


def holds(condition: Condition, catalogue: pd.DataFrame) -> np.ndarray:
    """Return for every galaxy (N,) whether a condition holds; a missing value fails it.

    Truth values are 1 and 0 to limits, also where a table writes them as text.
    """
    values = catalogue[condition.column]
    if condition.equals is not None:
        return _equal(values, condition.equals)
    numbers = _numbers(values)
    low = -np.inf if condition.min is None else condition.min
    high = np.inf if condition.max is None else condition.max
    with np.errstate(invalid="ignore"):
        return (numbers >= low) & (numbers <= high)


def _numbers(values: pd.Series) -> np.ndarray:
    """Return a column as numbers (N,), NaN where there is none."""
    numbers = pd.to_numeric(values, errors="coerce").to_numpy(dtype=float, na_value=np.nan)
    if pd.api.types.is_numeric_dtype(values):  # truth values among them
        return numbers
    written = values.astype(str).str.strip().str.lower().map(_TRUTHS).to_numpy(float)
    return np.where(np.isnan(numbers), written, numbers)


def _equal(values: pd.Series, wanted: str) -> np.ndarray:
    """Return where a column has a value (N,); 1.0 is "1" among numbers, a gap is never "nan"."""
    same = values.astype(str) == wanted
    if pd.api.types.infer_dtype(values, skipna=True) == "boolean":
        # Truth values are compared as limits compare them: "1" and "true" are True.
        number = _TRUTHS.get(wanted.lower(), wanted)
        same |= _numbers(values) == pd.to_numeric(number, errors="coerce")
    elif pd.api.types.is_numeric_dtype(values):
        same |= values == pd.to_numeric(wanted, errors="coerce")
    return (same & values.notna()).to_numpy(bool)


def class_order(labels: pd.Series) -> tuple[str, ...]:
    """Return the classes that occur: in the project's order where it knows them all, else sorted.

    Missing and empty labels are no class.
    """
    found = {str(label) for label in labels.dropna()} - {""}
    if found <= set(CLASSES):
        return tuple(name for name in CLASSES if name in found)
    return tuple(sorted(found))
