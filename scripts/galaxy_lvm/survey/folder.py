"""The `folder` source: a user's images and a table that names them."""

import logging
import os
import warnings
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import TypeVar

import numpy as np
import pandas as pd

from galaxy_lvm.core.config.sky_survey import Survey, pixels_key
from galaxy_lvm.core.config.survey import Folder
from galaxy_lvm.core.errors import DataError, in_short
from galaxy_lvm.core.logs import progress
from galaxy_lvm.core.state import config_hash
from galaxy_lvm.core.tables import as_text, typed
from galaxy_lvm.core.user_tables import LINE, NUL_PROBLEM, holds_nul, read_user_table
from galaxy_lvm.survey.fits_errors import FITS_ERRORS
from galaxy_lvm.survey.image_files import file_problem, kind_of, other_types, same_file, walk
from galaxy_lvm.survey.image_state import is_own, state_of
from galaxy_lvm.survey.pictures import image_size
from galaxy_lvm.survey.pixels import missing_pixels
from galaxy_lvm.survey.position_columns import position_columns
from galaxy_lvm.survey.readers import ReadImage, read_fluxes, read_rgb
from galaxy_lvm.survey.rejected import rejection
from galaxy_lvm.survey.shard_writing import write_shards
from galaxy_lvm.survey.sky_columns import degrees_of
from galaxy_lvm.survey.store import LEGACY, CutoutWriter, stored_names

log = logging.getLogger("galaxy_lvm.folder")

Read = TypeVar("Read")

# Names that the store or the import itself uses.
_OWN = ("id", "file", "label", "row")
_SECOND = "second_label"
_POSITION = ("ra", "dec")
# What is wrong with a row already by its table, "" if nothing is; not stored.
_PROBLEM = " problem"
_RESERVED = {"images", "images_rgb", "box", "flag", "width_pix", "height_pix"}
_CHUNK_IMAGES = 128
_REMEDY = "run import_folder again"
_MIXED = "fluxes and colours cannot be mixed in one data set. Make a table for each"


def read_table(path: str | os.PathLike, settings: Folder) -> pd.DataFrame:
    """Read the user's table.

    Parameters
    ----------
    path
        Any table that `read_user_table` reads.
    settings
        Names of the columns; two may be the same.

    Returns
    -------
    pandas.DataFrame
        Columns `id`, `file`, `label`, where settings name one `second_label` (all text), `row`
        (line in the file, the header being line 1), what is wrong with the row's position, `ra`,
        `dec` in degrees where the table has them under a usual name (see `position_columns`), and
        all others, as numbers where every value is one.

    Raises
    ------
    DataError
        If the file is missing, is not a table, lacks a column, has two that could be the same, or
        has no rows.
    """
    path = Path(path)
    chosen = {"id": settings.id_column, "file": settings.file_column}
    if settings.label_column:
        chosen["label"] = settings.label_column
    written = read_user_table(path, expected=[name.lower() for name in chosen.values()])
    columns = [name for name in written.columns if name != LINE]
    if settings.second_label_column:
        chosen[_SECOND] = settings.second_label_column
    absent = [name for name in dict.fromkeys(chosen.values()) if name not in columns]
    if absent:
        raise DataError(
            f"{path}: no column {', '.join(map(repr, absent))}; the table has {columns}. Rename "
            "the columns or set folder.id_column, file_column, label_column, second_label_column "
            "(--id-column, --file-column, --label-column)"
        )
    # One column may serve as two: the file's name is its id.
    table = pd.DataFrame({name: as_text(written[chosen[name]], path) for name in chosen})
    if "label" not in table:
        table["label"] = ""
    table["row"] = written[LINE]
    positions = position_columns([n for n in columns if n not in chosen.values()], path)
    # The second label also keeps its own name, by which targets may ask for it.
    taken = {name for own, name in chosen.items() if own != _SECOND} | set(positions.values())
    others = written[[name for name in columns if name not in taken]]
    # A column that already bears one of our names but is not the one chosen must not shadow it.
    clashes = {name: f"table_{name}" for name in (*_OWN, _SECOND, *_POSITION) if name in others}
    twice = [new for new in clashes.values() if new in others]
    if twice:
        raise DataError(f"{path}: column {twice[0]!r} is a name that is needed here; rename it")
    table[_PROBLEM] = np.where(holds_nul(written), NUL_PROBLEM, "")
    if positions:
        given = written[[positions[name] for name in _POSITION]].set_axis(_POSITION, axis=1)
        units = {name: written.attrs["units"].get(positions[name]) for name in _POSITION}
        degrees, reasons = degrees_of(given, units)
        table[_PROBLEM] = table[_PROBLEM].where(table[_PROBLEM] != "", reasons)
        table[list(_POSITION)] = degrees
    return _with_others(table, others.rename(columns=clashes))


def _with_others(table: pd.DataFrame, others: pd.DataFrame) -> pd.DataFrame:
    """Add the other columns, as numbers where they are, under names that HDF5 takes."""
    safe = stored_names([*table, *others], _RESERVED)
    return pd.concat([table, *(typed(others[n]).rename(safe[n]) for n in others)], axis=1)


def check_rows(
    table: pd.DataFrame, data_dir: Path, path: str | os.PathLike | None = None
) -> tuple[pd.DataFrame, list[dict[str, object]]]:
    """Split the table into rows whose file can be read and rejections.

    Parameters
    ----------
    table
        From `read_table`.
    data_dir
        Folder that the files are relative to.
    path
        The table's own file, which may be a FITS file among the images.

    Returns
    -------
    usable : pandas.DataFrame
        With a column `path`.
    rejections : list of dict
        Also one for each image in the folder that no row names.
    """
    rejections = []
    usable, first_row = [], {}
    listed = set() if path is None else {same_file(Path(path))}
    for record, wrong in zip(table[list(_OWN)].itertuples(), table[_PROBLEM], strict=True):
        path = data_dir / record.file
        listed.add(same_file(path))
        reason = _row_problem(record, path, first_row) or wrong
        if reason:
            rejections.append(rejection("import", reason, record.id, record.file, record.row))
        else:
            first_row[record.id] = record.row
            usable.append((record.Index, path))
    index = [i for i, _ in usable]
    chosen = table.loc[index].assign(path=[path for _, path in usable]).reset_index(drop=True)
    chosen = chosen.drop(columns=_PROBLEM)
    return chosen, [*rejections, *_unnamed(data_dir, listed)]


def _unnamed(data_dir: Path, listed: set[str]) -> Iterator[dict[str, object]]:
    """Yield a rejection for each image in the folder that no row names."""
    others = []
    for path in walk(data_dir):
        # A folder is only among them where something is wrong with it.
        if not (kind_of(path) or os.path.isdir(path)):
            others += [] if same_file(path) in listed or is_own(same_file(path)) else [path]
            continue
        if (real := same_file(path)) not in listed and not is_own(real):
            reason = file_problem(path) or "no row in the table names this file"
            name = path.relative_to(data_dir).as_posix()
            yield rejection("import", reason, file=name)
    if passed_over := other_types(others):
        log.info("%s: %s", data_dir, passed_over)


def _row_problem(record: tuple, path: Path, first_row: dict[str, int]) -> str | None:
    if not record.id:
        return "the id is empty; give every galaxy one"
    if not record.file:
        return "the row names no file"
    if "\n" in f"{record.id}{record.file}{record.label}":
        return "its id, file or label goes over several lines; a double quote is one too many"
    if record.id in first_row:
        return f"id used before, in row {first_row[record.id]}; give every galaxy its own"
    if problem := file_problem(path):
        return problem
    if kind_of(path) is None:
        return f"files of type {path.suffix or '(none)'!r} are not read; use JPEG, PNG or FITS"
    return None


def import_images(
    data_dir: str | os.PathLike,
    table: str | os.PathLike,
    cutouts: str | os.PathLike,
    settings: Folder | None = None,
    cores: int = 1,
    survey: Survey = LEGACY,
) -> list[dict[str, object]]:
    """Read a folder of images into a cutout store.

    Parameters
    ----------
    data_dir
        Folder of the images; searched with its sub-folders.
    table
        With an id, a file and a label per galaxy; see `read_table`.
    cutouts
        HDF5 file to write: `images_rgb` for JPEG and PNG, `images` for FITS. Of more than
        `folder.shard_images` it is the index of shards, which are complete one by one: an import
        that is started again goes on behind the last.
    settings
        Defaults where None.
    cores
        Files decoded at a time.
    survey
        Bands, pixel scale and zero point of FITS files.

    Returns
    -------
    list of dict
        The rejections, for `rejected.write_rejected`.

    Raises
    ------
    DataError
        If the folder or table is missing or empty, both kinds of files are mixed, or nothing can
        be used.
    """
    settings = settings or Folder()
    data_dir = Path(data_dir)
    if not data_dir.is_dir():
        raise DataError(f"{data_dir}: no such folder; set the folder of your images")
    rows, rejections = check_rows(read_table(table, settings), data_dir, table)
    if rows.empty:
        raise DataError(f"{table}: no row can be used. {_first_reasons(rejections)}")
    kinds = Counter(kind_of(path) for path in rows["path"])
    if len(kinds) > 1:
        n_fits, n_rgb = kinds["fits"], kinds["image"]
        raise DataError(f"{table}: {n_fits} FITS and {n_rgb} JPEG or PNG files; {_MIXED}")
    rgb = "image" in kinds
    read, side = image_reader(list(rows["path"]), rgb, settings, survey)
    size = _frame_size(side) if rgb else {}

    def write(part: pd.DataFrame, path: str | os.PathLike, which: str) -> list[dict[str, object]]:
        about = {"attributes": {"source": "folder"}, "survey": survey}
        with CutoutWriter(path, rgb=rgb, **about, **size) as writer:
            return _copy(part, read, writer, cores, ", ".join(filter(None, ["import", which])))

    if len(rows) <= settings.shard_images:
        lost = write(rows, cutouts, "")
    else:
        key_of = partial(_shard_key, settings=settings, side_pix=side, survey=survey)
        lost = write_shards(rows, cutouts, settings.shard_images, key_of, write, _REMEDY)
    rejections += lost
    if len(lost) == len(rows):
        Path(cutouts).unlink(missing_ok=True)
        reasons = _first_reasons(rejections)
        raise DataError(f"{table}: none of the images can be used. {reasons}")
    log.info("%d galaxies imported, %d rejected", len(rows) - len(lost), len(rejections))
    return rejections


def _frame_size(side_pix: int) -> dict[str, int]:
    log.info("colour frames of %d x %d pixels", side_pix, side_pix)
    return {"height_pix": side_pix, "width_pix": side_pix}


def _shard_key(part: pd.DataFrame, settings: Folder, side_pix: int, survey: Survey) -> str:
    """Return what changes with the lines, the files or the settings that a shard is made of."""
    hashes = pd.util.hash_pandas_object(part.drop(columns="path"), index=False)
    files = [(str(path), state_of(path)) for path in part["path"]]
    about = [settings.model_dump(), side_pix, list(part), hashes.tolist(), files]
    return config_hash([*about, *pixels_key(survey)])


def _first_reasons(rejections: list[dict[str, object]]) -> str:
    # Rows of the table first: files that no row names explain less.
    ordered = sorted(rejections, key=lambda line: line["row"] == "")
    texts = [f"row {r['row'] or '-'} ({r['file']}): {r['reason']}" for r in ordered[:3]]
    return "First reasons: " + "; ".join(texts)


def image_reader(
    paths: Sequence[Path], rgb: bool, settings: Folder, survey: Survey = LEGACY
) -> tuple[Callable[[Path], ReadImage], int]:
    """Return the function that reads one file, and the side of the frames in pixels.

    Parameters
    ----------
    paths
        Files of one kind that belong together: colour frames get the median of their sides.
    rgb
        True for JPEG and PNG, False for FITS.
    settings
        The config's section `folder`.
    survey
        Bands, pixel scale and zero point of FITS files.
    """
    if rgb:
        side = settings.image_side_pix
        if side is None:
            sizes = [min(size) for size in map(image_size, paths) if size]
            side = int(np.median(sizes)) if sizes else settings.max_image_side_pix
            side = min(max(side, 32), settings.max_image_side_pix)
        return partial(read_rgb, side_pix=side, reading=settings), side
    return partial(_read_good_fluxes, settings=settings, survey=survey), 0


def _read_good_fluxes(path: Path, settings: Folder, survey: Survey) -> ReadImage:
    image = read_fluxes(
        path,
        settings.flux_unit,
        settings.pixel_scale_arcsec,
        settings.max_pixel_scale_arcsec,
        settings.zero_is_missing,
        settings,
        survey,
    )
    missing = missing_pixels(image.pixels, zero_is_missing=False).mean(axis=(1, 2))
    if missing.max() > settings.max_bad_fraction:
        pairs = zip(survey.bands, missing, strict=True)
        shares = ", ".join(f"{band} {share:.0%}" for band, share in pairs)
        raise DataError(
            f"lacks too many pixels ({shares}; max_bad_fraction = "
            f"{settings.max_bad_fraction:.0%}); leave the galaxy out or fetch another release"
        )
    return image


def _copy(
    rows: pd.DataFrame,
    read: Callable[[Path], ReadImage],
    writer: CutoutWriter,
    cores: int,
    what: str,
) -> list[dict[str, object]]:
    """Read all files, in order, and append the good ones; return the rejections."""
    rejections, notes, chunk = [], Counter(), []
    results = read_images(list(rows["path"]), read, cores)
    for record, result in zip(
        rows.to_dict("records"), progress(results, len(rows), what, "images"), strict=True
    ):
        if isinstance(result, DataError):
            reason = str(result)
            rejections.append(
                rejection("import", reason, record["id"], record["file"], record["row"])
            )
            continue
        notes.update(result.notes)
        chunk.append((record, result))
        if len(chunk) == _CHUNK_IMAGES:
            _append(writer, chunk)
            chunk = []
    if chunk:
        _append(writer, chunk)
    for note, count in notes.items():
        log.info("%d images: %s", count, note)
    return rejections


def read_images(
    paths: Sequence[Path], read: Callable[[Path], Read], cores: int
) -> Iterator[Read | DataError]:
    """Yield what `read` makes of every file, or what is wrong with it, in order.

    At most a chunk is read ahead; an error of one file never stops the others.
    """

    def attempt(path: Path) -> Read | DataError:
        try:
            return read(path)
        except DataError as error:
            return error
        except FITS_ERRORS as error:
            return DataError(f"cannot be read ({in_short(error)}); fetch or save the file again")
        except Exception as error:
            error.add_note(f"while reading {path}")
            raise

    with warnings.catch_warnings(), ThreadPoolExecutor(max(1, cores)) as pool:
        # astropy and Pillow warn of what then becomes a rejection with a reason of ours.
        warnings.simplefilter("ignore")
        for start in range(0, len(paths), _CHUNK_IMAGES):
            yield from pool.map(attempt, paths[start : start + _CHUNK_IMAGES])


def _append(writer: CutoutWriter, chunk: list[tuple[dict, ReadImage]]) -> None:
    names = [name for name in chunk[0][0] if name != "path"]
    columns = {name: [record[name] for record, _ in chunk] for name in names}
    columns["width_pix"] = [image.width_pix for _, image in chunk]
    columns["height_pix"] = [image.height_pix for _, image in chunk]
    for name in ("ra", "dec"):
        if not writer.rgb and name not in columns:
            columns[name] = [image.columns.get(name, np.nan) for _, image in chunk]
    writer.append(np.stack([image.pixels for _, image in chunk]), columns)
