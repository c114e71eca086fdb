"""Classes defined by catalogue columns: vote fractions of Galaxy Zoo, or the simulated truth."""

import difflib
import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from galaxy_lvm.core.errors import ConfigError, DataError

log = logging.getLogger("galaxy_lvm.classes")

# The four classes of the paper's Table 1, in its order.
CLASSES = ("elliptical", "edge_on", "spiral", "other")


@dataclass(frozen=True)
class Condition:
    """One condition on a catalogue column.

    Attributes
    ----------
    column
        Name in the catalogue.
    question
        Question of the decision tree that the column answers; for people, not for the code.
    min, max
        Inclusive limits of a number, None for no limit.
    equals
        Text that the column must hold; None for numbers.
    """

    column: str
    question: str = ""
    min: float | None = None
    max: float | None = None
    equals: str | None = None

    def __post_init__(self) -> None:
        if self.min is None and self.max is None and self.equals is None:
            raise ConfigError(f"class_schemes: {self.column!r} needs min, max or equals")
        if self.min is not None and self.max is not None and self.min > self.max:
            raise ConfigError(f"class_schemes: {self.column!r} has min {self.min} > max {self.max}")

    def holds(self, table: pd.DataFrame) -> np.ndarray:
        """Return for every galaxy whether the condition holds; a missing value fails it."""
        values = table[self.column]
        if self.equals is not None:
            return (values.astype(str) == self.equals).to_numpy()
        numbers = pd.to_numeric(values, errors="coerce").to_numpy(float)
        low = -np.inf if self.min is None else self.min
        high = np.inf if self.max is None else self.max
        with np.errstate(invalid="ignore"):
            return (numbers >= low) & (numbers <= high)


def labels_from_columns(
    catalogue: pd.DataFrame, scheme: str, schemes: Mapping[str, Sequence[Mapping[str, Any]]]
) -> pd.Series:
    """Return the class of every galaxy by one of the config's schemes.

    Parameters
    ----------
    catalogue
        One row per galaxy, with the columns that the scheme names: vote fractions in [0, 1]
        (Galaxy Zoo 2: Willett et al. 2013, Hart et al. 2016; Galaxy Zoo DECaLS: Walmsley et al.
        2022) or true parameters.
    scheme
        Key of `schemes`.
    schemes
        The config's section `class_schemes`: a list of classes, each with its conditions, all of
        which must hold.

    Returns
    -------
    pandas.Series
        Text; "" for galaxies that are of no class or meet the conditions of two. Both are counted
        in the log.

    Raises
    ------
    ConfigError
        For an unknown scheme, or one that names a class twice.
    DataError
        If the catalogue lacks a column (the nearest ones are named) or no galaxy has a class.
    """
    if scheme not in schemes:
        raise ConfigError(f"classes: {scheme!r} is none of class_schemes {sorted(schemes)}")
    names = [entry["class"] for entry in schemes[scheme]]
    if len(set(names)) < len(names):
        raise ConfigError(f"class_schemes.{scheme}: a class occurs twice in {names}")
    member = np.stack(
        [_members(catalogue, scheme, entry["where"]) for entry in schemes[scheme]], axis=1
    )
    n_met = member.sum(axis=1)
    labels = np.where(n_met == 1, np.asarray(names, dtype=object)[member.argmax(axis=1)], "")
    counts = {name: int((labels == name).sum()) for name in names}
    log.info(
        "classes by %s: %s; %d galaxies are of no class, %d of more than one; neither is used",
        scheme, counts, int((n_met == 0).sum()), int((n_met > 1).sum()),
    )  # fmt: skip
    if not (n_met == 1).any():
        raise DataError(f"no galaxy is of any class of {scheme!r}; lower its thresholds: {counts}")
    return pd.Series(labels, index=catalogue.index, dtype=object)


def _members(
    catalogue: pd.DataFrame, scheme: str, where: Sequence[Mapping[str, Any]]
) -> np.ndarray:
    conditions = [Condition(**condition) for condition in where]
    for condition in conditions:
        if condition.column not in catalogue:
            near = difflib.get_close_matches(condition.column, list(catalogue.columns), n=3)
            hint = f"nearest: {', '.join(near)}" if near else f"it has {list(catalogue.columns)}"
            raise DataError(
                f"class_schemes.{scheme}: the catalogue has no column {condition.column!r} "
                f"({condition.question or 'no question given'}); {hint}"
            )
    return np.logical_and.reduce([condition.holds(catalogue) for condition in conditions])


def class_order(labels: pd.Series) -> tuple[str, ...]:
    """Return the classes that occur: in the project's order where it knows them all, else sorted.

    Missing and empty labels are no class.
    """
    found = {str(label) for label in labels.dropna()} - {""}
    if found <= set(CLASSES):
        return tuple(name for name in CLASSES if name in found)
    return tuple(sorted(found))
