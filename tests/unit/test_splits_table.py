"""The splits table is checked when read; draws are spread over classes, whatever its order."""

import numpy as np
import pandas as pd
import pytest
from galaxy_lvm.core.config.survey import Splits as SplitShares
from galaxy_lvm.core.errors import DataError
from galaxy_lvm.survey.splits import make_splits
from galaxy_lvm.survey.splits_table import Splits

COUNTS = {"elliptical": 60, "edge_on": 30, "spiral": 6, "": 24}


def table(seed=None):
    labels = np.repeat(list(COUNTS), list(COUNTS.values()))
    n = len(labels)
    rows = pd.DataFrame({"index": np.arange(n), "id": [f"g{i}" for i in range(n)], "label": labels})
    rows = rows.assign(split=np.where(np.arange(n) % 2, "test", "train"), group=np.arange(n))
    return rows if seed is None else rows.sample(frac=1, random_state=seed)


def splits(tmp_path, rows=None):
    (table() if rows is None else rows).to_parquet(tmp_path / "splits.parquet", index=False)
    return Splits(tmp_path / "splits.parquet")


def counts(read, galaxies):
    return pd.Series(read.label_texts(galaxies)).value_counts().to_dict()


def test_galaxies_of_a_split_keep_the_order_of_the_table(tmp_path):
    rows = table(seed=3)
    read = splits(tmp_path, rows)
    assert read.class_names == ("elliptical", "edge_on", "spiral") and len(read) == len(rows)
    wanted = rows[rows["split"] == "test"]
    galaxies = read.of("test")
    assert galaxies.ids.tolist() == wanted["id"].tolist()
    assert galaxies.index.tolist() == wanted["index"].tolist()
    assert read.label_texts(galaxies) == wanted["label"].tolist()
    labelled = read.labelled("test")
    assert labelled.ids.tolist() == wanted.loc[wanted["label"] != "", "id"].tolist()
    assert labelled.labels.min() == 0 and labelled.labels.dtype == np.int64
    rows_train = rows.loc[rows["split"] == "train", "index"].tolist()
    assert read.pretraining_rows().tolist() == rows_train


def test_missing_labels_are_none_and_numbers_become_text(tmp_path):
    rows = table().assign(id=np.arange(120), label=None)
    read = splits(tmp_path, rows)
    assert read.class_names == () and set(read.of("test").labels) == {-1}
    assert read.of("test").ids[0] == "1" and set(read.table["label"]) == {""}
    with pytest.raises(DataError, match="no labelled galaxy in split 'test'"):
        read.labelled("test")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"split": "training"}, "split 'training' is none of"),
        ({"id": "same"}, "id 'same' occurs twice"),
    ],
)
def test_impossible_tables_are_refused(tmp_path, change, message):
    with pytest.raises(DataError, match=f"splits.parquet: {message}"):
        splits(tmp_path, table().assign(**change))


def test_what_is_missing_is_named(tmp_path):
    with pytest.raises(DataError, match=r"no column \['split'\]; run make_splits"):
        splits(tmp_path, table().drop(columns="split"))
    read = splits(tmp_path)
    with pytest.raises(DataError, match="no galaxy in split 'val'"):
        read.of("val")
    with pytest.raises(DataError, match="no galaxy in split 'val'"):
        read.all_labelled()
    with pytest.raises(DataError, match="split 'train2' is none of"):
        read.of("train2")
    with pytest.raises(DataError, match="0 galaxies of split 'test' for nothing"):
        read.draw("test", 0, 1, "nothing")
    one = splits(tmp_path, table().assign(split=["train"] + ["test"] * 119))
    with pytest.raises(DataError, match="1 galaxies in the training split"):
        one.pretraining_rows()


def test_a_draw_is_in_proportion_to_the_classes(tmp_path):
    read = splits(tmp_path)
    drawn = read.draw("test", 20, 1, "images")
    assert counts(read, drawn) == {"elliptical": 10, "edge_on": 5, "": 4, "spiral": 1}
    assert len(set(drawn.ids)) == 20
    assert set(drawn.ids) <= set(read.of("test").ids)
    for n in range(1, 61):
        found = counts(read, read.draw("test", n, 1, "images"))
        for name, count in COUNTS.items():
            assert abs(found.get(name, 0) - n * count / 120) <= 1, (n, name)


def test_an_even_draw_takes_the_classes_in_turn(tmp_path):
    read = splits(tmp_path)
    drawn = read.draw("test", 8, 1, "figure", even=True)
    assert counts(read, drawn) == dict.fromkeys(COUNTS, 2)
    assert len(read.draw("test", 1000, 1, "figure", even=True)) == 60
    assert len(set(read.label_texts(read.draw(None, 4, 1, "figure", even=True)))) == 4


@pytest.mark.parametrize("even", [False, True])
def test_a_draw_asks_seed_purpose_and_ids_alone(tmp_path, even):
    read = splits(tmp_path)
    drawn = read.draw("test", 15, 1, "images", even)
    for seed in range(3):
        other = splits(tmp_path, table(seed)).draw("test", 15, 1, "images", even)
        assert other.ids.tolist() == drawn.ids.tolist()
        assert other.index.tolist() == drawn.index.tolist()
    more = read.draw("test", 30, 1, "images", even)
    assert more.ids[:15].tolist() == drawn.ids.tolist()
    assert set(read.draw("test", 15, 2, "images", even).ids) != set(drawn.ids)
    assert set(read.draw("test", 15, 1, "other", even).ids) != set(drawn.ids)


def test_every_galaxy_of_a_class_is_as_likely(tmp_path):
    read = splits(tmp_path)
    n_drawn = pd.Series(0, index=read.of("test").ids)
    for seed in range(300):
        n_drawn[read.draw("test", 20, seed, "images").ids] += 1
    share = (n_drawn / 300).to_numpy()
    # 300 draws of a third of the galaxies: a standard error of 0.027.
    assert abs(share.mean() - 1 / 3) < 1e-9
    assert (abs(share - 1 / 3) < 5 * 0.0272).all()


def test_copies_stay_on_one_side_of_a_draw(tmp_path):
    n = 200
    galaxies = pd.DataFrame({"index": range(n), "id": [f"g{i}" for i in range(n)]})
    galaxies = galaxies.assign(
        label=np.repeat(["spiral", "other"], n // 2), group=np.arange(n) // 4
    )
    made, _ = make_splits(galaxies, SplitShares(), seed=1)
    read = splits(tmp_path, made)
    group = read.table.set_index("id")["group"]
    sides = [
        set(group[read.draw(split, 15, 1, "images").ids]) for split in ("train", "val", "test")
    ]
    assert not (sides[0] & sides[1] or sides[0] & sides[2] or sides[1] & sides[2])


def test_second_labels_are_numbered_as_the_first(tmp_path, caplog):
    rows = table()
    assert splits(tmp_path, rows).labelled("test").second_labels is None
    rows["second_label"] = rows["label"].replace({"spiral": "edge_on", "elliptical": ""})
    rows.loc[60, "second_label"] = "ring"  # of no class of the first
    read = splits(tmp_path, rows)
    assert "1 second labels are of no class of the first" in caplog.text
    assert read.class_names == ("elliptical", "edge_on", "spiral")
    second = read.of("train").second_labels
    expected = rows[rows["split"] == "train"]["second_label"]
    assert second.tolist() == [{"edge_on": 1}.get(name, -1) for name in expected]
    assert (read.labelled("train").take(np.arange(30)).second_labels == -1).all()
