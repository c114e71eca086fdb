"""Galaxies with all that is known of them: views to estimate from, and what is to be estimated."""

import os
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from galaxy_lvm.align.network import AlignedNetworks
from galaxy_lvm.align.pairs import read_pairs, splits_of
from galaxy_lvm.core.config.joint import JointEstimates
from galaxy_lvm.core.config.spectra import SpectrumSplits
from galaxy_lvm.joint.names import MEASURED, TARGETS
from galaxy_lvm.spectra.store import SpectrumStore

SMOOTH_CLASS = "elliptical"


@dataclass(frozen=True)
class Galaxies:
    """Galaxies of a dataset of source populations.

    Attributes
    ----------
    ids, split
        (n,) text; train, val or test.
    targets
        (n, k) what is to be estimated.
    views
        Name -> (n, D): what is seen of each galaxy.
    names
        The k targets.
    """

    ids: np.ndarray
    split: np.ndarray
    targets: np.ndarray
    views: dict[str, np.ndarray]
    names: tuple[str, ...] = TARGETS


def read_galaxies(
    paths: Sequence[str | os.PathLike],
    module: AlignedNetworks,
    settings: JointEstimates,
    splits: SpectrumSplits,
    seed: int,
) -> Galaxies:
    """Read pairs of image and spectrum as the estimates see them.

    Parameters
    ----------
    paths
        Stores of write_galaxy_pairs.
    module
        The aligned networks.
    settings
        What is estimated.
    splits, seed
        Shares of the splits, and the run's seed: the split that the alignment learned by.
    """
    pairs = read_pairs(paths)
    with SpectrumStore(paths[1]) as store:
        table = store.catalogue()
    aligned = module.vectors(pairs)
    views = {
        "photometry": photometry(table),
        "image": pairs.a.flux,
        "spectrum": pairs.b.flux,
        "image_aligned": aligned[0],
        "spectrum_aligned": aligned[1],
    }
    targets = np.stack(
        [
            table["redshift"].to_numpy(dtype=float),
            table["log_mass_to_light_r"].to_numpy(dtype=float),
            table["halpha_angstrom"].to_numpy() > settings.star_forming_halpha_angstrom,
            table["label"].to_numpy() == SMOOTH_CLASS,
        ],
        axis=1,
    )
    return Galaxies(pairs.ids, splits_of(pairs, splits, seed), targets.astype(float), views)


def photometry(table: pd.DataFrame) -> np.ndarray:
    """Return measured r, g - r and r - z (n, 3) in mag."""
    g, r, z = (table[name].to_numpy(dtype=float) for name in MEASURED)
    return np.stack([r, g - r, r - z], axis=1)
