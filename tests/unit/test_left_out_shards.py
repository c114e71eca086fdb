"""A shard that is damaged or missing stops only itself, where the config says so, and is named."""

import h5py
import numpy as np
import pandas as pd
import pytest
from crop_shard import main as crop_shard
from galaxy_lvm.core.config import check_config
from galaxy_lvm.core.errors import DataError
from galaxy_lvm.features.gather import gather_features
from galaxy_lvm.features.job import extract_shard
from galaxy_lvm.features.outlier_ranks import most_unusual, write_no_scores
from galaxy_lvm.features.outliers import METHODS
from galaxy_lvm.features.similarity_parts import Found, together
from galaxy_lvm.features.store import FeatureStore, write_features
from galaxy_lvm.survey.crop_store import CropStore
from galaxy_lvm.survey.rejected import read_rejected
from galaxy_lvm.survey.store import CutoutStore
from gather_crops import main as gather_crops
from list_shards import main as list_shards
from test_shards import NAMES, SETTINGS, part


def damage_end(path):
    """Cut the file: it cannot be opened."""
    with open(path, "r+b") as file:
        file.truncate(2000)


def damage_pixels(path):
    """Spoil the pixels of one galaxy: the file opens, and says how many it holds."""
    with h5py.File(path) as file:
        images, ids, ra = file["images"][:], file["id"][:], file["ra"][:]
    with h5py.File(path, "w") as file:
        chunks = {"chunks": (1, *images.shape[1:]), "fletcher32": True}
        file.create_dataset("images", data=images, **chunks)
        file.create_dataset("id", data=ids, dtype=h5py.string_dtype("utf-8"))
        file.create_dataset("ra", data=ra)
        file.create_dataset("dec", data=ra)
        place = file["images"].id.get_chunk_info(len(images) - 1).byte_offset
    with open(path, "r+b") as file:
        file.seek(place)
        file.write(b"spoiled!" * 4)


def prepared(folder, shards, names=NAMES, leave_out=True, n_shards=None):
    """Run the rules from the files to the gathered crops; return both stores and what was lost."""
    index = str(folder / "cutouts.h5")
    list_shards(shards, names, index, n_shards, leave_out)
    crops = [str(folder / f"{name}_crops.h5") for name in names]
    lost = [str(folder / f"{name}_rejected.csv") for name in names]
    for given in zip(shards, crops, lost, names, strict=True):
        crop_shard(*given[:3], SETTINGS, given[3], leave_out=leave_out)
    out = str(folder / "crops.h5"), str(folder / "rejected.csv")
    gather_crops(index, crops, names, lost, *out)
    return index, *out


@pytest.mark.parametrize("damage", [damage_end, damage_pixels])
@pytest.mark.parametrize("number", [0, 2])
def test_a_damaged_shard_is_left_out_and_named_and_the_others_go_on(tmp_path, damage, number):
    shards = [part(tmp_path, n) for n in range(3)]
    whole = prepared(tmp_path, shards)
    with CropStore(whole[1]) as crops, CutoutStore(whole[0]) as store:
        ids, images = crops.ids, crops[:]
        ra = store.positions(crops.column("cutout_index"))[0]
    damage(shards[number])
    index, gathered, rejected = prepared(tmp_path, shards)
    good = np.array([not name.startswith(f"g{number}_") for name in ids])
    with CropStore(gathered) as crops, CutoutStore(index) as store:
        assert crops.ids.tolist() == ids[good].tolist()
        np.testing.assert_array_equal(crops[:], images[good])
        np.testing.assert_array_equal(store.positions(crops.column("cutout_index"))[0], ra[good])
        rows = crops.rows_of_shard(NAMES[number])
        assert rows.start == rows.stop
        assert sum(len(crops[crops.rows_of_shard(name)]) for name in NAMES) == good.sum()
    lines = read_rejected(rejected)
    (line,) = lines[lines["reason"].str.contains("left out")].to_dict("records")
    assert f"shard {NAMES[number]} is left out" in line["reason"]
    assert line["file"] == shards[number] and f"part_{number}.h5" in line["reason"]


def test_without_the_key_it_stops_as_before(tmp_path):
    shards = [part(tmp_path, n) for n in range(3)]
    damage_end(shards[1])
    with pytest.raises(DataError, match=r"1 of 3 shards: .*part_1"):
        prepared(tmp_path, shards, leave_out=False)
    for path in shards:
        damage_end(path)
    with pytest.raises(DataError, match="3 of 3 shards"):
        prepared(tmp_path, shards)


def test_a_full_disk_is_no_damage_of_a_shard(tmp_path, monkeypatch):
    path = part(tmp_path, 0)

    def full(*given, **columns):
        raise DataError("no space left; make room on the disk")

    monkeypatch.setattr("galaxy_lvm.survey.crop_files._append", full)
    with pytest.raises(DataError, match="make room"):
        out = tmp_path / "c.h5", tmp_path / "r.csv"
        crop_shard(path, *out, SETTINGS, "000", leave_out=True)
    assert not out[0].exists()


def test_a_shard_that_is_not_there_is_named_among_what_was_lost(tmp_path):
    shards = [part(tmp_path, n) for n in (0, 2)]
    with pytest.raises(DataError, match="n_shards says 3"):
        prepared(tmp_path, shards, NAMES[:2], leave_out=False, n_shards=3)
    *_, rejected = prepared(tmp_path, shards, NAMES[:2], n_shards=3)
    reasons = read_rejected(rejected)["reason"]
    assert (
        reasons.str.contains("2 files where datasets.*n_shards says 3; .* leave out 1").sum() == 1
    )
    with pytest.raises(DataError, match="n_shards says 1"):  # one too many is a mistake
        prepared(tmp_path, shards, NAMES[:2], n_shards=1)


def test_features_of_the_others_are_gathered(tmp_path):
    shards = [part(tmp_path, n) for n in range(3)]
    damage_end(shards[1])
    _, gathered, _ = prepared(tmp_path, shards)
    paths = [tmp_path / f"{name}_lvm.npy" for name in NAMES]
    extract_shard(crops=str(tmp_path / "001_crops.h5"), features=str(paths[1]))
    for number in (0, 2):
        with CropStore(tmp_path / f"{NAMES[number]}_crops.h5") as crops:
            values = np.full((len(crops), 4), number, np.float32)
            write_features(paths[number], values, crops.ids, range(len(crops)))
    gather_features(tmp_path / "lvm.npy", paths, gathered)
    found = FeatureStore.open(tmp_path / "lvm.npy")
    with CropStore(gathered) as crops:
        assert found.ids.tolist() == crops.ids.tolist()
    assert found.index.tolist() == list(range(len(found))) and set(found.values[:, 0]) == {0, 2}


def test_a_search_and_a_list_over_shards_pass_over_one_without_galaxies(tmp_path):
    nearest = np.array([[3, 5]]), np.array([[0.1, 0.2]], np.float32)
    one = Found(nearest, nearest, nearest, 1.0, 2.0, 100, 7)
    Found.nothing(1, 1).save(tmp_path / "none.npz")
    both = together([Found.load(tmp_path / "none.npz"), one], 2)
    np.testing.assert_array_equal(both.wanted[0], [[3, 5]])
    assert both.n_galaxies == 7 and both.index_bytes == 100
    write_no_scores(tmp_path / "a.parquet")
    scores = {name: np.arange(4.0) for name in METHODS}
    table = pd.DataFrame({"index": range(4), "id": list("abcd"), "label": "", **scores})
    table.to_parquet(tmp_path / "b.parquet")
    listed = most_unusual([tmp_path / "a.parquet", tmp_path / "b.parquet"], 2)
    assert listed["id"].tolist() == ["d", "c"]


def test_the_config_has_it_by_dataset_and_stops_by_default():
    dataset = {"source": "ssl_legacysurvey", "path": "x/*.h5"}
    for given, expected in (({}, "stop"), ({"on_damaged_shard": "leave_out"}, "leave_out")):
        config = check_config({"run": "x", "datasets": {"galaxies": {**dataset, **given}}})
        assert config["datasets"]["galaxies"]["on_damaged_shard"] == expected
