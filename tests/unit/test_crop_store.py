"""Crops are read by row, by id and block by block; files that do not belong together are met."""

import h5py
import numpy as np
import pytest
from galaxy_lvm.core.errors import DataError
from galaxy_lvm.survey.crop_store import CropStore, read_crops
from galaxy_lvm.survey.splits_table import Galaxies
from galaxy_lvm.training import feed
from galaxy_lvm.training.feed import CropImages

N, SIDE_PIX = 23, 8
IMAGES = np.random.default_rng(0).integers(0, 255, (N, SIDE_PIX, SIDE_PIX, 3), dtype=np.uint8)
IDS = np.array([f"g{i}" for i in range(N)], dtype=object)


def write(path, **columns):
    with h5py.File(path, "w") as file:
        for name, values in columns.items():
            text = {"dtype": h5py.string_dtype("utf-8")} if name in ("id", "label") else {}
            file.create_dataset(name, data=values, **text)
    return path


@pytest.fixture
def path(tmp_path):
    box = np.tile([0, 0, 5, 5], (N, 1)).astype(np.int32)
    return write(tmp_path / "crops.h5", images=IMAGES, id=IDS, box=box, label=["ü"] * N)


def galaxies(rows):
    return Galaxies(np.asarray(rows), IDS[rows], np.zeros(len(rows), np.int64))


def test_rows_come_in_any_order_and_repeat(path):
    with CropStore(path) as crops:
        assert (len(crops), crops.side_pix) == (N, SIDE_PIX)
        np.testing.assert_array_equal(crops.take([7, 0, 7, 3]), IMAGES[[7, 0, 7, 3]])
        assert crops.take([]).shape == (0, SIDE_PIX, SIDE_PIX, 3)
        np.testing.assert_array_equal(crops[5], IMAGES[5])
        np.testing.assert_array_equal(crops.of(galaxies([4, 2])), IMAGES[[4, 2]])
        assert crops.ids.tolist() == IDS.tolist() and isinstance(crops.ids[0], str)
        assert crops.boxes.shape == (N, 4) and crops.column("label")[0] == "ü"
        by_id = crops.by_id(["g9", "g1"])
    assert list(by_id) == ["g9", "g1"]
    np.testing.assert_array_equal(by_id["g1"], IMAGES[1])
    np.testing.assert_array_equal(read_crops(path, [3, 1]), IMAGES[[3, 1]])


@pytest.mark.parametrize("size", [1, 4, N, 100])
def test_blocks_cover_what_is_asked_for(path, size):
    with CropStore(path) as crops:
        blocks = list(crops.blocks(size))
        assert all(len(block) == size for block in blocks[:-1])
        np.testing.assert_array_equal(np.concatenate(blocks), IMAGES)
        np.testing.assert_array_equal(np.concatenate(list(crops.blocks(size, 3, 9))), IMAGES[3:9])
        assert list(crops.blocks(size, 4, 4)) == []


def test_the_file_is_closed_at_the_end(path):
    with CropStore(path) as crops:
        pass
    with h5py.File(path, "a") as file:
        file.attrs["written"] = 1
    with pytest.raises((ValueError, OSError, RuntimeError)):
        crops.take([0])


def test_rows_that_are_not_there_are_named(path):
    with CropStore(path) as crops:
        for row in (N, -1):
            with pytest.raises(DataError, match=f"row {row} of .*crops.h5, which has {N} crops"):
                crops.take([0, row])
        with pytest.raises(DataError, match="no galaxy 'elsewhere'"):
            crops.by_id(["g1", "elsewhere"])
        with pytest.raises(DataError, match="no column 'flag', but"):
            crops.column("flag")


def test_splits_of_another_run_are_met_though_their_rows_exist(path):
    other = galaxies([4, 2])
    other.ids[1] = "h2"
    with CropStore(path) as crops:
        with pytest.raises(DataError, match="row 2 is galaxy 'g2', in the splits 'h2'.*same run"):
            crops.of(other)


@pytest.mark.parametrize(
    ("images", "message"),
    [
        (IMAGES.astype(np.float32), "float32"),
        (IMAGES[:, :4], r"\(23, 4, 8, 3\), not uint8"),
        (IMAGES[..., 0], "not uint8"),
    ],
)
def test_other_images_are_refused(tmp_path, images, message):
    with pytest.raises(DataError, match=message):
        CropStore(write(tmp_path / "c.h5", images=images))


def test_other_files_are_refused(tmp_path):
    with pytest.raises(DataError, match="no 'images' in it, but .'id'"):
        CropStore(write(tmp_path / "c.h5", id=IDS))
    (tmp_path / "text.h5").write_text("no HDF5")
    with pytest.raises(DataError, match="not HDF5"):
        CropStore(tmp_path / "text.h5")
    with pytest.raises(DataError, match="no such file; run crop_cutouts"):
        CropStore(tmp_path / "lost.h5")


def test_crops_in_memory_and_from_the_file_are_the_same(path, monkeypatch):
    rows = [5, 1, 2]
    memory = CropImages(path, rows)
    monkeypatch.setattr(feed, "IN_MEMORY_BYTES", 0)
    from_file = CropImages(path, rows)
    for crops in (memory, from_file):
        assert len(crops) == 3
        np.testing.assert_array_equal(crops.take([2, 0, 2]), IMAGES[[2, 5, 2]])
        np.testing.assert_array_equal(crops[1:], IMAGES[[1, 2]])
