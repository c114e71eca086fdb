"""Small training sets: nested, drawn by seed, and the sizes that every class can fill."""

from collections.abc import Sequence

import numpy as np

from galaxy_lvm.core.errors import DataError
from galaxy_lvm.core.seeds import derive_seed
from galaxy_lvm.survey.splits_table import Galaxies, Splits


def draw_subset(galaxies: Galaxies, n_per_class: int, seed: int) -> Galaxies:
    """Return `n_per_class` galaxies of every class, or all of a class that has fewer.

    Subsets of one seed are nested: a larger one contains the smaller ones.
    """
    chosen = []
    for number in np.unique(galaxies.labels):
        rows = np.flatnonzero(galaxies.labels == number)
        rng = np.random.default_rng(derive_seed(seed, "fewshot", "subset", number))
        chosen.append(rng.permutation(rows)[:n_per_class])
    return galaxies.take(np.concatenate(chosen))


def usable_sizes(
    labels: np.ndarray, class_names: Sequence[str], sizes: Sequence[int]
) -> tuple[list[int], dict[int, str]]:
    """Return the sizes that every class can fill, and why the others are left out.

    Parameters
    ----------
    labels
        Class numbers of the training split (n,).
    class_names
        Names in the order of the numbers.
    sizes
        Galaxies per class asked for.

    Returns
    -------
    usable
        In rising order.
    skipped
        Size -> the classes that are too small, with their counts.

    Raises
    ------
    DataError
        If no size is left.
    """
    counts = np.bincount(labels, minlength=len(class_names))
    usable, skipped = [], {}
    for size in sorted(set(sizes)):
        small = [f"{c} ({n})" for c, n in zip(class_names, counts, strict=True) if n < size]
        if small:
            skipped[size] = ", ".join(small)
        else:
            usable.append(size)
    if not usable:
        smallest = min(skipped)
        raise DataError(
            f"no class set fills even {smallest} training galaxies per class; too small: "
            f"{skipped[smallest]}. Add galaxies or put a smaller number into fewshot.sizes"
        )
    return usable, skipped


def sizes_left_out(splits: Splits, sizes: Sequence[int]) -> list[str]:
    """Return a note for every size that some class of the training split cannot fill."""
    _, skipped = usable_sizes(splits.labelled("train").labels, splits.class_names, sizes)
    return [f"{n} per class: not shown, too few of {why}" for n, why in skipped.items()]


def largest_class_share(splits: Splits, split: str) -> float:
    """Return the share of a split's labelled galaxies in its largest class: a guess's accuracy."""
    labels = splits.labelled(split).labels
    return float(np.bincount(labels).max() / len(labels))
