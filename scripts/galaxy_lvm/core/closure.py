"""What a script's code is: a hash over it and every module of the library that it imports.

Cheap rules carry it as a param, so that an edit of a module reruns the rules that import it and no
others. Comments, layout and the wording of docstrings do not count.
"""

import hashlib
import re
from functools import cache
from pathlib import Path
from types import CodeType

# "import galaxy_lvm.a.b" and "from galaxy_lvm.a import b, c", the latter also over several lines.
_IMPORT = re.compile(
    r"^[ \t]*(?:from|import)[ \t]+(galaxy_lvm[\w.]*)(?:[ \t]+import[ \t]+(\([^)]*\)|.*))?",
    re.MULTILINE,
)


def code_hash(script: Path) -> str:
    """Return a hash (16 hexadecimal digits) of a script's code and of all that it imports.

    Parameters
    ----------
    script
        Script of a rule; the library lies in its folder.

    Raises
    ------
    OSError
        If the script does not exist.
    SyntaxError
        If the script or a module is no Python.
    """
    total = hashlib.sha256()
    for path in import_closure(script):
        total.update(f"{path.relative_to(script.parent).as_posix()} {_read(path)[0]}\n".encode())
    return total.hexdigest()[:16]


def import_closure(script: Path) -> list[Path]:
    """Return the script and the library's files that it imports, also through others, sorted."""
    found, left = set(), [script]
    while left:
        path = left.pop()
        if path not in found:
            found.add(path)
            left.extend(_imported(path, script.parent))
    return sorted(found)


# Most scripts share most of their modules: without the cache Snakemake's start spent half of its
# time here.
@cache
def _imported(path: Path, root: Path) -> frozenset[Path]:
    """Return the files that a file imports: of a name `a.b.c`, a/__init__.py, a/b.py and so on."""
    parts = (name.split(".") for name in _read(path)[1])
    places = {root.joinpath(*name[:end]) for name in parts for end in range(1, len(name) + 1)}
    files = {f for p in places for f in (p.with_suffix(".py"), p / "__init__.py")}
    return frozenset(file for file in files if file.is_file())


@cache
def _read(path: Path) -> tuple[str, frozenset[str]]:
    """Return a hash of a file's code and the dotted names that it imports from the library."""
    text = path.read_text(encoding="utf-8")
    # optimize=2 leaves docstrings out; compiling at once takes a third of walking the syntax tree.
    code = compile(text, str(path), "exec", dont_inherit=True, optimize=2)
    names = set()
    for module, imported in _IMPORT.findall(text):
        names.add(module)
        names.update(f"{module}.{name}" for name in re.findall(r"\w+", imported))
    return hashlib.sha256(repr(_content(code)).encode()).hexdigest(), frozenset(names)


def _content(code: CodeType) -> tuple:
    """Return what a compiled piece does, without the places of its lines."""
    constants = tuple(
        _content(c) if isinstance(c, CodeType) else _sorted(c) for c in code.co_consts
    )
    names = (code.co_name, code.co_names, code.co_varnames, code.co_freevars, code.co_cellvars)
    return (*names, code.co_argcount, code.co_kwonlyargcount, code.co_flags, code.co_code,
            code.co_exceptiontable, constants)  # fmt: skip


def _sorted(constant: object) -> object:
    """Return a constant whose text is the same in every process: sets are put in order."""
    return sorted(map(repr, constant)) if isinstance(constant, frozenset) else constant
