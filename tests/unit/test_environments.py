"""The pinned environments: one list of versions, with everything that the workflow imports."""

import ast
import re
import sys
from importlib import metadata
from pathlib import Path

import pytest
import yaml

ROOT = Path(__file__).parents[2]
# Imported only where the user asks for this backend; its environment is envs/detectron2.yaml.
NOT_PINNED = {"detectron2"}


def normal(name):
    """Name of a distribution as package indexes compare it."""
    return re.sub(r"[-_.]+", "-", name).lower()


def pins():
    lines = (ROOT / "envs" / "cpu.txt").read_text().splitlines()
    return [line for line in lines if line and not line.startswith("#")]


def pinned_names():
    return {normal(line.split("==")[0]) for line in pins()}


def imported_modules():
    """Top-level modules that the scripts and the library import, their own left out."""
    own = {path.stem for path in (ROOT / "scripts").iterdir()}
    found = set()
    for path in (ROOT / "scripts").rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Import):
                found |= {name.name.split(".")[0] for name in node.names}
            elif isinstance(node, ast.ImportFrom) and node.level == 0:
                found.add(node.module.split(".")[0])
    return found - own - set(sys.stdlib_module_names)


@pytest.mark.parametrize("name", ["cpu.yaml", "gpu.yaml"])
def test_conda_environments_have_the_same_pins(name):
    environment = yaml.safe_load((ROOT / "envs" / name).read_text())
    assert environment["dependencies"][-1]["pip"] == pins()


def test_every_import_is_pinned():
    """The tests' own tools bring packages that a user's environment lacks."""
    distributions = metadata.packages_distributions()
    modules = imported_modules() - NOT_PINNED
    assert {"torch", "cv2", "sep"} <= modules
    missing = {m for m in modules if not {normal(d) for d in distributions[m]} & pinned_names()}
    assert missing == set()


def test_reports_can_be_made():
    """Snakemake needs packages for `--report` that it does not install by itself."""
    wanted = [r for r in metadata.requires("snakemake") if 'extra == "reports"' in r]
    names = {normal(re.match(r"[\w.-]+", r)[0]) for r in wanted}
    assert names and names <= pinned_names()
