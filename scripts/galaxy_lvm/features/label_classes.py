"""Classes of image files from the labels of some: logistic regression on frozen features."""

import os
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import log_loss
from sklearn.model_selection import StratifiedKFold, cross_val_predict
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import StandardScaler

from galaxy_lvm.core.config.survey import Folder
from galaxy_lvm.core.errors import DataError
from galaxy_lvm.features.images import FileImages
from galaxy_lvm.report.class_scores import classification_metrics
from galaxy_lvm.survey.folder import read_table
from galaxy_lvm.survey.image_files import same_file
from galaxy_lvm.survey.rejected import rejection

# Inverse strengths of the penalty to choose from, by the log loss of the folds left out.
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
        Of the labelled images, by cross-validation; F1 is the macro average.
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


def classes_from_labels(values: np.ndarray, labels: np.ndarray) -> LabelledClasses:
    """Fit classes to the labelled images and give all images probabilities.

    Parameters
    ----------
    values
        Feature vectors (N, D).
    labels
        Texts (N,), "" for none.

    Raises
    ------
    DataError
        If there are fewer than two classes, or one of them has a single image.
    """
    known = labels != ""
    names, numbers, counts = np.unique(labels[known], return_inverse=True, return_counts=True)
    if len(names) < 2:
        raise DataError(
            f"labels of {len(names)} class{'es' * (len(names) != 1)} among {known.sum()} labelled "
            "images; classification needs two classes at least"
        )
    if counts.min() < 2:
        rare = names[counts.argmin()]
        raise DataError(
            f"class {rare!r} has one labelled image; label a second one, or empty its label"
        )
    folds = StratifiedKFold(min(_MOST_FOLDS, int(counts.min())), shuffle=True, random_state=_SEED)
    held_out = {
        strength: cross_val_predict(
            _model(strength), values[known], numbers, cv=folds, method="predict_proba"
        )
        for strength in STRENGTHS
    }
    best = min(held_out, key=lambda strength: log_loss(numbers, held_out[strength]))
    scores = classification_metrics(numbers, held_out[best].argmax(axis=1), len(names))
    probabilities = np.empty((len(values), len(names)))
    probabilities[known] = held_out[best]
    if not known.all():
        fitted = _model(best).fit(values[known], numbers)
        probabilities[~known] = fitted.predict_proba(values[~known])
    classes = tuple(str(name) for name in names)
    n_labelled = int(known.sum())
    return LabelledClasses(
        classes, probabilities, scores["accuracy"], scores["f1"], n_labelled, folds.n_splits
    )


def _model(strength: float) -> Pipeline:
    return make_pipeline(StandardScaler(), LogisticRegression(C=strength, max_iter=1000))


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
