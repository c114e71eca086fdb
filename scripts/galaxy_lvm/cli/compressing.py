"""What `galaxy-lvm compress` does."""

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import pandas as pd

from galaxy_lvm.cli.run import encoder_and_images, write_tables
from galaxy_lvm.core.config.survey import Folder
from galaxy_lvm.core.errors import DataError
from galaxy_lvm.core.output import Output
from galaxy_lvm.features.compress import compress, images_per_second, loss_of, write_compressed
from galaxy_lvm.features.encoder import load_encoder
from galaxy_lvm.features.images import Reading
from galaxy_lvm.features.label_classes import labels_by_table
from galaxy_lvm.survey.duplicates import duplicate_groups
from galaxy_lvm.survey.rejected import write_rejected


def compress_folder(
    folder: Path,
    which: str,
    kind: str | None,
    out: Output,
    reading: Reading,
    tolerance: float,
    max_images: int,
    labels: Path | None,
    columns: Mapping[str, str],
) -> list[str]:
    """Write the smaller encoder, its card and the table; return sentences on what came of it."""
    whole, source = encoder_and_images(folder, which, kind, out, reading)
    given, lost = {}, []
    if labels is not None:
        given, lost, _ = labels_by_table(labels, folder, source, Folder(**columns))
    names = sorted(given or source.paths)
    chosen = np.linspace(0, len(names) - 1, min(max_images, len(names))).astype(int)
    chunks = list(source.only([names[i] for i in chosen]).chunks())
    skipped = source.skipped + [line for chunk in chunks for line in chunk.skipped]
    out.clear()
    write_rejected(out / "skipped.csv", [*skipped, *lost])
    crops = np.concatenate([chunk.images for chunk in chunks])
    ids = np.concatenate([chunk.table["id"].to_numpy(dtype=object) for chunk in chunks])
    groups = duplicate_groups(crops)
    other = groups % 2 == 1  # galaxy by galaxy: copies are next to each other by name
    learned, asked, groups = crops[~other], crops[other], groups[other]
    known, rare = _classes(labels, [given.get(name, "") for name in ids[other]], groups)

    small, table = compress(whole, learned, tolerance)
    path = out / "compressed.safetensors"
    about = {"tolerance": tolerance, "n_learned": len(learned), "n_asked": len(asked)}
    write_compressed(path, small, whole, table, {"compression": about})
    written = load_encoder(path, reading=whole.reading)
    loss = loss_of(whole.vectors(asked), written.vectors(asked), known, groups)
    write_compressed(path, small, whole, table, {"compression": about | loss})
    write_tables(out, "compress", table)
    speeds = [images_per_second(encoder, asked) for encoder in (whole, written)]
    told = _looked_at(len(source), len(names), len(chosen), len(crops))
    return [told, *rare, *_sentences(table, loss, speeds, out, len(asked))]


def _looked_at(n_all: int, n_asked: int, n_chosen: int, n_read: int) -> str:
    """Return how many of the images are looked at, in words."""
    return (
        f"{n_all} images: {n_all - n_asked} left aside without a label, {n_asked - n_chosen} by "
        f"--max-images; {n_read} read, {n_chosen - n_read} refused"
    )


def _classes(
    table: Path | None, labels: Sequence[str], groups: np.ndarray
) -> tuple[np.ndarray | None, list[str]]:
    """Return the labels that the loss is asked by, None without a table; and what is left out.

    Before anything is made: cross-validation needs two images of a class, copies counted once.
    """
    if table is None:
        return None, []
    known = pd.Series(labels, dtype=object)
    counts = pd.Series(groups)[known != ""].groupby(known[known != ""]).nunique()
    rare = sorted(counts.index[counts < 2])
    if len(counts) - len(rare) < 2:
        raise DataError(
            f"{table}: of the {len(known)} images that the loss is measured on, two classes need "
            f"two labels each; there are {counts.to_dict()}"
        )
    told = f"left out of the accuracy, with one image each: {', '.join(rare)}"
    return known.where(~known.isin(rare), "").to_numpy(), [told] if rare else []


def _sentences(
    table: pd.DataFrame,
    loss: Mapping[str, float],
    speeds: Sequence[float],
    out: Output,
    n_asked: int,
) -> list[str]:
    before, after = table["numbers"].sum(), table["numbers_kept"].sum()
    n_cut = int((table["kept"] < table["rank"]).sum())
    lines = [
        f"{n_cut} of {len(table)} layers are narrower: {after} numbers instead of {before} "
        f"({100 * after / before:.0f} %); {speeds[1]:.0f} images a second instead of "
        f"{speeds[0]:.0f} here and now",
        f"{n_asked} other images: {100 * loss['feature_error']:.1f} % of the variance of the "
        f"vectors is lost, {100 * loss['nearest_kept']:.0f} % keep their nearest neighbour",
    ]
    if "accuracy" in loss:
        lines.append(
            f"accuracy of logistic regression {loss['accuracy']:.3f}, whole encoder "
            f"{loss['accuracy_whole']:.3f} (cross-validation)"
        )
    return [*lines, f"written to {out.folder}"]
