"""What an edit of the library reruns: the scripts that import the module, and no others."""

import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from galaxy_lvm.core.closure import code_hash, import_closure

ROOT = Path(__file__).parents[2]
FIGURES = "galaxy_lvm/fewshot/figures.py"


@pytest.fixture
def tree(tmp_path):
    """Return a small tree: two scripts, one imports a module through another."""
    library = tmp_path / "galaxy_lvm"
    (library / "core").mkdir(parents=True)
    for folder in (library, library / "core"):
        (folder / "__init__.py").write_text('"""A package."""\n')
    (library / "core" / "deep.py").write_text("def depth(x):\n    return x + 1\n")
    (library / "core" / "middle.py").write_text(
        "def middle(x):\n    from galaxy_lvm.core.deep import depth\n    return depth(x)\n"
    )
    (tmp_path / "first.py").write_text(
        "from galaxy_lvm.core import (\n    middle,\n)\nprint(middle)\n"
    )
    (tmp_path / "second.py").write_text("import numpy as np\nprint({'a', 'b'} == np)\n")
    return tmp_path


def hash_in_other_process(script):
    code = "import sys; from pathlib import Path; from galaxy_lvm.core.closure import code_hash; "
    code += "print(code_hash(Path(sys.argv[1])))"
    command = [sys.executable, "-c", code, str(script)]
    env = {"PYTHONPATH": str(ROOT / "scripts"), "PYTHONHASHSEED": "5"}
    return subprocess.run(command, capture_output=True, text=True, check=True, env=env).stdout


def edited(path, old, new, script):
    """Return a script's hash after an edit of a file."""
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new))
    return hash_in_other_process(script)


def test_the_closure_follows_imports_through_modules_and_functions(tree):
    names = [path.relative_to(tree).as_posix() for path in import_closure(tree / "first.py")]
    assert names == [
        "first.py", "galaxy_lvm/__init__.py", "galaxy_lvm/core/__init__.py",
        "galaxy_lvm/core/deep.py", "galaxy_lvm/core/middle.py",
    ]  # fmt: skip
    assert import_closure(tree / "second.py") == [tree / "second.py"]


def test_an_edit_changes_the_scripts_that_import_it_alone(tree):
    first, second = (hash_in_other_process(tree / f"{name}.py") for name in ("first", "second"))
    deep = tree / "galaxy_lvm" / "core" / "deep.py"
    assert edited(deep, "x + 1", "x + 2", tree / "first.py") != first
    assert hash_in_other_process(tree / "second.py") == second
    assert edited(deep, "x + 2", "x + 1", tree / "first.py") == first


def test_comments_docstrings_and_layout_do_not_count(tree):
    first = hash_in_other_process(tree / "first.py")
    deep = tree / "galaxy_lvm" / "core" / "deep.py"
    new = 'def depth(x):\n    """Return one more."""\n\n    # really\n'
    assert edited(deep, "def depth(x):\n", new, tree / "first.py") == first


def test_the_hash_is_the_same_in_every_process(tree):
    assert hash_in_other_process(tree / "second.py").strip() == code_hash(tree / "second.py")


def test_every_script_names_library_files_that_exist():
    for script in sorted((ROOT / "scripts").glob("*.py")):
        found = {path.relative_to(ROOT / "scripts").as_posix() for path in import_closure(script)}
        for module in re.findall(r"^from (galaxy_lvm[\w.]+) import", script.read_text(), re.M):
            assert f"{module.replace('.', '/')}.py" in found, f"{script.name}: {module}"


def test_a_plot_module_reruns_its_figures_and_nothing_else(tmp_path):
    copy = tmp_path / "scripts"
    shutil.copytree(ROOT / "scripts", copy, ignore=shutil.ignore_patterns("__pycache__"))
    scripts = sorted(copy.glob("*.py"))
    importing = {path.stem for path in scripts if copy / FIGURES in import_closure(path)}
    assert importing and all(name.startswith("plot_fewshot") for name in importing)
