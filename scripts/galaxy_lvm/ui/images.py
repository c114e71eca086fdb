"""Images of galaxies for a browser: tiles from the crops, the big view from the cutouts."""

import logging
import threading

import cv2
import numpy as np

from galaxy_lvm.core.config.sky_survey import Stretch
from galaxy_lvm.core.errors import DataError
from galaxy_lvm.survey.crop_store import CropStore
from galaxy_lvm.survey.rejected import printable
from galaxy_lvm.survey.store import COLOURS, PIXEL_SCALE_ARCSEC, CutoutStore
from galaxy_lvm.ui.workplace import Workplace

log = logging.getLogger("galaxy_lvm.ui")


# Of zlib: tiles are read once, by a browser on a fast line.
_QUICK = 1


class Images:
    """Read images by the row of the galaxy in the pool; from any thread.

    Parameters
    ----------
    place
        Where they lie.
    """

    def __init__(self, place: Workplace) -> None:
        self._place, self._lock = place, threading.Lock()
        self._crops = CropStore(place.crops)
        self._cutouts = None if place.cutouts is None else CutoutStore(place.cutouts)
        # Files bear names that are no text; ids are what can be written of them.
        self._names = {} if place.files is None else _names_of(place)

    def close(self) -> None:
        """Close the files."""
        with self._lock:
            self._crops.close()
            if self._cutouts is not None:
                self._cutouts.__exit__()

    @property
    def stretch(self) -> Stretch:
        """How fluxes became the colours of the crops."""
        return self._crops.stretch

    @property
    def pixel_scale_arcsec(self) -> float:
        """Side of a cutout's pixel; NaN of colours."""
        if self._place.files is not None:
            return self._place.files.reading.survey.pixel_scale_arcsec
        return PIXEL_SCALE_ARCSEC if self._cutouts is None else self._cutouts.pixel_scale_arcsec

    @property
    def has_cutouts(self) -> bool:
        """Whether there is more to see than the crops."""
        return self._cutouts is not None or self._place.files is not None

    def crop(self, row: int) -> np.ndarray:
        """Return the crop of a galaxy, uint8 (side, side, 3).

        Raises
        ------
        DataError
            If there is no such row, or the image cannot be read.
        """
        self._check(row)
        with self._lock:
            return self._crops.take([self._place.crop_rows[row]])[0]

    def png(self, row: int) -> bytes:
        """Return the crop of a galaxy as PNG; errors as for `crop`."""
        return png_of(self.crop(row), _QUICK)

    def cutout(self, row: int) -> tuple[np.ndarray, tuple[str, ...]]:
        """Return the image of a galaxy in full and what its channels are.

        Returns
        -------
        image : numpy.ndarray
            float32 (bands, H, W) in nanomaggies where the survey gives fluxes, else uint8
            (H, W, 3); the crop where there is no cutout.
        bands : tuple of str
            The store's, or red, green, blue.

        Raises
        ------
        DataError
            If there is no such row, or the image cannot be read.
        """
        self._check(row)
        if self._place.files is not None:
            files = self._place.files
            return _with_bands(files.frame(self._names[row]), files.reading.survey.bands)
        if self._cutouts is None:
            return self.crop(row), COLOURS
        where = int(self._place.catalogue["cutout_index"].iloc[row])
        with self._lock:
            image = self._cutouts.images.take(np.array([where]))[0]
        return _with_bands(image, self._cutouts.bands)

    def _check(self, row: int) -> None:
        if not 0 <= row < len(self._place.pool):
            raise DataError(f"no galaxy number {row} in a pool of {len(self._place.pool)}")


def png_of(image: np.ndarray, compression: int | None = None) -> bytes:
    """Return colours (H, W, 3) uint8 as the content of a PNG file.

    Parameters
    ----------
    image
        Red, green, blue.
    compression
        0 to 9 as in zlib; OpenCV's own where None.
    """
    options = [] if compression is None else [cv2.IMWRITE_PNG_COMPRESSION, compression]
    done, content = cv2.imencode(".png", cv2.cvtColor(image, cv2.COLOR_RGB2BGR), options)
    if not done:
        raise DataError(f"an image of {image.dtype} {image.shape} cannot be encoded as PNG")
    return content.tobytes()


def _with_bands(image: np.ndarray, bands: tuple[str, ...]) -> tuple[np.ndarray, tuple[str, ...]]:
    if image.dtype == np.uint8:
        return image, COLOURS
    return np.ascontiguousarray(image, dtype="<f4"), bands


def _names_of(place: Workplace) -> dict[int, str]:
    """Return the file's name of every row of the pool."""
    names = {printable(name): name for name in place.files.paths}
    ids = place.pool.ids_of(np.arange(len(place.pool)))
    return {row: names[name] for row, name in enumerate(ids)}
