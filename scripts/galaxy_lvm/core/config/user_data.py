"""Which of the user's data a run reads, and which of them are not there yet."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

# What lies behind a dataset's file, by its source.
_WHAT = {
    "folder": "table of the galaxies (id, file, label); the images that it names lie beside it",
    "legacysurvey": "table of positions (id, ra, dec in degrees); the images are fetched",
    "ssl_legacysurvey": "HDF5 file of cutouts, read in place",
}


def user_file(config: Mapping[str, Any], name: str) -> Path | None:
    """Return the file that a dataset begins with; None where the workflow makes it itself."""
    dataset = config["datasets"][name]
    if dataset["source"] == "ssl_legacysurvey":
        return Path(dataset["path"])
    if dataset["source"] in _WHAT:
        return Path(dataset["data_dir"] or config["data_dir"] or "", dataset["table"])
    return None


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
        if path is not None and not (directory / path).exists():
            keys = "path" if dataset["source"] == "ssl_legacysurvey" else "data_dir, table"
            what = _WHAT[dataset["source"]]
            lines.append(f"  {path}: {what} (datasets.{name}: {keys})")
    if not lines:
        return ""
    return (
        "Not on disk yet, and read by whatever needs these datasets:\n"
        + "\n".join(lines)
        + f"\nPut them there (from {directory}), or set the keys in brackets in a config of yours "
        "(docs/slurm.md says how to get them). What reads none of them (fig1) runs already."
    )
