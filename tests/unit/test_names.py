"""Scripts and benchmarks ask the library for names that it has."""

import ast
import importlib
from importlib.util import find_spec
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
FILES = sorted([*ROOT.glob("benchmarks/*.py"), *ROOT.glob("scripts/*.py")])


def asked_of_the_library(path):
    """Yield every (module, name) that a file imports from the library."""
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("galaxy_lvm"):
            yield from ((node.module, alias.name) for alias in node.names)


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_imported_names_exist(path):
    missing = [
        f"{module}.{name}"
        for module, name in asked_of_the_library(path)
        if not hasattr(importlib.import_module(module), name) and not find_spec(f"{module}.{name}")
    ]
    assert missing == []
