"""The whole DAG in miniature: its files and numbers, run again, killed and continued."""

import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time

import h5py
import numpy as np
import pandas as pd
import pytest
from astropy.io import fits
from notebook_cells import run_cells
from pages import files_told, not_there, not_told
from PIL import Image
from slurm_calls import Hold
from workflow_runs import ROOT, command_line, environment, shared_run, snakemake

pytestmark = pytest.mark.workflow


@pytest.fixture(scope="session")
def finished_run(tmp_path_factory):
    """The run of config/test.yaml: the one that SLURM made, or one by this machine alone."""
    if directory := shared_run():
        return directory
    directory = tmp_path_factory.mktemp("workflow")
    snakemake(directory, "--configfile", str(ROOT / "config" / "test.yaml"))
    return directory


def test_every_file_is_described(finished_run):
    """docs/outputs.md names every file of a run, and nothing that no run has."""
    page = (ROOT / "docs" / "outputs.md").read_text(encoding="utf-8")
    told = files_told(page.partition("\n## Spectra\n")[0])  # of other targets
    run = finished_run / "results" / "test"
    assert not_told(run, told) == []
    assert not_there(run, told) == []


def test_every_table_and_figure_is_there(finished_run):
    run = finished_run / "results" / "test"
    tables = {path.stem for path in (run / "tables").glob("*.csv")}
    assert {
        "table1_classification",
        "table2_restoration",
        "table3_reconstruction",
        "table4_patch_size",
    } <= tables
    figures = list((run / "figures").glob("*.pdf"))
    assert len(figures) >= 8
    for figure in figures:
        assert figure.with_suffix(".png").stat().st_size > 1000, figure


def test_the_notebook_draws_every_figure_of_the_paper_again(finished_run, tmp_path, monkeypatch):
    """From the run's files; what no browser or random draw is part of comes out the same."""
    run = finished_run / "results" / "test"
    (tmp_path / "results").mkdir()
    (tmp_path / "results" / "demo").symlink_to(run)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", [*sys.path])
    run_cells("paper_figures.ipynb")
    drawn = {path.stem: path for path in (tmp_path / "paper_figures").glob("fig*.png")}
    assert set(drawn) == {f"fig{number:02d}" for number in range(1, 11)}
    for name, path in drawn.items():
        (own,) = (run / "figures").glob(f"{name}_*.png")
        with Image.open(path) as again, Image.open(own) as made:
            assert again.size == made.size or name == "fig09", name
            if name in ("fig01", "fig02", "fig03", "fig05", "fig06", "fig07", "fig08", "fig10"):
                np.testing.assert_array_equal(np.asarray(again), np.asarray(made), name)


def test_numbers_printed_come_from_the_metrics(finished_run):
    run = finished_run / "results" / "test"
    metrics = pd.concat(pd.read_csv(path) for path in (run / "metrics").glob("*.csv"))
    assert metrics["value"].notna().all()
    models = set(metrics.loc[metrics["task"] == "classification", "model"])
    assert {"pre_train", "multi_uniform", "multi_active", "hog_logistic"} <= models
    conditions = set(metrics.loc[metrics["task"] == "reconstruction", "condition"].fillna(""))
    assert {"", "patch=4", "patch=8", "patch=16"} <= conditions


def test_features_serve_parameters_outliers_and_similarity(finished_run):
    run = finished_run / "results" / "test"
    parameters = pd.read_csv(run / "tables" / "parameters.csv")
    assert set(parameters["inputs"]) == {"constant", "box", "features", "features+box"}
    assert {"redshift", "mag_r", "sersic_index"} <= set(parameters["parameter"])
    outliers = pd.read_csv(run / "tables" / "outliers.csv")
    assert {"isolation_forest", "knn", "pixel_residual"} <= set(outliers["method"])
    assert outliers["recall_at_1pct"].between(0, 1).all()
    similar = pd.read_csv(run / "tables" / "similar_galaxies.csv")
    assert similar.groupby("query")["rank"].apply(list).map(lambda r: r == [1, 2, 3, 4]).all()
    # The miniature is above its limit for the exact search: the index was used.
    metrics = pd.read_csv(run / "metrics" / "similarity.csv").set_index("metric")["value"]
    assert metrics["in_use"] == 1 and metrics["recall"] > 0.8


def test_people_in_the_loop_are_simulated_and_missing_targets_listed(finished_run):
    run = finished_run / "results" / "test"
    models = set(pd.read_csv(run / "tables" / "fig10_hitl.csv")["model"])
    assert models == {"chance", "lvm", "lvm_hitl", "lvm_random", "resnet18"}
    targets = pd.read_csv(run / "tables" / "hitl_targets.csv").set_index("target")
    assert not targets.loc["lens", "searched"] and targets.loc["merger", "searched"]
    parts = [run / "predictions" / f"{name}.parquet" for name in ("hitl", "hitl_resnet18")]
    assert all(pd.read_parquet(part)["score"].between(0, 1).all() for part in parts)
    details = pd.read_csv(run / "tables" / "hitl_claims.csv")["detail"]
    assert details[~details.str.contains("no result")].str.contains("by test galaxies").any()


def test_the_catalogue_has_every_galaxy_in_three_forms(finished_run):
    run = finished_run / "results" / "test"
    table = pd.read_parquet(run / "tables" / "catalogue.parquet")
    with h5py.File(run / "data" / "galaxies" / "crops.h5") as crops:
        assert table["id"].tolist() == crops["id"].asstr()[:].tolist()
    assert len(pd.read_csv(run / "tables" / "catalogue.csv")) == len(table)
    assert len(fits.getdata(run / "tables" / "catalogue.fits")) == len(table)
    classes = [name for name in table if name.startswith("p_")]
    assert len(classes) == 4 and np.allclose(table[classes].sum(axis=1), 1, atol=1e-5)
    assert {"redshift_estimate", "mag_r_estimate"} <= set(table)
    assert table[["ra", "dec"]].notna().all(axis=None)
    metrics = pd.read_csv(run / "metrics" / "catalogue.csv").set_index(["condition", "metric"])
    assert metrics["value"]["calibrated", "log_loss"] > 0
    assert not (run / "state" / "make_catalogue").exists() or not any(
        (run / "state" / "make_catalogue").iterdir()
    )


def test_both_backbones_search_the_same_lens_fields(finished_run):
    run = finished_run / "results" / "test"
    metrics = pd.read_csv(run / "metrics" / "lenses.csv")
    assert {"lvm", "resnet18"} <= set(metrics["model"])
    assert {"train=5", "train=10"} <= set(metrics["condition"])
    with h5py.File(run / "data" / "lens_fields" / "fields.h5") as fields:
        splits = pd.Series(fields["split"].asstr()[:]).value_counts()
    assert splits.to_dict() == {"train": 10, "test": 4, "val": 3}
    masks = pd.read_csv(run / "metrics" / "lens_masks.csv")
    assert masks.loc[masks["metric"] == "mean_iou", "value"].between(0, 1).all()


def test_a_second_run_has_nothing_to_do(finished_run):
    config = str(ROOT / "config" / "test.yaml")
    _, text = snakemake(finished_run, "--configfile", config, "--dry-run")
    assert "Nothing to be done" in text


def test_report_is_one_file(finished_run):
    config = str(ROOT / "config" / "test.yaml")
    snakemake(finished_run, "--configfile", config, "--report", "report.html")
    text = (finished_run / "report.html").read_text()
    assert "Table 1: classification" in text
    assert "System Message" not in text, "a caption or the front page is no clean text"
    # Its fields and the figure: what a figure costs is of the jobs behind it, in caption and table.
    assert re.findall(r"plot_fields</tt>: (\d+) jobs, \d", text) == ["2"]
    assert re.search(r"<td>plot_fields</td><td>[\d.]+ s</td><td>2</td>", text)
    assert "not measured" not in text


def test_repeated_trainings_are_jobs_of_their_own(finished_run, tmp_path):
    shutil.copytree(finished_run / "results", tmp_path / "results")
    shutil.copytree(finished_run / ".snakemake", tmp_path / ".snakemake")
    (tmp_path / "more.yaml").write_text("multitask: {n_seeds: 3}\n")
    arguments = ["--configfile", str(ROOT / "config" / "test.yaml"), str(tmp_path / "more.yaml")]
    _, text = snakemake(tmp_path, *arguments, "--dry-run", "--", "table1")
    planned = re.search(r"^train_multitask +(\d+)$", text, re.MULTILINE)
    assert int(planned[1]) == 4 * 2, "what is trained already is trained again"
    (tmp_path / "wider.yaml").write_text(
        "lenses: {detector: {n_seeds: 2}}\nfewshot: {n_seeds: 4}\nmultitask: {n_test_images: 4}\n"
    )
    other = [*arguments[:2], str(tmp_path / "wider.yaml")]
    _, text = snakemake(tmp_path, *other, "--dry-run")
    counts = dict(re.findall(r"^(\w+) +(\d+)$", text, re.MULTILINE))
    trained = {rule: int(n) for rule, n in counts.items() if "train" in rule}
    assert trained == {"train_detector": 4, "train_fewshot": 4}, "what is trained is trained again"
    target = "metrics/multitask/multi_uniform_1.csv"
    snakemake(tmp_path, *arguments, "--", f"results/test/{target}")
    rows = [
        pd.read_csv(tmp_path / "results/test/metrics/multitask" / f"multi_uniform_{part}.csv")
        for part in (0, 1)
    ]
    assert [set(table["seed"]) for table in rows] == [{1}, {2}]
    psnr = [table.loc[table["metric"] == "psnr", "value"].to_numpy() for table in rows]
    assert (psnr[0] != psnr[1]).all()


def may_be_killed(directory, rule, hold):
    """Return whether a job of a rule is under way, and waits behind a checkpoint if it trains."""
    if rule == "simulate_survey":
        return any((directory / "logs" / "test" / rule).glob("**/*.log"))
    return (hold.folder / "waiting").exists()


def test_a_run_killed_again_and_again_ends_with_the_same_numbers(finished_run, tmp_path):
    """From the simulation to the scores of one strategy; what is not killed is the same as well."""
    # A checkpoint behind every step; it changes no number, but a kill meets one.
    often = {"optim": {"checkpoint_seconds": 1e-9}}
    (tmp_path / "often.yaml").write_text(json.dumps({"pretrain": often, "multitask": often}))
    config = [str(ROOT / "config" / "test.yaml"), str(tmp_path / "often.yaml")]
    target = "results/test/metrics/multitask/multi_uniform_0.csv"
    arguments = ["--configfile", *config, "--rerun-incomplete", "--nolock", "--", target]
    hold = Hold(tmp_path / "hold")
    for rule in ("simulate_survey", "pretrain_lvm", "train_multitask"):
        process = subprocess.Popen(
            command_line(tmp_path, *arguments), start_new_session=True,
            env=environment() | hold.environment | {"HOLD_RULE": rule},
            stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
        )  # fmt: skip
        # Not after some seconds: machines differ too much to meet a job by the clock.
        end = time.monotonic() + 1200
        while not may_be_killed(tmp_path, rule, hold):
            assert process.poll() is None, "finished before it could be killed"
            assert time.monotonic() < end, f"{rule} never came so far"
            time.sleep(0.01)
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()
        assert not (tmp_path / target).exists()
        (hold.folder / "waiting").unlink(missing_ok=True)
    snakemake(tmp_path, *arguments)
    for rule in ("pretrain_lvm", "train_multitask"):
        logs = (tmp_path / "logs" / "test" / rule).glob("**/*.log")
        assert any("continuing from step 3" in path.read_text() for path in logs), rule
    pd.testing.assert_frame_equal(
        pd.read_csv(finished_run / target), pd.read_csv(tmp_path / target)
    )
