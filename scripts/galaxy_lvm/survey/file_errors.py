"""Errors that mean "this file": what readers of images raise on damaged or strange ones."""

import lzma
import struct
import zlib

import cv2
from astropy.io.fits.verify import VerifyError
from PIL import UnidentifiedImageError

# `astropy.wcs` derives its own errors from ValueError, RuntimeError and MemoryError; a card of
# another type than expected is a TypeError, LookupError or AttributeError, one that cannot be
# parsed a VerifyError, one that needs a table in another extension an AssertionError.
HEADER_ERRORS = (
    ValueError, TypeError, LookupError, AttributeError, RuntimeError, MemoryError, ArithmeticError,
    AssertionError, VerifyError,
)  # fmt: skip
FILE_ERRORS = (
    *HEADER_ERRORS, OSError, EOFError, SyntaxError, struct.error, zlib.error, lzma.LZMAError,
    cv2.error, UnidentifiedImageError,
)  # fmt: skip
