"""Read bands of a FITS cube: from the right extension, in order, whole, or not at all."""

import gzip
import io
import re
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import BinaryIO

import numpy as np
from astropy.io import fits

from galaxy_lvm.core.config.survey import FileReading
from galaxy_lvm.core.errors import DataError, in_short
from galaxy_lvm.survey.bands import band_planes
from galaxy_lvm.survey.fits_errors import FITS_ERRORS
from galaxy_lvm.survey.flux_extension import check_unit, check_values, flux_extension
from galaxy_lvm.survey.store import BANDS

_CARD_BYTES = 80
_PIECE_BYTES = 364 * 2880  # a megabyte of whole cards
# The standard allows 999 axes, and as many columns.
_KEYS = (b"NAXIS   =", b"ZNAXIS  =", b"TFIELDS =", b"WCSAXES =")
_COUNTS = re.compile(rb"[A-Z]+ *= *\+?0*[1-9]\d{3,}")
# A measured 0 of integer data: exactly 0 means "not measured" in every later step.
MEASURED_ZERO = np.float32(1e-30)


class DamagedError(DataError):
    """The file is not as it was written; fetched again, it may be."""


def read_cube(
    file: Path | io.BytesIO, reading: FileReading | None = None, bands: Sequence[str] = BANDS
) -> tuple[np.ndarray, fits.Header]:
    """Return bands of a FITS file as float32 (bands, H, W), and the image's header.

    Parameters
    ----------
    file
        Path, or a file's content.
    reading
        How the file is understood where it does not say so itself; defaults where None.
    bands
        Names of the planes that are needed, in this order.

    Raises
    ------
    DamagedError
        If the file is damaged, also where only its checksum shows that.
    DataError
        If its fluxes, their unit or their bands are not those that are needed.
    """
    reading = reading or FileReading()
    try:
        if isinstance(file, Path) and not file.stat().st_size:
            raise DamagedError("is empty (0 bytes); fetch the file again")
        _check_stream(file)
        with fits.open(file, memmap=False) as hdus:
            number = flux_extension(hdus, reading)
            hdu = hdus[number]
            if isinstance(file, io.BytesIO):
                _check_whole(hdu, file)
            if reading.fits_checksums:
                _check_sums(hdus, number, file)
            cube, header = _fluxes(hdu, _header(hdus, number), reading.fits_extension is None)
            return cube[band_planes(header, len(cube), reading.fits_bands, bands)], header
    except DataError:
        raise
    except FITS_ERRORS as error:
        raise DamagedError(
            f"is damaged or cut short ({in_short(error)}); fetch the file again"
        ) from error


def _check_whole(hdu: fits.ImageHDU, file: io.BytesIO) -> None:
    """Refuse what arrived without its end, be it only filling: astropy only warns of that."""
    if isinstance(hdu, fits.CompImageHDU):
        return
    needed, there = hdu.fileinfo()["datLoc"] + hdu.size, file.getbuffer().nbytes
    if there < needed:
        raise DamagedError(f"is cut short: {there} of {needed} bytes; fetch the file again")


def _header(hdus: fits.HDUList, number: int) -> fits.Header:
    """Return an image's header, with the cards of the first one where it inherits them."""
    # astropy drops the cards of the scale as soon as the data are read.
    header = hdus[number].header.copy()
    if number and header.get("INHERIT") is True:
        header.extend(hdus[0].header, unique=True, bottom=True)
    return header


def _fluxes(
    hdu: fits.ImageHDU, header: fits.Header, checked: bool
) -> tuple[np.ndarray, fits.Header]:
    integers = header["BITPIX"] > 0
    for key in ("BSCALE", "BZERO", *["BLANK"] * integers):
        # astropy takes T for 1, and other texts for no scale at all.
        if type(header.get(key, 1)) not in (int, float) or not np.isfinite(header.get(key, 1)):
            raise DamagedError(f"has {key} = {str(header[key])!r}, no number; correct its header")
    if checked:
        check_unit(header)
    data = hdu.data
    if data is None or data.ndim != 3 or not data.size:
        raise DamagedError(f"holds an image without pixels, {hdu.shape}; fetch the file again")
    cube = np.asarray(data, np.float32)
    if checked:
        check_values(cube, integers and header.get("BSCALE", 1) == 1)
    if integers:
        cube = np.where(cube == 0, MEASURED_ZERO, cube)
    return cube, header


def _check_sums(hdus: fits.HDUList, number: int, file: Path | io.BytesIO) -> None:
    """Compare an image's checksums, where it has any; astropy itself only warns."""
    if isinstance(hdus[number], fits.CompImageHDU):
        # The sums are those of the table that the compressed image lies in.
        if isinstance(file, io.BytesIO):
            file.seek(0)
        with fits.open(file, memmap=False, disable_image_compression=True) as tables:
            hdu = tables[number]
            sums = hdu.verify_datasum(), hdu.verify_checksum()
    else:
        sums = hdus[number].verify_datasum(), hdus[number].verify_checksum()
    if 0 in sums:
        what = "pixels" if sums[0] == 0 else "header"
        raise DamagedError(
            f"has a checksum that its {what} do{'' if sums[0] == 0 else 'es'} not agree with: it "
            "is damaged, or was edited by a program that left the sum alone; fetch it again, or "
            "set fits_checksums to false where that is how your files are made"
        )


def _check_stream(file: Path | io.BytesIO) -> None:
    """Read a file to its end before astropy does.

    Only at the end of a gzip stream does its checksum say whether the pixels are right: readers of
    its first part get damaged pixels without a word. And astropy counts up to whatever number of
    axes or columns a header names, for hours.
    """
    if isinstance(file, io.BytesIO):
        _check_counts(file)
        file.seek(0)
        return
    with open(file, "rb") as stream:
        packed = stream.read(2) == b"\x1f\x8b"
    with gzip.open(file) if packed else open(file, "rb") as stream:
        _check_counts(stream)


def _check_counts(stream: BinaryIO) -> None:
    while piece := stream.read(_PIECE_BYTES):
        for start in _starts(piece):
            if found := _COUNTS.match(piece, start):
                key, value = found[0].decode("ascii").split("=")
                raise DamagedError(
                    f"is damaged ({key.strip()} = {value.strip()}, no more than 999 are possible); "
                    "fetch the file again"
                )


def _starts(piece: bytes) -> Iterator[int]:
    """Yield where cards of counts begin. Among pixels a search for words is faster than a regex."""
    for key in _KEYS:
        start = piece.find(key)
        while start >= 0:
            if start % _CARD_BYTES == 0:
                yield start
            start = piece.find(key, start + 1)
