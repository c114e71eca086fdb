"""Damaged files among good ones: each is kept as it is or rejected with a reason, never changed."""

import gzip
import os
import struct
import zlib

import numpy as np
import pytest
from astropy.io import fits
from galaxy_lvm.core.config.lens_search import ImageReading
from galaxy_lvm.core.errors import DataError
from galaxy_lvm.lenses.sources import folder_items, load_files
from galaxy_lvm.survey.folder import import_images
from galaxy_lvm.survey.readers import read_fluxes
from galaxy_lvm.survey.rejected import write_rejected
from galaxy_lvm.survey.store import CutoutStore
from PIL import Image

SIDE = 152


def cube(seed=0):
    """Fluxes (3, side, side) with noise, or none of it where they are to compress well."""
    rng = np.random.default_rng(seed)
    y, x = np.mgrid[:SIDE, :SIDE] - 75.5
    galaxy = np.exp(-np.hypot(x, y) / 8)
    return (galaxy + 0.02 * rng.standard_normal((3, SIDE, SIDE))).astype(np.float32)


def header(ra=150.0):
    cards = fits.Header()
    cards["CTYPE1"], cards["CTYPE2"] = "RA---TAN", "DEC--TAN"
    cards["CRVAL1"], cards["CRVAL2"] = ra, 2.0
    cards["CRPIX1"] = cards["CRPIX2"] = 76.5
    cards["CD1_1"], cards["CD1_2"], cards["CD2_1"], cards["CD2_2"] = -7.28e-5, 0.0, 0.0, 7.28e-5
    cards["CUNIT1"] = cards["CUNIT2"] = "deg"
    return cards


@pytest.mark.parametrize("rounded", [False, True])
def test_a_damaged_gzip_stream_never_gives_other_pixels(tmp_path, rounded):
    pixels = np.round(cube(), 2) if rounded else cube()
    path = tmp_path / "a.fits.gz"
    fits.writeto(path, pixels, header())
    good, outcomes = path.read_bytes(), []
    for seed in range(40):
        rng, raw = np.random.default_rng(seed), bytearray(good)
        at, n = int(rng.integers(200, len(raw) - 100)), int(rng.choice([1, 16, 512]))
        raw[at : at + n] = rng.integers(0, 256, n, dtype=np.uint8).tobytes()
        path.write_bytes(raw)
        try:
            same = np.array_equal(read_fluxes(path).pixels, pixels)
        except DataError as error:
            assert "fetch the file again" in str(error)
            outcomes.append("rejected")
        else:
            assert same, f"seed {seed}: other pixels without a word"
            outcomes.append("kept")
    assert outcomes.count("rejected") > 30


def patch_card(path, key, value):
    """Write a card as no program should: the text stands where the value belongs."""
    raw = path.read_bytes()
    start = raw.index(key.ljust(8).encode() + b"=")
    card = f"{key:8s}= {value:>20s}".ljust(80).encode()
    path.write_bytes(raw[:start] + card + raw[start + 80 :])


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("CRVAL1", "150,1234"), ("CD1_1", "-7,27E-05"), ("CRVAL1", "'10:00:24'"), ("CRVAL1", ""),
        ("CD1_1", "'-7.27E-05'"), ("CUNIT1", "'furlong'"), ("CTYPE1", "'RA---XYZ'"),
    ],
)  # fmt: skip
def test_one_bad_card_never_stops_the_others(tmp_path, key, value):
    rows = ["id,file,label"]
    for number in range(3):
        fits.writeto(tmp_path / f"g{number}.fits", cube(number), header(150 + number))
        rows.append(f"g{number},g{number}.fits,a")
    patch_card(tmp_path / "g1.fits", key, value)
    (tmp_path / "labels.csv").write_text("\n".join(rows) + "\n")
    rejections = import_images(tmp_path, tmp_path / "labels.csv", tmp_path / "out.h5")
    with CutoutStore(tmp_path / "out.h5") as store:
        table = store.catalogue()
    kept = set(table["id"])
    assert {"g0", "g2"} <= kept
    assert (kept == {"g0", "g1", "g2"}) != (len(rejections) == 1)
    for line in rejections:
        assert line["file"] == "g1.fits" and "place on the sky" in line["reason"]
    places = table.set_index("id")["ra"]
    assert places["g0"] == pytest.approx(150, abs=1e-3)
    if "g1" in kept:
        assert np.isnan(places["g1"])
    settings = ImageReading()
    images = list(load_files(folder_items(tmp_path, settings), tmp_path, settings))
    assert [isinstance(image, DataError) for image in images][::2] == [False, False]


@pytest.mark.parametrize("key", ["NAXIS", "WCSAXES", "A_ORDER"])
@pytest.mark.parametrize("packed", [False, True])
def test_a_header_that_counts_to_billions_is_refused_at_once(tmp_path, key, packed):
    """astropy counts up to them for hours."""
    path, cards = tmp_path / "a.fits", header()
    cards["WCSAXES"], cards["A_ORDER"], cards["B_ORDER"] = 2, 2, 2
    fits.writeto(path, cube(), cards)
    patch_card(path, key, "99999999999")
    if packed:
        packed_path = tmp_path / "a.fits.gz"
        packed_path.write_bytes(gzip.compress(path.read_bytes()))
        path = packed_path
    with pytest.raises(DataError, match="99999999999"):
        read_fluxes(path)


def test_a_name_that_is_no_utf_8_is_listed(tmp_path):
    Image.fromarray(np.full((64, 64, 3), 9, np.uint8)).save(tmp_path / "a.png")
    stray = os.fsencode(str(tmp_path)) + b"/M\xfcller.png"
    with open(stray, "wb") as file:
        file.write((tmp_path / "a.png").read_bytes())
    (tmp_path / "labels.csv").write_text("id,file,label\na,a.png,x\n")
    rejections = import_images(tmp_path, tmp_path / "labels.csv", tmp_path / "out.h5")
    write_rejected(tmp_path / "rejected.csv", rejections)
    assert r"M\xfcller.png" in (tmp_path / "rejected.csv").read_text()


def test_a_gzip_file_whose_end_is_cut_off_is_rejected(tmp_path):
    path = tmp_path / "a.fits"
    fits.writeto(path, cube(), header())
    packed = tmp_path / "a.fits.gz"
    packed.write_bytes(gzip.compress(path.read_bytes())[:-8])
    with pytest.raises(DataError, match="fetch the file again"):
        read_fluxes(packed)


def test_a_picture_with_a_huge_text_is_kept_or_listed_and_stops_nobody(tmp_path):
    rng = np.random.default_rng(0)
    for name in "abc":
        pixels = rng.integers(0, 255, (64, 64, 3), dtype=np.uint8)
        Image.fromarray(pixels).save(tmp_path / f"{name}.png")
    raw = (tmp_path / "c.png").read_bytes()
    body = b"k\0\0" + zlib.compress(b"a" * 2_000_000)
    check = struct.pack(">I", zlib.crc32(b"zTXt" + body))
    chunk = struct.pack(">I", len(body)) + b"zTXt" + body + check
    (tmp_path / "c.png").write_bytes(raw[:33] + chunk + raw[33:])
    (tmp_path / "labels.csv").write_text("id,file,label\na,a.png,x\nb,b.png,x\nc,c.png,x\n")
    rejections = import_images(tmp_path, tmp_path / "labels.csv", tmp_path / "out.h5")
    with CutoutStore(tmp_path / "out.h5") as store:
        kept = set(store.catalogue()["id"])
    assert {"a", "b"} <= kept and (kept == {"a", "b", "c"}) != (len(rejections) == 1)
