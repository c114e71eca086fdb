"""The complete config of every size, kept in files that a test compares."""

from pathlib import Path
from typing import Any

import yaml

from galaxy_lvm.core.config.load import resolve, sizes

ORIGIN = "# Complete config of config/{}.yaml; written again by: make docs\n"
USERS_FOLDER = {"folder": {"data_dir": "PATH"}}
"""What a size needs from the command line."""


def snapshot(name: str) -> dict[str, Any]:
    """Return the complete config of a size, by its name in the folder `config`."""
    return resolve({**USERS_FOLDER.get(name, {}), "base": name})


def snapshot_yaml(name: str) -> str:
    """Return a snapshot as a YAML file."""
    text = yaml.safe_dump(snapshot(name), sort_keys=False, width=100, allow_unicode=True)
    return ORIGIN.format(name) + text


def write_snapshots(folder: Path) -> list[Path]:
    """Write the snapshot of every size and return their paths."""
    folder.mkdir(parents=True, exist_ok=True)
    for name in sizes():
        (folder / f"{name}.yaml").write_text(snapshot_yaml(name))
    return [folder / f"{name}.yaml" for name in sizes()]
