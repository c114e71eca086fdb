"""Splits: stratified, stable, and copies of one galaxy on one side."""

import io

import cv2
import h5py
import numpy as np
import pandas as pd
import pytest
from galaxy_lvm.core.config.survey import Splits
from galaxy_lvm.core.errors import DataError
from galaxy_lvm.survey.duplicates import copies_by_pixels, copies_by_position, duplicate_groups
from galaxy_lvm.survey.rejected import rejection, write_rejected
from galaxy_lvm.survey.splits import make_splits
from galaxy_lvm.survey.store import CutoutWriter
from make_splits import main as make_splits_script


def galaxies(counts, groups=None):
    """Return a table with so many galaxies of each label."""
    labels = [label for label, count in counts.items() for _ in range(count)]
    n = len(labels)
    group = np.arange(n) if groups is None else groups
    ids = [f"g{i}" for i in range(n)]
    return pd.DataFrame({"index": range(n), "id": ids, "label": labels, "group": group})


def counts_of(splits):
    return splits.groupby(["label", "split"]).size().to_dict()


def crops_of(n, seed=0, side=128):
    """Return galaxies of one shape on different noise: thumbnails alike, pixels not."""
    rng = np.random.default_rng(seed)
    rows, columns = np.indices((side, side)) - side / 2
    disc = 200 * np.exp(-np.hypot(rows, columns * 1.5) / 15)[..., None]
    noise = rng.normal(0, 6, (n, side, side, 3))
    smooth = np.stack([cv2.GaussianBlur(x, (0, 0), 1.0) * 3 for x in noise])
    return np.clip(disc + 20 + smooth, 0, 255).astype(np.uint8)


def changed(crop, turn=3, mirror=True, cut=1, quality=75):
    """Return a turned, mirrored, moved and compressed copy."""
    size = len(crop)
    crop = cv2.resize(crop[cut:-cut, cut:-cut], (size, size), interpolation=cv2.INTER_AREA)
    crop = cv2.imdecode(cv2.imencode(".jpg", crop, [cv2.IMWRITE_JPEG_QUALITY, quality])[1], 1)
    crop = np.rot90(crop, turn)
    return np.ascontiguousarray(crop[:, ::-1] if mirror else crop)


def test_every_class_is_divided_by_the_shares():
    splits, rejected = make_splits(galaxies({"a": 100, "b": 50}), Splits(), seed=1)
    assert counts_of(splits) == {
        ("a", "train"): 70, ("a", "val"): 10, ("a", "test"): 20,
        ("b", "train"): 35, ("b", "val"): 5, ("b", "test"): 10,
    }  # fmt: skip
    assert not rejected
    assert list(splits) == ["index", "id", "split", "label", "group"]


def test_the_seed_decides_and_the_order_of_rows_does_not():
    table = galaxies({"a": 60, "b": 60})
    first, _ = make_splits(table, Splits(), 1)
    again, _ = make_splits(table.sample(frac=1, random_state=0), Splits(), 1)
    other, _ = make_splits(table, Splits(), 2)
    by_id = first.set_index("id")["split"]
    assert by_id.equals(again.set_index("id")["split"].loc[by_id.index])
    assert (by_id != other.set_index("id")["split"]).mean() > 0.2


def test_one_more_galaxy_moves_hardly_any():
    small, large = galaxies({"a": 200, "b": 200}), galaxies({"a": 200, "b": 201})
    before = make_splits(small, Splits(), 1)[0].set_index("id")["split"]
    after = make_splits(large, Splits(), 1)[0].set_index("id")["split"]
    assert (before != after.loc[before.index]).sum() <= 3


def test_copies_stay_together():
    groups = np.arange(120) // 3
    splits, _ = make_splits(galaxies({"a": 60, "b": 60}, groups), Splits(), 1)
    assert (splits.groupby("group")["split"].nunique() == 1).all()
    assert set(splits["split"]) == {"train", "val", "test"}


def test_unlabelled_galaxies_only_train_unless_they_are_a_copy():
    table = galaxies({"a": 30, "b": 30, "": 40})
    alone, _ = make_splits(table, Splits(), 1)
    assert set(alone[alone["label"] == ""]["split"]) == {"train"}
    tested = alone.index[alone["split"] == "test"][0]
    table.loc[99, "group"] = table.loc[tested, "group"]
    splits, _ = make_splits(table, Splits(), 1)
    assert splits.loc[99, "split"] == splits.loc[tested, "split"]


def test_exact_numbers_leave_the_rest_unused():
    settings = Splits(n_train_per_class=50, n_test_per_class=25)
    splits, _ = make_splits(galaxies({"a": 100, "b": 82}), settings, 1)
    counts = counts_of(splits)
    for label, left in (("a", 18), ("b", 0)):
        assert counts[label, "train"] == 50 and counts[label, "test"] == 25
        assert counts[label, "val"] == 7  # a tenth of seven tenths, as the shares have it
        assert counts.get((label, "unused"), 0) == left


def test_too_small_for_the_numbers_falls_back_to_shares_and_says_so(caplog):
    settings = Splits(n_train_per_class=500, n_test_per_class=250)
    splits, _ = make_splits(galaxies({"a": 100, "b": 1000}), settings, 1)
    assert counts_of(splits)["a", "train"] == 70
    assert counts_of(splits)["b", "train"] == 500
    assert "class 'a' has 100 galaxies, too few" in caplog.text


def test_small_classes_are_left_out_with_a_reason():
    splits, rejected = make_splits(galaxies({"a": 30, "b": 30, "c": 4}), Splits(), 1)
    assert set(splits["label"]) == {"a", "b"}
    assert len(rejected) == 4
    assert "class 'c' has 4 different galaxies" in rejected[0]["reason"]
    assert "min_per_class" in rejected[0]["reason"]


def test_copies_of_few_galaxies_make_no_class():
    groups = [*range(60), *[60] * 6, *[61] * 6]
    splits, rejected = make_splits(galaxies({"a": 30, "b": 30, "c": 12}, groups), Splits(), 1)
    assert set(splits["label"]) == {"a", "b"} and len(rejected) == 12
    assert "class 'c' has 2 different galaxies" in rejected[0]["reason"]


@pytest.mark.parametrize("seed", range(1, 6))
def test_a_class_whose_copies_leave_it_untrained_is_named(seed):
    # Whole classes of copies: wherever the largest goes, a set may be left with nothing.
    groups = [*range(60), *[60] * 20, 61, 62]
    try:
        splits, _ = make_splits(
            galaxies({"a": 30, "b": 30, "c": 22}, groups), Splits(min_per_class=3), seed
        )
    except DataError as error:
        assert "class 'c' has no galaxy in" in str(error) and "3 different ones" in str(error)
    else:
        assert {"train", "val", "test"} == set(splits.loc[splits["label"] == "c", "split"])


def test_one_class_is_not_enough_unless_labels_do_not_matter():
    with pytest.raises(DataError, match=r"1 class\(es\).*Galaxies by label.*min_per_class"):
        make_splits(galaxies({"a": 30, "b": 3}), Splits(), 1)
    with pytest.raises(DataError, match=r"0 class\(es\)"):
        make_splits(galaxies({"": 30}), Splits(), 1)
    splits, _ = make_splits(galaxies({"": 30}), Splits(), 1, require_labels=False)
    assert set(splits["split"]) == {"train"}


def test_copies_with_different_labels_are_reported(caplog):
    groups = [0, *range(59)]
    table = galaxies({"a": 30, "b": 30}, groups)
    table.loc[59, "group"] = 0
    make_splits(table, Splits(), 1)
    assert "different labels" in caplog.text


def test_positions_across_the_meridian_and_at_the_pole():
    ra = np.array([359.9999, 0.0001, 10.0, 190.0, np.nan, np.nan])
    dec = np.array([0.0, 0.0, 89.9999, 89.9999, 0.0, 0.0])
    assert copies_by_position(ra, dec, 1.0).tolist() in ([[0, 1], [2, 3]], [[2, 3], [0, 1]])
    assert len(copies_by_position(ra, dec, 0.5)) == 0


@pytest.mark.parametrize("all_pairs_limit", [1000, 10])
def test_changed_copies_are_found_and_look_alikes_are_not(all_pairs_limit):
    crops = crops_of(60)
    copies = [changed(crops[i], turn=i % 4, mirror=i % 2 == 0) for i in range(8)]
    pairs = copies_by_pixels(np.concatenate([crops, copies]), all_pairs_limit)
    assert sorted(map(tuple, pairs.tolist())) == [(i, 60 + i) for i in range(8)]


def test_groups_join_pixels_and_positions():
    crops = crops_of(5)
    crops[4] = crops[0]
    ra = np.array([10.0, 20.0, 20.0002, 40.0, np.nan])
    groups = duplicate_groups(crops, ra, np.zeros(5), 3.0)
    assert groups.tolist() == [0, 1, 1, 2, 0]
    assert duplicate_groups(crops, ra, np.zeros(5), 0).tolist() == [0, 1, 2, 3, 0]


def test_script_joins_all_rejections(tmp_path):
    n = 44
    crops = crops_of(n)
    labels = ["a"] * 20 + ["b"] * 20 + ["c"] * 4
    ids = [f"g{i}" for i in range(n)]
    with CutoutWriter(tmp_path / "c.h5", rgb=True, height_pix=128, width_pix=128) as writer:
        # One cutout more than crops: the second was rejected when it was cropped.
        kept = [0, *range(2, n + 1)]
        row = np.arange(n + 1) + 2
        columns = {"id": ["g0", "lost", *ids[1:]], "row": row, "file": [f"{i}.png" for i in row]}
        writer.append(np.concatenate([crops[:1], crops]), columns)
    with h5py.File(tmp_path / "k.h5", "w") as file:
        file["images"], file["cutout_index"] = crops, kept
        for name, values in (("id", ids), ("label", labels)):
            file.create_dataset(name, data=values, dtype=h5py.string_dtype())
    write_rejected(tmp_path / "r1.csv", [rejection("import", "no", file="x.png")])
    write_rejected(tmp_path / "r2.csv", [rejection("crop", "blank", "lost", "3.png", 3)])
    earlier = [tmp_path / "r1.csv", tmp_path / "r2.csv"]
    out = tmp_path / "s.parquet", tmp_path / "r.csv"
    make_splits_script(tmp_path / "c.h5", tmp_path / "k.h5", earlier, *out, Splits(), seed=1)
    rejected = pd.read_csv(tmp_path / "r.csv")
    assert list(rejected["stage"]) == ["import", "crop"] + ["split"] * 4
    assert list(rejected["row"])[1:] == [3, 43, 44, 45, 46]
    assert rejected["file"].iloc[-1] == "46.png"
    splits = pd.read_parquet(tmp_path / "s.parquet")
    assert len(splits) == 40 and splits["index"].tolist() == list(range(40))


def spirals(n, side=128):
    """Return spirals (n, side, side, 3) of different windings and position angles."""
    y, x = np.indices((side, side)) - side / 2
    arms = [np.cos(2 * np.arctan2(y, x) - np.hypot(x, y) / (4 + i % 5) + i) for i in range(n)]
    light = 160 * np.exp(-np.hypot(x, y) / 15) * (1 + 0.8 * np.stack(arms)) / 1.8
    noise = np.random.default_rng(0).normal(20, 4, (n, side, side, 3))
    return np.clip(light[..., None] + noise, 0, 255).astype(np.uint8)


def test_a_position_that_many_different_galaxies_share_makes_no_copies(caplog):
    """The header of a brick, copied to all cutouts of it."""
    crops = spirals(24)
    ra, dec = np.full(24, 150.0), np.full(24, 2.0)
    ra[20:] = 150.0 + np.arange(4)  # four have positions of their own, one that of the brick
    assert len(set(duplicate_groups(crops, ra, dec, 3.0))) == 24
    assert "21 galaxies are all at ra 150.000000, dec 2.000000" in caplog.text
    # Two bricks; the pictures of a third place really are of one galaxy.
    ra = np.repeat([10.0, 20.0, 30.0], [10, 10, 4])
    assert len(set(duplicate_groups(crops, ra, dec, 3.0))) == 21


def test_many_pictures_of_one_galaxy_stay_together():
    noise = np.random.default_rng(1).normal(0, 2, (12, 128, 128, 3))
    crops = np.clip(crops_of(1)[0] + noise, 0, 255).astype(np.uint8)
    groups = duplicate_groups(crops, np.full(12, 10.0), np.zeros(12), 3.0)
    assert len(set(groups)) == 1


def test_without_room_for_thumbnails_it_says_where_it_looked(monkeypatch):
    class FullDisk(io.BytesIO):
        def write(self, content):
            raise OSError(28, "No space left on device")

    monkeypatch.setattr("tempfile.TemporaryFile", FullDisk)
    with pytest.raises(DataError, match="no place for the thumbnails of 12 crops .*TMPDIR"):
        copies_by_pixels(np.zeros((12, 32, 32, 3), np.uint8), 10)
