"""Which of the user's data a run reads, and which of them are not there yet."""

import glob
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from galaxy_lvm.core.config.datasets import is_pattern

# What lies behind a dataset's file, by its source.
_WHAT = {
    "folder": "table of the galaxies (id, file, label); the images that it names lie beside it",
    "bricks": "table of positions (id, ra, dec in degrees); the images are cut from bricks on disk",
    "legacysurvey": "table of positions (id, ra, dec in degrees); the images are fetched",
    "ssl_legacysurvey": "HDF5 file of cutouts, or a pattern of several, read in place",
}


def user_file(config: Mapping[str, Any], name: str) -> Path | None:
    """Return the file that a dataset begins with; None where the workflow makes it itself."""
    dataset = config["datasets"][name]
    if dataset["source"] == "ssl_legacysurvey":
        return Path(dataset["path"])
    if dataset["source"] in _WHAT:
        return Path(dataset["data_dir"] or config["data_dir"] or "", dataset["table"])
    return None


def shard_files(config: Mapping[str, Any], name: str, directory: Path) -> dict[str, str] | None:
    """Return the files of a dataset that lies in several, by a short name; None for any other.

    Parameters
    ----------
    config
        Complete config.
    name
        Of the dataset.
    directory
        Folder that relative paths start from.
    """
    dataset = config["datasets"][name]
    if dataset["source"] != "ssl_legacysurvey" or not is_pattern(dataset["path"]):
        return None
    # Not `directory` in front: results name their inputs as the config does.
    found = sorted(glob.glob(dataset["path"], root_dir=directory))
    return {f"{number:03d}": path for number, path in enumerate(found)}


def _is_there(path: Path, directory: Path) -> bool:
    if is_pattern(str(path)):
        return next(glob.iglob(str(path), root_dir=directory), None) is not None
    return (directory / path).exists()


def missing_data(config: Mapping[str, Any], directory: Path) -> str:
    """Return in words which datasets are not on disk and where to put them; nothing if all are.

    Parameters
    ----------
    config
        Complete config.
    directory
        Folder that relative paths start from.
    """
    lines = []
    for name, dataset in config["datasets"].items():
        path = user_file(config, name)
        if path is not None and not _is_there(path, directory):
            keys = "path" if dataset["source"] == "ssl_legacysurvey" else "data_dir, table"
            what = _WHAT[dataset["source"]]
            lines.append(f"  {path}: {what} (datasets.{name}: {keys})")
        if dataset["source"] == "bricks":
            bricks = Path(dataset["bricks"], "coadd")
            if not (directory / bricks).is_dir():
                lines.append(f"  {bricks}: coadded bricks of a release (datasets.{name}: bricks)")
    if not lines:
        return ""
    return (
        "Not on disk yet, and read by whatever needs these datasets:\n"
        + "\n".join(lines)
        + f"\nPut them there (from {directory}), or set the keys in brackets in a config of yours "
        "(docs/slurm.md says how to get them). What reads none of them (fig1) runs already."
    )
