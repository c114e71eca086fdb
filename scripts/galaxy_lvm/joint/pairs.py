"""Image and spectrum of a galaxy as a pair, in the stores that two spectra of a star lie in."""

import os
from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from galaxy_lvm.align.pairs import read_pairs
from galaxy_lvm.core.errors import DataError
from galaxy_lvm.core.logs import log
from galaxy_lvm.features.store import FeatureStore, write_features
from galaxy_lvm.spectra.stars import normalised
from galaxy_lvm.spectra.store import SpectrumStore, write_spectra

if TYPE_CHECKING:  # torch takes two CPU seconds, and making pairs needs none
    from galaxy_lvm.align.network import AlignedNetworks

EXPERIMENT = "galaxies"


def write_galaxy_pairs(
    features: str | os.PathLike,
    spectra: str | os.PathLike,
    paths: Sequence[str | os.PathLike],
    feature_noise: float,
) -> None:
    """Write two stores whose rows are the same galaxies; see `galaxy_lvm.align.pairs`.

    Parameters
    ----------
    features
        Feature vectors of the images; they take the place of side a's fluxes as they are. Its
        "wavelengths" are the numbers of the dimensions.
    spectra
        Spectra of the galaxies, side b: in units of their median, so that brightness tells nothing.
    paths
        The two HDF5 stores to write.
    feature_noise
        What stands as the errors of side a, which the alignment adds as noise: in units of each
        dimension's standard deviation over the galaxies. Without, it learns galaxies by heart.

    Raises
    ------
    DataError
        If no galaxy has both.
    """
    images = FeatureStore.open(features)
    with SpectrumStore(spectra) as store:
        table, wavelength = store.catalogue(), store.wavelength
        flux, error = normalised(store.flux(), store.error())
        scale = np.median(store.flux(), axis=1)
    both = table["id"].isin(set(images.ids)).to_numpy() & np.isfinite(flux).any(axis=1)
    if not both.any():
        raise DataError(
            f"{features} and {spectra} have no galaxy in common; extract the features of the "
            "images that the spectra go with"
        )
    if n_lost := len(table) - int(both.sum()):
        log.warning("%d of %d galaxies have no features, or no light in their spectrum: left out",
                    n_lost, len(table))  # fmt: skip
    table = table[both].reset_index(drop=True)
    vectors = images.take(table["id"])
    dimensions = np.arange(images.dim, dtype=float)
    size = np.broadcast_to(feature_noise * vectors.std(axis=0), vectors.shape)
    known, about = (
        table[["id", "split"]],
        {"experiment": EXPERIMENT, "feature_noise": feature_noise},
    )
    write_spectra(paths[0], dimensions, vectors, size, known.assign(scale=1.0), about)
    columns = table.assign(scale=scale[both])
    write_spectra(paths[1], wavelength, flux[both], error[both], columns, about)
    log.info("%d galaxies with an image (%d numbers) and a spectrum (%d samples)",
             len(table), images.dim, len(wavelength))  # fmt: skip


def write_joint_features(
    features: str | os.PathLike,
    paths: Sequence[str | os.PathLike],
    module: "AlignedNetworks",
    path: str | os.PathLike,
) -> None:
    """Write one vector a galaxy: the shared part of its image beside that of its spectrum.

    Parameters
    ----------
    features
        Features of the images, for the rows of their crops.
    paths
        Stores of `write_galaxy_pairs`.
    module
        The aligned networks.
    path
        Features file to write (`.npy`, the ids beside it); vectors have length 1.
    """
    pairs, images = read_pairs(paths), FeatureStore.open(features)
    vectors = np.concatenate(module.vectors(pairs), axis=1) / np.sqrt(2)
    write_features(path, vectors, pairs.ids, images.index[images.rows_of(pairs.ids)])
    log.info("%d galaxies with %d numbers each", *vectors.shape)
