"""The vectors of any number of image files, written while they are made."""

import os
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
import pandas as pd

from galaxy_lvm.core.errors import DataError
from galaxy_lvm.features.encoder import ImageEncoder
from galaxy_lvm.features.images import CHUNK_IMAGES, Chunk, FileImages, first_reasons
from galaxy_lvm.features.store import FeatureStore, feature_writer
from galaxy_lvm.survey.rejected import write_rejected


@dataclass(frozen=True)
class EmbeddedFiles:
    """Image files and their vectors on disk.

    Attributes
    ----------
    path
        Features file (`.npy`, float32 (N, D)), ids beside it.
    table
        One row per vector, see `features.images.COLUMNS`.
    skipped
        Lines of `rejected.rejection`, one per image without a vector.
    samples
        Some of the crops, uint8 (side, side, 3), by id.
    """

    path: Path
    table: pd.DataFrame
    skipped: list[dict[str, object]]
    samples: dict[str, np.ndarray]

    @cached_property
    def store(self) -> FeatureStore:
        """The vectors, memory-mapped."""
        return FeatureStore.open(self.path)


def embed_files(
    encoder: ImageEncoder,
    source: FileImages,
    features_path: str | os.PathLike,
    skipped_path: str | os.PathLike,
    n_samples: int = 64,
    each: Callable[[Chunk], None] | None = None,
) -> EmbeddedFiles:
    """Write the vectors of image files; in memory are a chunk of images and the table.

    Parameters
    ----------
    encoder
        What makes them.
    source
        The files.
    features_path
        `.npy` to write, ids (`.parquet`) beside it.
    skipped_path
        CSV to write: images without a vector and why, also where that is all of them.
    n_samples
        Crops to keep, spread evenly over the files.
    each
        Called with every chunk, for what else is to be made of its crops.

    Raises
    ------
    DataError
        If no image can be used.
    """
    chosen = set(np.linspace(0, len(source) - 1, min(n_samples, len(source))).astype(int).tolist())
    tables, skipped, samples = [], list(source.skipped), {}
    with feature_writer(features_path, encoder.dim) as append:
        for number, (chunk, values) in enumerate(encoder.stream(source)):
            append(values, list(chunk.table["id"]))
            if each is not None:
                each(chunk)
            tables.append(chunk.table)
            skipped += chunk.skipped
            start = number * CHUNK_IMAGES
            shown = [i for i in range(len(chunk.images)) if start + i in chosen]
            samples |= {chunk.table["id"].iloc[i]: chunk.images[i] for i in shown}
        write_rejected(skipped_path, skipped)
        table = pd.concat(tables, ignore_index=True)
        if table.empty:
            reasons = first_reasons(skipped)
            raise DataError(f"none of {len(source)} images can be used. {reasons}")
    return EmbeddedFiles(Path(features_path), table, skipped, samples)
