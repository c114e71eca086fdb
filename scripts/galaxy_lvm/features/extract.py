"""Feature vectors of any number of crops: a stream in shards that resumes after a kill."""

import os
import shutil
import time
from collections.abc import Iterator, Sequence
from dataclasses import asdict
from pathlib import Path

import numpy as np
import torch
from accelerate import Accelerator
from torch import nn

from galaxy_lvm.core.config.fewshot import Features
from galaxy_lvm.core.errors import DataError
from galaxy_lvm.core.logs import log, progress
from galaxy_lvm.core.state import atomic_path, state_folder
from galaxy_lvm.features.store import write_ids
from galaxy_lvm.survey.crop_store import CropStore
from galaxy_lvm.training.accelerator import make_accelerator, precision_of
from galaxy_lvm.training.augment import dihedral, resize, to_float
from galaxy_lvm.training.backbones import build_encoder, feature_dim
from galaxy_lvm.training.feed import CropImages
from galaxy_lvm.training.model_specs import ModelSpec


class FeatureExtractor:
    """An encoder that turns uint8 crops into vectors.

    Parameters
    ----------
    encoder
        Maps (B, 3, side, side) in [0, 1] to (B, D).
    settings
        Size, orientations, batches.
    accelerator
        Device and precision; made from the settings where None.
    """

    def __init__(
        self,
        encoder: nn.Module,
        settings: Features,
        accelerator: Accelerator | None = None,
    ) -> None:
        self.settings = settings
        self.accelerator = accelerator or make_accelerator(settings.precision)
        self.encoder = encoder.to(self.accelerator.device).eval()
        self.dim = feature_dim(self.encoder, settings.view_side_pix)

    @torch.inference_mode()
    def __call__(self, crops: np.ndarray | CropImages) -> np.ndarray:
        """Return vectors (n, D) float32 of crops (n, H, W, 3) uint8, mean over orientations."""
        values = np.empty((len(crops), self.dim), dtype=np.float32)
        size = self.settings.batch_size
        with self.accelerator.autocast():
            for first in range(0, len(crops), size):
                batch = to_float(crops[first : first + size], self.accelerator.device)
                batch = resize(batch, self.settings.view_side_pix)
                views = [
                    self.encoder(dihedral(batch, k)).float()
                    for k in range(self.settings.n_orientations)
                ]
                values[first : first + size] = torch.stack(views).mean(dim=0).cpu().numpy()
        return values


def extract_features(
    crops_path: str | os.PathLike,
    spec: ModelSpec,
    lvm_weights: str | os.PathLike | None,
    features_path: str | os.PathLike,
    state_root: str | os.PathLike,
    recipe_version: int,
    settings: Features,
) -> None:
    """Extract the features of every crop of a file; go on after a kill from the shards at hand.

    Where several processes run (one per GPU), each works on its own shards.

    Parameters
    ----------
    crops_path
        Crops, `images` uint8 (N, H, W, 3) and `id`.
    spec, lvm_weights
        The encoder; see `build_encoder`.
    features_path
        `.npy` float32 (N, D) to write, with its ids (`.parquet`) beside it.
    state_root
        Folder for the shards; one sub-folder per combination of crops, weights and settings.
    recipe_version
        Of the rule; what other versions left unfinished is not taken up.
    settings
        How.

    Raises
    ------
    DataError
        If a vector is not finite.
    """
    start = time.monotonic()
    if spec.view_side_pix is not None:
        settings = settings.model_copy(update={"view_side_pix": spec.view_side_pix})
    torch.manual_seed(0)  # an encoder without weights is the same in every process
    encoder = build_encoder(spec, settings.view_side_pix, lvm_weights)
    extractor = FeatureExtractor(encoder, settings)
    accelerator = extractor.accelerator
    own = lvm_weights if spec.is_lvm else spec.weights
    sources = [crops_path, *([own] if own and Path(own).exists() else [])]
    # What `auto` comes to depends on the machine: no file is joined of vectors of two precisions.
    about = [asdict(spec), settings.model_dump(), precision_of(accelerator)]
    folder = state_folder(state_root, recipe_version, about, sources)
    with CropStore(crops_path) as store:
        edges = _shards(len(store), settings.shard_crops)
        if not edges:
            raise DataError(f"{crops_path}: no crop in it")
        open_ones = _open_shards(folder, edges)
        accelerator.wait_for_everyone()  # all have looked before one writes
        mine = open_ones[accelerator.process_index :: accelerator.num_processes]
        n_done = _write_shards(store, extractor, folder, [(i, edges[i]) for i in mine])
        accelerator.wait_for_everyone()
        if accelerator.is_main_process:
            _join(store.ids, folder, edges, extractor.dim, features_path)
            shutil.rmtree(folder)
    seconds = time.monotonic() - start
    log.info("%d crops in %.0f s, %.0f/s, with loading", n_done, seconds, n_done / seconds)


def _shards(n_crops: int, size: int) -> list[tuple[int, int]]:
    return [(a, min(a + size, n_crops)) for a in range(0, n_crops, size)]


def _open_shards(folder: Path, edges: Sequence[tuple[int, int]]) -> list[int]:
    """Return the shards that are not there yet, which are dealt: none waits for one that works."""
    # A shard appears under its name when it is complete: what exists need not be looked at.
    found = [i for i in range(len(edges)) if not _shard_path(folder, i).exists()]
    if len(found) < len(edges):
        log.info("continuing: %d of %d shards are there", len(edges) - len(found), len(edges))
    return found


def _shard_path(folder: Path, number: int) -> Path:
    return folder / f"shard_{number:06d}.npy"


def _write_shards(
    store: CropStore,
    extractor: FeatureExtractor,
    folder: Path,
    shards: Sequence[tuple[int, tuple[int, int]]],
) -> int:
    """Write shards; return the number of their crops."""
    size = extractor.settings.block_crops
    n_blocks = sum(-(-(b - a) // size) for _, (a, b) in shards)

    def blocks() -> Iterator[tuple[int, int, np.ndarray]]:
        for number, (a, b) in shards:
            done = a
            for crops in store.blocks(size, a, b):
                done += len(crops)
                yield number, done, crops

    parts: list[np.ndarray] = []
    last = {number: b for number, (_, b) in shards}
    for number, done, crops in progress(blocks(), n_blocks, f"features ({size} crops each)", ""):
        values = extractor(crops)
        if not np.isfinite(values).all():
            bad = done - len(crops) + int(np.flatnonzero(~np.isfinite(values).all(axis=1))[0])
            raise DataError(
                f"crop {bad}: its feature vector is not finite; look at that crop, or set "
                "features.precision to float32"
            )
        parts.append(values)
        if done == last[number]:
            with atomic_path(_shard_path(folder, number)) as temporary:
                np.save(temporary, np.concatenate(parts))
            parts = []
    return sum(b - a for _, (a, b) in shards)


def _join(
    ids: np.ndarray,
    folder: Path,
    edges: list[tuple[int, int]],
    dim: int,
    features_path: str | os.PathLike,
) -> None:
    write_ids(features_path, ((np.arange(a, b), ids[a:b]) for a, b in edges))
    with atomic_path(features_path) as temporary:
        shape = (edges[-1][1], dim)
        joined = np.lib.format.open_memmap(temporary, "w+", dtype=np.float32, shape=shape)
        for number, (a, b) in enumerate(edges):
            joined[a:b] = np.load(_shard_path(folder, number), mmap_mode="r")
        joined.flush()
