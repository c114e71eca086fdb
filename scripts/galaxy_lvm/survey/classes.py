"""Classes defined by catalogue columns: vote fractions of Galaxy Zoo, or the simulated truth."""

import logging

import numpy as np
import pandas as pd

from galaxy_lvm.core.config.schemes import DEFAULT_SHARE, ClassRule, Condition, NamedScheme
from galaxy_lvm.core.errors import DataError
from galaxy_lvm.survey.votes import need_column, path_share

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
        Classes. One with a path is met where more than its limit of all volunteers went the whole
        way; of several such classes the one with the largest share counts. One with conditions is
        met where all hold; limits are inclusive.

    Returns
    -------
    pandas.Series
        Text; "" for galaxies that are of no class, or of two that cannot be weighed (conditions
        alone, or equal shares). Both are counted in the log.

    Raises
    ------
    DataError
        If the catalogue lacks a column (the nearest ones are named), a vote fraction is none, or
        no galaxy has a class.
    """
    names = np.asarray([rule.class_ for rule in scheme.rules], dtype=object)
    weights = np.stack([_weight(catalogue, scheme.name, rule) for rule in scheme.rules], axis=1)
    largest, n_met = weights.max(axis=1), (weights > 0).sum(axis=1)
    tied = (n_met > 1) & (np.isinf(largest) | ((weights == largest[:, None]).sum(axis=1) > 1))
    decided = (n_met > 0) & ~tied
    labels = np.where(decided, names[weights.argmax(axis=1)], "")
    counts = {name: int((labels == name).sum()) for name in names}
    log.info(
        "classes by %s: %s; %d galaxies are of no class, %d of more than one; neither is used; %d "
        "of several by votes count as that of most",
        scheme.name, counts, int((n_met == 0).sum()), int(tied.sum()),
        int((decided & (n_met > 1)).sum()),
    )  # fmt: skip
    if not decided.any():
        raise DataError(
            f"no galaxy is of any class of {scheme.name!r}; lower its thresholds: {counts}"
        )
    return pd.Series(labels, index=catalogue.index, dtype=object)


def _weight(catalogue: pd.DataFrame, scheme: str, rule: ClassRule) -> np.ndarray:
    """Return how much speaks for a class (N,): 0 nothing, else the share of its path.

    Conditions alone decide without a share: infinity.
    """
    where = f"class_schemes.{scheme}"
    weight = np.full(len(catalogue), np.inf)
    if rule.path is not None:
        share = path_share(catalogue, rule.path, where)
        limit = DEFAULT_SHARE if rule.above is None else rule.above
        weight = np.where(share > limit, share, 0.0)  # a missing fraction exceeds nothing
    for condition in rule.where or ():
        about = condition.question or "no question given"
        need_column(catalogue, condition.column, where, about)
        weight = np.where(holds(condition, catalogue), weight, 0.0)
    return weight


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
