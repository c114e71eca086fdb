"""A smaller encoder: layers of low rank where that pays, and what it costs on images."""

import os
import time
from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd
from sklearn.neighbors import NearestNeighbors
from sklearn.preprocessing import StandardScaler
from torch import nn

from galaxy_lvm.core.cards import read_card
from galaxy_lvm.core.errors import ConfigError, DataError
from galaxy_lvm.features.encoder import ImageEncoder
from galaxy_lvm.features.extract import FeatureExtractor
from galaxy_lvm.features.label_classes import classes_from_labels
from galaxy_lvm.lvm.low_rank import cut, layers_to_cut, outputs_of
from galaxy_lvm.lvm.model import Encoder
from galaxy_lvm.lvm.weights import save_encoder
from galaxy_lvm.training.backbones import PooledLVM

MIN_IMAGES = 20
# What a card says of the whole encoder that is not known of the smaller one.
_OF_THE_WHOLE = ("scores", "low_rank", "n_parameters", "git_commit", "software", "device")


def compress(
    whole: ImageEncoder, crops: np.ndarray, tolerance: float
) -> tuple[Encoder, pd.DataFrame]:
    """Return the encoder with layers of low rank, and a row per layer that could have one.

    Parameters
    ----------
    whole
        What is made smaller.
    crops
        uint8 (n, side, side, 3): what the directions to keep are taken from.
    tolerance
        Share of the variance of a layer's output that may be lost, 0 to 1.

    Returns
    -------
    tuple
        The encoder; columns `layer`, `kind`, `rank` (whole), `kept` (the whole rank where two
        narrow layers would hold no fewer numbers), `needed` (within the tolerance), `numbers`,
        `numbers_kept`.

    Raises
    ------
    ConfigError
        If the tolerance is none.
    DataError
        If there are too few images, or the encoder has been made smaller before.
    """
    if not 0 < tolerance < 1:
        raise ConfigError(f"tolerance: {tolerance} is not between 0 and 1")
    if len(crops) < MIN_IMAGES:
        raise DataError(f"{len(crops)} images to learn from; give {2 * MIN_IMAGES} or more in all")
    if read_card(whole.path).get("low_rank"):
        raise DataError(f"{whole.path}: is of low rank already; give the encoder it was made of")
    encoder = whole.extract.encoder.encoder
    settings = whole.settings.model_copy(update={"n_orientations": 1})

    def run(module: nn.Module) -> None:
        FeatureExtractor(PooledLVM(module), settings)(crops)

    outputs = outputs_of(encoder, run)
    found, ranks = cut(encoder, outputs, tolerance)
    rows = []
    for name, layer in layers_to_cut(encoder).items():
        n_out, n_in = layer.weight.flatten(1).shape
        whole_rank = min(n_out, n_in)
        kept = ranks.get(name, whole_rank)
        rows.append({
            "layer": name, "kind": "linear" if isinstance(layer, nn.Linear) else "convolution",
            "rank": whole_rank, "needed": outputs[name].rank(tolerance), "kept": kept,
            "numbers": n_out * n_in,
            "numbers_kept": kept * (n_out + n_in) if name in ranks else n_out * n_in,
        })  # fmt: skip
    return found, pd.DataFrame(rows)


def write_compressed(
    path: str | os.PathLike,
    encoder: Encoder,
    whole: ImageEncoder,
    table: pd.DataFrame,
    more: Mapping[str, Any],
) -> None:
    """Write the smaller encoder and its card, in the precision of the whole one's file.

    Parameters
    ----------
    path
        Weights (.safetensors) to write.
    encoder, table
        Of `compress`.
    whole
        What it was made of.
    more
        What the card says beside.
    """
    known = read_card(whole.path)
    card = {key: value for key, value in known.items() if key not in _OF_THE_WHOLE}
    narrow = table[table["kept"] < table["rank"]]
    ranks = {row.layer: int(row.kept) for row in narrow.itertuples()}
    card |= {"low_rank": ranks, "made_of": whole.path.name, **more}
    save_encoder(path, encoder, card, half=known.get("precision") == "float16")


def loss_of(
    whole: np.ndarray,
    small: np.ndarray,
    labels: np.ndarray | None = None,
    groups: np.ndarray | None = None,
) -> dict[str, float]:
    """Return what vectors (n, D) of images lose by another encoder.

    Parameters
    ----------
    whole, small
        Vectors of both encoders, row by row of the same image.
    labels
        Texts (n,), "" for none; None asks for no classes.
    groups
        Numbers (n,) that copies share; None where there are none.

    Returns
    -------
    dict
        `feature_error`: squared difference over the variance between images; `nearest_kept`: share
        of images whose nearest neighbour (standardised, cosine) stays; with labels `accuracy` and
        `accuracy_whole` of logistic regression on either (cross-validation).
    """
    spread = np.square(whole - whole.mean(axis=0)).sum()
    found = {
        "feature_error": float(np.square(small - whole).sum() / spread),
        "nearest_kept": float(np.mean(_nearest(whole) == _nearest(small))),
    }
    if labels is not None:
        found["accuracy"] = classes_from_labels(small, labels, groups).accuracy
        found["accuracy_whole"] = classes_from_labels(whole, labels, groups).accuracy
    return found


def _nearest(vectors: np.ndarray) -> np.ndarray:
    scaled = StandardScaler().fit_transform(vectors)
    search = NearestNeighbors(n_neighbors=2, metric="cosine").fit(scaled)
    return search.kneighbors(return_distance=False, n_neighbors=1)[:, 0]


def images_per_second(encoder: ImageEncoder, crops: np.ndarray) -> float:
    """Return how many crops (n, side, side, 3) become vectors in a second, on this machine now."""
    encoder.vectors(crops[:1])
    start = time.perf_counter()
    encoder.vectors(crops)
    return len(crops) / (time.perf_counter() - start)
