"""What `pip install .` brings: every chapter, the command, and the released weights."""

import shutil
import subprocess
import sys
import tomllib
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
LIBRARY = ROOT / "scripts" / "galaxy_lvm"


@pytest.fixture(scope="module")
def wheel(tmp_path_factory):
    """Build the wheel of a copy of the project that has released weights, without a network."""
    copy = tmp_path_factory.mktemp("project")
    for name in ("pyproject.toml", "README.md", "LICENSE"):
        shutil.copy(ROOT / name, copy)
    left_out = shutil.ignore_patterns("__pycache__")
    shutil.copytree(LIBRARY, copy / "scripts" / "galaxy_lvm", ignore=left_out)
    (copy / "weights").mkdir()
    for name in ("released.safetensors", "released.json", "notes.txt"):
        (copy / "weights" / name).write_text("made up")
    code = "import setuptools.build_meta as b; print(b.build_wheel('.'))"
    command = [sys.executable, "-c", code]
    built = subprocess.run(command, cwd=copy, capture_output=True, text=True, check=True)
    return zipfile.ZipFile(copy / built.stdout.strip().splitlines()[-1])


def test_the_wheel_holds_every_module_and_the_released_weights(wheel):
    names = set(wheel.namelist())
    modules = {path.relative_to(LIBRARY.parent).as_posix() for path in LIBRARY.rglob("*.py")}
    assert modules <= names
    assert {"galaxy_lvm/weights/released.safetensors", "galaxy_lvm/weights/released.json"} <= names
    assert "galaxy_lvm/weights/notes.txt" not in names
    kept = "spectra/cannon_emulator", "simulation/stellar_mixtures"
    assert {f"galaxy_lvm/{n}.{end}" for n in kept for end in ("npz", "LICENSE")} <= names
    assert "galaxy_lvm/py.typed" in names  # type hints are for those who import it as well
    entry = next(name for name in names if name.endswith("entry_points.txt"))
    assert "galaxy-lvm = galaxy_lvm.cli.main:main" in wheel.read(entry).decode()


def test_an_installed_package_finds_its_weights(wheel, tmp_path):
    wheel.extractall(tmp_path)
    code = "from galaxy_lvm.core.encoder_files import released_weights as r; print(r())"
    found = subprocess.run(
        [sys.executable, "-c", code],
        cwd=tmp_path, capture_output=True, text=True, check=True, env={"PYTHONPATH": str(tmp_path)},
    )  # fmt: skip
    expected = tmp_path / "galaxy_lvm" / "weights" / "released.safetensors"
    assert Path(found.stdout.strip()) == expected


def test_every_package_is_listed():
    listed = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["setuptools"]["packages"]
    found = {path.parent for path in LIBRARY.rglob("__init__.py")}
    names = {".".join(path.relative_to(LIBRARY.parent).parts) for path in found}
    assert set(listed) == names | {"galaxy_lvm.weights"}
