"""A table of positions becomes a store: its rows, its columns, its shards, room on the disk."""

import os
import shutil
from collections import Counter
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
from cutout_server import flux_at, quick_service, run, served, table_of
from download_cutouts import main as download
from galaxy_lvm.core.errors import DataError
from galaxy_lvm.survey.positions import read_positions
from galaxy_lvm.survey.remote import (
    ServiceError,
)
from galaxy_lvm.survey.store import CutoutStore

survey = pytest.fixture(served)


def test_cutouts_have_the_side_that_was_asked_for(survey, tmp_path):
    table = table_of(tmp_path, ["a,1.0,0.0"], "id,ra,dec")
    cutouts, settings = tmp_path / "c.h5", quick_service(survey.url)
    download(table, cutouts, tmp_path / "r.csv", tmp_path / "cache", settings, 192)
    with CutoutStore(cutouts) as store:
        assert store.images.shape == (1, 3, 192, 192)
    assert survey.asked[0]["size"] == "192"


def test_positions_without_data_are_listed_and_the_rest_is_kept(survey, tmp_path):
    blank, half = np.zeros((3, 152, 152)), flux_at(4.0, 0.0, 152)
    half[1, :, :40] = np.nan
    survey.answers = {1.0: [blank], 2.0: [404], 3.0: [np.full((3, 152, 152), np.nan)], 4.0: [half]}
    survey.answers[5.0] = [b"no such layer"]
    images, table, rejected = run(
        survey, tmp_path, [f"g{ra},{ra},0.5,spiral,0.{ra}" for ra in range(7)]
    )
    assert list(table["id"]) == ["g0", "g6"] and list(table["redshift"]) == [0.0, 0.6]
    assert images.shape == (2, 3, 152, 152)
    np.testing.assert_allclose(images[1, 0].mean(), 6.0, atol=1e-3)
    reasons = dict(zip(rejected["row"], rejected["reason"], strict=True))
    assert list(reasons) == [3, 4, 5, 6, 7]
    assert "no data in g, r, z" in reasons[3] and "no data" in reasons[5]
    assert "HTTP 404" in reasons[4] and "no such layer" in reasons[7]
    assert "r 26%" in reasons[6] and "max_bad_fraction = 10%" in reasons[6]


def test_bad_rows_of_the_table_are_named_with_their_line(survey, tmp_path):
    rows = ["a,10,0", "b,370,0", "c,10,91", "d,10:00:24,2", "a,12,0", ",13,0", "e,,1", "f,14,-1"]
    _, table, rejected = run(survey, tmp_path, rows, "Name,RA,Dec")
    assert list(table["id"]) == ["a", "f"] and list(table["label"]) == ["", ""]
    reasons = dict(zip(rejected["row"], rejected["reason"], strict=True))
    assert sorted(reasons) == [3, 4, 5, 6, 7, 8]
    assert "0 and 360" in reasons[3] and "-90 and 90" in reasons[4]
    assert "10:00:24" in reasons[5] and "line 2" in reasons[6] and "id is empty" in reasons[7]


def test_names_beside_ids_and_two_spellings(survey, tmp_path):
    rows = ["NGC 1,a,10,77,1", "NGC 2,b,11,78,2"]
    _, table, _ = run(survey, tmp_path, rows, "name,id,ra,RA,dec")
    assert list(table["id"]) == ["a", "b"] and list(table["name"]) == ["NGC 1", "NGC 2"]
    assert list(table["ra"]) == [10, 11] and list(table["RA"]) == [77, 78]
    for header, columns in (
        ("Name,ID,ra,x,dec", "'Name', 'ID' could all be 'id'"),
        ("id,x,RA,Ra,dec", "'RA', 'Ra' could all be 'ra'"),
        ("id, x,ra,x ,dec", "several columns are called 'x'"),
    ):
        with pytest.raises(DataError, match=f"positions.csv: .*{columns}; rename"):
            run(survey, tmp_path, rows, header)


def test_columns_with_the_stores_own_names_are_kept_beside_them(survey, tmp_path):
    rows = ["a,400,0,1,2,3,4", "b,10,0,5,6,7,8"]
    _, table, rejected = run(survey, tmp_path, rows, "id,ra,dec,row,table_row,x/y,x_y")
    assert list(rejected["row"]) == [2] and list(table["row"]) == [3]  # lines of the file
    columns = ["table_row_", "table_row", "x_y_", "x_y"]
    assert table[columns].to_numpy().tolist() == [[5, 6, 7, 8]]


def test_rows_without_an_id_at_one_position_are_copies(tmp_path):
    rows = ["10,1,", "10.000001,1.0,", "10,1,named", "0,-0.000001,", "360,0,", "abc,1,"]
    table, rejections = read_positions(table_of(tmp_path, rows, "ra,dec,id"), make_ids=True)
    assert list(table["id"]) == ["10.00000+1.00000", "named", "0.00000+0.00000"]
    assert [(line["row"], line["reason"][:19]) for line in rejections] == [
        ("3", "a duplicate: line 2"),
        ("6", "a duplicate: line 5"),
        ("7", "ra 'abc' is no numb"),
    ]


def test_ids_and_labels_of_a_parquet_table_are_as_written(tmp_path):
    columns = {
        "id": [1.0, None, 3.0],
        "ra": [10.5, 11.0, 12.0],
        "dec": 0.0,
        "label": [2.0, 2.0, None],
    }
    pd.DataFrame(columns).to_parquet(tmp_path / "t.parquet")
    table, rejections = read_positions(tmp_path / "t.parquet")
    assert list(table["id"]) == ["1", "3"] and list(table["label"]) == ["2", ""]
    assert [(line["row"], line["reason"][:15]) for line in rejections] == [("3", "the id is empty")]


def test_a_table_without_positions_says_what_it_needs(survey, tmp_path):
    with pytest.raises(DataError, match="no column 'dec', 'ra'"):
        run(survey, tmp_path, ["a,b"], "id,x")
    with pytest.raises(DataError, match="no cutout can be used.*line 2.*0 and 360"):
        run(survey, tmp_path, ["a,400,0"], "id,ra,dec")


def test_a_download_that_does_not_fit_on_the_disk_is_not_begun(survey, tmp_path, monkeypatch):
    monkeypatch.setattr(shutil, "disk_usage", lambda place: SimpleNamespace(free=20_000))
    with pytest.raises(DataError, match=r"3 cutouts of 16 pixels need 3.* GB, and 2e-05 GB"):
        table = table_of(tmp_path, ["a,1,0", "b,2,0", "c,3,0"], "id,ra,dec")
        download(table, tmp_path / "c.h5", tmp_path / "r.csv", tmp_path / "cache",
                 quick_service(survey.url), 16)  # fmt: skip
    assert survey.asked == []


def test_a_large_table_is_stored_shard_by_shard(survey, tmp_path):
    rows = [f"g{ra},{ra},1.5" for ra in range(11)]
    table = table_of(tmp_path, rows, "id,ra,dec")
    survey.answers = {4.0: [404], 9.0: [404], 10.0: [404]}
    one, many = tmp_path / "one", tmp_path / "many"
    out = (one / "c.h5", one / "r.csv", tmp_path / "cache1")
    download(table, *out, quick_service(survey.url), 16)
    survey.answers = {4.0: [404], 6.0: [500] * 99, 7.0: [500] * 99, 9.0: [404], 10.0: [404]}
    out = (many / "c.h5", many / "r.csv", tmp_path / "cache2")
    settings = quick_service(survey.url, shard_galaxies=3, n_tries=2, n_workers=1)
    with pytest.raises(ServiceError, match="got no answer"):
        download(table, *out, settings, 16)
    done = sorted(path.name[13:] for path in (many / "shards").iterdir())
    assert done == ["000_cutouts.h5", "000_rejected.csv", "001_cutouts.h5", "001_rejected.csv"]
    kept = {path.name[:1] for path in (tmp_path / "cache2").rglob("*.fits")}
    assert kept <= {"8"}  # complete shards have left the cache
    survey.answers = {9.0: [404], 10.0: [404]}
    before = survey.n_requests
    download(table, *out, settings, 16)
    news = survey.n_requests - before
    assert set(news) <= {6.0, 7.0, 8.0, 9.0, 10.0} and set(news.values()) == {1}
    assert (one / "r.csv").read_text() == (many / "r.csv").read_text()
    with CutoutStore(one / "c.h5") as whole, CutoutStore(many / "c.h5") as parts:
        np.testing.assert_array_equal(whole.images[:], parts.images[:])
        pd.testing.assert_frame_equal(whole.catalogue(), parts.catalogue())


def shards_in(folder):
    return {path.name for path in (folder / "shards").iterdir()}


def test_a_shard_is_fetched_anew_where_its_own_rows_changed(survey, tmp_path):
    """Not where the table was copied, touched or continued: a download may last weeks."""
    rows = [f"g{ra},{ra},1.5" for ra in range(7)]
    table = table_of(tmp_path, rows, "id,ra,dec")
    out = (tmp_path / "c.h5", tmp_path / "r.csv", tmp_path / "cache")
    settings = quick_service(survey.url, shard_galaxies=3)
    download(table, *out, settings, 16)
    old, asked = shards_in(tmp_path), survey.n_requests
    os.utime(table, (1, 1))
    download(table, *out, settings, 16)
    assert shards_in(tmp_path) == old and survey.n_requests == asked
    table_of(tmp_path, [rows[0], rows[1], "other,20,1.5", *rows[3:], "new,21,1.5"], "id,ra,dec")
    download(table, *out, settings, 16)
    with CutoutStore(tmp_path / "c.h5") as store:
        names = store.catalogue()["id"].tolist()
        assert names == ["g0", "g1", "other", "g3", "g4", "g5", "g6", "new"]
    assert survey.n_requests - asked == Counter([0.0, 1.0, 20.0, 6.0, 21.0])
    kept = old & shards_in(tmp_path)
    assert {name[13:16] for name in kept} == {"001"} and len(kept) == 2
    table_of(tmp_path, rows[:6], "id,ra,dec")
    download(table, *out, settings, 16)
    assert {name[13:16] for name in shards_in(tmp_path)} == {"000", "001"}


def test_a_limit_that_is_raised_lets_cutouts_of_complete_shards_in(survey, tmp_path):
    half = flux_at(2.0, 1.5)
    half[1, :, :4] = np.nan

    def lost(**settings):
        survey.answers = {2.0: [half], 5.0: [np.zeros((3, 16, 16))]}
        rows = [f"g{ra},{ra},1.5" for ra in range(6)]
        table = table_of(tmp_path, rows, "id,ra,dec")
        out = (tmp_path / "c.h5", tmp_path / "r.csv", tmp_path / "cache")
        download(table, *out, quick_service(survey.url, shard_galaxies=3, **settings), 16)
        rejected = pd.read_csv(tmp_path / "r.csv")
        return dict(zip(rejected["id"], rejected["reason"], strict=True))

    assert set(lost()) == {"g2", "g5"} and "max_bad_fraction = 10%" in lost()["g2"]
    assert set(lost(max_bad_fraction=0.5)) == {"g5"}


def test_many_positions_outside_the_footprint_stop_no_second_run(survey, tmp_path):
    """What the journal says of them is what the service said: no wrong layer."""
    rows = [f"g{ra},{ra},1.5" for ra in range(27)]
    survey.answers = {float(ra): [np.zeros((3, 16, 16))] for ra in range(22)}
    out = (tmp_path / "c.h5", tmp_path / "r.csv", tmp_path / "cache")
    settings = quick_service(survey.url, shard_galaxies=26)
    download(table_of(tmp_path, rows, "id,ra,dec"), *out, settings, 16)
    shutil.rmtree(tmp_path / "shards")
    download(table_of(tmp_path, rows, "id,ra,dec"), *out, settings, 16)
    reasons = pd.read_csv(tmp_path / "r.csv")["reason"]
    assert reasons.str.contains("no data in g, r, z").sum() == 22
