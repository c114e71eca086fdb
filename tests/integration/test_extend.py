"""docs/extend.md: every block is put where the page says, on a copy of the project, and run."""

import re
import sys
from pathlib import Path

import h5py
import numpy as np
import pandas as pd
import pytest
import simulate_survey
from galaxy_lvm.core.config.survey import Mock
from galaxy_lvm.core.tables import load_table, save_table
from galaxy_lvm.survey.store import CutoutStore
from made_run import make_run
from pages import copy_of_project, ended_well

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "extend.md").read_text(encoding="utf-8")
BLOCK = re.compile(r"^([^\n]+)\n\n```\w+\n(.*?)^```$", re.MULTILINE | re.DOTALL)
PLACE = re.compile(
    r"New file `(?P<new>[^`]+)`:|End of `(?P<end>[^`]+)`:"
    r"|In `(?P<file>[^`]+)`, after `(?P<mark>[^`]+)`:"
)
SECTIONS = ("A task", "A model", "A data source", "A selection rule", "A chapter")

pytestmark = pytest.mark.workflow


def blocks(section: str) -> list[tuple[str, str]]:
    """Return what stands before each block of a section, and the block."""
    text = re.split(r"^## ", PAGE, flags=re.MULTILINE)
    return BLOCK.findall(next(part for part in text if part.startswith(section + "\n")))


def n_lines(text: str) -> int:
    return sum(bool(line.strip()) for line in text.splitlines())


def put(tree: Path, before: str, block: str) -> None:
    """Put a block where its introduction says, if it says so."""
    if not (found := PLACE.fullmatch(before)):
        return
    path = tree / (found["new"] or found["end"] or found["file"])
    text = "" if found["new"] else path.read_text(encoding="utf-8")
    if mark := found["mark"]:
        assert text.count(mark) == 1, f"{path}: {mark}"
        text = text.replace(mark, f"{mark}\n{block}")
    else:
        text += ("" if found["new"] else "\n\n") + block
    path.write_text(text, encoding="utf-8")


@pytest.fixture(scope="module")
def tree(tmp_path_factory):
    """Return a copy of the project with everything that the page adds."""
    copy = copy_of_project(tmp_path_factory.mktemp("project"))
    for section in SECTIONS:
        for before, block in blocks(section):
            put(copy, before, block)
    return copy


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """Return a finished run whose galaxies are dealt out to three splits."""
    folder = make_run(tmp_path_factory.mktemp("results"), n_galaxies=40)
    path = folder / "data" / "galaxies" / "splits.parquet"
    table = pd.read_parquet(path)
    with CutoutStore(folder / "data" / "galaxies" / "cutouts.h5") as store:
        merging = store.catalogue()["merging"].to_numpy() > 0
    table["split"] = ["train", "test"] * (len(table) // 2)
    first = table.index[merging][:2]
    table.loc[first, "split"] = ["train", "test"]  # both kinds on both sides
    save_table(path, table)
    return folder


def test_the_page_has_every_section_and_each_is_short():
    assert re.findall(r"^## (.+)$", PAGE, re.MULTILINE) == list(SECTIONS)
    sizes = {section: [n_lines(block) for _, block in blocks(section)] for section in SECTIONS}
    assert all(found and max(found) < 30 for found in sizes.values()), sizes
    # A chapter is a rule and a script: the rule alone names ten things.
    assert {name: sum(found) for name, found in sizes.items() if sum(found) >= 30} == {
        "A chapter": sum(sizes["A chapter"])
    }


def ran(section: str, tree: Path, run: Path, directory: Path, more: str = "") -> str:
    """Run the block of a section that is to be run, and `more` behind it."""
    (block,) = (block for before, block in blocks(section) if not PLACE.fullmatch(before))
    code = f"RUN = {str(run)!r}\n{block}{more}"
    return ended_well([sys.executable, "-c", code], directory, tree / "scripts", directory)


def test_a_task_writes_its_score(tree, run, tmp_path):
    ran("A task", tree, run, tmp_path)
    (row,) = load_table(tmp_path / "mergers.csv").to_dict("records")
    assert (row["experiment"], row["metric"]) == ("mergers", "auc")
    assert 0 <= float(row["value"]) <= 1


def test_a_selection_rule_asks_for_what_it_says(tree, run, tmp_path):
    check = """
import numpy as np
with Session(pool, "labels.sqlite") as session:
    scores = session.score()
taken = pool.ids_of([0, 1])
lowest = [i for i in pool.ids_of(np.argsort(scores, kind="stable")) if i not in taken][:3]
assert asked == lowest, (asked, lowest)

from galaxy_lvm.ui.app import create_app
from galaxy_lvm.ui.labelling import Labelling
from galaxy_lvm.ui.security import Access
from galaxy_lvm.ui.workplace import open_run
labelling = Labelling(open_run(RUN, new="surprises"), "labels.sqlite")
token, host = "a long enough token", "http://127.0.0.1:8765"
app = create_app(labelling, Access("127.0.0.1", 8765, token, b"k" * 32), "ann")
browser = app.test_client()
browser.get("/login", query_string={"token": token}, base_url=host)
assert '<option value="surprise">' in browser.get("/", base_url=host).text
state = browser.get("/api/state", base_url=host)
assert state.status_code == 200 and state.json["choice"]["rule"] == "surprise", state.text
assert "surprise" in state.json["sentence"]
labelling.close()
"""
    ran("A selection rule", tree, run, tmp_path, check)


def test_source_model_rule_and_chapter_run_in_the_workflow(tree, tmp_path):
    """One run: galaxies of the new source, its colours, and the new network on few labels."""
    simulate_survey.main(str(tmp_path / "simulated.h5"), Mock(n_galaxies=80), 1)
    with CutoutStore(tmp_path / "simulated.h5") as store:
        flux = store.images[0][:, 66:86, 66:86].sum(axis=(1, 2))
    write = """
import sys
from galaxy_lvm.survey.store import CutoutStore
import write_own_survey
with CutoutStore("simulated.h5") as store:
    columns = {name: list(values) for name, values in store.catalogue().items()}
    write_own_survey.main(store.images[:], columns, "own_survey.h5")
"""
    ended_well([sys.executable, "-c", write], tmp_path, tree / "scripts", tmp_path)
    with h5py.File(tmp_path / "own_survey.h5") as file:
        assert len(file["images"]) == len(file["id"]) == 80
    files = [str(tree / "config" / f"{name}.yaml") for name in ("own_survey", "three_layers")]
    results = Path("results") / "three_layers"
    scores = results / "metrics/fewshot/python_own_networks_three_layers_0.csv"
    command = [
        sys.executable, "-m", "snakemake", "--snakefile", str(tree / "Snakefile"), "--directory",
        str(tmp_path), "--cores", "2", "--configfile", *files,
        "--config", "hitl={discovery: {rules: [random, surprise]}}",
        "--", "measure_colours", str(scores),
    ]  # fmt: skip
    ended_well(command, tmp_path, tree / "scripts", tmp_path)
    found = load_table(tmp_path / scores)
    assert set(found["model"]) == {"python_own_networks_three_layers"}
    colours = load_table(tmp_path / results / "tables" / "colours.csv")
    assert float(colours["g_r_mag"][0]) == pytest.approx(
        -2.5 * np.log10(flux[0] / flux[1]), abs=1e-4
    )
    assert not (tmp_path / results / "data" / "galaxies" / "cutouts.h5").exists()  # read in place
