"""What a task loses when a network's matrices keep a part of their rank."""

import copy
from collections.abc import Callable, Iterator, Sequence
from functools import partial

import numpy as np
import pandas as pd
from torch import nn

from galaxy_lvm.core.config.layers import Layers
from galaxy_lvm.core.logs import log, progress
from galaxy_lvm.core.seeds import derive_seed
from galaxy_lvm.layers.matrices import (
    Matrix,
    effective_rank,
    noise_edge,
    projected,
    pruned,
    rank_of,
    truncated,
)
from galaxy_lvm.report.results import long_rows

EXPERIMENT = "layers"
METHODS = ("svd", "projected", "pruned")
SPECTRUM_COLUMNS = ("network", "layer", "kind", "index", "value", "edge")

Score = Callable[[nn.Module], float]
"""Scores a network at its task: 1 is right, 0 no better than knowing nothing."""


def spectra_of(module: nn.Module, matrices: Sequence[Matrix], network: str) -> pd.DataFrame:
    """Return the singular values of every matrix, largest first, and the edge of pure noise."""
    tables = []
    for matrix in matrices:
        values = matrix.read(module)
        found = np.linalg.svd(values, compute_uv=False)
        columns = {"network": network, "layer": matrix.name, "kind": matrix.kind}
        numbers = {"index": np.arange(1, len(found) + 1), "value": found}
        tables.append(pd.DataFrame({**columns, **numbers, "edge": noise_edge(values)}))
    return pd.concat(tables, ignore_index=True)[list(SPECTRUM_COLUMNS)]


def spectrum_rows(spectra: pd.DataFrame, seed: int) -> list[dict]:
    """Return rows of the long table: effective rank, and singular values above the edge."""
    rows = []
    for (network, layer), part in spectra.groupby(["network", "layer"], sort=False):
        value = part["value"].to_numpy()
        values = {
            "rank": len(value),
            "effective_rank": effective_rank(value),
            "above_edge": int((value > part["edge"]).sum()),
        }
        rows += long_rows(EXPERIMENT, str(layer), str(network), "spectrum", seed, values)
    return rows


def cut(
    module: nn.Module, matrices: Sequence[Matrix], share: float, method: str, seed: int
) -> tuple[nn.Module, int]:
    """Return a copy whose matrices keep a share of their rank, and the numbers that it holds.

    Every matrix loses rank by `svd` and `projected`, also where its two factors would be no smaller
    than it: it is then counted as it is. `pruned` keeps as many numbers as are counted, from there
    on all of them; below it, at half the rank of a square matrix, the methods are of equal size.
    """
    found, n_numbers = copy.deepcopy(module), 0
    rng = np.random.default_rng(seed)
    for matrix in matrices:
        values = matrix.read(module)
        rank = rank_of(share, values.shape)
        make = {"svd": truncated, "projected": partial(projected, rng=rng), "pruned": pruned}[
            method
        ]
        if rank < min(values.shape):
            matrix.write(found, make(values, rank))
        n_numbers += min(values.size, rank * sum(values.shape))
    return found, n_numbers


def score_by_rank(
    module: nn.Module,
    matrices: Sequence[Matrix],
    scores: dict[str, Score],
    settings: Layers,
    seed: int,
    methods: Sequence[str] = METHODS,
) -> list[dict]:
    """Return rows of the long table: score of every method, all matrices cut to a share of rank.

    Parameters
    ----------
    module, matrices
        The network, and what is cut.
    scores
        By split: val to choose by, test to tell.
    settings
        Shares, and draws of random projections.
    seed
        The run's seed.
    methods
        Of METHODS.
    """
    rows = []
    for method in methods:
        n_draws = settings.n_random if method == "projected" else 1
        for share in progress(settings.kept_shares, desc=f"ranks, {method}", unit="ranks"):
            found = []
            for draw in range(n_draws):
                own_seed = derive_seed(seed, "layers", share, draw)
                network, n_numbers = cut(module, matrices, share, method, own_seed)
                found.append([score(network) for score in scores.values()])
            values = dict(zip(scores, np.mean(found, axis=0), strict=True))
            values |= {"share": share, "numbers": n_numbers}
            rows += long_rows(EXPERIMENT, "all", method, f"share={share:g}", seed, values)
    return rows


def score_by_layer(
    module: nn.Module, matrices: Sequence[Matrix], score: Score, settings: Layers, seed: int
) -> list[dict]:
    """Return rows of the long table: validation score with one matrix at a time cut to a share."""
    rows = []
    for matrix in progress(matrices, desc="layers", unit="layers"):
        for share in settings.kept_shares:
            network, _ = cut(module, [matrix], share, "svd", seed)
            values = {"val": score(network), "share": share}
            rows += long_rows(EXPERIMENT, matrix.name, "svd", f"share={share:g}", seed, values)
    return rows


def enough_share(shares: Sequence[float], scores: Sequence[float], enough: float) -> float:
    """Return the smallest share from which on the score stays at `enough` of the whole one's.

    Parameters
    ----------
    shares, scores
        In any order; the largest share is the network as it is, or nearest to it.
    enough
        Asked share of its score.
    """
    pairs = sorted(zip(shares, scores, strict=True), reverse=True)
    limit, found = enough * pairs[0][1], pairs[0][0]
    for share, score in pairs:
        if score < limit:
            break
        found = share
    return found


def enough_rows(rows: Sequence[dict], enough: float, seed: int) -> Iterator[dict]:
    """Yield rows with the share that is enough by validation, and the test score there."""
    table = pd.DataFrame(rows)
    table = table[table["condition"].str.startswith("share=")]
    keys = ["task", "model", "condition"]
    wide = table.pivot_table(index=keys, columns="metric", values="value").reset_index()
    for (task, model), part in wide.groupby(["task", "model"], sort=False):
        share = enough_share(part["share"], part["val"], enough)
        values = {"share": share}
        if task == "all":
            there, whole = part[part["share"] == share], part[part["share"] == part["share"].max()]
            values |= {"test": there["test"].item(), "numbers": there["numbers"].item()}
            values |= {"test_whole": whole["test"].item(), "numbers_whole": whole["numbers"].item()}
            log.info("%s: %.0f %% of the rank are enough", model, 100 * share)
        yield from long_rows(EXPERIMENT, str(task), str(model), "enough", seed, values)
