"""The report's front page: every printed number with its verdict, what the run was made by."""

import json
import os
import re
import subprocess
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import record_provenance
from compare_with_paper import main as compare_with_paper
from galaxy_lvm.core.errors import DataError
from galaxy_lvm.core.tables import load_table
from galaxy_lvm.report.comparable import differences_of_size
from galaxy_lvm.report.printed import (
    AGREES,
    DIFFERS,
    NO_INTERVAL,
    NOT_COMPARABLE,
    NOT_EVALUATED,
    counted,
    numbers_html,
    printed_numbers,
    reasons_told,
)
from galaxy_lvm.report.provenance import clock, commit_of, costs, measured_jobs, provenance_html
from galaxy_lvm.report.results import long_rows, write_results
from galaxy_lvm.report.verdicts import counted_claims

ROOT = Path(__file__).parents[2]


def paper(*rows):
    names = ["item", "task", "model", "condition", "metric", "value"]
    return pd.DataFrame(list(rows), columns=names)


PRINTED = paper(
    ("table1", "classification", "multi_active", "", "accuracy", 0.854),
    ("table1", "classification", "pre_train", "", "accuracy", 0.784),
    ("table1", "classification", "multi_uniform", "", "accuracy", 0.842),
    ("fig6", "detection", "lvm_mask_rcnn", "train=1000", "ap", 0.967),
    ("fig10", "hitl", "lvm", "train=30", "aupr", 0.8683),
    ("sec5c", "discovery", "lvm_hitl", "barred rounds<=10 initial=5 positives", "precision", 0.75),
)


def scores(experiment, task, model, condition, metric, values):
    rows = []
    for seed, value in enumerate(values):
        rows += long_rows(experiment, task, model, condition, seed, {metric: value})
    return rows


def test_a_number_agrees_where_the_interval_reaches_it_up_to_its_rounding():
    rows = scores("multitask", "classification", "multi_active", "", "accuracy", [0.84, 0.86, 0.87])
    rows += scores("multitask", "classification", "pre_train", "", "accuracy", [0.70, 0.71, 0.72])
    rows += scores("multitask", "classification", "multi_uniform", "", "accuracy", [0.842])
    reasons = dict.fromkeys(PRINTED["item"], [])
    found = printed_numbers(PRINTED, pd.DataFrame(rows), reasons)
    words = [AGREES, DIFFERS, NO_INTERVAL] + [NOT_EVALUATED] * 3
    assert [row.verdict for row in found] == words
    assert found[0].ours == pytest.approx(0.8567, abs=1e-4) and found[0].n_seeds == 3
    assert found[0].low95 < 0.854 < found[0].high95
    assert counted(found).startswith("Of the 6 numbers that the paper prints: 1 agrees, 1 differs")
    assert counted(found[:1]).endswith(": 1 agrees, 0 differ.") and reasons_told(found) == ""
    simulated = dict.fromkeys(PRINTED["item"], ["simulated galaxies", "lvm_tiny"])
    others = printed_numbers(PRINTED, pd.DataFrame(rows), simulated)
    assert reasons_told(others) == "Not comparable because of: simulated galaxies, lvm_tiny."


def test_half_a_unit_of_the_last_printed_digit_is_open():
    ends = {"accuracy": 0.8530, "accuracy_low95": 0.8525, "accuracy_high95": 0.8536}
    rows = long_rows("multitask", "classification", "multi_active", "", 0, ends)
    row = printed_numbers(PRINTED[:1], pd.DataFrame(rows), {"table1": []})[0]
    assert row.verdict == AGREES and row.over == "galaxies"
    rows = long_rows("multitask", "classification", "multi_active", "", 0,
                     ends | {"accuracy_high95": 0.8534})  # fmt: skip
    row = printed_numbers(PRINTED[:1], pd.DataFrame(rows), {"table1": []})[0]
    assert row.verdict == DIFFERS


def test_other_galaxies_or_another_training_set_are_no_test_of_the_paper():
    rows = scores("hitl", "hitl", "lvm", "train=20", "aupr", [0.86, 0.87])
    rows += scores("hitl", "hitl", "lvm", "train=10", "aupr", [0.5, 0.6])
    (row,) = printed_numbers(PRINTED[4:5], pd.DataFrame(rows), {"fig10": ["simulated galaxies"]})
    assert row.verdict == NOT_COMPARABLE and row.condition == "train=20"
    assert row.why == "simulated galaxies, train=20 where the paper has train=30"


def test_reasons_stand_once_under_the_table():
    rows = scores("hitl", "hitl", "lvm", "train=20", "aupr", [0.5, 0.9])
    rows += scores("multitask", "classification", "pre_train", "", "accuracy", [0.7, 0.7, 0.71])
    found = printed_numbers(
        PRINTED, pd.DataFrame(rows), {"fig10": ["other galaxies"], "table1": []}
    )
    page = numbers_html(found)
    assert page.count("other galaxies, train=20 where the paper has train=30") == 1
    assert f"{NOT_COMPARABLE} <sup>a</sup>" in page and f'<td class="fails">{DIFFERS}</td>' in page
    assert "0.000 to 1.000" in page  # a share is no less and no more


def config(source, preset, fields="folder"):
    return {
        "lvm": {"preset": preset},
        "tasks_dataset": "a",
        "datasets": {"a": {"source": source}, "b": {"source": "mock"}},
        "hitl": {"comparison_dataset": None, "discovery_dataset": "b"},
        "lenses": {"fields": {"source": fields}},
    }


def test_reasons_follow_from_galaxies_and_model():
    found = differences_of_size(config("legacysurvey", "lvm_base"))
    assert found["table1"] == found["fig10"] == found["fig6"] == []
    assert found["sec5c"] == ["simulated galaxies"]
    found = differences_of_size(config("mock", "lvm_tiny", "mock"))
    assert found["table3"] == ["simulated galaxies", "lvm_tiny instead of lvm_base"]
    assert found["fig6"] == ["simulated fields", "lvm_tiny instead of lvm_base"]


@pytest.fixture
def folder(tmp_path):
    rows = scores("multitask", "classification", "multi_active", "", "accuracy", [0.85, 0.86])
    write_results(tmp_path / "multitask.csv", rows)
    rows = scores("lenses", "boxes", "lvm", "train=1000", "ap", [0.9, 0.95])
    rows += scores("lenses", "boxes", "lvm - resnet50", "train=1000", "ap", [0.1, 0.2])
    write_results(tmp_path / "lenses.csv", rows)
    write_results(tmp_path / "hitl.csv", scores("hitl", "spiral", "lvm", "train=30", "aupr", [0.9]))
    rows = []
    for number, precision in ((1, 0.2), (2, 0.7)):
        name = f"annotator=perfect round={number}"
        rows += scores("discovery", "barred", "alpha", name, "precision", [precision] * 2)
        rows += scores("discovery", "barred", "random", name, "precision", [0.1] * 2)
    write_results(tmp_path / "searches.csv", rows)
    verdicts = [
        ("<one> claim", "holds", "3", "+0.1"),
        ("another", "one training only: lower", "1", ""),
    ]
    names = ["claim", "verdict", "trainings", "detail"]
    pd.DataFrame(verdicts, columns=names).to_csv(tmp_path / "verdicts.csv", index=False)
    PRINTED.to_csv(tmp_path / "paper.csv", index=False)
    return tmp_path


def test_numbers_of_all_chapters_are_found_under_the_papers_names(folder):
    reasons = dict.fromkeys(PRINTED["item"], [])
    compare_with_paper(
        metrics=[folder / "multitask.csv"], detector_metrics=folder / "lenses.csv",
        hitl_metrics=[folder / "hitl.csv"], searches=folder / "searches.csv",
        verdicts=folder / "verdicts.csv", paper_csv=folder / "paper.csv", reasons=reasons,
        numbers=folder / "numbers.csv", data=folder / "summary.json", front=folder / "front.html",
    )  # fmt: skip
    ours = load_table(folder / "numbers.csv", numbers=("ours",))["ours"].tolist()
    assert ours[0] == pytest.approx(0.855) and ours[3] == pytest.approx(0.925)
    assert ours[4:] == [pytest.approx(0.9), pytest.approx(0.7)]  # the state after the last round
    content = json.loads((folder / "summary.json").read_text())
    assert len(content["numbers"]) == len(PRINTED) and len(content["claims"]) == 2
    assert content["numbers"][1]["ours"] is None
    page = (folder / "front.html").read_text()
    assert "&lt;one&gt; claim" in page and "<one>" not in page
    assert "1 rests on one training" in page and page.count("<tr>") == 2 + 2 + len(PRINTED)


def test_claims_of_one_training_are_counted_apart(folder):
    text = counted_claims(load_table(folder / "verdicts.csv"))
    assert text == "Of 2 claims of the paper: 1 holds, 1 rests on one training."


def benchmark(path, seconds, memory):
    path.parent.mkdir(parents=True, exist_ok=True)
    head = "s\th:m:s\tmax_rss\tmax_vms\tmax_uss\tmax_pss\tio_in\tio_out\tmean_load\tcpu_time"
    path.write_text(f"{head}\n{seconds}\t0:00:01\t{memory}\t1\t1\t1\t0\t0\t50\t{seconds / 2}\n")


def test_costs_are_those_of_all_jobs_of_a_rule(tmp_path):
    benchmark(tmp_path / "train" / "a_0.tsv", 60, 900)
    benchmark(tmp_path / "train" / "a_1.tsv", 30, 1200)
    benchmark(tmp_path / "draw.tsv", 2, "NA")
    train, draw = costs(measured_jobs(tmp_path, tmp_path / "logs")).to_dict("records")
    assert (train["rule"], train["jobs"], train["wall_s"]) == ("train", 2, 90)
    assert (train["cpu_s"], train["peak_mb"]) == (45, 1200)
    assert draw["rule"] == "draw" and pd.isna(draw["peak_mb"])


def test_a_job_counts_once_whose_rule_was_renamed(tmp_path):
    """RULE_x.tsv of an earlier version beside RULE/x.tsv; what has no newer file still counts."""
    benchmark(tmp_path / "simulate_sky_north.tsv", 50, 900)
    benchmark(tmp_path / "simulate_sky" / "north.tsv", 60, 900)
    benchmark(tmp_path / "simulate_sky_south.tsv", 40, 900)
    # Two jobs of one rule whose names differ by the folder alone.
    benchmark(tmp_path / "extract" / "a_b" / "c.tsv", 1, 900)
    benchmark(tmp_path / "extract" / "a" / "b_c.tsv", 2, 900)
    jobs = measured_jobs(tmp_path, tmp_path / "logs")
    assert sorted(jobs["wall_s"]) == [1, 2, 40, 60]


@pytest.mark.parametrize("log", ["train/a.log", "train_a.log"])
def test_a_rule_whose_training_was_continued_took_at_least_what_is_measured(tmp_path, log):
    logs = tmp_path / "logs"
    benchmark(tmp_path / "train" / "a.tsv", 60, 900)
    benchmark(tmp_path / "draw.tsv", 30, 900)
    (logs / log).parent.mkdir(parents=True)
    (logs / log).write_text("10:00:00 INFO continuing from step 40 (state/train.pt)\n")
    spent = costs(measured_jobs(tmp_path, logs))
    assert dict(zip(spent["rule"], spent["continued"], strict=True)) == {"train": 1, "draw": 0}
    page = provenance_html({}, spent, "")
    assert "<td>train</td><td>1</td><td>at least 60.0</td>" in page
    assert "<td>draw</td><td>1</td><td>30.0</td>" in page
    assert "<p>at least 2 minutes of jobs, added up" in page and "at least 1 of CPU" in page
    alone = provenance_html({}, spent[spent["rule"] == "draw"], "")
    assert "<p>0 minutes of jobs" in alone and "at least 0 of CPU" in alone


def test_benchmarks_lie_under_the_name_of_their_rule():
    """`RULE.tsv`, or `RULE/...` of a rule with several jobs: the page of costs reads it so."""
    rules = [path.read_text(encoding="utf-8") for path in (ROOT / "rules").glob("*.smk")]
    blocks = [block for text in rules for block in re.split(r"^rule ", text, flags=re.M)[1:]]
    named = [
        (block.partition(":")[0], found[1])
        for block in blocks
        if (found := re.search(r'/benchmarks/([^/"]+?)(?:\.tsv)?["/]', block))
    ]
    assert len(named) > 80 and [pair for pair in named if pair[0] != pair[1]] == []


def test_the_clock_runs_from_the_first_start_to_the_last_end(tmp_path):
    """Two jobs side by side, and a pause behind them."""
    for name, seconds, ended in (
        ("a", 600, 1_000_000),
        ("b", 300, 1_000_000),
        ("c", 60, 1_003_000),
    ):
        benchmark(tmp_path / f"{name}.tsv", seconds, 1)
        os.utime(tmp_path / f"{name}.tsv", (ended, ended))
    assert clock(measured_jobs(tmp_path, tmp_path / "logs")) == {
        "first job began": "1970-01-12 13:36:40 UTC",
        "last job ended": "1970-01-12 14:36:40 UTC",
        "by the clock": "60 minutes, pauses included",
    }


def test_what_is_no_benchmark_is_named(tmp_path):
    with pytest.raises(DataError, match="no benchmark file"):
        measured_jobs(tmp_path, tmp_path / "logs")
    (tmp_path / "x.tsv").write_text("a\tb\n1\t2\n")
    with pytest.raises(DataError, match=r"x\.tsv: no column \['cpu_time', 'max_rss', 's'\]"):
        measured_jobs(tmp_path, tmp_path / "logs")


def test_provenance_names_versions_commit_machine_and_costs(tmp_path):
    benchmark(tmp_path / "run" / "benchmarks" / "draw.tsv", 2, 300)
    names = [tmp_path / name for name in ("p.json", "config.yaml", "p.html")]
    run, logs = tmp_path / "run", tmp_path / "logs"
    record_provenance.main(run, logs, tmp_path, {"run": "demo", "seed": 1}, *names)
    record = json.loads(names[0].read_text())
    assert record["Run"]["commit"] == "unknown"  # no repository there
    assert record["Versions"]["numpy"] and record["Machine that made this page"]["cores"]
    assert record["costs"] == [
        {"rule": "draw", "jobs": 1, "wall_s": 2.0, "cpu_s": 1.0, "peak_mb": 300.0, "continued": 0}
    ]
    assert names[1].read_text() == "run: demo\nseed: 1\n"
    assert "<td>draw</td>" in names[2].read_text()


def test_a_job_too_short_to_be_measured_has_no_seconds_of_cpu(tmp_path):
    benchmark(tmp_path / "draw.tsv", 2, "NA")
    text = (tmp_path / "draw.tsv").read_text()
    (tmp_path / "draw.tsv").write_text(text.rpartition("\t")[0] + "\tNA\n")
    row = costs(measured_jobs(tmp_path, tmp_path / "logs")).iloc[0]
    assert row["wall_s"] == 2 and np.isnan(row["cpu_s"]) and np.isnan(row["peak_mb"])


def test_what_was_not_measured_is_a_dash_and_no_name_is_touched():
    spent = pd.DataFrame(
        {"rule": ["draw", "record_provenance"], "jobs": [1, 1], "wall_s": [2.0, 0.1],
         "cpu_s": [1.0, np.nan], "peak_mb": [300.0, np.nan], "continued": [0, 0]}
    )  # fmt: skip
    page = provenance_html({}, spent, "")
    assert "<td>record_provenance</td><td>1</td><td>0.1</td><td>-</td><td>-</td>" in page
    assert "most memory: draw, 0.3 GB" in page
    assert "memory: " not in provenance_html({}, spent[1:], "")


def test_a_commit_is_told_with_its_edits(tmp_path):
    def git(*arguments):
        command = ["git", "-C", str(tmp_path), "-c", "user.name=a", "-c", "user.email=b"]
        subprocess.run([*command, *arguments], check=True, capture_output=True)

    git("init")
    (tmp_path / "code.py").write_text("1")
    git("add", "code.py")
    git("commit", "--message", "one")
    assert re.fullmatch("[0-9a-f]{40}, no edits", commit_of(tmp_path))
    (tmp_path / "code.py").write_text("2")
    assert re.fullmatch(r"[0-9a-f]{40} \+ edits", commit_of(tmp_path))
