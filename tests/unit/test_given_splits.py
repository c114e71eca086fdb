"""Splits that a user's table gives: honoured, completed, and kept apart from copies."""

import numpy as np
import pandas as pd
import pytest
from crop_cutouts import main as crop_cutouts
from galaxy_lvm.core.config.survey import Crop, Folder, Splits
from galaxy_lvm.core.errors import DataError
from galaxy_lvm.survey.given_splits import given_splits
from galaxy_lvm.survey.splits import make_splits
from import_folder import main as import_folder
from make_splits import main as make_splits_script
from PIL import Image


def galaxies(given, labels=("a", "b"), **columns):
    """Return galaxies with these given splits, of every label as many."""
    n = len(given) * len(labels)
    table = {
        "index": range(n),
        "id": [f"{label}{i}" for label in labels for i in range(len(given))],
        "label": np.repeat(labels, len(given)),
        "group": range(n),
        "given": list(given) * len(labels),
    }
    return pd.DataFrame({**table, **columns})


def split_of(table, settings=None, **options):
    splits, rejected = make_splits(table, settings or Splits(), 1, **options)
    return splits.set_index("id")["split"], rejected


def counts(split, label="a"):
    return split[split.index.str.startswith(label)].value_counts().to_dict()


def test_complete_splits_are_taken_as_they_are():
    given = ["train"] * 12 + ["val"] * 3 + ["test"] * 9 + ["unused"] * 4
    table = galaxies(given)
    split, rejected = split_of(table)
    assert split.tolist() == given * 2
    assert not rejected


def test_a_published_test_set_gains_none_and_loses_none():
    given = ["test"] * 10 + [""] * 40
    split, _ = split_of(galaxies(given))
    assert set(split[split == "test"].index) == {f"{x}{i}" for x in "ab" for i in range(10)}
    # The rest as the shares of validation and training have it: 1 to 7.
    assert counts(split) == {"test": 10, "train": 35, "val": 5}


def test_validation_galaxies_come_out_of_the_training_set_where_nobody_names_them():
    split, _ = split_of(galaxies(["test"] * 10 + ["train"] * 40))
    assert counts(split) == {"test": 10, "train": 35, "val": 5}


def test_test_galaxies_never_come_out_of_a_given_training_set():
    split, _ = split_of(galaxies(["train"] * 30 + [""] * 20))
    assert counts(split)["test"] == 10
    assert not (split == "test")[[f"a{i}" for i in range(30)]].any()
    with pytest.raises(DataError, match=r"class 'a' has no galaxy in test .*column 'split'"):
        split_of(galaxies(["train"] * 30 + ["val"] * 5))


def test_partly_filled_sets_train_with_what_has_no_value():
    split, _ = split_of(galaxies(["test"] * 5 + ["val"] * 5 + ["train"] * 5 + [""] * 10))
    assert counts(split) == {"test": 5, "val": 5, "train": 15}


def test_a_class_that_is_absent_from_a_split_is_named_unless_labels_do_not_matter():
    table = galaxies(["test"] * 5 + [""] * 20)
    table.loc[table["label"] == "b", "given"] = ""
    with pytest.raises(DataError, match=r"class 'b' has no galaxy in test .*'train': 22"):
        split_of(table)
    split, _ = split_of(table, require_labels=False)
    assert (split == "test").sum() == 5


def test_caps_leave_a_given_test_set_whole():
    settings = Splits(n_train_per_class=14, n_test_per_class=3)
    split, _ = split_of(galaxies(["test"] * 10 + ["train"] * 30 + [""] * 10), settings)
    assert counts(split) == {"test": 10, "train": 14, "val": 2, "unused": 24}


def test_a_cap_that_cannot_be_met_takes_all_and_says_so(caplog):
    settings = Splits(n_train_per_class=500)
    split, _ = split_of(galaxies(["test"] * 10 + ["train"] * 32), settings)
    assert counts(split) == {"test": 10, "train": 28, "val": 4}
    assert "class 'a' has 32 galaxies to train and validate on, too few" in caplog.text


def test_copies_of_test_galaxies_are_dropped_from_what_is_learned_from_and_listed():
    given = ["test", "train", "test", "val", "test", "", "val", "train", "test", "test",
             *["train"] * 12, *["val"] * 3]  # fmt: skip
    table = galaxies(given, row=range(2, 52), file="x.png")
    table.loc[table["label"] == "a", "group"] = [*np.repeat(range(5), 2), *range(10, 25)]
    split, rejected = split_of(table)
    assert [line["id"] for line in rejected] == ["a1", "a3", "a5", "a7"]
    assert [line["row"] for line in rejected] == ["3", "5", "7", "9"]
    assert (
        "copy of 'a0', which the table gives to test, and was given to train"
        in (rejected[0]["reason"])
    )
    assert "had no split" in rejected[2]["reason"]
    assert "'a6', which the table gives to val" in rejected[3]["reason"]
    assert not {"a1", "a3", "a5", "a7"} & set(split.index)
    # Two test galaxies that are copies of each other both stay: so the set was published.
    assert split["a8"] == split["a9"] == "test"
    assert len(split) + len(rejected) == len(table)


def test_copies_of_training_galaxies_stay_with_them():
    table = galaxies(["train"] * 10 + [""] * 10 + ["test"] * 5 + ["val"] * 5)
    table.loc[10, "group"] = 0
    split, rejected = split_of(table)
    assert split["a10"] == split["a0"] == "train" and not rejected
    table.loc[0, "given"] = "unused"  # nobody learns from it, and it keeps nobody from learning
    split, rejected = split_of(table)
    assert (split["a0"], split["a10"]) == ("unused", "train") and not rejected


def test_unused_copies_of_judging_galaxies_are_left_out_given_or_drawn():
    table = galaxies(["test"] * 5 + ["val"] * 3 + ["train"] * 20 + ["unused"] * 4)
    table.loc[[28, 29], "group"] = table.loc[[0, 5], "group"].to_numpy()
    split, rejected = split_of(table)
    assert [line["id"] for line in rejected] == ["a28", "a29"]
    assert "copy of 'a0', which is in test, and was given to unused" in rejected[0]["reason"]
    assert "copy of 'a5', which is in val" in rejected[1]["reason"]
    assert set(split[split == "unused"].index) == {"a30", "a31", "b28", "b29", "b30", "b31"}
    # Nothing is given but what is unused: its copies are found where they are drawn.
    table = galaxies([""] * 40 + ["unused"] * 40)
    table["group"] = [*np.tile(range(40), 2), *np.tile(range(40, 80), 2)]
    split, rejected = split_of(table)
    drawn = split[~split.index.str.contains("[4-7][0-9]$")]
    unused = {f"{name[0]}{int(name[1:]) + 40}" for name in drawn[drawn == "train"].index}
    assert set(split[split == "unused"].index) == unused
    assert len(rejected) == 80 - len(unused) == (drawn.isin(["test", "val"])).sum() > 0


def test_unlabelled_test_galaxies_and_their_copies_are_not_pretrained_on():
    table = galaxies(["test", "train", "train", ""] * 8, labels=("",))
    table.loc[1, "group"] = 0
    split, rejected = split_of(table, require_labels=False)
    assert set(split[split == "test"].index) == {str(i) for i in range(0, 32, 4)}
    assert [line["id"] for line in rejected] == ["1"]


def test_a_class_of_unused_galaxies_is_none():
    table = galaxies(["test"] * 5 + ["train"] * 20, labels=("a", "b", "c"))
    table.loc[table["label"] == "c", "given"] = "unused"
    split, rejected = split_of(table)
    assert set(split.index.str[0]) == {"a", "b"} and len(rejected) == 25


def column(values, name="split"):
    n = len(values)
    return pd.DataFrame({"id": [f"g{i}" for i in range(n)], "row": range(2, n + 2), name: values})


def read(table, name="split", needed=True):
    return given_splits(table, name, "labels.csv", needed).tolist()


def test_usual_spellings_are_understood_and_gaps_are_none():
    words = ["Train", "TRAINING", " val", "valid", "Validation", "dev", "test", "Testing", "unused"]
    expected = ["train"] * 2 + ["val"] * 4 + ["test"] * 2 + ["unused"]
    assert read(column(words)) == expected
    assert read(column(["", None, "n/a", "-", "test"])) == ["", "", "", "", "test"]
    assert read(column([np.nan, np.nan])) == ["", ""]


@pytest.mark.parametrize(
    ("values", "shown"), [(["train", "tset", "tset"], "'tset'"), ([np.nan, 1.0, 2.0], "'1'")]
)
def test_unknown_values_are_refused_with_row_and_value(values, shown):
    message = rf"labels.csv: column 'split' is {shown} in row 3, galaxy 'g1', and unknown in 2 rows"
    with pytest.raises(DataError, match=message):
        read(column(values))
    assert read(column(values), name=None) == ["", "", ""]


def test_the_column_is_found_in_any_case_and_missed_where_it_was_named():
    assert read(column(["test"], "Split")) == ["test"]
    assert read(column(["test"], "fold")) == [""]
    with pytest.raises(DataError, match=r"splits.column is 'part', the catalogue has \['id'"):
        read(column(["test"]), name="part")
    assert read(column(["test"]), name="part", needed=False) == [""]
    both = column(["test"]).assign(SPLIT="train", Split="val")
    assert read(both, "split") == ["test"]
    with pytest.raises(DataError, match=r"has \['SPLIT', 'Split'\]"):
        read(both.drop(columns="split"))


def test_a_users_column_reaches_the_splits(tmp_path):
    """Images and a table go in, and the splits of the table come out; copies are counted."""
    rng = np.random.default_rng(3)
    y, x = np.indices((64, 64)) - 32
    rows = []
    for i in range(40):
        axis = 0.4 if i % 2 else 1.0
        disc = 190 * np.exp(-np.hypot(x, y / axis) / 6)[..., None] + 20
        pixels = disc + rng.normal(0, 12, (64, 64, 3))
        Image.fromarray(np.clip(pixels, 0, 255).astype(np.uint8)).save(tmp_path / f"{i}.png")
        part = "Test" if i < 8 else "validation" if i < 12 else ""
        rows.append({"id": i, "file": f"{i}.png", "label": "ab"[i % 2], "split": part})
    Image.open(tmp_path / "0.png").rotate(90).save(tmp_path / "copy.png")
    rows.append({"id": "copy", "file": "copy.png", "label": "a", "split": "train"})
    pd.DataFrame(rows).to_csv(tmp_path / "labels.csv", index=False)
    out = {name: str(tmp_path / name) for name in ("c.h5", "r1.csv", "k.h5", "r2.csv", "r.csv")}
    parquet = str(tmp_path / "s.parquet")
    import_folder(tmp_path, tmp_path / "labels.csv", out["c.h5"], out["r1.csv"], Folder())
    crop_cutouts(out["c.h5"], out["k.h5"], out["r2.csv"], Crop())
    earlier = [out["r1.csv"], out["r2.csv"]]
    make_splits_script(out["c.h5"], out["k.h5"], earlier, parquet, out["r.csv"], Splits(), 1)
    split = pd.read_parquet(parquet).set_index("id")["split"]
    assert set(split[split == "test"].index) == {str(i) for i in range(8)}
    assert set(split[split == "val"].index) == {str(i) for i in range(8, 12)}
    assert (split[[str(i) for i in range(12, 40)]] == "train").all()
    rejected = pd.read_csv(out["r.csv"])
    assert rejected["id"].tolist() == ["copy"] and rejected["row"].tolist() == [42]
    settings = Splits(column=None)
    make_splits_script(out["c.h5"], out["k.h5"], earlier, parquet, out["r.csv"], settings, 1)
    drawn = pd.read_parquet(parquet).set_index("id")["split"]
    assert len(drawn) == 41 and (drawn == "test").sum() == 8
    assert set(drawn[drawn == "test"].index) != {str(i) for i in range(8)}
