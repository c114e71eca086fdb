"""The vectors and crops of a folder of images, kept: what is unchanged is never embedded again.

In the folder of results lie `parts/KEY/` (chunks of what is done, so that a kill costs one of them)
and `pools/NAME/` (all of it put together; NAME follows from every file's name, size and time and
from what makes the vectors). A pool appears under its name when it is complete.
"""

import hashlib
import os
import shutil
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import h5py
import numpy as np
import pandas as pd

from galaxy_lvm.core.errors import DataError
from galaxy_lvm.core.logs import log
from galaxy_lvm.core.state import atomic_path, config_hash
from galaxy_lvm.core.tables import load_table, save_table
from galaxy_lvm.features.encoder import ImageEncoder
from galaxy_lvm.features.images import COLUMNS, FileImages, first_reasons
from galaxy_lvm.features.store import FeatureStore, feature_writer
from galaxy_lvm.survey.crop_store import CropStore
from galaxy_lvm.survey.hdf5 import new_hdf5
from galaxy_lvm.survey.image_state import state_of
from galaxy_lvm.survey.rejected import printable, write_rejected
from galaxy_lvm.survey.store import LEGACY

FEATURES, CROPS, FILES, SKIPPED = "lvm.npy", "crops.h5", "files.parquet", "skipped.csv"
SIDE = "side_pix.txt"
_BLOCK = 1024
# Columns of the table bear this in a chunk's file, beside vectors and crops.
_IN_PART = "column_"


@dataclass(frozen=True)
class KeptFolder:
    """A folder's images as a pool.

    Attributes
    ----------
    path
        Folder with `FEATURES` (ids beside them), `CROPS`, `FILES` and `SKIPPED`.
    source
        The image files.
    n_new
        Images that were embedded for it now.
    key
        Of what made the vectors, beside the files.
    """

    path: Path
    source: FileImages
    n_new: int
    key: str

    @property
    def features(self) -> Path:
        """Features file."""
        return self.path / FEATURES

    @property
    def crops(self) -> Path:
        """Crops file."""
        return self.path / CROPS

    @property
    def skipped(self) -> Path:
        """Table of the images that cannot be used, with reasons."""
        return self.path / SKIPPED


def keep_folder(encoder: ImageEncoder, source: FileImages, root: str | os.PathLike) -> KeptFolder:
    """Embed what is new or changed of a folder of images, with progress.

    Parameters
    ----------
    encoder
        What makes the vectors.
    source
        The images.
    root
        Folder of results.

    Raises
    ------
    DataError
        If no image can be used, or the disk does not take the results.
    """
    root = Path(root)
    source = _with_side_of_before(encoder, source, root)
    key = _key_of(encoder, source)
    states = {printable(name): state_of(path) for name, path in source.paths.items()}
    name = f"{key}-{_digits('|'.join(f'{n}|{s}' for n, s in sorted(states.items())))}"
    pool, parts = root / "pools" / name, root / "parts" / key
    if pool.is_dir():
        log.info("%s: as it was, %d images; nothing to embed", root, len(states))
        return KeptFolder(pool, source, 0, key)
    known = _Known.of(root / "pools", parts, key, states)
    left = [n for n in source.paths if printable(n) not in known.places]
    if len(left) < len(source):
        log.info("%d of %d images were embedded before", len(source) - len(left), len(source))
    unreadable = _embed(encoder, source.only(left), states, parts)
    skipped = [*source.skipped, *unreadable]
    known = _Known.of(root / "pools", parts, key, states)
    if not known.places:
        write_rejected(root / SKIPPED, skipped)
        reasons = first_reasons(skipped)
        raise DataError(f"none of {len(source)} images can be used. {reasons}")
    known.write(pool, [printable(n) for n in source.paths], encoder.dim, source.side_pix, skipped)
    for older in [path for path in pool.parent.iterdir() if path != pool]:
        shutil.rmtree(older)
    shutil.rmtree(root / "parts", ignore_errors=True)
    return KeptFolder(pool, source, len(left) - len(unreadable), key)


def _key_of(encoder: ImageEncoder, source: FileImages) -> str:
    """Return what changes with everything that a vector depends on beside its file."""
    sections = encoder.settings, source.reading.folder, source.reading.crop
    about = [section.model_dump(mode="json") for section in sections]
    about[0].pop("batch_size")  # how many are computed at once changes nothing
    about[1].pop("image_side_pix")  # said by the source, also where it is the median
    if source.reading.survey != LEGACY:
        about.append(source.reading.survey.model_dump(mode="json"))
    return config_hash(
        [*about, source.rgb, source.side_pix, hashlib.sha256(encoder.path.read_bytes()).hexdigest()]
    )


def _with_side_of_before(encoder: ImageEncoder, source: FileImages, root: Path) -> FileImages:
    """Return the images at the side at which the folder was read first.

    It is the median of all: a few more images must not change the vectors of the others.
    """
    given = source.reading.folder.image_side_pix is not None
    for path in sorted((root / "pools").glob(f"*/{SIDE}")) if source.rgb and not given else []:
        side = int(path.read_text())
        before = source if side == source.side_pix else source.with_side(side)
        if path.parent.name.startswith(_key_of(encoder, before)):
            return before
    return source


def _embed(
    encoder: ImageEncoder, source: FileImages, states: Mapping[str, str], parts: Path
) -> list[dict[str, object]]:
    """Write the vectors and crops of images chunk by chunk; return what was skipped."""
    if not len(source):
        return []
    parts.mkdir(parents=True, exist_ok=True)
    skipped, first = [], len(list(parts.iterdir()))
    for number, (chunk, values) in enumerate(encoder.stream(source), first):
        skipped += chunk.skipped
        if not len(chunk.images):
            continue
        table = chunk.table.assign(state=[states[name] for name in chunk.table["id"]])
        columns = {_IN_PART + name: table[name].to_numpy(str) for name in table}
        with atomic_path(parts / f"{number:06d}.npz") as temporary:
            np.savez(temporary, vectors=values, crops=chunk.images, **columns)
    return skipped


@dataclass(frozen=True)
class _Known:
    """What is there of a folder's images: for each the file of its vector, and the row in it."""

    places: dict[str, tuple[Path, int]]
    table: pd.DataFrame

    @classmethod
    def of(cls, pools: Path, parts: Path, key: str, states: Mapping[str, str]) -> "_Known":
        places, tables = {}, [pd.DataFrame(columns=[*COLUMNS, "state"])]
        found = [*pools.glob(f"{key}-*/{FILES}"), *sorted(parts.glob("*.npz"))]
        for path in found:
            table = load_table(path) if path.suffix == ".parquet" else _part_table(path)
            same = np.array([states.get(n) == s for n, s in zip(table["id"], table["state"],
                                                               strict=True)], bool)  # fmt: skip
            rows = np.flatnonzero(same)
            places |= {name: (path, row) for name, row in zip(table["id"][same], rows, strict=True)}
            tables.append(table[same])
        table = pd.concat(tables).drop_duplicates("id", keep="last").set_index("id")
        return cls(places, table)

    def write(
        self,
        pool: Path,
        order: list[str],
        dim: int,
        side_pix: int,
        skipped: list[dict[str, object]],
    ) -> None:
        """Put everything together in a folder that appears when it is complete."""
        ids = [name for name in order if name in self.places]
        pool.parent.mkdir(parents=True, exist_ok=True)
        building = pool.with_name(f"building-{os.getpid()}")
        shutil.rmtree(building, ignore_errors=True)
        building.mkdir()
        (building / SIDE).write_text(str(side_pix))
        save_table(building / FILES, self.table.loc[ids].reset_index())
        write_rejected(building / SKIPPED, skipped)
        with (
            feature_writer(building / FEATURES, dim) as append,
            new_hdf5(building / CROPS) as new,
        ):
            for names, vectors, crops in self._blocks(ids):
                append(vectors, names)
                _append_crops(new.file, crops, len(ids))
                new.check()
            text = h5py.string_dtype("utf-8")
            new.file.create_dataset("id", data=ids, dtype=text)
            new.file.create_dataset("label", data=[""] * len(ids), dtype=text)
            new.file.create_dataset("cutout_index", data=np.arange(len(ids)))
        building.rename(pool)

    def _blocks(self, ids: list[str]) -> Iterator[tuple[list[str], np.ndarray, np.ndarray]]:
        """Yield ids, vectors and crops, in order."""
        for first in range(0, len(ids), _BLOCK):
            names = ids[first : first + _BLOCK]
            by_file: dict[Path, list[tuple[int, int]]] = {}
            for at, name in enumerate(names):
                path, row = self.places[name]
                by_file.setdefault(path, []).append((at, row))
            found: list[tuple[np.ndarray, np.ndarray]] = [None] * len(names)
            for path, pairs in by_file.items():
                vectors, crops = _read(path, [row for _, row in pairs])
                for (at, _), *one in zip(pairs, vectors, crops, strict=True):
                    found[at] = tuple(one)
            yield names, np.stack([v for v, _ in found]), np.stack([c for _, c in found])


def _read(path: Path, rows: list[int]) -> tuple[np.ndarray, np.ndarray]:
    """Return vectors and crops of some rows of a chunk, or of a pool of before."""
    if path.suffix == ".npz":
        with np.load(path) as part:
            return part["vectors"][rows], part["crops"][rows]
    with CropStore(path.with_name(CROPS)) as crops:
        return FeatureStore.open(path.with_name(FEATURES)).values[rows], crops.take(rows)


def _part_table(path: Path) -> pd.DataFrame:
    with np.load(path) as part:
        return pd.DataFrame({name: part[_IN_PART + name] for name in (*COLUMNS, "state")})


def _append_crops(file: h5py.File, crops: np.ndarray, n_all: int) -> None:
    if "images" not in file:
        shape = crops.shape[1:]
        images = file.create_dataset(
            "images", (0, *shape), np.uint8, maxshape=(n_all, *shape), chunks=(1, *shape)
        )
    else:
        images = file["images"]
    images.resize(len(images) + len(crops), axis=0)
    images[-len(crops) :] = crops


def _digits(text: str) -> str:
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()[:12]
