"""What tests do with a page of the docs: a copy of the project, and commands that end well."""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[1]
TREE = ("Snakefile", "rules", "scripts", "config", "report", "envs", "docs", "weights")


def copy_of_project(folder: Path) -> Path:
    """Copy what a run needs into a folder; return it."""
    left_out = shutil.ignore_patterns("__pycache__", "node_modules")
    for name in TREE:
        if (ROOT / name).is_dir():
            shutil.copytree(ROOT / name, folder / name, ignore=left_out)
        else:
            shutil.copy(ROOT / name, folder / name)
    return folder


def ended_well(command: list[str], directory: Path, *path: Path, first: Path | None = None) -> str:
    """Run a command; return what it printed.

    Parameters
    ----------
    command
        Program and arguments.
    directory
        Where it starts.
    *path
        Folders that Python imports from.
    first
        Folder whose programs are found first.
    """
    programs = [Path(sys.executable).parent, os.environ["PATH"]]
    programs = [first, *programs] if first else programs
    changed = {"PATH": os.pathsep.join(map(str, programs)),
               "PYTHONPATH": os.pathsep.join(map(str, path))}  # fmt: skip
    found = subprocess.run(
        command, cwd=directory, env={**os.environ, **changed},
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    text = found.stdout + found.stderr
    assert found.returncode == 0, text[-5000:]
    return text


def files_told(text: str) -> list[str]:
    """Return the files of a run that a part of docs/outputs.md names, as patterns."""
    return re.findall(r"`([\w*]+(?:/[\w*.]+)+)`", text)


def not_told(run: Path, told: list[str]) -> list[str]:
    """Return the files of a run's folders that no pattern names."""
    files = [path.relative_to(run) for path in run.rglob("*") if path.is_file()]
    files = [name for name in files if len(name.parts) > 1]  # a report may lie above
    return [str(name) for name in files if not any(name.match(part) for part in told)]


def not_there(run: Path, told: list[str]) -> list[str]:
    """Return the patterns that no file of a run answers."""
    files = [path.relative_to(run) for path in run.rglob("*") if path.is_file()]
    return [part for part in told if not any(name.match(part) for name in files)]
