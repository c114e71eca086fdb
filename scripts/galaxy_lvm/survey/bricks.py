"""Cutouts from the coadded bricks of the Legacy Surveys, as their cutout service makes them.

A release keeps its images as coadd/RRR/BRICK/legacysurvey-BRICK-image-BAND.fits.fz, a quarter of a
degree each with 20 arcsec of the neighbours around (Dey et al. 2019). Like the service, this brings
them to a frame around the galaxy, north up, by Lanczos-3 interpolation. Where bricks overlap the
service takes the mean of both; here the pixels are those of the galaxy's own brick.
"""

import logging
from collections.abc import Iterable, Iterator, Sequence
from functools import lru_cache
from pathlib import Path

import numpy as np
from astropy.io import fits
from astropy.nddata import Cutout2D
from astropy.nddata.utils import NoOverlapError, PartialOverlapError
from astropy.wcs import WCS
from astropy.wcs.utils import proj_plane_pixel_scales
from desiutil.brick import Bricks

from galaxy_lvm.core.config.bricks import BrickPlace
from galaxy_lvm.core.config.sky_survey import Survey, pixels_key
from galaxy_lvm.core.errors import DataError, in_short
from galaxy_lvm.survey.answers import check_coverage
from galaxy_lvm.survey.fits_errors import FITS_ERRORS
from galaxy_lvm.survey.store import LEGACY

log = logging.getLogger("galaxy_lvm.bricks")

_TAPS = np.arange(-3, 4)
_SCALE_TOLERANCE = 0.005
# Bricks whose files stay open: neighbours in a table mostly lie in one.
_OPEN_BRICKS = 4


@lru_cache(maxsize=1)
def all_bricks() -> Bricks:
    """Return the bricks of the whole sky, a quarter of a degree each."""
    return Bricks(0.25)


def lanczos3(images: np.ndarray, x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """Interpolate images at places between pixels.

    Parameters
    ----------
    images
        float32, shape (B, H, W).
    x, y
        Shape (n,): columns and rows, the first pixel's centre 0, at least 3.5 from every edge.

    Returns
    -------
    numpy.ndarray
        float32, shape (B, n): sums under the kernel of 7 x 7 pixels, divided by that of its
        weights, as the astrometry.net code does that the cutout service resamples with.
    """
    column, row = np.floor(x + 0.5).astype(int), np.floor(y + 0.5).astype(int)
    weights = []
    for place, whole in ((x, column), (y, row)):
        away = _TAPS - (place - whole)[:, None]
        kernel = np.where(np.abs(away) < 3, np.sinc(away) * np.sinc(away / 3), 0.0)
        weights.append((kernel / kernel.sum(axis=1, keepdims=True)).astype(np.float32))
    width = images.shape[2]
    taps = (row[:, None] + _TAPS)[:, :, None] * width + (column[:, None] + _TAPS)[:, None, :]
    flat = images.reshape(len(images), -1)
    return np.stack([np.einsum("nyx,nx,ny->n", plane[taps], *weights) for plane in flat])


def frame_wcs(ra: float, dec: float, side_pix: int, scale_arcsec: float) -> WCS:
    """Return the tangential frame around a position, north up and east to the left."""
    wcs = WCS(naxis=2)
    wcs.wcs.ctype = "RA---TAN", "DEC--TAN"
    wcs.wcs.crval = ra, dec
    wcs.wcs.crpix = (side_pix + 1) / 2, (side_pix + 1) / 2
    wcs.wcs.cdelt = -scale_arcsec / 3600, scale_arcsec / 3600
    return wcs


class BrickFiles:
    """Cut galaxies from bricks on disk; a context manager.

    Parameters
    ----------
    place
        Folder of the release, and the largest share of missing pixels.
    survey
        Bands and pixel scale, that of the bricks.

    Raises
    ------
    DataError
        If there is no folder `coadd` in it.
    """

    def __init__(self, place: BrickPlace, survey: Survey = LEGACY) -> None:
        self.root, self.place, self.survey = Path(place.path), place, survey
        if not (self.root / "coadd").is_dir():
            raise DataError(
                f"{self.root}: no folder coadd in it; set datasets.*.bricks to the folder of a "
                "release that holds coadd/RRR/BRICK, such as south"
            )
        self._opened = lru_cache(maxsize=_OPEN_BRICKS)(self._open)

    def __enter__(self) -> "BrickFiles":
        return self

    def __exit__(self, *error: object) -> None:
        self._opened.cache_clear()

    @property
    def shard_galaxies(self) -> int:
        """Positions of a file."""
        return self.place.shard_galaxies

    @property
    def attributes(self) -> dict[str, object]:
        """What a store of the cutouts says of their origin."""
        return {"source": "bricks", "bricks": self.root.name}

    def key(self, side_pix: int) -> list[object]:
        """Return what the cutouts of a position depend on."""
        return [self.place.model_dump(), side_pix, *pixels_key(self.survey)]

    def needed_bytes(
        self, positions: Iterable[tuple[float, float]], side_pix: int
    ) -> dict[Path, int]:
        """Return that nothing is kept beside the store."""
        return {}

    def forget(self, positions: Iterable[tuple[float, float]], side_pix: int) -> None:
        """Forget nothing: the bricks stay."""

    def file(self, brick: str, band: str) -> Path:
        """Return where the image of a brick lies."""
        folder = self.root / "coadd" / brick[:3] / brick
        return folder / f"legacysurvey-{brick}-image-{band}.fits.fz"

    def cutouts(
        self, positions: Sequence[tuple[float, float]], side_pix: int
    ) -> Iterator[np.ndarray | DataError]:
        """Yield the cutout of every position (ra, dec), or what is wrong with it, in order."""
        for ra, dec in positions:
            try:
                yield self.cutout(ra, dec, side_pix)
            except DataError as error:
                yield error

    def cutout(self, ra: float, dec: float, side_pix: int) -> np.ndarray:
        """Return one cutout.

        Parameters
        ----------
        ra, dec
            Centre in degrees.
        side_pix
            Side in pixels of the survey.

        Returns
        -------
        numpy.ndarray
            float32, shape (bands, side_pix, side_pix) in nanomaggies, first row south.

        Raises
        ------
        DataError
            If the brick is not on disk, lacks a band or is damaged, has other pixels, or the frame
            reaches over its edge or lies where the survey has no data.
        """
        brick = str(all_bricks().brickname(ra, dec))
        wcs, images = self._opened(brick)
        frame = frame_wcs(ra, dec, side_pix, self.survey.pixel_scale_arcsec)
        rows, columns = np.indices((side_pix, side_pix)).reshape(2, -1)
        x, y = wcs.world_to_pixel_values(*frame.pixel_to_world_values(columns, rows))
        planes, (left, bottom) = self._around(brick, images, x, y, side_pix)
        flat = lanczos3(planes, x - left, y - bottom)
        cube = flat.reshape(-1, side_pix, side_pix) * np.float32(self.survey.to_nanomaggies)
        check_coverage(cube, self.place.max_bad_fraction, self.survey.bands)
        return cube

    def _around(
        self, brick: str, images: list[fits.CompImageHDU], x: np.ndarray, y: np.ndarray, side: int
    ) -> tuple[np.ndarray, tuple[int, int]]:
        """Return the part of a brick's images (bands, h, w) that holds a frame, and its origin."""
        middle = (x.min() + x.max()) / 2, (y.min() + y.max()) / 2
        size = 2 * int(np.ceil(max(np.ptp(x), np.ptp(y)) / 2)) + 9
        planes = []
        for band, hdu in zip(self.survey.bands, images, strict=True):
            try:
                # Of a compressed image only the tiles of the frame are unpacked.
                near = Cutout2D(hdu.section, middle, size, mode="strict")
                planes.append(np.asarray(near.data, np.float32))
            except (NoOverlapError, PartialOverlapError) as error:
                raise DataError(
                    f"on the edge of brick {brick}: a frame of {side} pixels reaches over it; take "
                    "smaller ones, or the cutout service"
                ) from error
            except FITS_ERRORS as error:
                raise _damaged(self.file(brick, band), error) from error
        return np.stack(planes), near.origin_original

    def _open(self, brick: str) -> tuple[WCS, list[fits.CompImageHDU]]:
        """Return the grid of a brick and its images, one a band; pixels are read when asked for."""
        images, frames = [], []
        for band in self.survey.bands:
            path = self.file(brick, band)
            if not path.exists():
                whole = f"no image in {band}" if path.parent.exists() else "not on disk"
                raise DataError(f"brick {brick}: {whole} ({path}); copy it, or remove the position")
            try:
                hdus = fits.open(path, memmap=False)
                image = next(hdu for hdu in hdus if hdu.is_image and hdu.header["NAXIS"] == 2)
                frames.append(WCS(image.header))
            except (StopIteration, *FITS_ERRORS) as error:
                raise _damaged(path, error) from error
            images.append(image)
            scale = 3600 * float(np.sqrt(np.prod(proj_plane_pixel_scales(frames[-1]))))
            native = self.survey.pixel_scale_arcsec
            if abs(scale / native - 1) > _SCALE_TOLERANCE:
                raise DataError(
                    f"{path}: pixels of {scale:.4g} arcsec, survey.pixel_scale_arcsec is {native:g}"
                )
            if not frames[0].wcs.compare(frames[-1].wcs, tolerance=1e-9):
                raise DataError(f"{path}: on another grid than band {self.survey.bands[0]}")
        return frames[0], images


def _damaged(path: Path, error: Exception) -> DataError:
    return DataError(f"{path}: damaged, or no image in it ({in_short(error)}); copy it again")
