"""Pictures of every kind: read as they are shown, or refused with the reason and the key."""

import struct
import zlib
from pathlib import Path

import cv2
import numpy as np
import pytest
from galaxy_lvm.core.config.lens_search import ImageReading
from galaxy_lvm.core.config.survey import FileReading, Folder
from galaxy_lvm.core.errors import DataError
from galaxy_lvm.lenses.images import read_sky_image
from galaxy_lvm.report import style
from galaxy_lvm.survey.folder import import_images
from galaxy_lvm.survey.pictures import read_picture
from galaxy_lvm.survey.store import CutoutStore
from PIL import Image

SIDE = 64


def colours(seed=0):
    """A smooth picture (SIDE, SIDE, 3) up to white, with a red mark at the top left."""
    noise = np.random.default_rng(seed).integers(0, 255, (SIDE, SIDE, 3)).astype(np.uint8)
    pixels = cv2.normalize(cv2.GaussianBlur(noise, (0, 0), 3), None, 0, 255, cv2.NORM_MINMAX)
    pixels[:10, :10] = 250, 10, 10
    return pixels


def chunk(name, data):
    return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))


def insert(path, *chunks):
    """Put chunks behind the header of a PNG."""
    raw = path.read_bytes()
    path.write_bytes(raw[:33] + b"".join(chunks) + raw[33:])


def deep_png(path, values, *chunks):
    """Write 16-bit values (H, W, 3 or 4), red first."""
    order = [2, 1, 0, 3][: values.shape[2]]
    cv2.imwrite(str(path), np.ascontiguousarray(values[..., order].astype(np.uint16)))
    insert(path, *chunks)
    return path


@pytest.mark.parametrize("end", ["jpg", "png", "webp"])
@pytest.mark.parametrize("orientation", range(1, 9))
def test_pictures_are_turned_as_their_exif_says(tmp_path, orientation, end):
    # How rows and columns are stored for each orientation, by its definition in EXIF.
    shown = colours()[:, :48]
    stored = {
        1: shown, 2: shown[:, ::-1], 3: shown[::-1, ::-1], 4: shown[::-1],
        5: shown.swapaxes(0, 1), 6: np.rot90(shown, 1), 7: np.rot90(shown, 2).swapaxes(0, 1),
        8: np.rot90(shown, -1),
    }[orientation]  # fmt: skip
    exif = Image.Exif()
    exif[0x0112] = orientation
    path = tmp_path / f"a.{end if end != 'webp' else 'png'}"
    how = {"quality": 98} if end == "jpg" else {"lossless": True} if end == "webp" else {}
    image = Image.fromarray(np.ascontiguousarray(stored))
    image.save(path, {"jpg": "JPEG"}.get(end, end.upper()), exif=exif, **how)
    pixels = read_picture(path).pixels
    assert pixels.shape == shown.shape
    assert np.abs(pixels.astype(int) - shown).mean() < (4 if end == "jpg" else 0.01)


def test_a_deep_picture_is_turned_too(tmp_path):
    exif = b"II*\0\x08\0\0\0\x01\0\x12\x01\x03\0\x01\0\0\0\x06\0\0\0\0\0\0\0"
    stored = np.rot90(colours()).astype(int) * 257
    path = deep_png(tmp_path / "a.png", stored, chunk(b"eXIf", exif))
    np.testing.assert_array_equal(read_picture(path).pixels, colours())


def test_the_search_counts_boxes_in_the_picture_as_it_is_shown(tmp_path):
    exif = Image.Exif()
    exif[0x0112] = 6
    stored = Image.fromarray(np.ascontiguousarray(np.rot90(colours())))
    stored.save(tmp_path / "a.png", exif=exif)
    image = read_sky_image(tmp_path / "a.png", ImageReading(pixel_scale_arcsec=0.262))
    np.testing.assert_array_equal(image.rgb, colours())


def test_sixteen_bits_become_eight_by_what_is_known_of_them(tmp_path):
    shown = colours()
    exact = shown.astype(int)
    path = tmp_path / "a.png"
    np.testing.assert_array_equal(read_picture(deep_png(path, exact * 257)).pixels, shown)
    twelve = np.rint(exact * (4095 / 255)).astype(int)
    twelve_bits = chunk(b"sBIT", bytes([12, 12, 12]))
    with pytest.raises(DataError, match=r"no value above 4095.*picture_white_level \(4095 or 65"):
        read_picture(deep_png(path, twelve))
    # The file says how many bits; some programs do not scale them, those of the standard do.
    np.testing.assert_array_equal(read_picture(deep_png(path, twelve, twelve_bits)).pixels, shown)
    scaled = twelve << 4 | twelve >> 8
    np.testing.assert_array_equal(read_picture(deep_png(path, scaled, twelve_bits)).pixels, shown)
    dark = (twelve // 20) << 4
    found = read_picture(deep_png(path, dark, twelve_bits)).pixels
    assert np.abs(found - exact / 20).max() <= 1
    # The config says it.
    reading = FileReading(picture_white_level=4095)
    np.testing.assert_array_equal(read_picture(deep_png(path, twelve), reading).pixels, shown)
    with pytest.raises(DataError, match="65535, above picture_white_level = 4095"):
        read_picture(deep_png(path, exact * 257), reading)
    reading = FileReading(picture_white_level=65535)
    assert read_picture(deep_png(path, twelve), reading).pixels.max() == 16


@pytest.mark.parametrize(
    "kind", ["RGBA", "PNG palette", "PNG colour", "GIF", "WEBP", "16 bits", "16 bits colour"]
)
def test_hidden_colours_never_appear(tmp_path, kind):
    shown = colours()
    out = np.hypot(*(np.indices((SIDE, SIDE)) - 31.5)) > 25
    on_black = np.where(out[..., None], 0, shown)
    path = tmp_path / "a.png"
    hidden = np.where(out[..., None], np.uint8([255, 0, 255]), shown)
    rgba = np.dstack([hidden, np.where(out, 0, 255)]).astype(np.uint8)
    tolerance = 0
    if kind in ("RGBA", "WEBP"):
        image = Image.fromarray(rgba)
        image.save(path, "WEBP" if kind == "WEBP" else "PNG", lossless=True, exact=True)
    elif kind == "PNG colour":
        Image.fromarray(hidden).save(path, transparency=(255, 0, 255))
    elif kind.startswith("16"):
        deep = rgba.astype(int) * 257
        colour = chunk(b"tRNS", struct.pack(">HHH", 65535, 0, 65535))
        deep_png(path, deep[..., :3], colour) if "colour" in kind else deep_png(path, deep)
    else:
        tolerance = 8  # a palette of 255 colours
        image = Image.fromarray(shown).quantize(255)
        palette = image.getpalette()[: 3 * 255]
        image = Image.fromarray(np.where(out, 255, np.asarray(image)).astype(np.uint8), "P")
        image.putpalette([*palette, 255, 255, 255])
        image.save(path, kind.split()[0], transparency=255)
    picture = read_picture(path)
    assert np.abs(picture.pixels[~out].astype(int) - on_black[~out]).mean() <= tolerance
    assert not picture.pixels[out].any() and np.array_equal(picture.transparent, out)
    assert "transparent parts shown on black" in picture.notes
    image = read_sky_image(path, ImageReading(pixel_scale_arcsec=0.262))
    assert np.array_equal(image.missing, out)


def test_half_and_wholly_transparent(tmp_path):
    path = tmp_path / "a.png"
    shown = colours()
    alpha = np.full((SIDE, SIDE, 1), 128, np.uint8)
    Image.fromarray(np.dstack([shown, alpha])).save(path)
    picture = read_picture(path)
    assert np.abs(picture.pixels - shown * (128 / 255)).max() <= 0.51
    Image.fromarray(np.dstack([shown, 0 * alpha])).save(path)
    with pytest.raises(DataError, match="wholly transparent"):
        read_picture(path)
    Image.fromarray(np.dstack([shown, 0 * alpha + 255])).save(path)
    picture = read_picture(path)
    np.testing.assert_array_equal(picture.pixels, shown)
    assert picture.transparent is None and not picture.notes


@pytest.mark.parametrize("mode", ["1", "L", "LA", "I;16", "CMYK", "LAB", "YCbCr", "F"])
def test_other_kinds_of_colours_are_refused_by_name(tmp_path, mode):
    image = Image.fromarray(colours())
    if mode == "I;16":
        image = Image.fromarray(np.asarray(image.convert("L")).astype(np.uint16))
    elif mode == "LAB":
        image = Image.new("LAB", (SIDE, SIDE))
    else:
        image = image.convert(mode)
    path = tmp_path / "a.jpg"
    ends = {"CMYK": "JPEG", "LAB": "TIFF", "YCbCr": "TIFF", "F": "TIFF"}
    image.save(path, ends.get(mode, "PNG"))
    words = {"CMYK": "CMYK", "LAB": "kind LAB", "YCbCr": "kind YCbCr"}.get(mode, "one channel")
    with pytest.raises(DataError, match=words):
        read_picture(path)


def test_the_first_of_several_frames_is_taken_with_a_note(tmp_path):
    first, second = Image.fromarray(colours()), Image.fromarray(255 - colours())
    first.save(tmp_path / "a.png", save_all=True, append_images=[second], duration=100)
    picture = read_picture(tmp_path / "a.png")
    np.testing.assert_array_equal(picture.pixels, colours())
    assert picture.notes == ("first of several frames taken",)


def test_a_picture_too_large_names_the_limit_and_the_key(tmp_path):
    path = tmp_path / "a.jpg"
    Image.fromarray(colours()).save(path)
    raw = bytearray(path.read_bytes())
    at = raw.index(b"\xff\xc0") + 5  # height and width of the frame header
    raw[at : at + 4] = struct.pack(">HH", 14142, 14142)
    path.write_bytes(raw)
    with pytest.raises(DataError, match="14142 x 14142.*200 mega.*max_picture_megapixels = 178"):
        read_picture(path)
    Image.fromarray(colours()).save(path)
    with pytest.raises(DataError, match="max_picture_megapixels = 0.004"):
        read_picture(path, FileReading(max_picture_megapixels=0.004))


def test_no_damaged_png_is_read_with_other_pixels(tmp_path):
    """Pillow's decoder does not look at the checksums of a PNG's pixels."""
    flat = np.repeat(np.repeat(colours()[::8, ::8], 8, axis=0), 8, axis=1)
    path = tmp_path / "a.png"
    Image.fromarray(flat).save(path)
    good, rng, kept = path.read_bytes(), np.random.default_rng(0), 0
    for _ in range(200):
        raw = bytearray(good)
        raw[rng.integers(len(raw))] ^= 1 << rng.integers(8)
        path.write_bytes(raw)
        try:
            pixels = read_picture(path).pixels
        except DataError:
            continue
        kept += 1
        np.testing.assert_array_equal(pixels, flat)
    assert kept < 20


def test_a_text_too_long_and_other_formats_are_named(tmp_path):
    path = tmp_path / "a.png"
    Image.fromarray(colours()).save(path)
    insert(path, chunk(b"zTXt", b"k\0\0" + zlib.compress(b"a" * 2_000_000)))
    with pytest.raises(DataError, match="text of more than 1 MB; save it again"):
        read_picture(path)
    Image.fromarray(colours()).save(path, "PPM")
    with pytest.raises(DataError, match="is a PPM file under another name"):
        read_picture(path)
    Image.fromarray(colours()).save(path, "TIFF")
    np.testing.assert_array_equal(read_picture(path).pixels, colours())
    ok, tiff = cv2.imencode(".tif", colours().astype(np.uint16) * 16)
    path.write_bytes(tiff.tobytes())
    with pytest.raises(DataError, match="TIFF with 16 bits"):
        read_picture(path)


def test_exif_that_cannot_be_read_is_said(tmp_path):
    path = tmp_path / "a.png"
    Image.fromarray(colours()).save(path)
    insert(path, chunk(b"eXIf", b"garbage in place of a TIFF"))
    picture = read_picture(path)
    np.testing.assert_array_equal(picture.pixels, colours())
    assert picture.notes == ("EXIF cannot be read: taken as upright",)


def test_figures_of_the_project_are_no_images(tmp_path):
    figure, axes = style.figure(2, 2)
    style.save(figure, tmp_path / "gallery.pdf")
    with pytest.raises(DataError, match="figure drawn by this project"):
        read_picture(tmp_path / "gallery.png")


def test_the_import_hands_its_settings_on(tmp_path):
    deep_png(tmp_path / "a.png", np.rint(colours().astype(int) * (4095 / 255)).astype(int))
    (tmp_path / "t.csv").write_text("id,file,label\na,a.png,x\n")
    table = Path(tmp_path / "t.csv")
    with pytest.raises(DataError, match="picture_white_level"):
        import_images(tmp_path, table, tmp_path / "c.h5")
    import_images(tmp_path, table, tmp_path / "c.h5", Folder(picture_white_level=4095))
    with CutoutStore(tmp_path / "c.h5") as store:
        np.testing.assert_array_equal(store.images[0], colours())
