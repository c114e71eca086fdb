"""The whole DAG in miniature, and what a user may get wrong before it starts."""

import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import h5py
import numpy as np
import pandas as pd
import pytest
from astropy.io import fits
from galaxy_lvm.hitl.pools import Pool
from galaxy_lvm.hitl.session import Session
from notebook_cells import run_cells
from pages import files_told, not_there, not_told
from PIL import Image

ROOT = Path(__file__).parents[2]
pytestmark = pytest.mark.workflow


def command_line(directory, *arguments):
    """Return the command that runs the project's Snakefile on a folder of its own."""
    return [
        sys.executable, "-m", "snakemake", "--snakefile", str(ROOT / "Snakefile"),
        "--directory", str(directory), "--cores", "2", *arguments,
    ]  # fmt: skip


def environment():
    """Return the environment with the tools that jobs call: they lie beside the interpreter."""
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    return {**os.environ, "PATH": path}


def snakemake(directory, *arguments, check=True):
    """Run the project's Snakefile on a folder of its own."""
    result = subprocess.run(
        command_line(directory, *arguments),
        capture_output=True, text=True, env=environment(), check=False, cwd=ROOT,
    )  # fmt: skip
    text = result.stdout + result.stderr
    if check and result.returncode:
        pytest.fail(f"snakemake {' '.join(arguments)} failed\n{text[-6000:]}")
    return result.returncode, text


@pytest.fixture(scope="session")
def finished_run(tmp_path_factory):
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
    assert models == {"lvm", "lvm_hitl", "lvm_random", "resnet18"}
    targets = pd.read_csv(run / "tables" / "hitl_targets.csv").set_index("target")
    assert not targets.loc["lens", "searched"] and targets.loc["merger", "searched"]


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


def may_be_killed(directory, rule):
    """Return whether a job of a rule is under way, and beyond a checkpoint where it trains."""
    if rule == "simulate_survey":
        return any((directory / "logs" / "test" / rule).glob("**/*.log"))
    return any((directory / "results" / "test" / "state" / rule).glob("*/checkpoint.pt"))


def test_a_run_killed_again_and_again_ends_with_the_same_numbers(finished_run, tmp_path):
    """From the simulation to the scores of one strategy; what is not killed is the same as well."""
    # A checkpoint behind every step; it changes no number, but a kill meets one.
    often = {"optim": {"checkpoint_seconds": 1e-9}}
    (tmp_path / "often.yaml").write_text(json.dumps({"pretrain": often, "multitask": often}))
    config = [str(ROOT / "config" / "test.yaml"), str(tmp_path / "often.yaml")]
    target = "results/test/metrics/multitask/multi_uniform_0.csv"
    arguments = ["--configfile", *config, "--rerun-incomplete", "--", target]
    for rule in ("simulate_survey", "pretrain_lvm", "train_multitask"):
        process = subprocess.Popen(
            command_line(tmp_path, *arguments), env=environment(), start_new_session=True,
            stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
        )  # fmt: skip
        # Not after some seconds: machines differ too much to meet a job by the clock.
        end = time.monotonic() + 300
        while not may_be_killed(tmp_path, rule):
            assert process.poll() is None, "finished before it could be killed"
            assert time.monotonic() < end, f"{rule} never came so far"
            time.sleep(0.01)
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()
        assert may_be_killed(tmp_path, rule)  # a checkpoint is left: the training had not ended
        assert not (tmp_path / target).exists()
        snakemake(tmp_path, "--configfile", *config, "--unlock")
    snakemake(tmp_path, *arguments)
    logs = (tmp_path / "logs" / "test" / "train_multitask").glob("**/*.log")
    assert any("continuing from step" in path.read_text() for path in logs)
    pd.testing.assert_frame_equal(
        pd.read_csv(finished_run / target), pd.read_csv(tmp_path / target)
    )


def test_an_edit_reruns_what_imports_it_and_nothing_else(tmp_path):
    tree = tmp_path / "tree"
    tree.mkdir()
    for name in ("Snakefile", "rules", "scripts", "config", "report", "envs", "docs"):
        copy = shutil.copytree if (ROOT / name).is_dir() else shutil.copy
        copy(ROOT / name, tree / name)
    config = str(tree / "config" / "test.yaml")
    arguments = ["--snakefile", str(tree / "Snakefile"), "--configfile", config]

    def planned():
        _, text = snakemake(tmp_path, *arguments, "--dry-run", "--", "fig1", "fig8")
        return set(re.findall(r"^((?:draw|train|pretrain)_\w+) +\d+$", text, re.MULTILINE))

    snakemake(tmp_path, *arguments, "--", "fig1", "fig8")
    assert planned() == set()
    module = tree / "scripts/galaxy_lvm/hitl/diagram.py"
    module.write_text(module.read_text() + "\n# a comment changes nothing\n")
    assert planned() == set()
    module.write_text(module.read_text() + "\nEDITED = True\n")
    assert planned() == {"draw_hitl_module"}
    loop = tree / "scripts/galaxy_lvm/training/loop.py"
    loop.write_text(loop.read_text() + "\nEDITED = True\n")
    assert "pretrain_lvm" not in planned()


def test_mistake_in_the_config_stops_before_any_job(tmp_path):
    code, text = snakemake(tmp_path, "--config", "seeed=3", check=False)
    assert code != 0
    assert "seeed: no such key; did you mean 'seed'?" in text
    assert not (tmp_path / "results").exists()


@pytest.fixture
def papers_data(tmp_path):
    """A folder with empty stand-ins for the files that the paper's run needs on disk."""
    data = tmp_path / "data"
    (data / "galaxy_zoo_2").mkdir(parents=True)
    (data / "galaxy_zoo_2" / "labels.csv").write_text("id,file,label\n")
    (data / "bright_galaxies").mkdir()
    (data / "bright_galaxies" / "positions.csv").write_text("id,ra,dec\n")
    (data / "galaxy_zoo_decals").mkdir()
    (data / "galaxy_zoo_decals" / "galaxies.csv").write_text("id,file\n")
    (data / "ssl_legacysurvey").mkdir()
    with h5py.File(data / "ssl_legacysurvey" / "images.h5", "w") as file:
        file["images"] = np.zeros((1, 3, 152, 152), dtype=np.float32)
    return tmp_path


def test_paper_config_plans_the_papers_run(papers_data):
    config = str(ROOT / "config" / "paper.yaml")
    _, text = snakemake(papers_data, "--configfile", config, "--dry-run", "--printshellcmds")
    assert "results/paper/models/pretrain/reconstruct_skips/lvm.safetensors" in text
    assert "gpu=8" in text
    assert "results/paper/models/lenses/resnet50_1000_2.safetensors" in text
    assert "rule import_fields" in text and "rule simulate_fields" not in text
    assert "results/paper/data/bright_galaxies/cutouts.h5" in text  # fetched, 192 pixels wide


@pytest.mark.parametrize(
    ("arguments", "run"),
    [
        ([], "paper"),
        (["--configfile", "mine.yaml"], "mine"),
        (["--config", "seed=3"], "paper"),
        (["--configfile", "mine.yaml", "--config", "seed=3", "default_base=paper"], "mine"),
    ],
)
def test_an_overlay_on_a_profile_keeps_the_profiles_size(papers_data, arguments, run):
    """Snakemake replaces a profile's config files by those of the command line."""
    mine = papers_data / "mine.yaml"
    mine.write_text("{run: mine, seed: 5}")
    arguments = [str(mine) if argument == "mine.yaml" else argument for argument in arguments]
    target = f"results/{run}/models/lenses/resnet50_1000_0.safetensors"
    options = ["--profile", "slurm", *arguments, "--dry-run"]
    _, text = snakemake(papers_data, *options, "--", target)
    assert "rule train_detector" in text and re.search(r"\bgpu=1\b", text)
    assert f"results/{run}/data/lens_fields/fields.h5" in text and "import_fields" in text


def test_a_fresh_clone_is_told_every_file_that_the_papers_run_lacks(papers_data):
    """All of them, not the first that Snakemake stumbles on; none where all are there."""
    arguments = ["--profile", "slurm", "--dry-run"]
    _, text = snakemake(papers_data, *arguments)
    assert "Not on disk yet" not in text and "pretrain_lvm" in text
    shutil.rmtree(papers_data / "data")
    code, text = snakemake(papers_data, *arguments, check=False)
    assert code != 0
    for path in (
        "galaxy_zoo_2/labels.csv", "galaxy_zoo_decals/galaxies.csv",
        "bright_galaxies/positions.csv", "ssl_legacysurvey/images.h5",
    ):  # fmt: skip
        assert re.search(rf"^  data/{path}: .*datasets\.\w+", text, re.MULTILINE), path
    assert f"from {papers_data}" in text
    _, text = snakemake(papers_data, *arguments, "--", "fig1")
    assert "rule draw_lvm" in text, "what reads no data waits for none"


def test_a_size_that_the_command_line_replaces_is_asked_for(papers_data):
    mine = papers_data / "mine.yaml"
    mine.write_text("{run: mine}")
    arguments = ["--profile", "slurm", "--configfile", str(mine), "--config", "seed=3", "-n"]
    code, text = snakemake(papers_data, *arguments, check=False)
    assert code != 0 and "add default_base=paper behind --config" in text


def own_images(folder, n_images, labelled=True):
    """Write round and flat blobs as PNG; return the lines of their table."""
    folder.mkdir()
    rng = np.random.default_rng(0)
    y, x = np.mgrid[:96, :96] - 47.5
    rows = ["id,file,label"]
    for number in range(n_images):
        label, stretch = ("round", 1.0) if number % 2 else ("flat", 3.0)
        grey = 200 * np.exp(-np.hypot(x / 12, y * stretch / 12)) + rng.normal(8, 2, (96, 96))
        image = np.repeat(np.clip(grey, 0, 255).astype(np.uint8)[..., None], 3, axis=2)
        Image.fromarray(image).save(folder / f"{number}.png")
        rows.append(f"g{number},{number}.png,{label if labelled else ''}")
    return rows


def test_a_person_can_search_a_folder_without_labels(tmp_path):
    folder = tmp_path / "mine"
    rows = own_images(folder, 24, labelled=False)
    (folder / "labels.csv").write_text("\n".join(rows) + "\n")
    config = {
        "run": "search",
        "datasets": {"mine": {"source": "folder", "data_dir": str(folder), "table": "labels.csv"}},
        "pretrain_datasets": ["mine"],
        "pretrain": {"optim": {"steps": 3}},
    }
    (tmp_path / "mine.yaml").write_text(json.dumps(config))
    snakemake(
        tmp_path,
        "--configfile", str(ROOT / "config" / "test.yaml"), str(tmp_path / "mine.yaml"),
        "--", "results/search/features/mine/lvm.npy",
    )  # fmt: skip
    pool = Pool.open(tmp_path / "results/search/features/mine/lvm.npy")
    session = Session(pool, tmp_path / "labels.sqlite")
    session.label(["g0"], ["positive"])
    asked = session.suggest(4)
    assert len(set(asked)) == 4 and "g0" not in asked


def test_own_images_go_through_and_bad_ones_are_listed(tmp_path):
    folder = tmp_path / "mine"
    rows = own_images(folder, 40)
    rows.append("lost,nowhere.png,round")
    # Eight galaxies are the test set of the user's paper; an expert judged half of all anew.
    tested = {f"g{number}" for number in range(8)}
    rows = [
        f"{row},{'test' if row.split(',')[0] in tested else ''},{'round' if i % 2 else ''}"
        for i, row in enumerate(rows[1:])
    ]
    rows = ["id,file,label,split,expert", *rows]
    (tmp_path / "mine.yaml").write_text("folder: {second_label_column: expert}\n")
    (folder / "labels.csv").write_text("\n".join(rows) + "\n")
    snakemake(
        tmp_path,
        "--configfile", str(ROOT / "config" / "folder.yaml"), str(ROOT / "tests" / "folder.yaml"),
        str(tmp_path / "mine.yaml"),
        "--config", f"data_dir={folder}",
        "--", "table1",
    )  # fmt: skip
    rejected = pd.read_csv(tmp_path / "results/folder/data/galaxies/rejected.csv")
    assert list(rejected["id"]) == ["lost"]
    splits = pd.read_parquet(tmp_path / "results/folder/data/galaxies/splits.parquet")
    assert set(splits.loc[splits["split"] == "test", "id"]) == tested
    metrics = pd.read_csv(tmp_path / "results/folder/metrics/multitask.csv")
    assert set(metrics.loc[metrics["metric"] == "n_second", "value"]) == {4}
    table = pd.read_csv(tmp_path / "results/folder/tables/table1_classification.csv")
    assert table[["accuracy_second", "f1_second"]].notna().all(axis=None)
    assert {"hog_logistic", "multi_active", "resnet18"} <= set(table["model"])
    reasons = pd.read_csv(tmp_path / "results/folder/tables/claims.csv").set_index("claim")
    judged = reasons.loc["LVM above resnet18, trained on the same galaxies", "detail"]
    assert "multi_active - resnet18" in judged
