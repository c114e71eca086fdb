"""Images to feature vectors in one call: `galaxy_lvm.load_encoder("released").embed(images)`."""

import os
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch
from pydantic import BaseModel, ValidationError

from galaxy_lvm.core.config.fewshot import Features
from galaxy_lvm.core.config.survey import Crop
from galaxy_lvm.core.encoder_files import encoder_file
from galaxy_lvm.core.errors import ConfigError, DataError, in_short
from galaxy_lvm.core.logs import log, progress
from galaxy_lvm.core.workers import available_cores
from galaxy_lvm.features.extract import FeatureExtractor
from galaxy_lvm.features.images import (
    CHUNK_IMAGES,
    COLUMNS,
    ArrayImages,
    Chunk,
    FileImages,
    Reading,
    first_reasons,
    folder_images,
    listed_images,
)
from galaxy_lvm.lvm.model import PATCH_PIX, Encoder
from galaxy_lvm.lvm.weights import card_path, load_encoder_of, read_card
from galaxy_lvm.survey.rejected import REJECTED_COLUMNS
from galaxy_lvm.training.backbones import PooledLVM

# What the vectors are means over where the card says nothing: quarter turns.
N_ORIENTATIONS = 4
Images = FileImages | ArrayImages


@dataclass(frozen=True)
class Embedding:
    """Feature vectors of images. `numpy.asarray` of it gives the vectors.

    Attributes
    ----------
    features
        float32 (N, D), one vector per image that could be used.
    table
        N rows: `id`, `file`, `width_pix`, `height_pix`, `flags` (of the crop, in words).
    skipped
        Images without a vector: `id`, `file`, `reason` and where it was found out.
    """

    features: np.ndarray
    table: pd.DataFrame
    skipped: pd.DataFrame

    def __len__(self) -> int:
        return len(self.features)

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> np.ndarray:
        return np.array(self.features, dtype=dtype, copy=copy)


class ImageEncoder:
    """An encoder with all that stands between a file and its vector.

    Parameters
    ----------
    encoder
        Of an LVM.
    settings
        Side of the views, orientations, batches.
    reading
        How files are read and cut.
    path
        Weights file, for messages.

    Attributes
    ----------
    shape
        Of the encoder.
    """

    def __init__(self, encoder: Encoder, settings: Features, reading: Reading, path: Path) -> None:
        coarsest = PATCH_PIX * 2 ** (len(encoder.config.depths) - 1)
        if settings.view_side_pix % coarsest:
            raise ConfigError(
                f"view_side_pix: {settings.view_side_pix} is no multiple of {coarsest} pixels, the "
                f"coarsest token of {path}"
            )
        self.settings, self.reading, self.path = settings, reading, path
        self.shape = encoder.config
        self.extract = FeatureExtractor(PooledLVM(encoder), settings)

    @property
    def dim(self) -> int:
        """Length D of a vector."""
        return self.extract.dim

    def embed(
        self,
        images: str | os.PathLike | Sequence[str | os.PathLike] | np.ndarray,
        crop: bool = True,
    ) -> Embedding:
        """Return the feature vectors of images.

        One bad file never stops the others; it is a row of `skipped`. Files are read in chunks:
        only the vectors stay in memory.

        Parameters
        ----------
        images
            A folder (ids are paths relative to it), a list of image files (ids are the paths), or
            an array (N, H, W, 3) uint8 (ids are the places).
        crop
            Cut every galaxy out at its own size first, as the rules do; False for arrays that are
            crops already.

        Raises
        ------
        DataError
            If there is no image that can be used; the first reasons are named.
        """
        source = self.open(images, crop)
        parts = list(self.stream(source))
        skipped = source.skipped + [line for chunk, _ in parts for line in chunk.skipped]
        features = np.concatenate([values for _, values in parts])
        if not len(features):
            raise DataError(f"none of {len(source)} images can be used. {first_reasons(skipped)}")
        table = pd.concat([chunk.table for chunk, _ in parts], ignore_index=True)
        listed = pd.DataFrame(skipped, columns=list(REJECTED_COLUMNS))
        return Embedding(features, table[list(COLUMNS)], listed.drop(columns="row"))

    def open(
        self,
        images: str | os.PathLike | Sequence[str | os.PathLike] | np.ndarray,
        crop: bool = True,
    ) -> Images:
        """Return the images as a source of crops; parameters as `embed`."""
        if isinstance(images, np.ndarray):
            return ArrayImages(images, self.reading, crop)
        if not crop:
            raise ConfigError("crop: False is for arrays of crops; files are always cut")
        if isinstance(images, str | os.PathLike):
            path = Path(images)
            return listed_images([path], self.reading) if path.is_file() else folder_images(
                path, self.reading
            )  # fmt: skip
        return listed_images(images, self.reading)

    def stream(self, source: Images) -> Iterator[tuple[Chunk, np.ndarray]]:
        """Yield chunks of images with their vectors float32 (n, D), with progress.

        Raises
        ------
        DataError
            If a vector is not finite; the image is named.
        """
        n_chunks = -(-len(source) // CHUNK_IMAGES)
        what = f"embed ({CHUNK_IMAGES} images each)"
        for chunk in progress(source.chunks(), n_chunks, what, "chunks"):
            values = self.vectors(chunk.images)
            bad = np.flatnonzero(~np.isfinite(values).all(axis=1))
            if len(bad):
                name = chunk.table["id"].iloc[bad[0]]
                raise DataError(
                    f"{name}: its feature vector is not finite; weights {self.path} are damaged, "
                    "or the image is: leave it out"
                )
            yield chunk, values

    def vectors(self, crops: np.ndarray) -> np.ndarray:
        """Return vectors (n, D) float32 of crops (n, side, side, 3) uint8."""
        if self.extract.accelerator.device.type != "cpu" or self.reading.cores == 1:
            return self.extract(crops)
        # A batch a thread, each on one core, instead of all threads on one batch: nobody waits for
        # another within a layer, which costs most where the cores have other work as well.
        size = min(self.settings.batch_size, max(1, -(-len(crops) // self.reading.cores)))
        batches = [crops[first : first + size] for first in range(0, len(crops), size)]
        with ThreadPoolExecutor(self.reading.cores, initializer=_one_thread) as pool:
            found = list(pool.map(self.extract, batches))
        return np.concatenate(found) if found else self.extract(crops)


def _one_thread() -> None:
    torch.set_num_threads(1)


def load_encoder(
    which: str | os.PathLike = "released",
    *,
    view_side_pix: int | None = None,
    n_orientations: int | None = None,
    batch_size: int = 64,
    precision: str | None = None,
    reading: Reading | None = None,
) -> ImageEncoder:
    """Return an encoder that turns images into feature vectors.

    Parameters
    ----------
    which
        `released`, the path of weights (`.safetensors`, the card beside it), or the folder or name
        of a finished run.
    view_side_pix
        Side in pixels to which crops are reduced; None takes what the card says, or 64.
    n_orientations
        Orientations (1 to 8) that a vector is the mean over; None takes what the card says, or 4.
    batch_size
        Images per call of the network.
    precision
        `auto`, `float32` or `bfloat16`; None takes what the card says, or `auto`: bfloat16 where
        the device computes in it, which changes a vector by about a hundredth.
    reading
        How files are read and cut, on how many cores all is done; None takes the defaults, the
        card's crop and all cores.

    Raises
    ------
    DataError
        If there are no such weights, or they and their card are not an LVM's.
    ConfigError
        If the views do not fit the network.

    Examples
    --------
    >>> encoder = load_encoder("results/demo")                                 # doctest: +SKIP
    >>> encoder.embed("my_images").features.shape                               # doctest: +SKIP
    (812, 1440)
    """
    path = encoder_file(which)
    card = read_card(path)
    given: dict[str, Any] = {"view_side_pix": view_side_pix, "n_orientations": n_orientations}
    given["precision"] = precision
    given = {key: value for key, value in given.items() if value is not None}
    defaults = {"n_orientations": N_ORIENTATIONS}
    said = _section(card, "features", path)
    settings = _checked(Features, {**defaults, **said, **given, "batch_size": batch_size}, path)
    crop = _checked(Crop, _section(card, "crop", path), path)
    reading = reading or Reading(cores=available_cores())
    if reading.crop == Crop():
        reading = replace(reading, crop=crop)
    log.info("encoder %s", path)
    return ImageEncoder(load_encoder_of(path), settings, reading, path)


def _section(card: dict[str, Any], name: str, path: Path) -> dict[str, Any]:
    found = card.get(name) or {}
    if not isinstance(found, dict):
        raise DataError(f"{card_path(path)}: {name!r} holds no keys; copy the card again")
    return found


def _checked(model: type[BaseModel], values: dict[str, Any], path: Path) -> Any:
    try:
        return model.model_validate(values)
    except ValidationError as error:
        raise ConfigError(f"{card_path(path)}, or what was asked for: {in_short(error)}") from error
