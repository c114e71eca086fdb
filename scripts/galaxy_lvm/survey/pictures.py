"""Pictures: JPEG and PNG files as 8-bit colours, the right way up, or the reason why not."""

import io
import struct
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
from PIL import ExifTags, Image, UnidentifiedImageError

from galaxy_lvm.core.config.survey import FileReading
from galaxy_lvm.core.errors import DataError, in_short
from galaxy_lvm.core.marks import FIGURE_KEY, FIGURE_VALUE
from galaxy_lvm.survey.file_errors import FILE_ERRORS

SMALLEST_SIDE_PIX = 16
# Pillow's own limit is one for the whole process; ours, `max_picture_megapixels`, is asked as soon
# as a file's header is read, before any pixel is decoded.
Image.MAX_IMAGE_PIXELS = None

# Files are judged by their content: what a program wrote under the name .jpg or .png.
_FORMATS = {"PNG", "JPEG", "MPO", "GIF", "TIFF", "WEBP", "BMP"}
_GREY_MODES = {"1", "L", "LA", "La", "I", "F"}
_PNG_START = b"\x89PNG\r\n\x1a\n"
_FULL_16_BIT = 65535
# Cameras and detectors have 10, 12 or 14 bits. A picture that stays below the largest of these says
# neither that it is scaled to 16 bits nor that it is not.
_DARK_16_BIT = 1 << 14
# EXIF 2.3, 4.6.4: how the stored rows and columns lie in the picture as it is to be shown.
_TURNS = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}


@dataclass(frozen=True)
class Picture:
    """A colour picture as it is shown.

    Attributes
    ----------
    pixels
        uint8 (H, W, 3), turned as the file's EXIF says; what is transparent lies on black.
    transparent
        bool (H, W), pixels of which less than half is to be seen; None where the file has none.
    notes
        What was changed on the way, in words.
    """

    pixels: np.ndarray
    transparent: np.ndarray | None = None
    notes: tuple[str, ...] = ()


def image_size(path: Path) -> tuple[int, int] | None:
    """Return width and height from the header of a JPEG or PNG; None if it cannot be read."""
    try:
        with Image.open(path) as image:
            return image.size
    except FILE_ERRORS:
        return None


def read_picture(path: Path, reading: FileReading | None = None) -> Picture:
    """Read a colour JPEG or PNG.

    Parameters
    ----------
    path
        File; its content counts, not the end of its name.
    reading
        Limits and the white level of deep pictures; defaults where None.

    Raises
    ------
    DataError
        If the file is damaged, larger than `max_picture_megapixels`, has one channel or CMYK, is
        tiny or wholly transparent, or has 16 bits of which nobody knows how many are used.
    """
    reading = reading or FileReading()
    try:
        content = path.read_bytes()
        if not content:
            raise DataError("is empty (0 bytes); fetch or save the file again")
        _check_png(content)
        with Image.open(io.BytesIO(content)) as image:
            _check_header(image, reading)
            notes = _frames_note(image)
            turn, exif_notes = _turn(image)
            image.load()
            deep = _is_deep(image, content)
            shown = _from_16_bit(content, reading) if deep else image
            shown = shown.transpose(turn) if turn is not None else shown
            pixels, transparent, colour_notes = _on_black(shown)
    except DataError:
        raise
    except FILE_ERRORS as error:
        raise DataError(_explained(error)) from error
    notes += exif_notes + (["16 bits a channel reduced to 8"] if deep else []) + colour_notes
    return Picture(pixels, transparent, tuple(notes))


def _explained(error: BaseException) -> str:
    if isinstance(error, UnidentifiedImageError):
        # Pillow's text names the object in memory: another one in every run.
        return "cannot be decoded (its content is no picture); fetch or save the file again"
    text = in_short(error)
    if "MAX_TEXT" in text:  # Pillow's limit for what a text chunk of a PNG unpacks to
        return "holds a text of more than 1 MB; save it again without comments and profiles"
    return f"cannot be decoded ({text}); fetch or save the file again"


def _check_png(content: bytes) -> None:
    """Compare a PNG's checksums: Pillow's decoder passes over those of the pixels."""
    if content.startswith(_PNG_START):
        with Image.open(io.BytesIO(content), formats=["PNG"]) as image:
            image.verify()


def _check_header(image: Image.Image, reading: FileReading) -> None:
    """Refuse what is no colour picture of a size that can be used, before it is decoded."""
    if image.format not in _FORMATS:
        raise DataError(f"is a {image.format} file under another name; save it as PNG or JPEG")
    width, height = image.size
    megapixels = width * height / 1e6
    if megapixels > reading.max_picture_megapixels:
        raise DataError(
            f"has {width} x {height} pixels, {megapixels:.3g} megapixels, more than "
            f"max_picture_megapixels = {reading.max_picture_megapixels:g}; raise that, or cut the "
            "picture"
        )
    if min(height, width) < SMALLEST_SIDE_PIX:
        raise DataError(f"is {width} x {height} pixels; at least {SMALLEST_SIDE_PIX} are needed")
    if image.info.get(FIGURE_KEY) == FIGURE_VALUE:
        raise DataError("is a figure drawn by this project, no image of the sky; move it away")
    if image.mode == "CMYK":
        raise DataError("has CMYK colours; save it as RGB")
    if image.mode in _GREY_MODES or image.mode.startswith("I;"):
        raise DataError(
            f"has one channel (mode {image.mode}) instead of three; give a colour image, or "
            "repeat the channel three times if grey is what you want"
        )
    if image.mode not in ("RGB", "RGBA", "RGBX", "P", "PA"):
        raise DataError(f"has colours of the kind {image.mode}; save it as RGB")


def _frames_note(image: Image.Image) -> list[str]:
    # The second picture of an MPO is a preview or the other eye's.
    several = image.format != "MPO" and getattr(image, "n_frames", 1) > 1
    return ["first of several frames taken"] if several else []


def _turn(image: Image.Image) -> tuple[Image.Transpose | None, list[str]]:
    try:
        orientation = image.getexif().get(ExifTags.Base.Orientation)
    except FILE_ERRORS:
        return None, ["EXIF cannot be read: taken as upright"]
    turn = _TURNS.get(orientation) if isinstance(orientation, int) else None
    return turn, ["turned as its EXIF says"] if turn is not None else []


def _is_deep(image: Image.Image, content: bytes) -> bool:
    """Return whether a picture has more than 8 bits a channel, which Pillow cuts off in silence."""
    if image.format == "TIFF":
        bits = image.tag_v2.get(258, (8,))  # BitsPerSample
        if max(bits) > 8:
            raise DataError(f"is a TIFF with {max(bits)} bits a channel; save it as PNG")
    # Byte 24 of a PNG is the bit depth (PNG specification, IHDR).
    return image.format == "PNG" and content[24] == 16


def _from_16_bit(content: bytes, reading: FileReading) -> Image.Image:
    """Return a PNG of 16 bits a channel as one of 8, mode RGB or RGBA."""
    values = cv2.imdecode(np.frombuffer(content, np.uint8), cv2.IMREAD_UNCHANGED)
    if values is None or values.dtype != np.uint16 or values.ndim != 3:
        raise DataError("has 16 bits a channel and cannot be decoded; save it with 8 bits")
    colours = values[..., 2::-1]
    white = _white_level(colours, content, reading)
    eight = np.rint(colours * (255.0 / white)).astype(np.uint8)
    if values.shape[2] == 4:
        alpha = values[..., 3:]
        full = white if alpha.max() <= white else _FULL_16_BIT
        eight = np.concatenate([eight, np.rint(alpha * (255.0 / full)).astype(np.uint8)], axis=2)
    return Image.fromarray(eight)


def _white_level(colours: np.ndarray, content: bytes, reading: FileReading) -> int:
    """Return the value of white: the config's, what sBIT tells, or that of 16 bits.

    A program that keeps to the specification scales its data to 16 bits, by repeating their bits,
    and notes in sBIT how many those were. Others write 12 bits as they are.
    """
    top = int(colours.max())
    given, bits = reading.picture_white_level, _significant_bits(content)
    if given is not None:
        if top > given:
            raise DataError(
                f"has values up to {top}, above picture_white_level = {given}; correct that, or "
                "keep such pictures apart"
            )
        return given
    if bits and bits < 16:
        if top >= 1 << bits:
            return _FULL_16_BIT
        # Scaled data this dark have nothing in their lowest bits.
        scaled = not (colours & ((1 << 16 - bits) - 1)).any()
        return _FULL_16_BIT if scaled else (1 << bits) - 1
    if top < _DARK_16_BIT:
        raise DataError(
            f"has 16 bits a channel but no value above {top}: all but black unless its data have "
            f"fewer bits; set picture_white_level ({(1 << max(8, top.bit_length())) - 1} or "
            f"{_FULL_16_BIT}), or save it with 8 bits"
        )
    return _FULL_16_BIT


def _significant_bits(content: bytes) -> int:
    """Return the bits that a PNG's data had before (sBIT), 0 where it does not say."""
    for name, data in _png_chunks(content):
        if name == b"sBIT":
            return max(data[:3], default=0)
    return 0


def _png_chunks(content: bytes) -> Iterator[tuple[bytes, bytes]]:
    """Yield names and data of the chunks before the pixels."""
    place = len(_PNG_START)
    while place + 8 <= len(content):
        length, name = struct.unpack(">I4s", content[place : place + 8])
        if name == b"IDAT":
            return
        yield name, content[place + 8 : place + 8 + length]
        place += 12 + length


def _on_black(image: Image.Image) -> tuple[np.ndarray, np.ndarray | None, list[str]]:
    """Return a picture's colours, what of it is transparent, and notes.

    The colours of transparent pixels are leftovers that nobody is meant to see. The sky of a colour
    picture is nearly black, hence the background.
    """
    notes = ["palette expanded"] if image.mode in ("P", "PA") else []
    if "A" not in image.mode and "transparency" not in image.info:
        return np.asarray(image.convert("RGB")), None, notes
    rgba = np.asarray(image.convert("RGBA"))
    alpha = rgba[..., 3:]
    if (alpha == 255).all():
        return np.ascontiguousarray(rgba[..., :3]), None, notes
    if not alpha.any():
        raise DataError("is wholly transparent; save it without transparency")
    pixels = np.rint(rgba[..., :3] * (alpha / 255.0)).astype(np.uint8)
    return pixels, alpha[..., 0] < 128, [*notes, "transparent parts shown on black"]
