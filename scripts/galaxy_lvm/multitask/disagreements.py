"""Labels to look at again: test galaxies whose label the trained networks contradict.

A label may be wrong, or rest on few voters, as those that follow a rarely asked question of Galaxy
Zoo's tree do. Networks that have not seen a galaxy and agree against its label are a reason to look
(confident learning: Northcutt et al. 2021, doi:10.1613/jair.1.12125).
"""

from collections.abc import Sequence

import numpy as np
import pandas as pd

from galaxy_lvm.core.errors import DataError


def class_columns(predictions: pd.DataFrame) -> list[str]:
    """Return the classes that a table of probabilities (columns `p_NAME`) tells apart."""
    return [name[2:] for name in predictions.columns if name.startswith("p_")]


def label_disagreements(predictions: pd.DataFrame, class_names: Sequence[str]) -> pd.DataFrame:
    """Return every test galaxy, the ones whose label is contradicted most first.

    Parameters
    ----------
    predictions
        `id`, `model`, `label` (class number) and `p_<class>`, one row per galaxy and model.
    class_names
        Classes in the order of the numbers.

    Returns
    -------
    DataFrame
        `id`, `label`, `predicted` (class of the largest mean probability), `p_label` and
        `p_predicted` (means over the models, in [0, 1]), `n_against` (models whose first choice is
        another class than the label) and `n_models`; sorted by `p_label`, then by `id`.

    Raises
    ------
    DataError
        If there is no prediction, or a galaxy has different labels for different models.
    """
    if predictions.empty:
        raise DataError("no predictions: nothing to compare labels with")
    columns = [f"p_{name}" for name in class_names]
    groups = predictions.assign(
        against=predictions[columns].to_numpy().argmax(axis=1) != predictions["label"]
    ).groupby("id")
    if (groups["label"].nunique() > 1).any():
        raise DataError("predictions: a galaxy has different labels for different models")
    label = groups["label"].first().to_numpy()
    means = groups[columns].mean()
    shares, rows, names = means.to_numpy(), np.arange(len(means)), np.asarray(class_names)
    table = pd.DataFrame(
        {
            "id": means.index,
            "label": names[label],
            "predicted": names[shares.argmax(axis=1)],
            "p_label": shares[rows, label],
            "p_predicted": shares.max(axis=1),
            "n_against": groups["against"].sum().to_numpy(),
            "n_models": groups.size().to_numpy(),
        }
    )
    return table.sort_values(["p_label", "id"], ignore_index=True)
