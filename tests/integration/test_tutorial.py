"""docs/tutorial.md: its files are written and its commands run in order, on fewer galaxies."""

import re
import shlex
import sys

import numpy as np
import pandas as pd
import pytest
import yaml
from galaxy_lvm.core.tables import load_table
from pages import ROOT, copy_of_project, ended_well

PAGE = (ROOT / "docs" / "tutorial.md").read_text(encoding="utf-8")
BLOCK = re.compile(r"^```(\w+)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
FILE = re.compile(r"[Nn]ew file\s`([^`]+)`")
N_GALAXIES = 60
# Over the page's own settings: a training that has only to end.
SMALL = {
    "batch_size": 4, "image_batch_size": 4, "n_validation_images": 2, "n_test_images": 4,
    "n_orientations": 1, "optim": {"steps": 4}, "validate_every_steps": 2,
}  # fmt: skip

pytestmark = pytest.mark.workflow


def pieces():
    """Yield every block with its language and the file that it is, if it is one."""
    end = 0
    for found in BLOCK.finditer(PAGE):
        named = FILE.findall(PAGE[end : found.start()])
        yield found[1], found[2], named[-1] if named and found[1] != "bash" else None
        end = found.end()


def smaller(name, text):
    """Return a file of the page for the test's size."""
    if name == "simulate.py":
        assert text.count("n_galaxies=400") == 1
        return text.replace("n_galaxies=400", f"n_galaxies={N_GALAXIES}")
    if name == "mine.yaml":
        settings = yaml.safe_load(text)
        assert settings["multitask"].keys() <= SMALL.keys()
        small = {"multitask": SMALL, "splits": {"min_per_class": 4}, "threads": 1}
        return yaml.safe_dump({**settings, **small})
    return text


@pytest.fixture(scope="module")
def done(tmp_path_factory):
    """Do all that the page says; return the folder and what each command printed."""
    tree = copy_of_project(tmp_path_factory.mktemp("project"))
    command = tree / "bin" / "galaxy-lvm"  # as pip install -e . would have put it there
    command.parent.mkdir()
    command.write_text(f'#!/bin/sh\nexec {sys.executable} -m galaxy_lvm.cli "$@"\n')
    command.chmod(0o755)
    printed = {}
    for language, text, name in pieces():
        if name:
            (tree / name).write_text(smaller(name, text), encoding="utf-8")
            continue
        assert language == "bash", text
        for line in text.splitlines():
            words = shlex.split(line)
            printed[line] = ended_well(words, tree, tree / "scripts", first=command.parent)
    return tree, printed


def test_the_page_leads_from_images_to_a_catalogue(done):
    _, printed = done
    kinds = [" ".join(shlex.split(line)[:2]) for line in printed]
    assert kinds == [
        "python simulate.py", "galaxy-lvm embed", "galaxy-lvm outliers", "galaxy-lvm classify",
        "snakemake --cores", "snakemake --cores", "python use.py",
    ]  # fmt: skip


def test_the_quick_model_tells_every_galaxy_and_how_good_it_is(done):
    tree, printed = done
    table = load_table(tree / "galaxy-lvm-classify" / "classify.csv")
    assert len(table) == N_GALAXIES and (table["label"] == "").sum() == N_GALAXIES // 2
    (said,) = (text for line, text in printed.items() if "classify" in line)
    accuracy = float(re.search(r"accuracy ([\d.]+)", said)[1])
    assert 0 <= accuracy <= 1 and "cross-validation" in said


def test_the_catalogue_has_all_galaxies_and_what_the_page_tells_to_look_at(done):
    tree, _ = done
    run = tree / "results" / "tutorial"
    table = pd.read_parquet(run / "tables" / "catalogue.parquet")
    assert len(table) == N_GALAXIES and (table["label"] == "").sum() == N_GALAXIES // 2
    shares = table.filter(regex="^p_").sum(axis=1)
    np.testing.assert_allclose(shares, 1, atol=1e-5)
    for name in re.findall(r"`((?:data|figures)/[^`]+)`", PAGE):
        assert (run / name).is_file(), name


def test_what_is_counted_is_what_the_catalogue_says(done):
    tree, printed = done
    table = pd.read_parquet(tree / "results" / "tutorial" / "tables" / "catalogue.parquet")
    new = table[table["label"] == ""]
    assert f"{len(new)} galaxies without a label" in printed["python use.py"]
    assert f"among all of them: {new['p_spiral'].sum():.0f}" in printed["python use.py"]
    sure = new[(new["p_spiral"] > 0.8) & ~new["unlike"]]
    assert len(pd.read_csv(tree / "spirals.csv")) == len(sure)
