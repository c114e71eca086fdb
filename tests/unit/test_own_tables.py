"""The project's own tables: what was written is what is read, and nobody else reads or writes."""

import re
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from galaxy_lvm.core.errors import DataError
from galaxy_lvm.core.tables import load_table, save_table

PROJECT = Path(__file__).parents[2]
TEXTS = ["0042", "nan", "None", "NA", "null", "", "1e5", "1237649770260463687", 'a "b", c', "x\ny"]
TEXTS += [" x", "True", "1", "-", "#x", "é", "星系"]

# The one place each; the ids of features are read and written piece by piece, by pyarrow. Tables of
# millions of rows are read by the column, spectra with arrays in their cells.
READERS = {"core/tables.py", "core/user_tables.py"}
READERS |= {"core/chosen_columns.py", "core/array_tables.py"}
READERS |= {"wise/make_tables.py"}  # of a public package, once, by hand
CALLS = re.compile(
    r"\bread_(csv|parquet|excel|fwf|feather|json)\b|\.to_(csv|parquet|excel|json)\("
    r"|csv\.(reader|writer|DictWriter)\b|Table\.read\("
)


@pytest.mark.parametrize("suffix", [".csv", ".parquet"])
def test_texts_and_numbers_come_back_as_they_were(tmp_path, suffix):
    n = len(TEXTS)
    table = pd.DataFrame({"id": [f"{i:03}" for i in range(n)], "label": TEXTS, "n": range(n)})
    table["value"], table["flag"] = np.linspace(0, 1, n), np.arange(n) % 2 == 0
    table.loc[3, "value"] = np.nan
    save_table(tmp_path / f"t{suffix}", table)
    read = load_table(tmp_path / f"t{suffix}", numbers=("n", "val*"), flags=("flag",))
    assert read["id"].tolist() == table["id"].tolist() and read["label"].tolist() == TEXTS
    pd.testing.assert_frame_equal(read[["n", "value", "flag"]], table[["n", "value", "flag"]])


def test_missing_texts_are_empty_and_ids_text(tmp_path):
    table = pd.DataFrame({"id": [1.0, 2.0], "label": [None, "None"], "p": [None, 1.5]})
    for name in ("t.csv", "t.parquet"):
        save_table(tmp_path / name, table)
        read = load_table(tmp_path / name, numbers=("p",))
        assert read["id"].tolist() == ["1", "2"] and read["label"].tolist() == ["", "None"]
        assert np.isnan(read["p"][0]) and read["p"][1] == 1.5


def test_values_that_are_not_what_the_column_holds_are_named(tmp_path):
    (tmp_path / "t.csv").write_text("id,n,flag\na,1,True\nb,many,maybe\n")
    with pytest.raises(DataError, match="t.csv: line 3: n 'many' is no number"):
        load_table(tmp_path / "t.csv", numbers=("n",))
    with pytest.raises(DataError, match="t.csv: line 3: flag 'maybe' is not True or False"):
        load_table(tmp_path / "t.csv", flags=("flag",))
    (tmp_path / "t.parquet").write_bytes(b"PAR1 not really")
    for name, message in (("t.parquet", "not a readable table"), ("none.csv", "no such file")):
        with pytest.raises(DataError, match=f"{name}: {message}"):
            load_table(tmp_path / name)
    with pytest.raises(ValueError, match="saved as .csv or .parquet"):
        save_table(tmp_path / "t.txt", pd.DataFrame())


def test_a_table_without_columns_is_empty(tmp_path):
    save_table(tmp_path / "t.csv", pd.DataFrame([]))
    assert load_table(tmp_path / "t.csv", numbers=("*",)).empty


def test_nobody_else_reads_or_writes_tables():
    library = PROJECT / "scripts" / "galaxy_lvm"
    found = set()
    for folder in ("scripts", "benchmarks"):
        for path in sorted((PROJECT / folder).rglob("*.py")):
            if CALLS.search(path.read_text(encoding="utf-8")):
                inside = path.is_relative_to(library)
                found.add(path.relative_to(library if inside else PROJECT).as_posix())
    assert found == READERS | {"core/delimited.py"}
