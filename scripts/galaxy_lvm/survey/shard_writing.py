"""A long table's cutouts written shard by shard: what is complete stays, whatever comes after."""

import os
from collections.abc import Callable
from pathlib import Path

import pandas as pd

from galaxy_lvm.survey.rejected import read_rejected, write_rejected
from galaxy_lvm.survey.shards import write_index
from galaxy_lvm.survey.store import CutoutStore

Lines = list[dict[str, object]]
"""Rows of a table of rejections."""


def write_shards(
    rows: pd.DataFrame,
    cutouts: str | os.PathLike,
    size: int,
    key_of: Callable[[pd.DataFrame], str],
    write: Callable[[pd.DataFrame, Path, str], Lines],
    remedy: str,
    done: Callable[[pd.DataFrame], None] | None = None,
) -> Lines:
    """Write the shards that are not there yet, and their index; return the rejections of all.

    Parameters
    ----------
    rows
        One a galaxy.
    cutouts
        Index to write; the shards lie in the folder `shards` beside it. None is written where no
        shard has a cutout.
    size
        Rows of a shard.
    key_of
        12 hex digits that change with whatever a shard is made of.
    write
        Writes the store of some rows to a path and returns what could not be used; the text says
        which shard it is, for the progress.
    remedy
        What to do where a shard is missing or damaged later.
    done
        Called for every shard that is complete, also where an earlier run wrote it.
    """
    folder, names, rejections = Path(cutouts).parent / "shards", {}, []
    folder.mkdir(parents=True, exist_ok=True)
    kept = set()
    starts = range(0, len(rows), size)
    for number, start in enumerate(starts):
        part = rows.iloc[start : start + size]
        stem = f"{key_of(part)}_{number:03d}"
        path, listed = folder / f"{stem}_cutouts.h5", folder / f"{stem}_rejected.csv"
        if not (path.exists() and listed.exists()):
            lost = write(part, path, f"shard {number + 1} of {len(starts)}")
            write_rejected(listed, lost)
        if done is not None:
            done(part)
        kept |= {path.name, listed.name}
        rejections += read_rejected(listed).to_dict("records")
        with CutoutStore(path) as store:
            if len(store):
                names[f"{number:03d}"] = path
    # Shards of other tables or settings.
    for path in folder.glob("*_[0-9][0-9][0-9]*_*"):
        if path.name.endswith(("_cutouts.h5", "_rejected.csv")) and path.name not in kept:
            path.unlink()
    if names:
        write_index(cutouts, list(names.values()), list(names), remedy)
    return rejections
