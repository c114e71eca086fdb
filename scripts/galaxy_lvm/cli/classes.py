"""The two ways of `galaxy-lvm classify`."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from galaxy_lvm.cli.run import embed_folder
from galaxy_lvm.core.config.survey import Folder
from galaxy_lvm.core.encoder_files import run_folder
from galaxy_lvm.core.output import Output
from galaxy_lvm.features.embed_files import EmbeddedFiles, embed_files
from galaxy_lvm.features.images import FileImages, Reading, folder_images
from galaxy_lvm.features.label_classes import class_table, classes_from_labels, labels_by_table
from galaxy_lvm.multitask.classifier import RunClassifier
from galaxy_lvm.survey.duplicates import duplicate_groups
from galaxy_lvm.survey.rejected import write_rejected


@dataclass(frozen=True)
class Classified:
    """Images of a folder with their classes, and what is to be said of them."""

    table: pd.DataFrame
    source: FileImages
    embedded: EmbeddedFiles
    sentence: str


def by_run(
    folder: Path, run: str, strategy: str, kind: str | None, out: Output, reading: Reading
) -> Classified:
    """Classify by the networks that a run trained with a strategy."""
    networks = RunClassifier(run_folder(run), strategy, reading)
    source = folder_images(folder, reading, kind, own=[out.folder])
    out.clear()
    parts: list[np.ndarray] = []
    embedded = embed_files(
        networks.encoder, source, out / "features.npy", out / "skipped.csv",
        each=lambda chunk: parts.append(networks.probabilities(chunk.images)),
    )  # fmt: skip
    table = class_table(embedded.table, networks.names, np.concatenate(parts))
    counts = _counts(table, networks.names)
    n = networks.n_calibration
    how = f"calibrated on {n} validation galaxies" if n else "not calibrated (see the log)"
    sentence = f"{counts} by {strategy} of {run}, probabilities {how}"
    return Classified(table, source, embedded, sentence)


def by_labels(
    folder: Path,
    labels: Path,
    columns: Mapping[str, str],
    encoder: str,
    kind: str | None,
    out: Output,
    reading: Reading,
) -> Classified:
    """Classify by logistic regression on the features of the labelled images."""
    given: dict[str, str] = {}
    lost: list[dict[str, object]] = []
    rows: dict[str, tuple[str, str]] = {}

    def read_labels(source: FileImages) -> None:
        found, unknown, named = labels_by_table(labels, folder, source, Folder(**columns))
        given.update(found)
        lost.extend(unknown)
        rows.update(named)

    crops: list[np.ndarray] = []
    _, source, embedded = embed_folder(
        folder, encoder, kind, out, reading, read_labels,
        each=lambda chunk: crops.extend(chunk.images[chunk.table["id"].isin(list(given))]),
    )  # fmt: skip
    write_rejected(out / "skipped.csv", [*embedded.skipped, *lost])
    files = embedded.table.assign(label=[given.get(name, "") for name in embedded.table["id"]])
    # As the user's table has them, to join by; an image may be found by either.
    for place, column in enumerate(("table_id", "table_file")):
        files[column] = [rows.get(name, ("", ""))[place] for name in files["id"]]
    written = files["label"].to_numpy(dtype=object)
    found = classes_from_labels(embedded.store.values, written, _copies(written != "", crops))
    table = class_table(files, found.names, found.probabilities)
    sentence = (
        f"{_counts(table, found.names)}; accuracy {found.accuracy:.3f} and macro F1 {found.f1:.3f} "
        f"on {found.n_labelled} labelled images ({found.n_folds}-fold cross-validation)"
    )
    if lost:
        sentence += f"; {len(lost)} rows of {labels} are of no image (in skipped.csv)"
    return Classified(table, source, embedded, sentence)


def _copies(labelled: np.ndarray, crops: Sequence[np.ndarray]) -> np.ndarray:
    """Return numbers (N,) that labelled copies share, -1 for other images."""
    groups = np.full(len(labelled), -1)
    if crops:
        groups[labelled] = duplicate_groups(np.stack(crops))
    return groups


def _counts(table: pd.DataFrame, names: tuple[str, ...]) -> str:
    counts = table["class"].value_counts()
    return ", ".join(f"{counts.get(name, 0)} {name}" for name in names)
