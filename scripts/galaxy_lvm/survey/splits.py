"""Training, validation and test sets: made once, by galaxy, and the same for every model."""

import hashlib
import logging

import numpy as np
import pandas as pd

from galaxy_lvm.core.config.survey import Splits
from galaxy_lvm.core.errors import DataError
from galaxy_lvm.survey.given_splits import without_copies, without_unused_copies
from galaxy_lvm.survey.rejected import rejection

log = logging.getLogger("galaxy_lvm.splits")

# What models are trained, chosen and scored on; of `unused` galaxies the label loop alone learns.
MODEL_SPLITS = ("train", "val", "test")
SPLITS = (*MODEL_SPLITS, "unused")


def make_splits(
    galaxies: pd.DataFrame, settings: Splits, seed: int, require_labels: bool = True
) -> tuple[pd.DataFrame, list[dict[str, object]]]:
    """Divide galaxies into training, validation and test sets.

    The order within a class comes from a hash of the seed and the id: a galaxy that is added later
    moves those at the two borders between sets at most.

    Parameters
    ----------
    galaxies
        Columns `index`, `id`, `label` ("" = none) and `group` (copies share one); where present,
        `file` and `row` go into the rejections, and `given` is the split that a table gives ("" for
        none; see `given_splits`). What is given is kept. Galaxies without a given split are
        divided over the sets that the table names nowhere, and train; validation galaxies that it
        does not name come from those that would train.
    settings
        Shares, numbers, limits.
    seed
        The run's seed.
    require_labels
        False for data sets that only serve for pretraining: no classes are then needed.

    Returns
    -------
    splits : pandas.DataFrame
        `index, id, split, label, group`, in the order of `galaxies`.
    rejections : list of dict
        Copies of given test and validation galaxies, galaxies of classes that are too small, and
        galaxies given to `unused` whose copies are test or validation galaxies.

    Raises
    ------
    DataError
        If labels are required, and fewer than two classes remain or one is left without training,
        validation or test galaxies, by what is given or because copies stay together.
    """
    galaxies = galaxies.reset_index(drop=True)
    if "given" not in galaxies:
        galaxies["given"] = ""
    rejections, keep = without_copies(galaxies)
    galaxies = galaxies[keep].reset_index(drop=True)
    small, keep = _small_classes(galaxies, settings.min_per_class)
    rejections += small
    galaxies = galaxies[keep].reset_index(drop=True)
    classes = sorted(set(galaxies["label"]) - {""})
    if require_labels and len(classes) < 2:
        counts = galaxies["label"].replace("", "(none)").value_counts().to_dict()
        raise DataError(
            f"{len(classes)} class(es) with at least {settings.min_per_class} galaxies; two are "
            f"needed. Galaxies by label: {counts}; too small and left out: {len(rejections)}. "
            "Add labels or lower splits.min_per_class"
        )
    galaxies["split"] = _by_group(galaxies, classes, settings, seed)
    if require_labels:
        _need_all_splits(galaxies, classes, settings)
    unused, keep = without_unused_copies(galaxies)
    rejections += unused
    galaxies = galaxies[keep]
    return galaxies[["index", "id", "split", "label", "group"]], rejections


def _by_group(galaxies: pd.DataFrame, classes: list[str], settings: Splits, seed: int) -> pd.Series:
    """Return the split of each galaxy; copies share one, but for those that are to be unused."""
    unused = galaxies["given"] == "unused"
    taking_part = galaxies[~unused]
    labels = _group_labels(taking_part)
    given = taking_part.sort_values("given").groupby("group")["given"].last()  # "" stands first
    order = _hash_order(taking_part, seed)
    size = taking_part.groupby("group").size()
    named = set(given) - {""}
    # An unlabelled copy of a labelled galaxy follows it; other unlabelled ones only train.
    split = given[labels.index].replace("", "train")
    for label in classes:
        groups = [group for group in order if labels[group] == label]
        sizes = size[groups].to_numpy()
        split[groups] = _divide(sizes, list(given[groups]), named, settings, label)
    return galaxies["group"].map(split).where(~unused, "unused")


def _need_all_splits(galaxies: pd.DataFrame, classes: list[str], settings: Splits) -> None:
    counts = galaxies.groupby(["label", "split"]).size()
    given = galaxies["given"].any()
    for label in classes:
        found = {name: int(counts.get((label, name), 0)) for name in MODEL_SPLITS}
        empty = [name for name, count in found.items() if not count]
        if empty and given:
            raise DataError(
                f"class {label!r} has no galaxy in {' and '.join(empty)} ({found}) with the splits "
                f"of column {settings.column!r}; give some of its galaxies to {empty[0]}, leave "
                "cells empty for galaxies to draw from, empty the labels of the class, or set "
                "splits.column: null"
            )
        if empty:
            different = galaxies.loc[galaxies["label"] == label, "group"].nunique()
            raise DataError(
                f"class {label!r} has no galaxy in {' and '.join(empty)} ({found}): copies stay "
                f"together, and its {sum(found.values())} galaxies are {different} different ones; "
                "add others, remove copies, or empty the labels of the class"
            )


def _small_classes(
    galaxies: pd.DataFrame, min_per_class: int
) -> tuple[list[dict[str, object]], np.ndarray]:
    used = galaxies[galaxies["given"] != "unused"]
    # Copies share a split: of many rows of one galaxy nothing can be divided.
    counts = used.groupby("label")["group"].nunique()
    counts = counts.reindex(galaxies["label"].unique(), fill_value=0)
    small = set(counts[counts < min_per_class].index) - {""}
    left_out = galaxies["label"].isin(small)
    rejections = []
    for record in galaxies[left_out].to_dict("records"):
        label = record["label"]
        reason = (
            f"class {label!r} has {counts[label]} different galaxies, fewer than "
            f"splits.min_per_class = {min_per_class}; add some, correct the label, or lower "
            "the limit"
        )
        rejections.append(
            rejection("split", reason, record["id"], record.get("file", ""), record.get("row"))
        )
    return rejections, ~left_out.to_numpy()


def _group_labels(galaxies: pd.DataFrame) -> pd.Series:
    """Return the label of each group: that of its first labelled galaxy, or none."""
    labels = pd.Series("", index=galaxies["group"].unique())
    labelled = galaxies[galaxies["label"] != ""]
    firsts = labelled.groupby("group")["label"].first()
    labels[firsts.index] = firsts
    different = labelled.groupby("group")["label"].nunique() > 1
    for group in different[different].index:
        members = labelled[labelled["group"] == group]
        pairs = ", ".join(
            f"{i}: {label}" for i, label in zip(members["id"], members["label"], strict=True)
        )
        log.warning("copies of one galaxy have different labels (%s); check them", pairs)
    return labels


def _hash_order(galaxies: pd.DataFrame, seed: int) -> list[int]:
    """Return the groups in an order that depends on the seed and their members' ids alone."""
    hashes = [hashlib.sha256(f"{seed}:{name}".encode()).hexdigest() for name in galaxies["id"]]
    return list(pd.Series(hashes).groupby(galaxies["group"].to_numpy()).min().sort_values().index)


def _divide(
    sizes: np.ndarray, given: list[str], named: set[str], settings: Splits, label: str
) -> list[str]:
    """Return the set of each group of a class, given the groups' sizes in hash order."""
    wanted = _wanted(sizes, given, named, settings, label)
    result, filled = [], dict.fromkeys(wanted, 0)
    for size, own in zip(sizes, given, strict=True):
        name = own if own in ("test", "val") else _first_open(own, named, filled, wanted)
        result.append(name)
        if name in filled:
            filled[name] += size
    return result


def _first_open(own: str, named: set[str], filled: dict[str, int], wanted: dict[str, int]) -> str:
    """Return the set that a group without one, or one given to train, goes to."""
    # Who is given to train is never tested on, but may serve for validation if nobody else does.
    sets = [name for name in ("val", "test") if name not in named]
    sets = [name for name in wanted if name in (*sets, "train")]
    if own == "train":
        sets = [name for name in sets if name != "test"]
    return next((name for name in sets if filled[name] < wanted[name]), "unused")


def _wanted(
    sizes: np.ndarray, given: list[str], named: set[str], settings: Splits, label: str
) -> dict[str, int]:
    """Return how many galaxies of a class go to test, val and train, in this order."""
    total = int(sizes.sum())
    if not named:
        return _numbers(total, settings, label)
    fixed = {name: int(sizes[[own == name for own in given]].sum()) for name in MODEL_SPLITS}
    drawn = settings.n_test_per_class or max(1, round(settings.test * total))
    test = fixed["test"] if "test" in named else drawn
    rest, cap = total - test, settings.n_train_per_class
    share = settings.val / (settings.val + settings.train)
    val = fixed["val"] if "val" in named else max(1, round(rest * share))
    if cap is None:
        return {"test": test, "val": val, "train": total}
    by_cap = val if "val" in named else max(1, round(cap * settings.val / settings.train))
    if cap + by_cap > rest:
        log.warning("class %r has %d galaxies to train and validate on, too few for %d and %d; all "
                    "are taken", label, rest, cap, by_cap)  # fmt: skip
        return {"test": test, "val": val, "train": total}
    return {"test": test, "val": by_cap, "train": cap}


def _numbers(total: int, settings: Splits, label: str) -> dict[str, int]:
    """Return how many galaxies of a class go to test, val and train."""

    def share(fraction: float) -> int:
        return max(1, round(fraction * total)) if fraction > 0 else 0

    test, val = share(settings.test), share(settings.val)
    # Rounded up, the two may take all of a small class; one galaxy at least is trained on.
    if test + val >= total:
        excess = test + val - total + 1
        test, val = (test - excess, val) if test >= val else (test, val - excess)
    by_share = {"test": test, "val": val, "train": total - test - val}
    if settings.n_train_per_class is None and settings.n_test_per_class is None:
        return by_share
    test = settings.n_test_per_class or test
    if settings.n_train_per_class is None:
        val = round((total - test) * settings.val / (settings.val + settings.train))
        train = total - test - val
    else:
        train = settings.n_train_per_class
        # The validation set keeps its size relative to the training set.
        val = max(1, round(train * settings.val / settings.train)) if settings.val else 0
    if train < 1 or test + val + train > total:
        log.warning(
            "class %r has %d galaxies, too few for the numbers asked for (%d test, %d val, "
            "%d train); divided by the shares",
            label,
            total,
            test,
            val,
            max(train, 0),
        )
        return by_share
    return {"test": test, "val": val, "train": train}
