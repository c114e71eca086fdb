"""What Snakemake plans: after an edit, with a mistake in the config, for the paper, before data."""

import re
import shutil

import h5py
import numpy as np
import pytest
from workflow_runs import ROOT, snakemake

pytestmark = pytest.mark.workflow


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
    (data / "ssl_legacysurvey" / "south").mkdir(parents=True)
    with h5py.File(data / "ssl_legacysurvey" / "south" / "images.h5", "w") as file:
        file["images"] = np.zeros((1, 3, 152, 152), dtype=np.float32)
    return tmp_path


def test_only_pretraining_asks_for_the_gpus_of_several_nodes(tmp_path):
    """No node has all of them: such a job would wait for ever."""
    asked = ("--config", "gpus=4", "nodes=2", "--dry-run", "--", "table1", "fig5")
    _, text = snakemake(tmp_path, "--configfile", str(ROOT / "config" / "test.yaml"), *asked)
    blocks = re.findall(r"^rule (\w+):\n((?:    .*\n)+)", text, re.MULTILINE)
    found = {rule: re.search(r"\bgpu=(\d+), nodes=(\d)", block) for rule, block in blocks}
    assert found["train_multitask"].groups() == found["extract_features"].groups() == ("2", "1")
    pretraining = next(block for rule, block in blocks if rule == "pretrain_lvm")
    assert "gres=gpu:2" in pretraining and "nodes=2" in pretraining


def test_paper_config_plans_the_papers_run(papers_data):
    config = str(ROOT / "config" / "paper.yaml")
    _, text = snakemake(papers_data, "--configfile", config, "--dry-run", "--printshellcmds")
    assert "results/paper/models/pretrain/reconstruct_skips/lvm.safetensors" in text
    assert "gpu=8" in text
    assert "results/paper/models/lenses/resnet50_1000_2.safetensors" in text
    assert "rule import_fields" in text and "rule simulate_fields" not in text
    assert "results/paper/data/bright_galaxies/cutouts.h5" in text  # fetched, 192 pixels wide
    # What asks a network about galaxies does it on a GPU; what is no network waits for none, nor
    # does a layer on frozen features.
    blocks = re.findall(r"^rule (\w+):\n((?:    .*\n)+)", text, re.MULTILINE)
    asked, memory_mb = {}, {}
    for rule, block in blocks:
        model = re.search(r"model=(\w+)", block) if rule == "train_fewshot" else None
        name = f"{rule} {model[1]}" if model else rule
        asked[name] = re.search(r"gpu=(\d)", block)
        memory_mb[name] = re.search(r"mem_mb=(\d+)", block)
    asking = ("evaluate_multitask", "evaluate_objectives", "train_fewshot lvm_finetuned",
              "train_fewshot lvm_frozen", "train_fewshot hog_logistic")  # fmt: skip
    assert [asked[rule][1] for rule in asking] == ["1", "1", "1", "0", "0"]
    assert asked["evaluate_detectors"] is None
    assert [memory_mb[rule][1] for rule in asking[2:]] == ["128000", "64000", "64000"]


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


def test_a_machine_without_slurm_draws_what_needs_no_job_of_it(tmp_path, monkeypatch):
    """A figure alone, from results that are there, is made where Snakemake runs."""
    tools = tmp_path / "bin"
    tools.mkdir()
    (tools / "bash").symlink_to(shutil.which("bash"))
    (tools / "which").write_text('#!/bin/bash\ncommand -v "$@"\n')  # Snakemake asks it for bash
    (tools / "which").chmod(0o755)
    monkeypatch.setenv("PATH", str(tools))
    options = ["--profile", "slurm", "--configfile", str(ROOT / "config" / "test.yaml"), "--"]
    snakemake(tmp_path, *options, "fig8")
    assert (tmp_path / "results/test/figures/fig08_hitl_module.pdf").stat().st_size > 1000
    code, text = snakemake(tmp_path, *options, "results/test/data/galaxies/crops.h5", check=False)
    assert code != 0 and "no SLURM on this machine" in text


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
        "bright_galaxies/positions.csv", r"ssl_legacysurvey/\*th/\*\.h5",
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
