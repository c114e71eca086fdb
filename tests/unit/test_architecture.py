"""The library's layout: chapters import one way, and modules, functions and scripts stay small."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from galaxy_lvm.core.architecture import PAGE, page_with_table

SCRIPTS = Path(__file__).parents[2] / "scripts"
LIBRARY = SCRIPTS / "galaxy_lvm"

# A chapter imports from itself and from those before it; a new one gets its place here.
CHAPTERS = (
    "core", "report", "survey", "simulation", "lvm", "training", "features", "multitask",
    "fewshot", "lenses", "hitl", "spectra", "align", "joint", "layers", "wise", "ui", "cli",
)  # fmt: skip

MAX_MODULE_LINES, MAX_FUNCTION_LINES, MAX_SCRIPT_LINES = 400, 40, 120


def modules() -> list[Path]:
    return sorted(path for path in LIBRARY.rglob("*.py") if path.parent != LIBRARY)


def scripts() -> list[Path]:
    return sorted(SCRIPTS.glob("*.py"))


def named(path: Path) -> str:
    return path.relative_to(SCRIPTS).as_posix()


def chapter_of(path: Path) -> str:
    return path.relative_to(LIBRARY).parts[0].removesuffix(".py")


def imports_of(path: Path) -> Iterator[tuple[int, str]]:
    """Yield line and dotted name of every import of the library, also those within functions."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from ((node.lineno, alias.name) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{named(path)}:{node.lineno}: a relative import"
            yield from ((node.lineno, f"{node.module}.{alias.name}") for alias in node.names)


def upward_imports(path: Path) -> list[str]:
    rank = CHAPTERS.index(chapter_of(path))
    found = []
    for line, name in imports_of(path):
        parts = name.split(".")
        of_library = parts[0] == "galaxy_lvm" and not parts[1].startswith("__")
        if of_library and CHAPTERS.index(parts[1]) > rank:
            found.append(f"{named(path)}:{line} imports {name}")
    return found


def docstring_lines(node: ast.FunctionDef | ast.AsyncFunctionDef) -> int:
    first = node.body[0]
    return first.end_lineno - first.lineno + 1 if ast.get_docstring(node) else 0


def long_functions(path: Path) -> dict[str, int]:
    """Return the functions over the limit by `file:name`; their docstrings do not count."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    sizes = {
        f"{named(path)}:{node.name}": node.end_lineno - node.lineno + 1 - docstring_lines(node)
        for node in ast.walk(tree)
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
    }
    return {name: lines for name, lines in sizes.items() if lines > MAX_FUNCTION_LINES}


def too_long(paths: list[Path], limit: int) -> dict[str, int]:
    lengths = {named(path): len(path.read_text(encoding="utf-8").splitlines()) for path in paths}
    return {name: lines for name, lines in lengths.items() if lines > limit}


def test_every_chapter_has_its_place():
    assert {chapter_of(path) for path in modules()} == set(CHAPTERS)
    assert [path.name for path in LIBRARY.glob("*.py")] == ["__init__.py"]


@pytest.mark.parametrize("chapter", CHAPTERS)
def test_imports_go_one_way(chapter):
    own = [path for path in modules() if chapter_of(path) == chapter]
    found = [line for path in own for line in upward_imports(path)]
    assert not found, "\n".join(found)


def test_an_import_within_a_function_is_seen(tmp_path, monkeypatch):
    path = LIBRARY / "core" / "made_up.py"
    text = "def f():\n    from galaxy_lvm.hitl import session\n    return session\n"
    monkeypatch.setattr(Path, "read_text", lambda self, encoding: text)
    assert upward_imports(path) == ["galaxy_lvm/core/made_up.py:2 imports galaxy_lvm.hitl.session"]


def test_functions_are_short():
    found = {k: n for path in [*modules(), *scripts()] for k, n in long_functions(path).items()}
    assert found == {}


def test_modules_are_short():
    found = too_long(modules(), MAX_MODULE_LINES)
    assert found == {}


def test_scripts_are_short():
    found = too_long(scripts(), MAX_SCRIPT_LINES)
    assert found == {}


RULES = SCRIPTS.parent / "rules"


def rule_bodies() -> list[str]:
    texts = [path.read_text(encoding="utf-8") for path in sorted(RULES.glob("*.smk"))]
    return [
        body for text in texts for body in re.split(r"^ *(?:rule|checkpoint) ", text, flags=re.M)
    ]


def test_every_rule_says_what_its_code_is():
    """By a hash that follows every edit where it is cheap, by a version where it is not."""
    scripted = [body for body in rule_bodies() if "script:" in body]
    assert len(scripted) > 40
    silent = [
        b.split(":")[0] for b in scripted if "code_of(" not in b and "recipe_version" not in b
    ]
    assert silent == []


def test_every_rule_with_unfinished_state_keys_it_by_its_recipe():
    with_state = [body for body in rule_bodies() if "state_root=" in body]
    assert len(with_state) >= 11
    for body in with_state:
        name, script = body.split(":", 1)[0], re.search(r'scripts/(\w+\.py)"', body).group(1)
        assert re.search(r"^ +recipe_version=\d+,$", body, flags=re.M), name
        handed_on = "recipe_version=snakemake.params.recipe_version"
        assert handed_on in (SCRIPTS / script).read_text(encoding="utf-8"), script


def test_the_page_lists_every_rule_with_the_modules_of_its_script():
    """Written anew by `make docs`."""
    page = PAGE.read_text()
    assert page == page_with_table(page)
    for rule in ("train_multitask", "plot_similar", "make_tables"):
        assert f"| `{rule}` |" in page
