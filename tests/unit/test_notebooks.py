"""The notebook for users: its cells run as they stand, and no output is kept in it."""

import json
from pathlib import Path

import pytest
from galaxy_lvm.core import encoder_files
from small_images import write_encoder, write_galaxies

NOTEBOOK = Path(__file__).parents[2] / "notebooks" / "own_images.ipynb"


def code_cells():
    cells = json.loads(NOTEBOOK.read_text(encoding="utf-8"))["cells"]
    return [cell for cell in cells if cell["cell_type"] == "code"]


def test_outputs_are_stripped():
    assert len(code_cells()) >= 4
    assert all(cell["outputs"] == [] and cell["execution_count"] is None for cell in code_cells())


@pytest.mark.parametrize("own", [False, True], ids=["simulated images", "a folder of one's own"])
def test_every_cell_runs(own, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(encoder_files, "_PLACES", (tmp_path / "weights",))
    write_encoder(tmp_path / "weights" / "released.safetensors")
    if own:
        write_galaxies(tmp_path / "my_images", 6)
    names: dict = {}
    for number, cell in enumerate(code_cells()):
        exec(compile("".join(cell["source"]), f"cell {number}", "exec"), names)
    n = 6 if own else 12
    assert names["found"].features.shape == (n, names["encoder"].dim)
    assert names["found"].skipped.empty
    assert names["nearest"][0] == 0 and len(set(names["nearest"].tolist())) == 5
