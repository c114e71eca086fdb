"""A user's images without a table: a folder, paths or arrays, as crops in chunks.

Files are read and cut by the code of the rules import_folder and crop_cutouts, so that a vector
made here is the vector that a run would make. Only a chunk of crops is in memory at a time.
"""

import logging
import os
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
import pandas as pd

from galaxy_lvm.core.config.sky_survey import Survey
from galaxy_lvm.core.config.survey import Crop, Folder
from galaxy_lvm.core.errors import DataError
from galaxy_lvm.survey.cropping import crop_frames
from galaxy_lvm.survey.crops import FLAG_NAMES
from galaxy_lvm.survey.folder import image_reader, read_images
from galaxy_lvm.survey.image_files import file_problem, kind_of, other_types, same_file, walk
from galaxy_lvm.survey.image_state import is_own
from galaxy_lvm.survey.rejected import printable, rejection
from galaxy_lvm.survey.store import LEGACY

log = logging.getLogger("galaxy_lvm.images")

CHUNK_IMAGES = 128
KINDS = ("image", "fits")
COLUMNS = ("id", "file", "width_pix", "height_pix", "flags")
STAGE = "read"


@dataclass(frozen=True)
class Reading:
    """How images are read and cut."""

    folder: Folder = field(default_factory=Folder)
    """The config's section `folder`."""
    crop: Crop = field(default_factory=Crop)
    """The config's section `crop`."""
    cores: int = 1
    """Files read at a time."""
    survey: Survey = LEGACY
    """What FITS files hold: bands, pixels, zero point, mapping to colours."""


@dataclass(frozen=True)
class Chunk:
    """Crops of some images, and what could not be used among them.

    Attributes
    ----------
    images
        uint8 (n, side, side, 3).
    table
        One row per crop: COLUMNS.
    skipped
        Lines of `rejected.rejection`.
    n_tried
        Images that the chunk is of: crops and skipped ones.
    """

    images: np.ndarray
    table: pd.DataFrame
    skipped: list[dict[str, object]]
    n_tried: int


class FileImages:
    """Image files, one kind of them: JPEG and PNG, or FITS cubes.

    Parameters
    ----------
    paths
        Files by the id that each gets.
    skipped
        Lines of `rejected.rejection` for what was left out before.
    reading
        How.

    Attributes
    ----------
    side_pix
        Side to which colour images are brought before they are cut (the median of their sides);
        0 for FITS.
    """

    def __init__(
        self, paths: dict[str, Path], skipped: list[dict[str, object]], reading: Reading
    ) -> None:
        self.paths, self.skipped, self.reading = paths, skipped, reading
        self.rgb = all(kind_of(path) == "image" for path in paths.values())
        files = list(paths.values())
        self._read, self.side_pix = image_reader(files, self.rgb, reading.folder, reading.survey)

    def __len__(self) -> int:
        return len(self.paths)

    def with_side(self, side_pix: int) -> "FileImages":
        """Return the same files, colour images brought to another side first."""
        folder = self.reading.folder.model_copy(update={"image_side_pix": side_pix})
        return FileImages(self.paths, self.skipped, replace(self.reading, folder=folder))

    def only(self, names: Sequence[str]) -> "FileImages":
        """Return some of the files, read as all are."""
        kept = self.with_side(self.side_pix) if self.rgb else self
        return FileImages({name: self.paths[name] for name in names}, [], kept.reading)

    def frame(self, name: str) -> np.ndarray:
        """Return the whole image of a file.

        Returns
        -------
        numpy.ndarray
            uint8 (H, W, 3) of JPEG and PNG; float32 (bands, H, W) in nanomaggies of FITS.

        Raises
        ------
        DataError
            If the file cannot be read any more.
        """
        (found,) = read_images([self.paths[name]], self._read, 1)
        if isinstance(found, DataError):
            raise DataError(f"{self.paths[name]}: {found}") from found
        return found.pixels

    def chunks(self, size: int = CHUNK_IMAGES) -> Iterator[Chunk]:
        """Yield the crops of all files in chunks of at most `size` files, in order."""
        names = list(self.paths)
        for start in range(0, len(names), size):
            yield self._chunk(names[start : start + size])

    def crops(self, ids: Sequence[str]) -> list[np.ndarray]:
        """Return the crops (side, side, 3) uint8 of some files again, in the order asked for.

        Raises
        ------
        DataError
            If a file cannot be read any more.
        """
        chunk = self._chunk(list(ids))
        if chunk.skipped:
            line = chunk.skipped[0]
            raise DataError(f"{line['file']}: could be read before, and now {line['reason']}")
        return list(chunk.images)

    def _chunk(self, names: list[str]) -> Chunk:
        images, rows, skipped = [], [], []
        results = read_images([self.paths[n] for n in names], self._crop, self.reading.cores)
        for name, result in zip(names, results, strict=True):
            if isinstance(result, DataError):
                skipped.append(rejection(STAGE, str(result), name, str(self.paths[name])))
                continue
            image, row = result
            images.append(image)
            rows.append({"id": printable(name), "file": printable(str(self.paths[name])), **row})
        side = self.reading.crop.side_pix
        stacked = np.stack(images) if images else np.empty((0, side, side, 3), np.uint8)
        return Chunk(stacked, pd.DataFrame(rows, columns=list(COLUMNS)), skipped, len(names))

    def _crop(self, path: Path) -> tuple[np.ndarray, dict[str, object]]:
        image = self._read(path)
        stretch = self.reading.survey.stretch
        found = crop_frames(image.pixels[None], self.rgb, self.reading.crop, stretch)
        if found.reasons:
            raise DataError(found.reasons[0])
        size = {"width_pix": image.width_pix, "height_pix": image.height_pix}
        return found.images[0], {**size, "flags": flag_words(found.flags[0])}


class ArrayImages:
    """Images in memory; their ids are their places, from 0.

    Parameters
    ----------
    images
        uint8 (N, H, W, 3).
    reading
        How they are cut.
    crop
        False for images that are crops already: they are resized alone.

    Raises
    ------
    DataError
        If the array is of another type or shape, or too small.
    """

    def __init__(self, images: np.ndarray, reading: Reading, crop: bool = True) -> None:
        good = images.dtype == np.uint8 and images.ndim == 4 and images.shape[-1] == 3
        if not good:
            raise DataError(
                f"images: an array of {images.dtype} {images.shape}; give uint8 (N, H, W, 3), "
                "red, green and blue from 0 to 255 (repeat a grey channel three times)"
            )
        if min(images.shape[1:3]) < 16 or not len(images):
            raise DataError(f"images: {images.shape}; at least one of 16 x 16 pixels is needed")
        self.images, self.reading, self.crop = images, reading, crop
        self.skipped: list[dict[str, object]] = []

    def __len__(self) -> int:
        return len(self.images)

    def chunks(self, size: int = CHUNK_IMAGES) -> Iterator[Chunk]:
        """Yield the crops of all images in chunks of at most `size`, in order."""
        height, width = self.images.shape[1:3]
        for start in range(0, len(self.images), size):
            frames = np.ascontiguousarray(self.images[start : start + size])
            rows, flags, reasons = np.arange(len(frames)), np.zeros(len(frames), np.uint8), {}
            if self.crop:
                found = crop_frames(frames, True, self.reading.crop)
                frames, rows, flags, reasons = found.images, found.rows, found.flags, found.reasons
            names = [str(start + row) for row in rows]
            table = pd.DataFrame({"id": names, "file": ""}, columns=list(COLUMNS))
            table["width_pix"], table["height_pix"] = width, height
            table["flags"] = [flag_words(bits) for bits in flags]
            skipped = [rejection(STAGE, why, str(start + row)) for row, why in reasons.items()]
            yield Chunk(frames, table, skipped, len(rows) + len(skipped))


def flag_words(bits: int) -> str:
    """Return what is to be said of a crop, the names of its flags separated by blanks."""
    return " ".join(name for bit, name in FLAG_NAMES.items() if bits & bit)


def folder_images(
    folder: str | os.PathLike,
    reading: Reading,
    kind: str | None = None,
    own: Sequence[str | os.PathLike] = (),
) -> FileImages:
    """Return the images below a folder; ids are paths relative to it.

    Parameters
    ----------
    folder
        Folder; its sub-folders belong to it.
    reading
        How.
    kind
        `image` takes JPEG and PNG, `fits` FITS cubes; None takes the one kind that there is.
    own
        Folders that are not looked into: what is written there is no input.

    Raises
    ------
    DataError
        If there is no such folder, no image in it, or images of both kinds; if the folder lies in
        one that is not looked into.
    """
    folder = Path(folder)
    if not folder.is_dir():
        raise DataError(f"{folder}: no such folder of images")
    written = [os.path.join(same_file(Path(place)), "") for place in own]
    if os.path.join(same_file(folder), "").startswith(tuple(written)):
        raise DataError(
            f"{folder}: results would be written into this folder or one above it, and what lies "
            f"there is not read; choose a folder of its own for them, for instance {folder}/results"
        )
    found, skipped, others = {}, [], []
    for path in walk(folder):
        real = same_file(path)
        if is_own(real) or real.startswith(tuple(written)):
            continue
        name = path.relative_to(folder).as_posix()
        if not (kind_of(path) or os.path.isdir(path)):
            others.append(path)
        elif problem := file_problem(path):
            skipped.append(rejection(STAGE, problem, name, str(path)))
        else:
            found[name] = path
    if passed_over := other_types(others):
        log.info("%s: %s", folder, passed_over)
    return _told(FileImages(*_of_one_kind(found, skipped, kind, str(folder)), reading))


def listed_images(
    paths: Sequence[str | os.PathLike], reading: Reading, kind: str | None = None
) -> FileImages:
    """Return image files; ids are the paths as they were given.

    Raises
    ------
    DataError
        If none of them is an image, or they are of both kinds.
    """
    found, skipped, seen = {}, [], set()
    for path in map(Path, paths):
        problem = file_problem(path)
        if not problem and kind_of(path) is None:
            problem = f"files of type {path.suffix or '(none)'!r} are not read; use JPEG, PNG, FITS"
        if not problem and same_file(path) in seen:
            problem = "is given twice; its vector is made once"
        if problem:
            skipped.append(rejection(STAGE, problem, str(path), str(path)))
        else:
            seen.add(same_file(path))
            found[str(path)] = path
    return _told(FileImages(*_of_one_kind(found, skipped, kind, "the list"), reading))


def _told(source: FileImages) -> FileImages:
    """Log the frames of a set of files, once: parts of it are read as all are."""
    if source.rgb:
        log.info("colour frames of %d x %d pixels", source.side_pix, source.side_pix)
    return source


def _of_one_kind(
    found: dict[str, Path], skipped: list[dict[str, object]], kind: str | None, where: str
) -> tuple[dict[str, Path], list[dict[str, object]]]:
    """Return the files of one kind, and the lines for the others."""
    counts = Counter(kind_of(path) for path in found.values())
    if kind is None and len(counts) > 1:
        raise DataError(
            f"{where}: {counts['fits']} FITS and {counts['image']} JPEG or PNG files; fluxes and "
            "colours are not comparable. Take one kind: 'image' or 'fits' (--kind)"
        )
    kind = kind or next(iter(counts), None)
    other = [name for name, path in found.items() if kind_of(path) != kind]
    reason = f"is of the other kind; only {kind} files were asked for"
    skipped += [rejection(STAGE, reason, name, str(found[name])) for name in other]
    chosen = {name: path for name, path in found.items() if kind_of(path) == kind}
    if not chosen:
        raise DataError(f"{where}: no image that can be read. {first_reasons(skipped)}")
    return chosen, skipped


def first_reasons(skipped: Sequence[dict[str, object]], n: int = 3) -> str:
    """Return the first reasons in words, for an error."""
    if not skipped:
        return "There is no JPEG, PNG or FITS file"
    texts = [f"{line['file'] or line['id']}: {line['reason']}" for line in skipped[:n]]
    return "First reasons: " + "; ".join(texts)
