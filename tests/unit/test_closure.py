"""What an edit of the library reruns: the scripts that import the module, and no others."""

import subprocess
import sys
from pathlib import Path

import pytest
from galaxy_lvm.core.closure import code_hash, import_closure

ROOT = Path(__file__).parents[2]
FIGURES = "galaxy_lvm/hitl/figures.py"


@pytest.fixture
def tree(tmp_path):
    """Return a small tree: two scripts, one imports a module through another."""
    library = tmp_path / "galaxy_lvm"
    (library / "core").mkdir(parents=True)
    for folder in (library, library / "core"):
        (folder / "__init__.py").write_text('"""A package."""\n')
    (library / "core" / "deep.py").write_text('def depth(x):\n    """Say."""\n    return x + 1\n')
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
    new = '"""Return one more.\n\n    Really.\n    """\n\n    # Comment.\n'
    assert edited(deep, '"""Say."""\n', new, tree / "first.py") == first


def test_the_hash_is_the_same_in_every_process(tree):
    assert hash_in_other_process(tree / "second.py").strip() == code_hash(tree / "second.py")


def test_every_module_that_a_script_loads_is_in_its_closure():
    script = ROOT / "scripts" / "make_tables.py"
    code = "import sys; import make_tables; print(*(m.__file__ for n, m in sys.modules.items() "
    code += "if n.split('.')[0] == 'galaxy_lvm'))"
    loaded = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True,
        env={"PYTHONPATH": str(script.parent)},
    ).stdout.split()  # fmt: skip
    assert loaded and set(loaded) <= {str(path) for path in import_closure(script)}


def test_a_plot_module_reruns_its_figures_and_nothing_else():
    scripts = sorted((ROOT / "scripts").glob("*.py"))
    module = ROOT / "scripts" / FIGURES
    importing = {path.stem for path in scripts if module in import_closure(path)}
    assert importing == {"plot_hitl_targets", "plot_hitl_comparison", "plot_hitl_discovery",
                         "plot_hitl_alpha"}  # fmt: skip
