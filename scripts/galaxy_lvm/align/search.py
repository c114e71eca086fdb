"""Search: which of many spectra of the other side is of the same star."""

from collections.abc import Callable, Iterator

import numpy as np
import pandas as pd
from sklearn.cross_decomposition import CCA
from sklearn.decomposition import PCA
from sklearn.pipeline import Pipeline, make_pipeline

from galaxy_lvm.align.claims import K
from galaxy_lvm.align.network import AlignedNetworks
from galaxy_lvm.align.pairs import Pairs, SplitPairs
from galaxy_lvm.core.logs import log
from galaxy_lvm.core.seeds import derive_seed
from galaxy_lvm.report.results import long_rows
from galaxy_lvm.spectra.floors import pixels
from galaxy_lvm.spectra.scores import mean_interval

EXPERIMENT = "search"
# Random galleries; and of stars with errors of about one size, where noise betrays nothing.
GALLERIES = ("random", "like_noise")
RANK_COLUMNS = ("model", "direction", "gallery", "id", "rank")
_COMPONENTS, _CANONICAL = (10, 20, 40, 60), (3, 5, 8, 10, 15, 20)
_MOST_ALIKE = 0.9999  # a correlation of 1 would leave no room for any scatter

Similarity = Callable[[Pairs], np.ndarray]
"""Returns (n, n): how well side b of each star (columns) goes with side a of each (rows)."""


def methods(split: SplitPairs, module: AlignedNetworks) -> Iterator[tuple[str, Similarity]]:
    """Yield name and similarity of both floors and of the aligned networks."""
    yield from canonical_floors(split)

    def cosine(pairs: Pairs) -> np.ndarray:
        a, b = module.vectors(pairs)
        return a @ b.T

    yield "aligned", cosine


def canonical_floors(split: SplitPairs) -> Iterator[tuple[str, Similarity]]:
    """Yield canonical correlation: by cosine, and as the Gaussian that it stands for.

    The second ranks by log p(b | a) - log p(b), which weighs every variate by its correlation: the
    best that can be made of linear variates. Numbers of components and of canonical variates are
    those with the best recall of validation stars.

    Parameters
    ----------
    split
        The three parts.
    """
    found: dict[str, tuple[float, Similarity, tuple[int, int]]] = {}
    n_most = min(len(split.train) - 1, *(s.flux.shape[1] for s in (split.train.a, split.train.b)))
    sizes = sorted({min(n, n_most) for n in _COMPONENTS})
    before = [_components(side.flux, sizes[-1]) for side in (split.train.a, split.train.b)]
    for n_components in sizes:
        variates = _Variates(before, split.train, n_components)
        for n in [n for n in _CANONICAL if n <= n_components]:
            for name, rank in (("cca", variates.cosine), ("cca_gaussian", variates.gaussian)):
                similarity = _with(rank, n)
                recall = np.mean(ranks(similarity(split.val)) <= K)
                if name not in found or recall > found[name][0]:
                    found[name] = (recall, similarity, (n_components, n))
    for name, (recall, similarity, chosen) in found.items():
        log.info("%s: %d components, %d variates (validation: %.3f)", name, *chosen, recall)
        yield name, similarity


def _components(flux: np.ndarray, n: int) -> Pipeline:
    """Return what brings fluxes to principal components of unit variance."""
    return make_pipeline(pixels(), PCA(n, svd_solver="covariance_eigh", whiten=True)).fit(flux)


def _with(rank: Callable[[Pairs, int], np.ndarray], n: int) -> Similarity:
    return lambda pairs: rank(pairs, n)


class _Variates:
    """Canonical variates of principal components of both sides."""

    def __init__(self, before: list[Pipeline], train: Pairs, n_components: int) -> None:
        self.before, self.n_components = before, n_components
        n_variates = min(max(_CANONICAL), n_components)
        inputs = self._inputs(train)
        self.cca = CCA(n_variates, scale=False, max_iter=2000).fit(*inputs)
        a, b = self.cca.transform(*inputs)
        self.spread = a.std(axis=0), b.std(axis=0)
        r = (a * b).mean(axis=0) / self.spread[0] / self.spread[1]
        self.correlation = np.clip(r, 0, _MOST_ALIKE)
        self._kept: tuple[Pairs, tuple[np.ndarray, np.ndarray]] | None = None

    def _inputs(self, pairs: Pairs) -> list[np.ndarray]:
        sides = zip(self.before, (pairs.a, pairs.b), strict=True)
        return [before.transform(side.flux)[:, : self.n_components] for before, side in sides]

    def _of(self, pairs: Pairs, n: int) -> tuple[np.ndarray, np.ndarray]:
        if self._kept is None or self._kept[0] is not pairs:
            both = self.cca.transform(*self._inputs(pairs))
            self._kept = pairs, tuple(v / s for v, s in zip(both, self.spread, strict=True))
        a, b = self._kept[1]
        return a[:, :n], b[:, :n]

    def cosine(self, pairs: Pairs, n: int) -> np.ndarray:
        a, b = (v / np.linalg.norm(v, axis=1, keepdims=True) for v in self._of(pairs, n))
        return a @ b.T

    def gaussian(self, pairs: Pairs, n: int) -> np.ndarray:
        (a, b), r = self._of(pairs, n), self.correlation[:n]
        variance = 1 - r**2
        missed = np.square(b) @ (1 / variance) + (np.square(a * r) @ (1 / variance))[:, None]
        return (a * (r / variance)) @ b.T - (missed - np.square(b).sum(axis=1)) / 2


def ranks(similarity: np.ndarray) -> np.ndarray:
    """Return the rank (n,) of each row's own column, 1 the best; ties count against it."""
    own = np.diag(similarity)[:, None]
    return (similarity >= own).sum(axis=1)


def galleries(pairs: Pairs, kind: str, size: int, seed: int) -> list[np.ndarray]:
    """Return rows of stars that are searched among each other, `size` of them or all.

    Parameters
    ----------
    pairs
        Stars; those that fill no gallery are left out.
    kind
        random, or like_noise: stars next to each other in the size of their errors.
    size
        Stars of a gallery.
    seed
        The run's seed.
    """
    if kind == "random":
        order = np.random.default_rng(derive_seed(seed, "align", "gallery")).permutation(len(pairs))
    else:
        order = np.argsort(np.nan_to_num(pairs.error_level()), kind="stable")
    size = min(size, len(pairs))
    return [order[k * size : (k + 1) * size] for k in range(len(pairs) // size)]


def rank_table(
    test: Pairs, model: str, similarity: Similarity, size: int, seed: int
) -> pd.DataFrame:
    """Return the rank of every test star, both ways, in both kinds of galleries.

    Where one gallery holds all stars both kinds are that one, and it is told once, as random.
    """
    tables = []
    for kind in GALLERIES if size < len(test) else GALLERIES[:1]:
        for rows in galleries(test, kind, size, seed):
            found = similarity(test.take(rows))
            for direction, values in (("a_to_b", found), ("b_to_a", found.T)):
                columns = {"model": model, "direction": direction, "gallery": kind}
                table = pd.DataFrame({**columns, "id": test.ids[rows], "rank": ranks(values)})
                tables.append(table[list(RANK_COLUMNS)])
    return pd.concat(tables, ignore_index=True)


def search_rows(table: pd.DataFrame, experiment: str, size: int, seed: int) -> list[dict]:
    """Return rows of the long table: recall at 1 and 10, with intervals, and the median rank."""
    rows = []
    for (model, direction, kind), part in table.groupby(["model", "direction", "gallery"]):
        hits = (part["rank"].to_numpy() <= K).astype(float)
        low, high = mean_interval(hits, seed)
        values = {
            "recall1": (part["rank"] == 1).mean(), f"recall{K}": hits.mean(),
            f"recall{K}_low95": low, f"recall{K}_high95": high,
            "median_rank": part["rank"].median(), "n_test": len(part), "gallery_size": size,
        }  # fmt: skip
        rows += long_rows(EXPERIMENT, experiment, model, f"{direction}, {kind}", seed, values)
    return rows
