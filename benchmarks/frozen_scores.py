"""Scores of an encoder's frozen features on real galaxies, without the test split."""

from pathlib import Path

import numpy as np
from galaxy_lvm.core.config.fewshot import Features
from galaxy_lvm.features.extract import FeatureExtractor
from galaxy_lvm.features.space import FeatureSpace
from galaxy_lvm.fewshot.subsets import draw_subset
from galaxy_lvm.report.class_scores import classification_metrics
from galaxy_lvm.survey.crop_store import CropStore
from galaxy_lvm.survey.splits_table import Galaxies, Splits
from sklearn.linear_model import LogisticRegression
from sklearn.neighbors import NearestNeighbors
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from torch import nn

SIZES, N_SUBSETS, N_NEIGHBOURS = (10, 50, 200), 5, 10
STRENGTHS = (0.0003, 0.003, 0.03, 0.3)


class FrozenScores:
    """Logistic regressions and neighbours on frozen features; validation galaxies judge.

    Parameters
    ----------
    run
        Results of a run with crops and splits of `galaxies`.
    n_subsets
        Draws of few labels.
    n_orientations
        Of which a vector is the mean.
    """

    def __init__(self, run: Path, n_subsets: int = N_SUBSETS, n_orientations: int = 4) -> None:
        splits = Splits(run / "data/galaxies/splits.parquet")
        self.galaxies = {split: splits.labelled(split) for split in ("train", "val")}
        self.n_classes = len(splits.class_names)
        self.n_subsets, self.n_orientations = n_subsets, n_orientations
        with CropStore(run / "data/galaxies/crops.h5") as store:
            self.crops = {split: store.of(those) for split, those in self.galaxies.items()}
        self.row_of = {index: row for row, index in enumerate(self.galaxies["train"].index)}

    def features(self, encoder: nn.Module, view_side_pix: int = 64) -> dict[str, np.ndarray]:
        """Return vectors (n, D) of the training and validation galaxies."""
        how = Features(n_orientations=self.n_orientations, view_side_pix=view_side_pix)
        extract = FeatureExtractor(encoder, how)
        return {split: extract(crops) for split, crops in self.crops.items()}

    def __call__(self, features: dict[str, np.ndarray]) -> dict[str, float]:
        """Return accuracies by labels a class, accuracy and macro F1 with all, and retrieval.

        The strength of a penalty is the best one on validation, one for all draws of a size.
        """
        accuracy, f1 = self._best(features, [self.galaxies["train"]])
        result = {"accuracy": accuracy, "f1": f1}
        for size in SIZES:
            drawn = [draw_subset(self.galaxies["train"], size, k) for k in range(self.n_subsets)]
            result[f"accuracy_{size}_per_class"] = self._best(features, drawn)[0]
        result["same_class_in_first_10"] = self._retrieval(features)
        return {name: round(float(value), 4) for name, value in result.items()}

    def _best(self, features: dict[str, np.ndarray], subsets: list[Galaxies]) -> np.ndarray:
        """Return accuracy and macro F1, means over training sets, of the best penalty."""
        found = []
        for strength in STRENGTHS:
            scores = [self._score(features, subset, strength) for subset in subsets]
            found.append(np.mean(scores, axis=0))
        return max(found, key=lambda pair: pair[0])

    def _score(
        self, features: dict[str, np.ndarray], chosen: Galaxies, strength: float
    ) -> tuple[float, float]:
        inside = features["train"][[self.row_of[index] for index in chosen.index]]
        model = make_pipeline(StandardScaler(), LogisticRegression(C=strength, max_iter=300))
        guess = model.fit(inside, chosen.labels).predict(features["val"])
        values = classification_metrics(self.galaxies["val"].labels, guess, self.n_classes)
        return values["accuracy"], values["f1"]

    def _retrieval(self, features: dict[str, np.ndarray]) -> float:
        """Return the share of a validation galaxy's nearest training galaxies of its class."""
        space = FeatureSpace(features["train"], unit=True)
        nearest = NearestNeighbors(n_neighbors=N_NEIGHBOURS, algorithm="brute")
        nearest.fit(space(features["train"]))
        found = nearest.kneighbors(space(features["val"]), return_distance=False)
        labels = self.galaxies["train"].labels[found]
        return float((labels == self.galaxies["val"].labels[:, None]).mean())
