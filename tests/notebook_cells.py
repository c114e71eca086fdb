"""Notebooks, executed cell by cell without Jupyter."""

import json
from pathlib import Path

NOTEBOOKS = Path(__file__).parents[1] / "notebooks"


def code_cells(name):
    """Return the cells that hold code."""
    cells = json.loads((NOTEBOOKS / name).read_text(encoding="utf-8"))["cells"]
    return [cell for cell in cells if cell["cell_type"] == "code"]


def run_cells(name):
    """Execute a notebook's cells; return what its names stand for at the end."""
    names: dict = {}
    for number, cell in enumerate(code_cells(name)):
        exec(compile("".join(cell["source"]), f"{name}, cell {number}", "exec"), names)
    return names
