"""Tables of lens candidates: which rows count, which are copies, what they are called."""

import os
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from galaxy_lvm.core.config.lenses import Candidates
from galaxy_lvm.core.errors import DataError
from galaxy_lvm.lenses.candidates import read_candidates

SHARED = Path(
    os.environ.get("GALAXY_LVM_SHARED", Path(__file__).parents[2].parent / "shared" / "data")
)
TABLE = """name\tRA\tDec\tgrading
one\t10.0\t0.0\tA
two\t10.5\t45.0\tB
bad\tabc\t0.0\tA
far\t10.0\t95.0\tA
three\t359.9999\t-60.0\t
"""


def table_file(folder, text=TABLE, name="lenses.tsv"):
    path = folder / name
    path.write_text(text)
    return str(path)


def test_rows_are_checked_and_named_with_their_line(tmp_path):
    settings = Candidates(tables=[table_file(tmp_path)])
    table, rejections = read_candidates(settings.tables, settings)
    assert list(table["id"]) == ["one", "two", "three"] and table["wanted"].all()
    lines = {line["row"]: line["reason"] for line in rejections}
    assert sorted(lines) == ["4", "5"]
    assert "'abc' is no number" in lines["4"] and "-90 and 90" in lines["5"]


def test_duplicates_are_found_across_tables_and_across_zero_hours(tmp_path):
    second = "ra,dec\n359.99990,-60.0002\n0.00015,-60.0\n10.0,0.001\n"
    paths = [table_file(tmp_path), table_file(tmp_path, second, "more.csv")]
    graded = "id,ra,dec,grade\nx,359.9999,-60.0,C\n"
    paths.append(table_file(tmp_path, graded, "graded.csv"))
    settings = Candidates(tables=paths, duplicate_arcsec=1.0)
    table, rejections = read_candidates(paths, settings)
    # 0.72 arcsec apart, at -60 degrees 0.45 arcsec apart, and 3.6 arcsec apart.
    assert list(table["id"]) == ["one", "two", "three", "10.00000+0.00100"]
    assert table["grade"].tolist() == ["A", "B", "C", ""]  # a grade is taken from the copy
    copies = [line for line in rejections if "counted once" in line["reason"]]
    assert [(c["file"], c["row"]) for c in copies] == [
        ("more.csv", "2"),
        ("more.csv", "3"),
        ("graded.csv", "2"),
    ]


def test_grades_are_cut_and_what_is_left_out_is_listed(tmp_path):
    settings = Candidates(tables=[table_file(tmp_path)], grades=["A"], ungraded=False)
    table, rejections = read_candidates(settings.tables, settings)
    assert table.loc[table["wanted"], "id"].tolist() == ["one"] and len(table) == 3
    assert sum("left out by lenses.candidates.grades" in r["reason"] for r in rejections) == 2
    none = Candidates(tables=settings.tables, grades=["Z"], ungraded=False)
    with pytest.raises(DataError, match=r"grades = \['Z'\]; the tables have"):
        read_candidates(none.tables, none)


def test_grades_that_look_like_numbers_stay_as_written(tmp_path):
    text = "id,ra,dec,grade\na,10,0,1\nb,20,0,\nc,30,0,2\nd,40,0, \n"
    path = table_file(tmp_path, text, "graded.csv")
    frame = pd.DataFrame({"id": list("abcd"), "ra": [10, 20, 30, 40], "dec": 0})
    frame.assign(grade=[1, None, 2, np.nan]).to_parquet(tmp_path / "graded.parquet")
    for table_path in (path, tmp_path / "graded.parquet"):
        settings = Candidates(tables=[str(table_path)], grades=["1"], ungraded=False)
        table, _ = read_candidates([table_path], settings)
        assert table["grade"].tolist() == ["1", "", "2", ""]
        assert table.loc[table["wanted"], "id"].tolist() == ["a"]
    copy = table_file(tmp_path, "id,ra,dec,Grading\nx,20,0,1\n", "copy.csv")
    table, _ = read_candidates([path, copy], settings)
    assert table.loc[table["wanted"], "id"].tolist() == ["a", "b"]


def test_the_grade_of_a_copy_without_a_name_counts(tmp_path):
    path = table_file(tmp_path, "ra,dec,grade,row\n10,0,,7\n10,0,A,8\n", "t.csv")
    table, rejections = read_candidates([path], Candidates(tables=[path]))
    assert table[["grade", "row"]].to_numpy().tolist() == [["A", 2]]
    assert [line["row"] for line in rejections] == ["3"]
    assert "counted once" in rejections[0]["reason"]


def test_names_that_stand_twice_get_a_number_of_their_own(tmp_path):
    tables = {"a.csv": "J1,10,0\nJ1_2,11,0\n", "b.csv": "J1,12,0\n", "c.csv": "J1,13,0\n"}
    paths = [table_file(tmp_path, f"id,ra,dec\n{text}", name) for name, text in tables.items()]
    table, _ = read_candidates(paths, Candidates(tables=paths))
    assert table["id"].tolist() == ["J1", "J1_2", "J1_3", "J1_4"]
    table, _ = read_candidates(paths[::-1], Candidates(tables=paths))
    assert table["id"].tolist() == ["J1", "J1_3", "J1_4", "J1_2"]


@pytest.mark.skipif(
    not SHARED.is_dir(), reason="no real tables: set GALAXY_LVM_SHARED to their folder"
)
def test_the_published_tables_are_read():
    names = (
        "neuralens_new_lenses.tsv",
        "neuralens_training_lenses.tsv",
        "desi_lens_candidates.csv",
    )
    paths = [str(SHARED / "tables" / name) for name in names]
    settings = Candidates(tables=paths, grades=["A", "B", "confident"])
    table, rejections = read_candidates(paths, settings)
    n_rows = 1192 + 1615 + 5104
    left_out = sum("left out" in line["reason"] for line in rejections)
    copies = sum("counted once" in line["reason"] for line in rejections)
    assert left_out + copies == len(rejections) and len(table) + copies == n_rows
    assert set(table.loc[table["wanted"], "grade"]) == {"A", "B", "confident", ""}
    assert table["id"].is_unique
