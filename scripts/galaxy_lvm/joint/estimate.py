"""Redshift, mass to light and classes of test galaxies from every view and from several."""

from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd

from galaxy_lvm.core.config.joint import JointEstimates
from galaxy_lvm.core.logs import log
from galaxy_lvm.core.seeds import derive_seed
from galaxy_lvm.joint.galaxies import Galaxies
from galaxy_lvm.joint.names import CLASSES, MODELS
from galaxy_lvm.joint.regress import (
    Components,
    Parts,
    estimates,
    most_components,
    repetition,
)
from galaxy_lvm.joint.skills import CALLED
from galaxy_lvm.report.rankings import area_under_roc
from galaxy_lvm.report.results import long_rows

EXPERIMENT = "joint"
PREDICTION_COLUMNS = ("model", "target", "seed", "split", "id", "true", "predicted")


def estimate_all(
    galaxies: Galaxies,
    settings: JointEstimates,
    seed: int,
    models: Mapping[str, Sequence[str]] = MODELS,
) -> pd.DataFrame:
    """Return estimates of validation and test galaxies by every model and repetition.

    Parameters
    ----------
    galaxies
        Views and targets.
    settings
        Regressors and repetitions.
    seed
        The run's seed.
    models
        Name -> views that stand side by side.

    Returns
    -------
    DataFrame
        Columns `PREDICTION_COLUMNS`.
    """
    rows = {name: np.flatnonzero(galaxies.split == name) for name in ("train", "val", "test")}
    log.info("%s galaxies", ", ".join(f"{len(r)} {name}" for name, r in rows.items()))
    tables = []
    for number in range(settings.n_seeds):
        learned = rows["train"][repetition(len(rows["train"]), seed, number)]
        parts_of = learned, rows["val"], rows["test"]
        seen = {
            name: Components(galaxies.views[name], parts_of, most_components(settings))
            for name in dict.fromkeys(name for views in models.values() for name in views)
        }
        for model, views in models.items():
            parts = Parts(
                [seen[name] for name in views],
                galaxies.targets[learned],
                galaxies.targets[rows["val"]],
            )
            told = f"{model}, repetition {number}"
            made = estimates(parts, settings, derive_seed(seed, model, number), told)
            for split, values in zip(("val", "test"), made, strict=True):
                tables += _tables(galaxies, rows[split], values, model, seed + number, split)
    return pd.concat(tables, ignore_index=True)


def _tables(
    galaxies: Galaxies, rows: np.ndarray, made: np.ndarray, model: str, seed: int, split: str
) -> list[pd.DataFrame]:
    tables = []
    for k, target in enumerate(galaxies.names):
        head = {"model": model, "target": target, "seed": seed, "split": split}
        known = {"id": galaxies.ids[rows], "true": galaxies.targets[rows, k]}
        tables.append(pd.DataFrame({**head, **known, "predicted": made[:, k]}))
    return [table[list(PREDICTION_COLUMNS)] for table in tables]


def score_rows(predictions: pd.DataFrame, n_train: int) -> list[dict]:
    """Return rows of the long table, of test galaxies.

    Parameters
    ----------
    predictions
        Of `estimate_all`.
    n_train
        Galaxies that were learned from, for the condition.

    Returns
    -------
    list
        Of numbers `r2` and `mae` (their unit); of classes `accuracy` and `auc`.
    """
    rows = []
    asked = predictions[predictions["split"] == "test"]
    for (target, model, seed), part in asked.groupby(["target", "model", "seed"], sort=False):
        true, made = part["true"].to_numpy(), part["predicted"].to_numpy()
        values = _class_scores(true, made) if target in CLASSES else _number_scores(true, made)
        values["n_test"] = len(part)
        rows += long_rows(EXPERIMENT, str(target), str(model), f"train={n_train}", seed, values)
    return rows


def _number_scores(true: np.ndarray, made: np.ndarray) -> dict[str, float]:
    left = np.square(made - true).mean()
    return {"r2": 1 - left / true.var(), "mae": np.abs(made - true).mean()}


def _class_scores(true: np.ndarray, made: np.ndarray) -> dict[str, float]:
    is_one = true > CALLED
    both = is_one.any() and not is_one.all()
    auc = area_under_roc(made[~is_one], made[is_one]) if both else np.nan
    return {"accuracy": np.mean((made > CALLED) == is_one), "auc": auc}
