"""The pinned environments: one list of versions, with everything that the workflow imports."""

import ast
import re
import sys
from functools import cache
from importlib import metadata
from pathlib import Path

import pytest
import yaml

ROOT = Path(__file__).parents[2]
# Imported only where the user asks for them: Detectron2 (envs/detectron2.yaml), language models
# (the extra `language`; the tests' environment has it).
NOT_PINNED = {"detectron2", "peft", "transformers"}


def normal(name):
    """Name of a distribution as package indexes compare it."""
    return re.sub(r"[-_.]+", "-", name).lower()


def pins():
    lines = (ROOT / "envs" / "cpu.txt").read_text().splitlines()
    return [line for line in lines if line and not line.startswith("#")]


def pinned_names():
    return {normal(line.split("==")[0]) for line in pins()}


# Every distribution's list of files is read for it: once for all tests.
distributions = cache(metadata.packages_distributions)


@cache
def imports_of(path):
    """Dotted names that a file imports, in functions as well."""
    found = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            found.update(name.name for name in node.names)
        elif isinstance(node, ast.ImportFrom) and node.level == 0:
            found.update((node.module, *(f"{node.module}.{name.name}" for name in node.names)))
    return frozenset(found)


def imported_modules(paths=None):
    """Top-level modules that the scripts and the library import, their own left out."""
    own = {path.stem for path in (ROOT / "scripts").iterdir()}
    paths = (ROOT / "scripts").rglob("*.py") if paths is None else paths
    found = {name.split(".")[0] for path in paths for name in imports_of(path)}
    return found - own - set(sys.stdlib_module_names)


def closure(*paths):
    """Scripts and the library's modules that they import, directly or through others."""
    found, waiting = set(), set(paths)
    while waiting:
        found.add(here := waiting.pop())
        names = (ROOT / "scripts" / name.replace(".", "/") for name in imports_of(here))
        modules = {name.with_suffix(".py") for name in names}
        waiting |= {module for module in modules - found if module.exists()}
    return found


@pytest.mark.parametrize("name", ["cpu.yaml", "gpu.yaml"])
def test_conda_environments_have_the_same_pins(name):
    environment = yaml.safe_load((ROOT / "envs" / name).read_text())
    assert environment["dependencies"][-1]["pip"] == pins()


@pytest.mark.parametrize("name", ["gpu.txt", "dev.txt"])
def test_every_environment_can_run_the_slurm_profile(name):
    """Without its executor, `--profile slurm` is refused as an invalid choice."""
    assert "snakemake-executor-plugin-slurm" in pinned_names()
    assert "-r cpu.txt" in (ROOT / "envs" / name).read_text().splitlines()


def test_every_import_is_pinned():
    """The tests' own tools bring packages that a user's environment lacks."""
    modules = imported_modules() - NOT_PINNED
    assert {"torch", "cv2", "sep"} <= modules
    missing = {m for m in modules if not {normal(d) for d in distributions()[m]} & pinned_names()}
    assert missing == set()


def test_reports_can_be_made():
    """Snakemake needs packages for `--report` that it does not install by itself."""
    wanted = [r for r in metadata.requires("snakemake") if 'extra == "reports"' in r]
    names = {normal(re.match(r"[\w.-]+", r)[0]) for r in wanted}
    assert names and names <= pinned_names()


def test_the_detectron2_environment_has_what_its_rule_imports():
    """Only train_detector runs in it."""
    environment = yaml.safe_load((ROOT / "envs" / "detectron2.yaml").read_text())
    listed = {normal(re.match(r"[\w.-]+", line)[0]) for line in environment["dependencies"]}
    files = closure(ROOT / "scripts" / "train_detector.py")
    assert ROOT / "scripts" / "galaxy_lvm" / "survey" / "fields.py" in files
    names = {m: {normal(d) for d in distributions().get(m, [m])} for m in imported_modules(files)}
    assert {"torch", "torchvision", "h5py"} <= set(names)
    # detectron2 brings torch and numpy, as conda-forge builds it.
    missing = {m for m, of in names.items() if not of & (listed | {"torch", "detectron2"})}
    assert missing == set()


@pytest.mark.parametrize("name", ["detectron2-test.txt", "detectron2-wheel.txt"])
def test_the_environment_of_the_detectron2_tests_is_pinned(name):
    lines = (ROOT / "envs" / name).read_text().splitlines()
    wanted = [line for line in lines if not line.startswith("#")]
    assert wanted and all("==" in line for line in wanted)
    assert name == "detectron2-test.txt" or all("--hash=sha256:" in line for line in wanted)
