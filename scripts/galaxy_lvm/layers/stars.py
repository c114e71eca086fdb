"""The task that the spectra's Transformer is scored at, and what its leading directions mean."""

import os

import numpy as np
import pandas as pd
import torch
from torch import nn

from galaxy_lvm.core.seeds import derive_seed
from galaxy_lvm.layers.decompose import EXPERIMENT, Score
from galaxy_lvm.report.results import long_rows
from galaxy_lvm.spectra.network import SpectrumNetwork
from galaxy_lvm.spectra.networks import build, load_network
from galaxy_lvm.spectra.stars import SplitStars, Stars

N_DIRECTIONS = 4


def networks(weights: str | os.PathLike, seed: int) -> tuple[SpectrumNetwork, nn.Module]:
    """Return a trained network, and one of the same shape that has learned nothing."""
    module = load_network(weights).eval()
    torch.manual_seed(derive_seed(seed, "layers", "untrained"))
    return module, build(module.about).eval()


def skill_of(asked: Stars, train: Stars) -> Score:
    """Return the score: 1 minus the mean absolute error over that of the training labels' mean."""
    usual = np.abs(asked.labels - train.labels.mean(axis=0)).mean(axis=0)

    def score(module: nn.Module) -> float:
        predicted = module.estimate(asked.flux)[0][:, module.columns(asked.label_names)]
        return float(np.mean(1 - np.abs(predicted - asked.labels).mean(axis=0) / usual))

    return score


def some_of(stars: Stars, n_stars: int, seed: int) -> Stars:
    """Return at most `n_stars` of them, drawn."""
    rng = np.random.default_rng(derive_seed(seed, "layers", "stars"))
    return stars.take(np.sort(rng.permutation(len(stars))[:n_stars]))


def latent_directions(
    module: SpectrumNetwork, stars: SplitStars, seed: int
) -> tuple[pd.DataFrame, list[dict]]:
    """Return test stars along the leading directions of the vectors in front of the head.

    Returns
    -------
    tuple
        Table with `id`, `direction_1` ... and the labels; rows of the long table with the rank
        correlation (Spearman) of each direction with each label. Directions are principal ones of
        the training stars.
    """
    # Together 2 CPU seconds; only this table needs them.
    from scipy import stats
    from sklearn.decomposition import PCA

    seen = module.vectors(stars.train.flux)
    n = min(N_DIRECTIONS, *seen.shape)
    found = (
        PCA(n, svd_solver="covariance_eigh").fit(seen).transform(module.vectors(stars.test.flux))
    )
    table = pd.DataFrame({"id": stars.test.ids})
    rows = []
    for k in range(n):
        name = f"direction_{k + 1}"
        table[name] = found[:, k]
        values = {
            label: stats.spearmanr(found[:, k], stars.test.labels[:, column]).statistic
            for column, label in enumerate(stars.test.label_names)
        }
        rows += long_rows(EXPERIMENT, "latent", "trained", name, seed, values)
    labels = dict(zip(stars.test.label_names, stars.test.labels.T, strict=True))
    return table.assign(**labels), rows
