"""A dataset in several files is read as the same dataset in one; what is wrong names its file."""

import re
from pathlib import Path

import h5py
import numpy as np
import pandas as pd
import pytest
from crop_cutouts import main as crop_cutouts
from crop_shard import main as crop_shard
from galaxy_lvm.core.config import resolve
from galaxy_lvm.core.config.survey import Crop
from galaxy_lvm.core.config.user_data import missing_data, shard_files
from galaxy_lvm.core.errors import ConfigError, DataError
from galaxy_lvm.survey import crop_files
from galaxy_lvm.survey.crop_store import CropStore
from galaxy_lvm.survey.rejected import read_rejected
from galaxy_lvm.survey.shards import ShardedRows, check_number, refuse_twins
from galaxy_lvm.survey.store import CutoutStore
from gather_crops import main as gather_crops
from list_shards import main as list_shards

ROOT = Path(__file__).parents[2]
SIDE_PIX = 48
SETTINGS = Crop(side_pix=32, min_side_pix=16)
SIZES = (5, 1, 8)
NAMES = ("000", "001", "002")


def galaxies(n, seed):
    """Return cutouts (n, 3, side, side) of blobs with noise, in nanomaggies."""
    rng = np.random.default_rng(seed)
    y, x = np.mgrid[:SIDE_PIX, :SIDE_PIX] - SIDE_PIX / 2
    blobs = np.exp(-(x**2 + y**2) / (2 * rng.uniform(2, 6, (n, 1, 1)) ** 2))
    bands = blobs[:, None] * np.array([0.5, 1.0, 1.5])[:, None, None]
    return (bands + rng.normal(0, 0.01, bands.shape)).astype(np.float32)


def write(path, images, **columns):
    with h5py.File(path, "w") as file:
        file.create_dataset("images", data=images, chunks=(1, *images.shape[1:]))
        for name, values in columns.items():
            text = {"dtype": h5py.string_dtype("utf-8")} if name in ("id", "label") else {}
            file.create_dataset(name, data=values, **text)
    return str(path)


def part(folder, number, ids=True, **more):
    """Write one shard: galaxies of their own, the second without any signal where there is one."""
    n = SIZES[number]
    images = galaxies(n, number)
    if n > 1:
        images[1] = 0.0
    ra = number * 10 + np.arange(n, dtype=float)
    named = {"id": [f"g{number}_{i}" for i in range(n)], "label": ["spiral"] * n} if ids else {}
    return write(folder / f"part_{number}.h5", images, ra=ra, dec=-ra, **named, **more)


def whole(folder, shards):
    """Write the same galaxies into one file."""
    opened = [h5py.File(path) for path in shards]
    columns = {name: np.concatenate([f[name][:] for f in opened]) for name in opened[0]}
    for file in opened:
        file.close()
    return write(folder / "whole.h5", columns.pop("images"), **columns)


def cropped(folder, shards):
    """Crop shard by shard, as the rules do; return the index of the crops and the rejections."""
    names = NAMES[: len(shards)]
    index = str(folder / "cutouts.h5")
    list_shards(shards, names, index)
    crops = [str(folder / f"{name}_crops.h5") for name in names]
    lost = [str(folder / f"{name}_rejected.csv") for name in names]
    for shard, out, rejected, name in zip(shards, crops, lost, names, strict=True):
        crop_shard(shard, out, rejected, SETTINGS, name)
    gather_crops(index, crops, names, lost, str(folder / "crops.h5"), str(folder / "rejected.csv"))
    return index, str(folder / "crops.h5"), read_rejected(folder / "rejected.csv")


@pytest.fixture
def shards(tmp_path):
    return [part(tmp_path, number) for number in range(3)]


def test_shards_are_read_as_one_store(tmp_path, shards):
    list_shards(shards, NAMES, tmp_path / "index.h5")
    rows = np.array([13, 0, 5, 5, 12, 6])
    with CutoutStore(whole(tmp_path, shards)) as one, CutoutStore(tmp_path / "index.h5") as many:
        assert len(many) == len(one) == sum(SIZES)
        assert many.images.shape == one.images.shape and many.images.dtype == one.images.dtype
        pd.testing.assert_frame_equal(many.catalogue(), one.catalogue())
        np.testing.assert_array_equal(many.images.take(rows), one.images.take(rows))
        bounds = [(None, None, None), (3, 9, 1), (4, 6, 1), (0, 5, 1), (7, 7, 1), (-3, None, 1)]
        for part_of in [slice(*some) for some in [*bounds, (1, 14, 3), (12, 2, -4)]]:
            np.testing.assert_array_equal(many.images[part_of], one.images[:][part_of])
        for row in (0, 4, 5, 6, 13, -1):
            np.testing.assert_array_equal(many.images[row], one.images[:][row])
        for these, those in zip(many.positions(rows), one.positions(rows), strict=True):
            np.testing.assert_array_equal(these, those)
        with pytest.raises(IndexError):
            many.images[14]


def test_crops_by_shard_are_those_of_the_whole(tmp_path, shards):
    _, crops, lost = cropped(tmp_path, shards)
    crop_cutouts(whole(tmp_path, shards), tmp_path / "c.h5", tmp_path / "r.csv", SETTINGS)
    with CropStore(tmp_path / "c.h5") as one, CropStore(crops) as many:
        assert len(many) == len(one) == sum(SIZES) - 2
        for name in ("id", "label", "box", "flag", "cutout_index"):
            np.testing.assert_array_equal(many.column(name), one.column(name), err_msg=name)
            for rows in (slice(2, 7), slice(3, 5), slice(9, 12), slice(6, 6)):
                np.testing.assert_array_equal(many.column(name, rows), one.column(name, rows))
        assert many.side_pix == one.side_pix
        np.testing.assert_array_equal(many[:], one[:])
        np.testing.assert_array_equal(many.take([11, 0, 4, 4]), one.take([11, 0, 4, 4]))
        for size in (1, 4, 100):
            blocks = list(many.blocks(size, 1, 11))
            np.testing.assert_array_equal(np.concatenate(blocks), one[1:11])
        np.testing.assert_array_equal(many.by_id(["g2_7"])["g2_7"], one.by_id(["g2_7"])["g2_7"])
        with pytest.raises(DataError, match="row 12 of .*, which has 12 crops"):
            many.take([12])
    pd.testing.assert_frame_equal(lost, read_rejected(tmp_path / "r.csv"))


def test_galaxies_without_ids_are_named_by_shard_and_row(tmp_path):
    index, crops, lost = cropped(
        tmp_path, [part(tmp_path, number, ids=False) for number in range(3)]
    )
    with CutoutStore(index) as cutouts, CropStore(crops) as found:
        ids = cutouts.catalogue()["id"]
        assert ids.tolist()[4:7] == ["000-4", "001-0", "002-0"] and ids.is_unique
        assert found.ids.tolist() == ids.iloc[found.column("cutout_index")].tolist()
    assert lost["id"].tolist() == ["000-1", "002-1"]


def test_columns_that_not_all_shards_have_are_left_out(tmp_path, caplog):
    shards = [part(tmp_path, 0, z_spec=np.zeros(5)), part(tmp_path, 1)]
    list_shards(shards, NAMES[:2], tmp_path / "index.h5")
    with caplog.at_level("INFO"), CutoutStore(tmp_path / "index.h5") as store:
        assert "z_spec" not in store.catalogue()
    assert "not in all 2 shards, and left out: z_spec" in caplog.text


def cut_short(path):
    with open(path, "r+b") as file:
        file.truncate(3000)


def other_size(path):
    write(path, np.zeros((2, 3, 16, 16), np.float32))


def no_images(path):
    with h5py.File(path, "w") as file:
        file["flux"] = np.arange(3)


@pytest.mark.parametrize(
    ("damage", "what"),
    [
        (cut_short, "not HDF5, or damaged"),
        (other_size, r"images of \(3, 16, 16\)"),
        (no_images, "neither 'images' nor 'images_rgb'"),
    ],
)
def test_every_shard_that_cannot_be_used_is_named(tmp_path, shards, damage, what):
    damage(shards[1])
    (tmp_path / "part_2.h5").unlink()
    with pytest.raises(
        DataError, match=rf"2 of 3 shards: .*part_1\.h5: {what}.*part_2\.h5: no such"
    ):
        list_shards(shards, NAMES, tmp_path / "index.h5")
    assert not (tmp_path / "index.h5").exists()


def test_a_missing_shard_is_noticed(tmp_path, shards):
    index = tmp_path / "index.h5"
    there = [shards[0], shards[2]]
    with pytest.raises(DataError, match=r"2 files .*n_shards says 3; .*leave out 1\.") as error:
        list_shards(there, NAMES[:2], index, 3)
    assert all(path in str(error.value) for path in there) and not index.exists()
    with pytest.raises(DataError, match=r"3 files .*n_shards says 2\. Copy"):
        list_shards(shards, NAMES, index, 2)
    list_shards(shards, NAMES, index, 3)
    with CutoutStore(index) as store:
        assert len(store) == sum(SIZES)


@pytest.mark.parametrize(
    ("paths", "gaps"),
    [
        (["s/a_008.h5", "s/a_009.h5", "s/a_011.h5"], "leave out 010"),
        (["a_8.h5", "a_11.h5"], "leave out 9, 10"),
        (["north/a_0.h5", "south/a_2.h5"], None),
        (["a.h5", "b_1.h5"], None),
        ([], None),
    ],
)
def test_numbers_that_are_left_out_are_named_where_names_are_alike(paths, gaps):
    with pytest.raises(DataError) as error:
        check_number(paths, 76)
    assert ("leave out" in str(error.value)) == (gaps is not None)
    assert gaps is None or gaps in str(error.value)


def test_only_a_pattern_has_a_number_of_shards():
    pool = {"source": "ssl_legacysurvey", "path": "images.h5", "n_shards": 3}
    given = {"datasets": {"pool": pool}}
    with pytest.raises(ConfigError, match=r"datasets\.pool\.n_shards: path is one file"):
        resolve(given)


def test_a_damaged_shard_stops_itself_alone(tmp_path, shards):
    cut_short(shards[1])
    names = [tmp_path / f"{name}.h5" for name in NAMES]
    for number in (0, 2):
        crop_shard(shards[number], names[number], tmp_path / "r.csv", SETTINGS, NAMES[number])
    with pytest.raises(DataError, match=r"part_1\.h5: not HDF5, or damaged"):
        crop_shard(shards[1], names[1], tmp_path / "r.csv", SETTINGS, NAMES[1])
    assert [name.exists() for name in names] == [True, False, True]


def test_a_shard_that_changed_or_vanished_after_it_was_listed_is_named(tmp_path, shards):
    index = tmp_path / "index.h5"
    list_shards(shards, NAMES, index)
    write(shards[1], galaxies(3, 9))
    with pytest.raises(
        DataError, match=r"part_1\.h5: 3 images, .*index\.h5 lists 1: it was made anew"
    ):
        CutoutStore(index)
    (tmp_path / "part_1.h5").unlink()
    with pytest.raises(DataError, match=r"part_1\.h5: no such file"):
        CutoutStore(index)


def test_results_can_be_moved_with_their_shards(tmp_path, shards):
    home = tmp_path / "home"
    home.mkdir()
    inside = [part(home, number) for number in range(2)]
    cropped(home, inside)
    home.rename(tmp_path / "elsewhere")
    with CropStore(tmp_path / "elsewhere" / "crops.h5") as crops:
        assert len(crops.take(range(len(crops)))) == 5


def test_one_galaxy_in_two_shards_names_both(tmp_path):
    shards = [part(tmp_path, 0), part(tmp_path, 1)]
    with h5py.File(shards[1], "a") as file:
        file["id"][0] = "g0_3"
    with pytest.raises(DataError, match=r"'g0_3' is in .*000_crops\.h5 and in .*001_crops\.h5"):
        cropped(tmp_path, shards)
    ids = {"x": np.array(["a", "b"], object), "y": np.array(["c"], object)}
    refuse_twins(ids.get, ["x", "y"])
    with pytest.raises(DataError, match="'b' is in x and in x"):
        refuse_twins({"x": np.array(["a", "b", "b"], object)}.get, ["x"])


def test_crops_of_other_shards_than_the_cutouts_are_refused(tmp_path, shards):
    index, _, _ = cropped(tmp_path, shards)
    crops = [str(tmp_path / f"{name}_crops.h5") for name in NAMES[:2]]
    with pytest.raises(DataError, match="lists .*'002'.*, the crops are of"):
        gather_crops(index, crops, NAMES[:2], [], tmp_path / "c.h5", tmp_path / "r.csv")


def test_one_file_is_no_shard(tmp_path, shards):
    with CutoutStore(shards[0]) as store:
        assert not isinstance(store.images, ShardedRows)


def test_one_large_file_is_refused_and_split_as_the_documents_say(tmp_path, shards, monkeypatch):
    with CutoutStore(whole(tmp_path, shards)) as store:
        one, n = store.path, len(store)
    out = tmp_path / "all_crops.h5", tmp_path / "all_rejected.csv"
    crop_cutouts(one, *out, SETTINGS)
    monkeypatch.setattr(crop_files, "MOST_IN_ONE_FILE", n - 1)
    said = rf"{n} galaxies in one file.*datasets\.\*\.path.*docs/scale\.md"
    with pytest.raises(DataError, match=said):
        crop_cutouts(one, tmp_path / "no.h5", tmp_path / "no.csv", SETTINGS)
    text = (ROOT / "docs" / "scale.md").read_text()
    recipe = re.search(r"```python\n(.*?)```", text, re.DOTALL)[1]
    folder = f'"{tmp_path / "parts"}"'
    for said, here in (("images.h5", str(one)), ('"parts"', folder), ("1_000_000", "5")):
        assert said in recipe
        recipe = recipe.replace(said, here)
    exec(recipe, {})
    parts = sorted((tmp_path / "parts").iterdir())
    assert len(parts) == 3
    with CropStore(out[0]) as crops:
        found, names = crops[:], list(crops.ids)
    _, split, _ = cropped(tmp_path, parts)
    with CropStore(split) as crops:
        np.testing.assert_array_equal(crops[:], found)
        assert list(crops.ids) == names


def test_a_pattern_finds_the_files_of_a_dataset(tmp_path):
    for name in ("south/b.h5", "south/a.h5", "north/a.h5", "north/a.txt"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).touch()

    def config(path):
        return {"datasets": {"pool": {"source": "ssl_legacysurvey", "path": path}}}

    found = shard_files(config("*/*.h5"), "pool", tmp_path)
    assert found == {"000": "north/a.h5", "001": "south/a.h5", "002": "south/b.h5"}
    assert shard_files(config("south/a.h5"), "pool", tmp_path) is None
    assert missing_data(config("*/*.h5"), tmp_path) == ""
    assert "west/*.h5: HDF5 file of cutouts" in missing_data(config("west/*.h5"), tmp_path)
