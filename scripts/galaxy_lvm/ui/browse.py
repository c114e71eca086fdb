"""What the page looks at beside the round: labelled galaxies, similar ones, and what comes next."""

import math
from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd

from galaxy_lvm.core.errors import DataError
from galaxy_lvm.core.seeds import derive_seed
from galaxy_lvm.hitl.majority import by_majority
from galaxy_lvm.hitl.ranker import BLOCK_ROWS, Features
from galaxy_lvm.hitl.selection import NEED_NO_SCORES
from galaxy_lvm.hitl.store import POSITIVE
from galaxy_lvm.ui.labelling import Labelling

GALLERY_PAGE = 60
N_LIKE = 30
MOST_BY_CLASS = 200


class Neighbours:
    """Find the galaxies nearest to one, in the features as the ranker looks at them.

    Parameters
    ----------
    components
        Of the features of all galaxies (N, K).
    """

    def __init__(self, components: Features) -> None:
        self._components = components
        self._squares: np.ndarray | None = None

    def nearest(self, row: int, k: int) -> np.ndarray:
        """Return the rows of the k nearest galaxies, the nearest first, without the one itself.

        Galaxies whose features are not finite are nobody's neighbours.

        Raises
        ------
        DataError
            If the galaxy's own features are not finite.
        """
        query = np.asarray(self._components[np.array([row])])[0]
        if not np.isfinite(query).all():
            raise DataError("the features of this galaxy are not finite; it has no neighbours")
        # |x|^2 - 2 x.q + |q|^2: one product with a vector once the squares are known.
        distance = self.squares() - 2 * self._of_blocks(lambda block: block @ query)
        distance[row] = np.nan
        finite = np.flatnonzero(np.isfinite(distance))
        k = min(k, len(finite))
        first = np.argpartition(distance[finite], k - 1)[:k] if k else finite[:0]
        rows = np.sort(finite[first])
        return rows[np.argsort(distance[rows], kind="stable")]

    def squares(self) -> np.ndarray:
        """Return the squared length of every galaxy's components (N,); measured once."""
        if self._squares is None:
            self._squares = self._of_blocks(lambda block: np.square(block).sum(axis=1))
        return self._squares

    def _of_blocks(self, measure: Callable[[np.ndarray], np.ndarray]) -> np.ndarray:
        n_rows = self._components.shape[0]
        measured = np.empty(n_rows, np.float32)
        for first in range(0, n_rows, BLOCK_ROWS):
            part = slice(first, first + BLOCK_ROWS)
            with np.errstate(invalid="ignore", over="ignore"):
                measured[part] = measure(np.asarray(self._components[part]))
        return measured


def like(labelling: Labelling, neighbours: Neighbours, row: int, annotator: str) -> list[dict]:
    """Return the galaxies most like one, as tiles."""
    if not 0 <= row < len(labelling.pool):
        raise DataError(f"no galaxy number {row} in this pool")
    ids = labelling.pool.ids_of(neighbours.nearest(row, N_LIKE))
    current = labelling.current()
    mine = current[current["annotator"] == annotator].set_index("id")["value"]
    return [labelling.about(name, mine.get(name, "")) for name in ids]


def ahead(labelling: Labelling, annotator: str) -> list[int]:
    """Return the rows of the galaxies that the next round would show by the newest model."""
    model, choice = labelling.model.latest, labelling.choice(annotator)
    if not labelling.learner.is_warm or (model is None and choice["rule"] not in NEED_NO_SCORES):
        return []
    ids = labelling.preview(annotator, choice, model)
    return [int(row) for row in labelling.pool.rows_of(ids)]


def gallery(
    labelling: Labelling, annotator: str, value: str, by: str, text: str, page: int
) -> dict[str, Any]:
    """Return labelled galaxies, those that were labelled last first.

    Parameters
    ----------
    labelling
        Session.
    annotator
        Who looks: tiles show their own label.
    value
        Label by majority, "disputed", or "" for all.
    by
        Annotator who must have labelled them, "" for anyone.
    text
        Part of the id, "" for all.
    page
        From 0, of `GALLERY_PAGE` galaxies.
    """
    current = labelling.current()
    known = set(labelling.pool.ids_of(labelling.pool.known_rows(current["id"].unique())))
    last = current.groupby("id")["number"].max()
    table = by_majority(current).set_index("id")
    chosen = table.index.isin(list(known))
    if value == "disputed":
        chosen &= table["disputed"].to_numpy(bool)
    elif value:
        chosen &= (table["value"] == value).to_numpy(bool)
    if by:
        chosen &= table.index.isin(current.loc[current["annotator"] == by, "id"])
    if text:
        chosen &= table.index.str.contains(text, case=False, regex=False)
    ids = last[last.index.isin(table.index[chosen])].sort_values(ascending=False).index
    shown = ids[page * GALLERY_PAGE : (page + 1) * GALLERY_PAGE]
    return {
        "total": len(ids),
        "n_pages": max(1, math.ceil(len(ids) / GALLERY_PAGE)),
        "annotators": sorted(current["annotator"].unique()),
        "galaxies": _said(labelling, current[current["id"].isin(shown)], shown, table, annotator),
    }


def _said(
    labelling: Labelling, current: pd.DataFrame, ids: pd.Index, table: pd.DataFrame, annotator: str
) -> list[dict[str, Any]]:
    """Return tiles with what everybody says of them."""
    tiles = []
    for name in ids:
        said = current[current["id"] == name]
        labels = said[["annotator", "value"]].to_dict("records")
        mine = [one["value"] for one in labels if one["annotator"] == annotator]
        about = labelling.about(name, mine[0] if mine else "")
        disputed, value = bool(table.loc[name, "disputed"]), str(table.loc[name, "value"])
        tiles.append({**about, "labels": labels, "disputed": disputed, "majority": value})
    return tiles


def examples_of_class(labelling: Labelling, annotator: str, name: str, n: int) -> int:
    """Label n galaxies of a class positive that have no label yet; return how many there were.

    Raises
    ------
    DataError
        If the class is unknown, has no galaxy left, or n is not allowed.
    """
    if not 1 <= n <= MOST_BY_CLASS:
        raise DataError(f"{n} examples, expected 1 to {MOST_BY_CLASS}")
    rows = labelling.place.rows_of_class(name)
    known = labelling.pool.known_rows(labelling.current()["id"].unique())
    rows = rows[labelling.learner.usable[rows] & ~np.isin(rows, known)]
    if not len(rows):
        classes = ", ".join(labelling.place.classes()) or "none"
        raise DataError(f"no galaxy of class {name!r} is left without a label; classes: {classes}")
    rng = np.random.default_rng(derive_seed(labelling.settings.seed, "examples", name, len(known)))
    drawn = rng.permutation(rows)[:n]
    ids = labelling.pool.ids_of(drawn)
    return labelling.prompt(annotator, ids, POSITIVE)
