"""Classes of image files from the labels of some: logistic regression on frozen features."""

import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import log_loss
from sklearn.model_selection import StratifiedGroupKFold
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from galaxy_lvm.core.config.survey import Folder
from galaxy_lvm.core.errors import DataError
from galaxy_lvm.features.images import FileImages
from galaxy_lvm.report.class_scores import classification_metrics
from galaxy_lvm.survey.folder import read_table
from galaxy_lvm.survey.image_files import same_file
from galaxy_lvm.survey.rejected import rejection

# Inverse strengths of the penalty to choose from, by the log loss of folds left out of a fit.
STRENGTHS = (0.0003, 0.003, 0.03, 0.3)
_MOST_FOLDS = 5
_SEED = 1


@dataclass(frozen=True)
class LabelledClasses:
    """Class probabilities of all images.

    Attributes
    ----------
    names
        Classes, sorted.
    probabilities
        (N, n_classes). Those of labelled images come from fits that had not seen them.
    accuracy, f1
        Of the labelled images, by cross-validation that leaves copies out together and chooses the
        penalty within what it learns from; F1 is the macro average.
    n_labelled, n_folds
        Labelled images, and the parts that they were left out in.
    """

    names: tuple[str, ...]
    probabilities: np.ndarray
    accuracy: float
    f1: float
    n_labelled: int
    n_folds: int


def labels_by_table(
    path: str | os.PathLike, folder: Path, source: FileImages, settings: Folder
) -> tuple[dict[str, str], list[dict[str, object]], dict[str, tuple[str, str]]]:
    """Return by a user's table: labels of images, rows of no image, id and file of images there.

    A row is an image's if its file, relative to the folder, is; or else if its id is.

    Parameters
    ----------
    path
        Table with an id, a file and a label; see `survey.folder.read_table`.
    folder
        Folder of the images.
    source
        The images.
    settings
        Names of the columns.

    Raises
    ------
    DataError
        If the table cannot be read or lacks a column, two rows give an image two labels, or none
        gives an image any.
    """
    table = read_table(path, settings)
    by_file = {same_file(file): name for name, file in source.paths.items()}
    labels, lost, rows = {}, [], {}
    for row in table[["id", "file", "label", "row"]].itertuples():
        name = by_file.get(same_file(folder / row.file)) if row.file else None
        name = name or (row.id if row.id in source.paths else None)
        if name is None:
            reason = f"no image below {folder} is of this row; correct its file or its id"
            lost.append(rejection("label", reason, row.id, row.file, row.row))
            continue
        rows.setdefault(name, (row.id, row.file))
        if row.label and labels.setdefault(name, row.label) != row.label:
            raise DataError(
                f"{path}: row {row.row}: {name} is {row.label!r} here and {labels[name]!r} in a "
                "row before; give every image one label"
            )
    if not labels:
        example = f"its first row has the file {table['file'].iloc[0]!r}"
        raise DataError(
            f"{path}: no image below {folder} has a label in it; correct its files or ids: "
            f"{example}, an image of the folder is {next(iter(source.paths))!r}"
        )
    return labels, lost, rows


def classes_from_labels(
    values: np.ndarray, labels: np.ndarray, groups: np.ndarray | None = None
) -> LabelledClasses:
    """Fit classes to the labelled images and give all images probabilities.

    Parameters
    ----------
    values
        Feature vectors (N, D).
    labels
        Texts (N,), "" for none.
    groups
        Numbers (N,) that the labelled copies of a galaxy share; None where there are no copies.

    Raises
    ------
    DataError
        If there are fewer than two classes, or one of them has a single image or copies of one.
    """
    known = labels != ""
    names, numbers = np.unique(labels[known], return_inverse=True)
    copies = np.arange(len(labels))[known] if groups is None else groups[known]
    if len(names) < 2:
        raise DataError(
            f"labels of {len(names)} class{'es' * (len(names) != 1)} among {known.sum()} labelled "
            "images; classification needs two classes at least"
        )
    counts = _different(numbers, copies)
    if counts.min() < 2:
        rare = names[counts.argmin()]
        alike = " (and copies of it)" if (numbers == counts.argmin()).sum() > 1 else ""
        raise DataError(
            f"class {rare!r} has one labelled image{alike}; label a second one, or empty its label"
        )
    probabilities = np.empty((len(values), len(names)))
    learned = _Labelled(values[known], numbers, copies, len(names))
    n_folds = learned.n_folds
    probabilities[known] = learned.held_out(lambda part: part.best_strength())
    if not known.all():
        probabilities[~known] = learned.predict(learned.best_strength(), values[~known])
    scores = classification_metrics(numbers, probabilities[known].argmax(axis=1), len(names))
    classes = tuple(str(name) for name in names)
    n_labelled = int(known.sum())
    return LabelledClasses(
        classes, probabilities, scores["accuracy"], scores["f1"], n_labelled, n_folds
    )


def _different(numbers: np.ndarray, copies: np.ndarray) -> np.ndarray:
    """Return how many different galaxies each class (a number from 0) has."""
    return np.bincount(np.unique(np.stack([numbers, copies]), axis=1)[0])


@dataclass(frozen=True)
class _Labelled:
    """Images to fit classes to: vectors, numbers of classes and of groups of copies."""

    values: np.ndarray
    numbers: np.ndarray
    copies: np.ndarray
    n_classes: int

    @property
    def n_folds(self) -> int:
        """As many parts as every class has galaxies for; 1 where a class has one, or none."""
        counts = _different(self.numbers, self.copies)
        return min(_MOST_FOLDS, int(counts.min())) if len(counts) == self.n_classes else 1

    def held_out(self, strength_of: Callable[["_Labelled"], float]) -> np.ndarray:
        """Return probabilities by fits to the other folds, copies being in one fold together."""
        folds = StratifiedGroupKFold(self.n_folds, shuffle=True, random_state=_SEED)
        found = np.empty((len(self.values), self.n_classes))
        for learned, asked in folds.split(self.values, self.numbers, self.copies):
            part = _Labelled(
                self.values[learned], self.numbers[learned], self.copies[learned], self.n_classes
            )
            found[asked] = part.predict(strength_of(part), self.values[asked])
        return found

    def best_strength(self) -> float:
        """Return the strength of least log loss; the strongest penalty if none can be left out."""
        if self.n_folds < 2:
            return STRENGTHS[0]
        losses = [
            log_loss(
                self.numbers,
                self.held_out(lambda part, strength=strength: strength),
                labels=range(self.n_classes),
            )
            for strength in STRENGTHS
        ]
        return STRENGTHS[int(np.argmin(losses))]

    def predict(self, strength: float, values: np.ndarray) -> np.ndarray:
        """Return the probabilities of vectors by a fit to all; 0 for a class that is absent."""
        found = np.zeros((len(values), self.n_classes))
        present = np.unique(self.numbers)
        if len(present) == 1:
            found[:, present] = 1
            return found
        model = make_pipeline(StandardScaler(), LogisticRegression(C=strength, max_iter=1000))
        found[:, present] = model.fit(self.values, self.numbers).predict_proba(values)
        return found / found.sum(axis=1, keepdims=True)  # float32 sums to 1 within 1e-7


def class_table(
    files: pd.DataFrame, names: tuple[str, ...], probabilities: np.ndarray
) -> pd.DataFrame:
    """Return the images with their class, its probability, and the probability of every class.

    Parameters
    ----------
    files
        `features.images.COLUMNS`, and `label` where some are labelled.
    names, probabilities
        Classes, and (N, n_classes).
    """
    best = probabilities.argmax(axis=1)
    chosen = {"class": np.asarray(names, dtype=object)[best]}
    chosen["probability"] = probabilities[np.arange(len(best)), best]
    shares = pd.DataFrame(probabilities, columns=[f"p_{name}" for name in names])
    return pd.concat([files.reset_index(drop=True).assign(**chosen), shares], axis=1)
