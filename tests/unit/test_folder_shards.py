"""A folder imported shard by shard is the folder imported whole, and what is complete stays."""

import gzip
import os

import cv2
import numpy as np
import pandas as pd
import pytest
from galaxy_lvm.core.config.survey import Folder
from galaxy_lvm.core.errors import DataError
from galaxy_lvm.core.fits_text import FITS_ENDINGS
from galaxy_lvm.survey import folder as folder_module
from galaxy_lvm.survey.folder import import_images
from galaxy_lvm.survey.rejected import read_rejected
from galaxy_lvm.survey.store import CutoutStore
from import_folder import main as import_folder
from test_folder import blob, picture, write_fits

N, SIZE = 8, 3
SETTINGS = Folder(shard_images=SIZE, image_side_pix=64)


@pytest.fixture
def images(tmp_path):
    """Return a folder of pictures with their table; one is damaged, one not there, one not named.

    The usable rows are 0 to 3 and 5 to 7; the third shard holds the damaged 7 alone.
    """
    home = tmp_path / "images"
    home.mkdir()
    for number in range(N):
        cv2.imwrite(str(home / f"{number}.png"), picture(seed=number))
    (home / "7.png").write_bytes((home / "7.png").read_bytes()[:200])
    (home / "4.png").rename(home / "other.png")
    lines = [f"g{n},{n}.png,{'spiral' if n % 2 else ''},{n / 4}" for n in range(N)]
    (home / "labels.csv").write_text("\n".join(["id,file,label,z_spec", *lines]) + "\n")
    return home


def imported(images, out, settings):
    out.mkdir(exist_ok=True)
    table, cutouts, rejected = images / "labels.csv", out / "c.h5", out / "r.csv"
    import_folder(str(images), str(table), str(cutouts), str(rejected), settings)
    return cutouts, read_rejected(rejected)


def test_shards_hold_what_one_file_holds(images, tmp_path):
    whole, lost = imported(images, tmp_path / "whole", Folder(image_side_pix=64))
    index, lost_by_shard = imported(images, tmp_path / "many", SETTINGS)
    assert sorted(p.name[13:] for p in (tmp_path / "many" / "shards").iterdir()) == [
        f"{number:03d}_{what}"
        for number in range(3)
        for what in ("cutouts.h5", "rejected.csv")
    ]  # fmt: skip
    pd.testing.assert_frame_equal(lost_by_shard, lost)
    assert len(lost) == 3 and "7.png" in lost["file"].tolist()
    with CutoutStore(whole) as one, CutoutStore(index) as many:
        assert len(many) == 6
        pd.testing.assert_frame_equal(many.catalogue(), one.catalogue())
        np.testing.assert_array_equal(many.images[:], one.images[:])
    assert not (tmp_path / "whole" / "shards").exists()


def test_an_import_that_was_killed_goes_on_behind_the_last_shard(images, tmp_path, monkeypatch):
    read, opened = folder_module.read_rgb, []

    def reads(path, **settings):
        opened.append(path.stem)
        return read(path, **settings)

    def dies(path, **settings):
        if path.stem == "5":
            raise KeyboardInterrupt
        return reads(path, **settings)

    monkeypatch.setattr(folder_module, "read_rgb", dies)
    with pytest.raises(KeyboardInterrupt):
        imported(images, tmp_path / "out", SETTINGS)
    assert not (tmp_path / "out" / "c.h5").exists()
    # 6 may have been read ahead; 7 lies in the next shard.
    assert {"0", "1", "2"} <= set(opened) and "7" not in opened
    monkeypatch.setattr(folder_module, "read_rgb", reads)
    opened.clear()
    index, lost = imported(images, tmp_path / "out", SETTINGS)
    assert sorted(opened) == ["3", "5", "6", "7"]
    assert len(lost) == 3
    with CutoutStore(index) as store:
        assert store.catalogue()["id"].tolist() == ["g0", "g1", "g2", "g3", "g5", "g6"]


def test_an_image_that_changes_renews_its_own_shard(images, tmp_path, monkeypatch):
    imported(images, tmp_path / "out", SETTINGS)
    before = {p.name: p.stat().st_mtime_ns for p in (tmp_path / "out" / "shards").iterdir()}
    cv2.imwrite(str(images / "3.png"), picture(seed=99))
    os.utime(images / "3.png", ns=(1, 1))
    index, _ = imported(images, tmp_path / "out", SETTINGS)
    after = {p.name: p.stat().st_mtime_ns for p in (tmp_path / "out" / "shards").iterdir()}
    same = [name for name in before if after.get(name) == before[name]]
    assert len(after) == len(before) == 6 and len(same) == 4  # the old second shard is gone
    with CutoutStore(index) as store:
        whole = read_all(images, tmp_path / "whole")
        np.testing.assert_array_equal(store.images[:], whole)
    (images / "labels.csv").write_text((images / "labels.csv").read_text().replace("g6", "x6"))
    index, _ = imported(images, tmp_path / "out", SETTINGS)
    with CutoutStore(index) as store:
        assert store.catalogue()["id"].tolist()[-1] == "x6"


def read_all(images, out):
    path, _ = imported(images, out, Folder(image_side_pix=64))
    with CutoutStore(path) as store:
        return store.images[:]


def test_a_folder_without_any_usable_image_leaves_no_index(images, tmp_path):
    for number in (0, 1, 2, 3, 5, 6):
        (images / f"{number}.png").write_bytes(b"\x89PNG\r\n\x1a\n broken")
    with pytest.raises(DataError, match="none of the images can be used"):
        imported(images, tmp_path / "out", SETTINGS)
    assert not (tmp_path / "out" / "c.h5").exists()


@pytest.mark.parametrize("ending", [e for e in FITS_ENDINGS if not e.endswith(".fz")])
def test_every_ending_of_a_fits_file_is_known(tmp_path, ending):
    name = f"a{ending}"
    write_fits(tmp_path / "a.fits", blob())
    content = (tmp_path / "a.fits").read_bytes()
    (tmp_path / "a.fits").unlink()
    (tmp_path / name).write_bytes(gzip.compress(content) if ending.endswith(".gz") else content)
    (tmp_path / "t.csv").write_text(f"id,file,label\ng0,{name},spiral\n")
    assert import_images(tmp_path, tmp_path / "t.csv", tmp_path / "c.h5") == []
    with CutoutStore(tmp_path / "c.h5") as store:
        np.testing.assert_allclose(store.images[0], blob(), rtol=1e-6)


def test_positions_of_fits_files_are_kept_by_shard(tmp_path):
    for number in range(4):
        write_fits(tmp_path / f"{number}.fits", blob(), CRVAL1=10.0 + number)
    lines = [f"g{n},{n}.fits,spiral" for n in range(4)]
    (tmp_path / "t.csv").write_text("\n".join(["id,file,label", *lines]) + "\n")
    import_images(tmp_path, tmp_path / "t.csv", tmp_path / "c.h5", Folder(shard_images=2))
    with CutoutStore(tmp_path / "c.h5") as store:
        ra, _ = store.positions(np.arange(4))
        np.testing.assert_allclose(ra, [10, 11, 12, 13], atol=1e-6)
        assert not store.rgb
