"""The long tables: what is written is read back, and what makes no sense is refused."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from galaxy_lvm.core.errors import DataError
from galaxy_lvm.core.state import state_folder
from galaxy_lvm.report.results import (
    COLUMNS,
    long_rows,
    paper_values,
    per_galaxy_rows,
    read_per_galaxy,
    read_results,
    summarise,
    write_per_galaxy,
    write_results,
)

PAPER = Path(__file__).parents[2] / "config" / "paper_values.csv"


def rows(seed=1, value=0.5, condition=""):
    return long_rows("multitask", "classification", "m", condition, seed, {"accuracy": value})


def test_round_trip_keeps_empty_conditions_and_sorts(tmp_path):
    path = tmp_path / "deep" / "metrics.csv"
    write_results(path, [*rows(2), *rows(1, 0.25), *rows(1, 0.1, "patch=4")])
    table = read_results(path)
    assert tuple(table.columns) == COLUMNS
    assert table["condition"].tolist() == ["", "", "patch=4"]
    assert table["seed"].tolist() == [1, 2, 1]
    assert table["value"].tolist() == [0.25, 0.5, 0.1]
    assert [p.name for p in path.parent.iterdir()] == ["metrics.csv"]


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_values_that_are_not_finite_are_refused_and_nothing_is_written(tmp_path, value):
    path = tmp_path / "metrics.csv"
    with pytest.raises(DataError, match="model=m.*metric=accuracy"):
        write_results(path, rows(value=value))
    assert not list(tmp_path.iterdir())


def test_duplicates_are_refused_in_one_file_and_across_files(tmp_path):
    with pytest.raises(DataError, match="twice"):
        write_results(tmp_path / "a.csv", [*rows(), *rows(value=0.6)])
    write_results(tmp_path / "a.csv", rows())
    write_results(tmp_path / "b.csv", rows(value=0.6))
    with pytest.raises(DataError, match="twice"):
        read_results([tmp_path / "a.csv", tmp_path / "b.csv"])


def test_bad_files_are_named_with_their_line(tmp_path):
    path = tmp_path / "a.csv"
    path.write_text(",".join(COLUMNS) + "\ne,t,m,,1,psnr,3\ne,t,m,,1,mse,much\n")
    with pytest.raises(DataError, match="a.csv: line 3: value 'much'"):
        read_results(path)
    path.write_text("model,value\nm,1\n")
    with pytest.raises(DataError, match="missing.*metric"):
        read_results(path)
    with pytest.raises(DataError, match="no such file"):
        read_results(tmp_path / "none.csv")
    with pytest.raises(DataError, match="no result"):
        write_results(path, [])


def test_summary_has_the_t_interval_over_seeds(tmp_path):
    values = [0.70, 0.74, 0.78]
    table = pd.DataFrame([row for s, v in enumerate(values) for row in rows(s, v)])
    line = summarise(table).iloc[0]
    half = 4.302653 * np.std(values, ddof=1) / np.sqrt(3)  # t of 2 degrees of freedom, 97.5 %
    assert line["mean"] == pytest.approx(0.74) and line["n_seeds"] == 3
    assert line["low95"] == pytest.approx(0.74 - half)
    assert line["high95"] == pytest.approx(0.74 + half)


def test_summary_of_a_single_seed_has_no_interval():
    line = summarise(pd.DataFrame(rows())).iloc[0]
    assert line["n_seeds"] == 1 and np.isnan(line["low95"]) and np.isnan(line["high95"])


def test_paper_values_are_found_by_item():
    table = paper_values(PAPER, "table2")
    blurred = table[(table["model"] == "blurred") & (table["metric"] == "psnr")]
    assert blurred["value"].tolist() == [31.11]
    assert set(paper_values(PAPER, "table4")["condition"]) == {"patch=4", "patch=8", "patch=16"}
    with pytest.raises(DataError, match="table9"):
        paper_values(PAPER, "table9")


def test_per_galaxy_scores_round_trip(tmp_path):
    scores = pd.DataFrame({"mse": [0.1, 0.2], "psnr": [10.0, 7.0]})
    table = per_galaxy_rows("restoration", "wiener", "", 1, ["a", "b"], scores)
    assert len(table) == 4
    assert table.query("id == 'b' and metric == 'psnr'")["value"].tolist() == [7.0]
    write_per_galaxy(tmp_path / "p.parquet", [table])
    pd.testing.assert_frame_equal(
        read_per_galaxy([tmp_path / "p.parquet"]), table, check_dtype=False
    )
    assert read_per_galaxy([]).empty


def test_a_table_without_rows_can_be_an_answer(tmp_path):
    path = tmp_path / "empty.csv"
    with pytest.raises(DataError, match="no result to write"):
        write_results(path, [])
    write_results(path, [], may_be_empty=True)
    assert read_results(path).empty


def test_unfinished_state_belongs_to_its_code_and_inputs(tmp_path):
    data = tmp_path / "features.npy"
    data.write_bytes(b"old encoder")
    before = state_folder(tmp_path, 1, {"seed": 1}, [data, None])
    assert before == state_folder(tmp_path, 1, {"seed": 1}, [data, None])
    assert before != state_folder(tmp_path, 1, {"seed": 2}, [data, None])
    assert before != state_folder(tmp_path, 2, {"seed": 1}, [data, None])  # another recipe
    data.write_bytes(b"new encoder!")
    assert before != state_folder(tmp_path, 1, {"seed": 1}, [data, None])
