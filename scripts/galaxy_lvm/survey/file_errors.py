"""Errors that mean "this file": what readers of arrays, tables and images raise on damaged ones."""

import lzma
import struct
import zlib

import cv2
from PIL import UnidentifiedImageError

FILE_ERRORS = (
    ValueError, TypeError, LookupError, AttributeError, RuntimeError, MemoryError, ArithmeticError,
    AssertionError, OSError, EOFError, SyntaxError, struct.error, zlib.error, lzma.LZMAError,
    cv2.error, UnidentifiedImageError,
)  # fmt: skip
