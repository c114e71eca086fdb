"""Where the images of a search come from: a folder, or cutouts around positions on the sky."""

import logging
import os
import warnings
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np

from galaxy_lvm.core.config.lens_search import ImageReading, Search
from galaxy_lvm.core.config.survey import Service
from galaxy_lvm.core.errors import ConfigError, DataError, in_short
from galaxy_lvm.lenses.images import SkyImage, from_fluxes, read_sky_image, tangent_wcs
from galaxy_lvm.survey.fits_errors import FITS_ERRORS
from galaxy_lvm.survey.image_files import file_problem, kind_of, other_types, walk
from galaxy_lvm.survey.positions import read_positions
from galaxy_lvm.survey.rejected import printable
from galaxy_lvm.survey.store import PIXEL_SCALE_ARCSEC

log = logging.getLogger("galaxy_lvm")


@dataclass(frozen=True)
class Item:
    """One image of a search: a file, or a position with its cutout."""

    name: str
    """File relative to the folder, or the position's id; detections are numbered behind it."""
    version: str
    """Changes when the image does."""
    ra: float = np.nan
    dec: float = np.nan

    @property
    def shown(self) -> str:
        """The name as tables write it."""
        return printable(self.name)


# Images in the order of the items; what is wrong with one takes its place.
Loader = Callable[[Sequence[Item]], Iterator[SkyImage | DataError]]


def folder_items(
    folder: str | os.PathLike, settings: ImageReading, own: Sequence[str | os.PathLike] = ()
) -> list[Item]:
    """Return the images of a folder and its sub-folders, with those that cannot be read.

    Parameters
    ----------
    folder
        Where to look.
    settings
        What is known of the images.
    own
        Files and folders that the search itself writes, figures in all their formats; what lies
        there is no image to be searched.

    Raises
    ------
    DataError
        If there is no such folder or no image in it.
    ConfigError
        If there are only JPEG or PNG images and nobody says how large their pixels are.
    """
    folder = Path(folder)
    if not folder.is_dir():
        raise DataError(f"{folder}: no such folder of images")
    written = [Path(os.path.realpath(path)) for path in own]
    files = [path for path in walk(folder) if not _is_own(path, written)]
    # A folder among them may not be looked into.
    images = [path for path in files if kind_of(path) or os.path.isdir(path)]
    readable = [path for path in images if not file_problem(path)]
    if not readable:
        raise DataError(f"{folder}: none of {len(files)} files is a FITS, JPEG or PNG image")
    taken = set(images)
    if others := other_types(path for path in files if path not in taken):
        log.info("%s: %s", folder, others)
    coloured = sum(kind_of(path) == "image" for path in readable)
    # Among FITS files each is refused by itself: previews often lie beside them.
    if coloured == len(readable) and settings.pixel_scale_arcsec is None:
        raise ConfigError(
            f"{folder}: {coloured} JPEG or PNG images, which do not say how large their pixels "
            "are; set lenses.search.pixel_scale_arcsec (--pixel-scale)"
        )
    return [Item(path.relative_to(folder).as_posix(), _version(path)) for path in images]


def _is_own(path: Path, own: Sequence[Path]) -> bool:
    place = Path(os.path.realpath(path))
    # A figure is written as PDF and PNG.
    figures = [mine.with_suffix("") for mine in own if mine.suffix == ".pdf"]
    inside = any(mine == place or mine in place.parents for mine in own)
    return inside or place.with_suffix("") in figures


def _version(path: Path) -> str:
    try:
        found = path.stat()
    except OSError:
        return ""  # its reading says why
    return f"{found.st_size} {found.st_mtime_ns}"


def load_files(
    items: Sequence[Item], folder: str | os.PathLike, settings: ImageReading
) -> Iterator[SkyImage | DataError]:
    """Yield the images of a folder's items."""
    for item in items:
        path = Path(folder) / item.name
        try:
            with warnings.catch_warnings():
                # astropy and Pillow warn of what then becomes a rejection with a reason of ours.
                warnings.simplefilter("ignore")
                problem = file_problem(path)
                image = DataError(problem) if problem else read_sky_image(path, settings)
        except DataError as error:
            image = error
        except FITS_ERRORS as error:
            image = DataError(f"cannot be read ({in_short(error)}); fetch or save the file again")
        except Exception as error:
            error.add_note(f"while reading {path}")
            raise
        yield image


def position_items(
    path: str | os.PathLike, side_pix: int
) -> tuple[list[Item], list[dict[str, object]]]:
    """Return the positions of a table with `ra` and `dec` in degrees, and the rows refused.

    Parameters
    ----------
    path
        Table; see `positions.read_positions`. Positions without an `id` are named by themselves.
    side_pix
        Side of the cutouts.
    """
    table, rejections = read_positions(path, make_ids=True)
    items = [
        Item(row.id, f"{row.ra:.6f} {row.dec:.6f} {side_pix}", row.ra, row.dec)
        for row in table.itertuples()
    ]
    return items, rejections


def load_positions(
    items: Sequence[Item],
    side_pix: int,
    fetch: Callable[[list[tuple[float, float]], int], Iterator[np.ndarray | DataError]],
) -> Iterator[SkyImage | DataError]:
    """Yield the cutouts around the items' positions.

    Parameters
    ----------
    items
        From `position_items`.
    side_pix
        Side of the cutouts.
    fetch
        `CutoutService.cutouts` of the survey's client: fluxes (3, H, W), or why there are none.
    """
    cutouts = fetch([(item.ra, item.dec) for item in items], side_pix)
    for item, cutout in zip(items, cutouts, strict=True):
        if isinstance(cutout, DataError):
            yield cutout
            continue
        try:
            yield from_fluxes(cutout, PIXEL_SCALE_ARCSEC, tangent_wcs(item.ra, item.dec, side_pix))
        except DataError as error:
            yield error


def open_source(
    settings: Search,
    cache_dir: Path,
    service: Service | None = None,
    own: Sequence[str | os.PathLike] = (),
) -> tuple[list[Item], Loader, list[dict[str, object]]]:
    """Return the images that the config asks for, how to load them, and the rows refused.

    Parameters
    ----------
    settings
        The config's section `lenses.search`.
    cache_dir
        Folder that keeps cutouts.
    service
        The config's section `legacysurvey`; needed for positions.
    own
        See `folder_items`.

    Raises
    ------
    ConfigError
        If there are neither images nor positions, or both; or positions and no service.
    """
    folder, positions = settings.images, settings.positions
    if (folder is None) == (positions is None):
        raise ConfigError("lenses.search: set either images or positions")
    if folder is not None:
        load = partial(load_files, folder=folder, settings=settings)
        return folder_items(folder, settings, own), load, []
    # Only positions need the library for requests.
    from galaxy_lvm.survey.legacysurvey import CutoutService

    if service is None:
        raise ConfigError("lenses.search.positions: the section legacysurvey was not handed on")
    side_pix = settings.side_pix
    items, rejections = position_items(positions, side_pix)
    client = CutoutService(service, cache_dir)
    return items, partial(load_positions, side_pix=side_pix, fetch=client.cutouts), rejections
