"""Odd things among a user's files: one line each in the list of rejections, the rest is used."""

import logging
import os
import socket
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from astropy.io import fits
from galaxy_lvm.core.config.lens_search import ImageReading
from galaxy_lvm.core.errors import ConfigError, DataError
from galaxy_lvm.lenses.sources import folder_items, load_files
from galaxy_lvm.lvm.model import LVM, PRESETS
from galaxy_lvm.lvm.weights import load_lvm, save_lvm
from galaxy_lvm.survey import folder as folder_source
from galaxy_lvm.survey.crop_store import CropStore
from galaxy_lvm.survey.fields import LENS_COLUMNS, FieldStore
from galaxy_lvm.survey.folder import import_images
from galaxy_lvm.survey.rejected import read_rejected, write_rejected
from galaxy_lvm.survey.store import CutoutStore
from PIL import Image

LONG = "n" * 300 + ".png"


def picture(path, seed=0):
    pixels = np.random.default_rng(seed).integers(0, 255, (40, 40, 3), dtype=np.uint8)
    Image.fromarray(pixels).save(path)


def cube(path, side=100):
    rng = np.random.default_rng(0)
    header = fits.Header({"CTYPE1": "RA---TAN", "CTYPE2": "DEC--TAN", "CRVAL1": 1.0, "CRVAL2": 2.0})
    header["CD1_1"], header["CD2_2"] = -0.262 / 3600, 0.262 / 3600
    fits.writeto(path, rng.normal(0, 0.1, (3, side, side)).astype(np.float32), header)


@pytest.fixture
def odd(tmp_path):
    """A folder with two good pictures among all that may lie on a disk."""
    for number in range(2):
        picture(tmp_path / f"g{number}.png", number)
    (tmp_path / "._g0.png").write_bytes(b"\0\5\26\7" + bytes(100))
    (tmp_path / ".DS_Store").write_bytes(b"\0\0\0\1Bud1")
    (tmp_path / "Thumbs.db").write_bytes(b"\xd0\xcf\x11\xe0")
    (tmp_path / "empty.png").touch()
    (tmp_path / "empty.jpg").touch()
    (tmp_path / "folder.png").mkdir()
    os.mkfifo(tmp_path / "pipe.png")
    listening = socket.socket(socket.AF_UNIX)
    here = os.getcwd()
    os.chdir(tmp_path)  # the path of a socket must be short
    try:
        listening.bind("socket.png")
    finally:
        os.chdir(here)
    (tmp_path / "loop.png").symlink_to(tmp_path / "loop.png")
    (tmp_path / "broken.png").symlink_to(tmp_path / "nothing.png")
    (tmp_path / "around").symlink_to(tmp_path)
    stray = os.fsencode(str(tmp_path)) + b"/M\xfcller.png"
    with open(stray, "wb") as file:
        file.write(b"no picture")
    yield tmp_path
    listening.close()


REASONS = {
    "._g0.png": "what macOS keeps beside g0.png",
    "empty.png": "is empty (0 bytes)",
    "empty.jpg": "is empty (0 bytes)",
    "folder.png": "is a folder",
    "pipe.png": "pipe, socket or device",
    "socket.png": "pipe, socket or device",
    "loop.png": "leads back to itself",
    "broken.png": "a link to a file that is not there",
}


def test_the_import_lists_odd_files_of_the_table_one_by_one(odd):
    names = [*REASONS, LONG, "nul\0.png", "g0.png/x.png", "absent.png", ".", ".."]
    rows = [f"r{i},{name},a" for i, name in enumerate(["g0.png", *names, "g1.png"])]
    (odd / "t.csv").write_text("\n".join(["id,file,label", *rows]) + "\n")
    rejections = import_images(odd, odd / "t.csv", odd / "c.h5")
    write_rejected(odd / "r.csv", rejections)
    listed = read_rejected(odd / "r.csv")
    of_rows = listed[listed["row"] != ""].set_index("file")["reason"]
    with CutoutStore(odd / "c.h5") as store:
        assert set(store.catalogue()["file"]) == {"g0.png", "g1.png"}
    assert len(of_rows) == len(names)
    expected = {**REASONS, LONG: "304 bytes, more than", r"nul\x00.png": "NUL character"}
    expected |= {"g0.png/x.png": "no such file", "absent.png": "no such file", ".": "is a folder"}
    for name, words in expected.items():
        assert words in of_rows[name], name
    assert r"M\xfcller.png" in set(listed.loc[listed["row"] == "", "file"])


def test_the_import_lists_odd_files_that_no_row_names(odd):
    (odd / "t.csv").write_text("id,file,label\n1,g0.png,a\n2,g1.png,b\n")
    rejections = import_images(odd, odd / "t.csv", odd / "c.h5")
    reasons = {line["file"]: line["reason"] for line in rejections}
    assert set(reasons) == {*REASONS, r"M\xfcller.png"}
    for name in REASONS:
        words = "no row in the table names" if name.startswith("empty") else REASONS[name]
        assert words in reasons[name]


def test_the_search_lists_odd_files_one_by_one(odd):
    settings = ImageReading(pixel_scale_arcsec=0.262)
    items = folder_items(odd, settings)
    found = dict(zip([item.shown for item in items], load_files(items, odd, settings), strict=True))
    for name, words in REASONS.items():
        assert words in str(found.pop(name)), name
    assert "cannot be decoded" in str(found.pop(r"M\xfcller.png"))
    assert set(found) == {"g0.png", "g1.png"}
    assert not any(isinstance(image, DataError) for image in found.values())


def test_previews_beside_fits_are_refused_one_by_one(tmp_path):
    cube(tmp_path / "a.fits")
    picture(tmp_path / "a.png")
    (tmp_path / "._a.jpg").write_bytes(b"\0\5\26\7")
    settings = ImageReading()
    items = folder_items(tmp_path, settings)
    images = dict(zip([i.name for i in items], load_files(items, tmp_path, settings), strict=True))
    assert images["a.fits"].rgb.shape == (100, 100, 3)
    assert "set lenses.search.pixel_scale_arcsec" in str(images["a.png"])
    assert "macOS" in str(images["._a.jpg"])
    os.remove(tmp_path / "a.fits")
    with pytest.raises(ConfigError, match="1 JPEG or PNG images.*pixel_scale_arcsec"):
        folder_items(tmp_path, settings)


def test_a_search_does_not_search_what_it_writes(tmp_path):
    cube(tmp_path / "a.fits")
    out = tmp_path / "result"
    (out / "state" / "cutouts").mkdir(parents=True)
    for name in ("gallery.png", "gallery.pdf", "lenses.csv", "state/cutouts/b.fits"):
        (out / name).write_bytes(b"x")
    picture(out / "other.png")
    own = [out / "lenses.csv", out / "gallery.pdf", out / "state"]
    names = [item.name for item in folder_items(tmp_path, ImageReading(), own)]
    assert names == ["a.fits", "result/other.png"]


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
def test_what_may_not_be_read_is_listed(tmp_path):
    picture(tmp_path / "a.png")
    picture(tmp_path / "b.png")
    (tmp_path / "b.png").chmod(0)
    (tmp_path / "closed").mkdir(mode=0)
    (tmp_path / "t.csv").write_text("id,file,label\n1,a.png,a\n2,b.png,b\n3,closed/c.png,b\n")
    reasons = [line["reason"] for line in import_images(tmp_path, tmp_path / "t.csv", "c.h5")]
    assert len(reasons) == 3 and all("(chmod)" in reason for reason in reasons)


def test_a_run_that_fails_says_at_which_file(tmp_path, monkeypatch):
    picture(tmp_path / "a.png")
    (tmp_path / "t.csv").write_text("id,file,label\n1,a.png,a\n")

    def unforeseen(path, **settings):
        raise SystemError("none of ours")

    monkeypatch.setattr(folder_source, "read_rgb", unforeseen)
    with pytest.raises(SystemError) as caught:
        import_images(tmp_path, tmp_path / "t.csv", tmp_path / "c.h5")
    assert caught.value.__notes__ == [f"while reading {tmp_path / 'a.png'}"]


@pytest.mark.parametrize("store", [CutoutStore, CropStore, FieldStore])
def test_hdf5_errors_name_the_file(tmp_path, store):
    pd.DataFrame(columns=list(LENS_COLUMNS)).to_parquet(tmp_path / "x.parquet")
    for content in (b"no HDF5", b"\x89HDF\r\n\x1a\n" + bytes(40)):
        (tmp_path / "x.h5").write_bytes(content)
        with pytest.raises(DataError, match=r"x\.h5: not HDF5, or damaged"):
            store(tmp_path / "x.h5")
    with pytest.raises(DataError, match=r"none\.(h5: no such file|parquet: the list)"):
        store(tmp_path / "none.h5")


def test_damaged_weights_and_cards_of_other_versions_are_named(tmp_path):
    path = Path(tmp_path / "w.safetensors")
    save_lvm(path, LVM(PRESETS["lvm_tiny"]), {})
    card = path.with_suffix(".json")
    good = card.read_text()
    card.write_text(good.replace('"embed_dim"', '"newer_key": 1, "embed_dim"'))
    with pytest.raises(DataError, match=r"w\.json: architecture has newer_key, which this version"):
        load_lvm(path)
    card.write_text(good[:40])
    with pytest.raises(DataError, match=r"w\.json: no readable card"):
        load_lvm(path)
    card.write_text(good)
    path.write_bytes(path.read_bytes()[:1000])
    with pytest.raises(DataError, match=r"w\.safetensors: no readable weights"):
        load_lvm(path)


def test_names_in_any_encoding_do_not_stop_the_log(odd, caplog):
    with caplog.at_level(logging.INFO):
        folder_items(odd, ImageReading(pixel_scale_arcsec=0.262))
    assert "2 files of other types (" in caplog.text
