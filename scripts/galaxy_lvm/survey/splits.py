"""Training, validation and test sets: made once, by galaxy, and the same for every model."""

import hashlib
import logging

import numpy as np
import pandas as pd

from galaxy_lvm.core.config.survey import Splits
from galaxy_lvm.core.errors import DataError
from galaxy_lvm.survey.rejected import rejection

log = logging.getLogger("galaxy_lvm.splits")

SPLITS = ("train", "val", "test", "unused")


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
        `file` and `row` go into the rejections.
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
        Galaxies of classes that are too small.

    Raises
    ------
    DataError
        If fewer than two classes remain although labels are required.
    """
    galaxies = galaxies.reset_index(drop=True)
    rejections, keep = _small_classes(galaxies, settings.min_per_class)
    galaxies = galaxies[keep].reset_index(drop=True)
    classes = sorted(set(galaxies["label"]) - {""})
    if require_labels and len(classes) < 2:
        counts = galaxies["label"].replace("", "(none)").value_counts().to_dict()
        raise DataError(
            f"{len(classes)} class(es) with at least {settings.min_per_class} galaxies; two are "
            f"needed. Galaxies by label: {counts}; too small and left out: {len(rejections)}. "
            "Add labels or lower splits.min_per_class"
        )
    labels = _group_labels(galaxies)
    split = pd.Series("train", index=labels.index)
    order = _hash_order(galaxies, seed)
    size = galaxies.groupby("group").size()
    for label in classes:
        groups = [group for group in order if labels[group] == label]
        split[groups] = _divide(size[groups].to_numpy(), settings, label)
    # An unlabelled copy of a labelled galaxy follows it; other unlabelled ones only train.
    galaxies["split"] = galaxies["group"].map(split)
    return galaxies[["index", "id", "split", "label", "group"]], rejections


def _small_classes(
    galaxies: pd.DataFrame, min_per_class: int
) -> tuple[list[dict[str, object]], np.ndarray]:
    counts = galaxies["label"].value_counts()
    small = set(counts[counts < min_per_class].index) - {""}
    left_out = galaxies["label"].isin(small)
    rejections = []
    for record in galaxies[left_out].to_dict("records"):
        label = record["label"]
        reason = (
            f"class {label!r} has {counts[label]} galaxies, fewer than splits.min_per_class = "
            f"{min_per_class}; add some, correct the label, or lower the limit"
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
    return list(pd.Series(hashes).groupby(galaxies["group"]).min().sort_values().index)


def _divide(sizes: np.ndarray, settings: Splits, label: str) -> list[str]:
    """Return the set of each group of a class, given the groups' sizes in hash order."""
    wanted = _numbers(int(sizes.sum()), settings, label)
    result, filled = [], 0
    plan = iter(wanted.items())
    name, target = next(plan)
    for size in sizes:
        while name is not None and filled >= target:
            name, target = next(plan, (None, 0))
            filled = 0
        result.append(name or "unused")
        filled += size
    return result


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
