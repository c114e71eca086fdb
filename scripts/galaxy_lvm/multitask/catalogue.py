"""What a trained model says of any galaxy: classes, parameters, and how unlike its own it is."""

import os
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pandas as pd

from galaxy_lvm.core.config.catalogue import CatalogueModel
from galaxy_lvm.core.config.extensions import Parameter
from galaxy_lvm.core.config.handed import section
from galaxy_lvm.core.errors import DataError
from galaxy_lvm.core.logs import log
from galaxy_lvm.core.seeds import derive_seed
from galaxy_lvm.features.estimates import ParameterEstimates
from galaxy_lvm.features.likeness import TrainingDistance, threshold_at
from galaxy_lvm.features.parameters import catalogue_of_crops, limit_training
from galaxy_lvm.features.store import FeatureStore
from galaxy_lvm.multitask.calibration import calibration_scores, fit_temperature, tempered
from galaxy_lvm.multitask.classifier import TrainedClassifier
from galaxy_lvm.report.class_scores import classification_scores
from galaxy_lvm.report.results import long_rows
from galaxy_lvm.survey.rows import sample_rows
from galaxy_lvm.survey.splits_table import Splits
from galaxy_lvm.training.feed import CropImages

EXPERIMENT = "catalogue"


@dataclass(frozen=True)
class LearnedFrom:
    """Files of the dataset that the model was trained on."""

    crops: str | os.PathLike
    cutouts: str | os.PathLike
    splits: str | os.PathLike
    features: str | os.PathLike

    @classmethod
    def handed(cls, given: Any) -> "LearnedFrom":
        """Return the files among the inputs of a rule."""
        return cls(given.own_crops, given.own_cutouts, given.splits, given.own_features)


@dataclass(frozen=True)
class Recipe:
    """How a catalogue is made."""

    settings: CatalogueModel
    zooms: Sequence[float]
    parameters: Sequence[Parameter]
    max_train: int
    """Training galaxies of a regression at most."""
    seed: int

    @classmethod
    def handed(cls, params: Any) -> "Recipe":
        """Return what a rule hands on in its params."""
        settings = section(CatalogueModel, params.settings, "catalogue")
        asked = [section(Parameter, p, "extensions.parameters") for p in params.parameters]
        return cls(settings, params.zooms, asked, params.max_train, params.seed)


@dataclass
class Checked:
    """What validation and test galaxies say of a catalogue."""

    rows: list[dict] = field(default_factory=list)
    """Rows of the long table."""
    predictions: pd.DataFrame = field(default_factory=pd.DataFrame)
    """`id`, `label`, `probabilities` (raw or calibrated), `p_<class>` of labelled test galaxies."""


class CatalogueColumns:
    """All that makes columns of a galaxy's crop and feature vector.

    The temperature of the probabilities and the distance at which a galaxy is unlike are set on
    validation galaxies; the test split only tells how well they do.

    Parameters
    ----------
    weights
        Of the trained model.
    learned_from
        Its dataset.
    recipe
        How.

    Attributes
    ----------
    checked : Checked
        Scores, and what the reliability figure shows.
    temperature, unlike_above : float
        What was set.

    Raises
    ------
    DataError
        If weights and splits know other classes, or too few galaxies are labelled.
    """

    def __init__(
        self, weights: str | os.PathLike, learned_from: LearnedFrom, recipe: Recipe
    ) -> None:
        settings, self.recipe = recipe.settings, recipe
        self.classify = TrainedClassifier(weights, settings.n_orientations, recipe.zooms)
        self.splits = Splits(learned_from.splits)
        self.class_names = self.classify.class_names
        if self.class_names != self.splits.class_names:
            raise DataError(
                f"{weights} tells {list(self.class_names)} apart, {learned_from.splits} has "
                f"{list(self.splits.class_names)}; train the model on these splits"
            )
        self.checked = Checked()
        store = FeatureStore.open(learned_from.features)
        self._set_temperature(learned_from)
        self._set_distance(store)
        self.estimate = self._estimates(learned_from, store)

    def _set_temperature(self, files: LearnedFrom) -> None:
        shares, labels = {}, {}
        for split in ("val", "test"):
            galaxies = self.splits.labelled(split)
            labels[split] = galaxies.labels
            shares[split] = self.classify(CropImages(files.crops, galaxies.index))
        self.temperature = fit_temperature(labels["val"], shares["val"])
        seed, tables, ids = self.recipe.seed, [], self.splits.labelled("test").ids
        for condition, temperature in (("raw", 1.0), ("calibrated", self.temperature)):
            found = tempered(shares["test"], temperature)
            scores = calibration_scores(labels["test"], found, seed)
            scores |= classification_scores(
                labels["test"], found.argmax(axis=1), len(self.class_names), seed
            )
            self._note(condition, scores | {"temperature": temperature})
            log.info("%s probabilities: log loss %.3f, calibration error %.3f on test galaxies",
                     condition, scores["log_loss"], scores["calibration_error"])  # fmt: skip
            table = pd.DataFrame(found, columns=[f"p_{name}" for name in self.class_names])
            about = {"id": ids, "label": labels["test"], "probabilities": condition}
            tables.append(table.assign(**about))
        self.checked.predictions = pd.concat(tables, ignore_index=True)

    def _set_distance(self, store: FeatureStore) -> None:
        settings, train = self.recipe.settings, self.splits.labelled("train")
        seed = derive_seed(self.recipe.seed, "catalogue", "reference")
        drawn = train.take(sample_rows(len(train), settings.n_reference, seed))
        self.reference_rows = np.sort(drawn.index)
        reference = store.take(drawn.ids)
        self.distance = TrainingDistance(reference, settings.n_neighbours, settings.n_components)
        of = {s: self.distance(store.take(self.splits.labelled(s).ids)) for s in ("val", "test")}
        self.unlike_above = threshold_at(of["val"], settings.unlike_share)
        shares = {f"share_{s}": float((d > self.unlike_above).mean()) for s, d in of.items()}
        self._note("unlike", {"above": self.unlike_above, "n_reference": len(drawn)} | shares)

    def _estimates(self, files: LearnedFrom, store: FeatureStore) -> ParameterEstimates:
        table = limit_training(self.splits.table, self.recipe.max_train, self.recipe.seed)
        catalogue = catalogue_of_crops(files.crops, files.cutouts, table["index"].to_numpy())
        split, values = table["split"].to_numpy(), store.take(table["id"])
        return ParameterEstimates(
            values, catalogue, split, self.recipe.parameters, self.recipe.seed
        )

    def _note(self, condition: str, scores: dict[str, float]) -> None:
        head = EXPERIMENT, "classification", self.classify.strategy, condition, self.recipe.seed
        self.checked.rows += long_rows(*head, scores)

    def __call__(
        self,
        images: np.ndarray,
        features: np.ndarray,
        box_side_pix: np.ndarray,
        in_reference: np.ndarray,
    ) -> dict[str, np.ndarray]:
        """Return the columns of k galaxies.

        Parameters
        ----------
        images
            Crops uint8 (k, H, W, 3).
        features
            Their vectors (k, D).
        box_side_pix
            Side of the box that each was cut from (k,).
        in_reference
            bool (k,): which are training galaxies that distances are measured to.

        Returns
        -------
        dict
            `predicted`, `probability` (of that class), `p_<class>`, `distance`, `unlike`,
            `<column>_estimate`, each (k,).
        """
        shares = tempered(self.classify(images), self.temperature)
        best, distance = shares.argmax(axis=1), self.distance(features, in_reference)
        columns = {
            "predicted": np.asarray(self.class_names, dtype=object)[best],
            "probability": shares.max(axis=1).astype(np.float32),
        }
        for number, name in enumerate(self.class_names):
            columns[f"p_{name}"] = shares[:, number].astype(np.float32)
        columns |= {"distance": distance.astype(np.float32), "unlike": distance > self.unlike_above}
        estimates = self.estimate(features, box_side_pix)
        return columns | {name: estimates[name].to_numpy(float) for name in estimates}
