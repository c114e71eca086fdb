"""Benchmarks and notebooks, most of which no test runs, call the library as it is now."""

import ast
import inspect
import json
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
SOURCES = sorted([*(ROOT / "benchmarks").glob("*.py"), *(ROOT / "notebooks").glob("*.ipynb")])


def code_of(path):
    """Return the code of a script or of a notebook's cells."""
    text = path.read_text(encoding="utf-8")
    if path.suffix == ".py":
        return text
    cells = [cell["source"] for cell in json.loads(text)["cells"] if cell["cell_type"] == "code"]
    lines = "\n".join("".join(cell) for cell in cells).splitlines()
    return "\n".join("" if line.lstrip().startswith(("%", "!")) else line for line in lines)


def signature_of(function):
    """Return the signature of a function by its text: importing the library would take seconds."""
    kinds, asked = inspect.Parameter, function.args
    parameters, positional = [], [*asked.posonlyargs, *asked.args]
    n_needed = len(positional) - len(asked.defaults)
    for k, argument in enumerate(positional):
        default = kinds.empty if k < n_needed else None
        parameters.append(kinds(argument.arg, kinds.POSITIONAL_OR_KEYWORD, default=default))
    if asked.vararg:
        parameters.append(kinds(asked.vararg.arg, kinds.VAR_POSITIONAL))
    for argument, default in zip(asked.kwonlyargs, asked.kw_defaults, strict=True):
        default = kinds.empty if default is None else None
        parameters.append(kinds(argument.arg, kinds.KEYWORD_ONLY, default=default))
    if asked.kwarg:
        parameters.append(kinds(asked.kwarg.arg, kinds.VAR_KEYWORD))
    return inspect.Signature(parameters)


def functions_of(module):
    """Return the functions that a module of the library defines, with their signatures."""
    base = ROOT / "scripts" / Path(*module.split("."))
    path = base / "__init__.py" if base.is_dir() else base.with_suffix(".py")
    body = ast.parse(path.read_text(encoding="utf-8")).body
    return {node.name: signature_of(node) for node in body if isinstance(node, ast.FunctionDef)}


def wrong_calls(code):
    """Return the calls of the library's functions that their signatures refuse, and why."""
    tree, known, wrong = ast.parse(code), {}, []
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("galaxy_lvm"):
            there = functions_of(node.module)
            known |= {
                one.asname or one.name: there[one.name] for one in node.names if one.name in there
            }
        if isinstance(node, ast.Import):  # of a rule's script
            for one in node.names:
                if (ROOT / "scripts" / f"{one.name}.py").is_file():
                    there = functions_of(one.name)
                    known |= {f"{one.asname or one.name}.{name}": there[name] for name in there}
    for node in ast.walk(tree):
        if not (isinstance(node, ast.Call) and (called := ast.unparse(node.func)) in known):
            continue
        names = [keyword.arg for keyword in node.keywords]
        if None in names or any(isinstance(one, ast.Starred) for one in node.args):
            continue  # what * and ** hold is not in the text
        try:
            known[called].bind(*node.args, **dict.fromkeys(names))
        except TypeError as error:
            wrong.append(f"line {node.lineno}, {called}: {error}")
    return wrong


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: path.name)
def test_the_library_takes_the_arguments_that_it_is_given(path):
    assert wrong_calls(code_of(path)) == []


def test_an_argument_that_a_script_wants_would_be_found():
    (told,) = wrong_calls("import plot_outliers\nplot_outliers.main(metrics=1)")
    assert told.startswith("line 2, plot_outliers.main: missing a required argument")


def test_an_argument_too_many_would_be_found():
    head = "from galaxy_lvm.lenses.search import find_threshold\n"
    assert wrong_calls(head + "find_threshold(weights, metrics)") == []
    (told,) = wrong_calls(head + "find_threshold(weights, card, metrics)")
    assert told == "line 2, find_threshold: too many positional arguments"
    assert "unexpected keyword" in wrong_calls(head + "find_threshold(weights, card=1)")[0]
