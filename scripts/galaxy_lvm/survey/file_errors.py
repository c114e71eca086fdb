"""Errors that mean "this file": what readers of images raise on damaged or strange ones."""

import struct
import zlib

from astropy.io.fits.verify import VerifyError
from PIL import Image, UnidentifiedImageError

# `astropy.wcs` derives its own errors from ValueError, RuntimeError and MemoryError; a card of
# another type than expected is a TypeError, KeyError or AttributeError, one that cannot be parsed a
# VerifyError.
HEADER_ERRORS = (
    ValueError, TypeError, KeyError, AttributeError, RuntimeError, MemoryError, VerifyError,
)  # fmt: skip
FILE_ERRORS = (
    *HEADER_ERRORS, OSError, EOFError, IndexError, SyntaxError, struct.error, zlib.error,
    UnidentifiedImageError, Image.DecompressionBombError,
)  # fmt: skip


def in_short(error: BaseException, n_characters: int = 200) -> str:
    """Return an error's text on one line, its kind where it says nothing."""
    return (" ".join(str(error).split()) or type(error).__name__)[:n_characters]
