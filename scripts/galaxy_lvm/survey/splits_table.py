"""The splits of a dataset, as every model, figure and trial reads them."""

import hashlib
import logging
import os
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from galaxy_lvm.core.errors import DataError
from galaxy_lvm.core.seeds import derive_seed
from galaxy_lvm.core.tables import load_table
from galaxy_lvm.survey.classes import class_order
from galaxy_lvm.survey.splits import MODEL_SPLITS, SPLITS

log = logging.getLogger("galaxy_lvm.splits")

COLUMNS = ("index", "id", "split", "label")
NO_LABEL = -1


@dataclass(frozen=True)
class Galaxies:
    """Some galaxies of a dataset.

    Attributes
    ----------
    index
        Rows in the crops file, int64 (n,).
    ids
        Identifiers (n,), text.
    labels
        Class numbers (n,), int64; `NO_LABEL` where there is none.
    second_labels
        The same by another judgement, which scores alone are compared with; None where the table
        has none.
    """

    index: np.ndarray
    ids: np.ndarray
    labels: np.ndarray
    second_labels: np.ndarray | None = None

    def __len__(self) -> int:
        return len(self.labels)

    def take(self, positions: np.ndarray) -> "Galaxies":
        """Return the galaxies at `positions` (numbers, or one bool each), in that order."""
        second = None if self.second_labels is None else self.second_labels[positions]
        chosen = self.index[positions], self.ids[positions], self.labels[positions]
        return Galaxies(*chosen, second)

    def labelled(self) -> "Galaxies":
        """Return those that have a label."""
        return self.take(self.labels != NO_LABEL)


class Splits:
    """The splits table of a dataset, checked.

    Parameters
    ----------
    path
        Parquet with `index` (row in the crops file), `id`, `split` and `label` ("" or missing:
        none), and maybe `second_label`, as written by the rule make_splits; other columns are
        kept.

    Attributes
    ----------
    table
        The rows in the order of the file; `id` and `label` are text, "" for no label.
    class_names
        Classes of the whole table, not of one split; see `class_order`.

    Raises
    ------
    DataError
        If a column is missing, a split has an unknown name or an id occurs twice.
    """

    def __init__(self, path: str | os.PathLike) -> None:
        self.path = Path(path)
        table = load_table(self.path)
        missing = [name for name in COLUMNS if name not in table]
        if missing:
            raise DataError(f"{self.path}: no column {missing}; run make_splits again")
        unknown = sorted(set(table["split"].astype(str)) - set(SPLITS))
        if unknown:
            raise DataError(f"{self.path}: split {unknown[0]!r} is none of {SPLITS}")
        ids = table["id"].astype(str)
        twice = ids[ids.duplicated()]
        if len(twice):
            raise DataError(f"{self.path}: id {twice.iloc[0]!r} occurs twice; an id is one galaxy")
        labels = table["label"].fillna("").astype(str)
        self.table = table.assign(id=ids, label=labels).reset_index(drop=True)
        self.class_names = class_order(self.table["label"])
        numbers = {name: number for number, name in enumerate(self.class_names)}
        self._all = Galaxies(
            self.table["index"].to_numpy(np.int64),
            self.table["id"].to_numpy(object),
            self.table["label"].map(numbers).fillna(NO_LABEL).to_numpy(np.int64),
            self._second_labels(numbers),
        )

    def _second_labels(self, numbers: dict[str, int]) -> np.ndarray | None:
        if "second_label" not in self.table:
            return None
        second = self.table["second_label"].fillna("").astype(str)
        unknown = second[~second.isin([*numbers, ""])]
        if len(unknown):
            log.warning("%s: %d second labels are of no class of the first and are left out of the "
                        "scores against them: %s", self.path, len(unknown),
                        unknown.value_counts().to_dict())  # fmt: skip
        return second.map(numbers).fillna(NO_LABEL).to_numpy(np.int64)

    def __len__(self) -> int:
        return len(self.table)

    def of(self, split: str) -> Galaxies:
        """Return the galaxies of a split in the order of the table, without label too.

        Raises
        ------
        DataError
            If the split is unknown or empty.
        """
        if split not in SPLITS:
            raise DataError(f"split {split!r} is none of {SPLITS}")
        galaxies = self._all.take((self.table["split"] == split).to_numpy())
        if not len(galaxies):
            raise DataError(f"{self.path}: no galaxy in split {split!r}; give it a larger share")
        return galaxies

    def labelled(self, split: str) -> Galaxies:
        """Return the labelled galaxies of a split in the order of the table.

        Raises
        ------
        DataError
            If there is none.
        """
        galaxies = self.of(split).labelled()
        if not len(galaxies):
            raise DataError(f"{self.path}: no labelled galaxy in split {split!r}")
        return galaxies

    def all_labelled(self) -> dict[str, Galaxies]:
        """Return the labelled galaxies of `train`, `val` and `test`; see `labelled`."""
        return {split: self.labelled(split) for split in MODEL_SPLITS}

    def label_texts(self, galaxies: Galaxies) -> list[str]:
        """Return the class of each galaxy, "" where there is none."""
        names = (*self.class_names, "")  # NO_LABEL, -1, is the last
        return [names[label] for label in galaxies.labels]

    def pretraining_rows(self) -> np.ndarray:
        """Return the crops (n,) that may be pretrained on: those of the training split alone.

        Raises
        ------
        DataError
            If there are fewer than two.
        """
        rows = self._all.index[(self.table["split"] == "train").to_numpy()]
        if len(rows) < 2:
            raise DataError(
                f"{self.path}: {len(rows)} galaxies in the training split; need 2 or more"
            )
        return rows

    def draw(
        self, split: str | None, n: int, seed: int, purpose: str, even: bool = False
    ) -> Galaxies:
        """Draw galaxies of a split, spread over its classes.

        Seed, purpose and ids alone decide, not the order of the table, and a larger `n` keeps
        those of a smaller one in front.

        Parameters
        ----------
        split
            Where to draw from, None for the whole table; a draw never leaves its split, so that
            copies of a galaxy stay on their side.
        n
            How many, at least 1; all of the split where it has fewer.
        seed
            The run's seed.
        purpose
            What the draw is for; the same words give the same galaxies to every model.
        even
            False takes the classes in proportion, so that a score of the drawn galaxies estimates
            that of the whole split; True takes them in turn, for figures. Galaxies without a label
            count as one more class.

        Raises
        ------
        DataError
            If the split is unknown or empty, or `n` is below 1.
        """
        if n < 1:
            raise DataError(f"{n} galaxies of split {split!r} for {purpose}: expected 1 or more")
        galaxies = self._all if split is None else self.of(split)
        own = derive_seed(seed, "draw", purpose)
        digests = [hashlib.sha256(f"{own}:{name}".encode()).hexdigest() for name in galaxies.ids]
        drawn = pd.DataFrame({"class": galaxies.labels, "digest": digests}).sort_values("digest")
        classes = drawn.groupby("class")["digest"]
        drawn["place"] = classes.cumcount()
        if not even:
            # Every class is spread evenly over 0 to 1: each start of the list then holds all of
            # them in proportion, to about one galaxy.
            drawn["place"] = (drawn["place"] + 0.5) / classes.transform("size")
        order = drawn.sort_values(["place", "class"] if even else "place", kind="stable").index
        return galaxies.take(order.to_numpy()[:n])
