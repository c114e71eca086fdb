"""New images through the encoder that the stored features came from; the only torch here."""

import os
from collections.abc import Sequence

import numpy as np

from galaxy_lvm.core.config.fewshot import Features
from galaxy_lvm.core.errors import DataError
from galaxy_lvm.features.extract import FeatureExtractor
from galaxy_lvm.features.store import FeatureStore
from galaxy_lvm.training.backbones import build_encoder
from galaxy_lvm.training.model_specs import model_specs

# Relative difference of a vector that the same weights may give on another device or precision.
_TOLERANCE = 0.05
_N_COMPARED = 4


def lvm_extractor(weights: str | os.PathLike, settings: Features) -> FeatureExtractor:
    """Return what turns crops into the run's feature vectors.

    Parameters
    ----------
    weights
        The run's LVM.
    settings
        How the stored vectors were extracted.
    """
    spec = model_specs([{"model": "lvm_frozen"}])[0]
    encoder = build_encoder(spec, settings.view_side_pix, weights)
    return FeatureExtractor(encoder, settings)


def check_same_encoder(
    extractor: FeatureExtractor, store: FeatureStore, images: np.ndarray, ids: Sequence[str]
) -> None:
    """Refuse an encoder that does not give the stored vectors of these crops.

    Parameters
    ----------
    extractor
        Encoder to check.
    store
        Stored vectors.
    images, ids
        Crops and their identifiers; the first few are compared.

    Raises
    ------
    DataError
        If a vector differs by more than 5 % of its length.
    """
    images, ids = images[:_N_COMPARED], list(ids)[:_N_COMPARED]
    stored, fresh = store.take(ids), extractor(images)
    if stored.shape != fresh.shape:
        difference = np.inf
    else:
        length = np.linalg.norm(stored, axis=1)
        difference = float((np.linalg.norm(fresh - stored, axis=1) / length).max())
    if not difference <= _TOLERANCE:
        raise DataError(
            f"{store.path}: its vectors of {ids} are not those of these weights and settings "
            f"(relative difference {difference:.2g}); extract the features again"
        )
