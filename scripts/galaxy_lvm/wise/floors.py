"""Floors on photometry, and the table that predictions of floors and networks are kept in."""

import numpy as np
import pandas as pd

from galaxy_lvm.report.metrics import cross_entropy
from galaxy_lvm.survey.splits_table import Galaxies, Splits
from galaxy_lvm.wise.bands import BANDS

# Of boosting, chosen from on validation sources.
_LEAVES = (4, 8, 16)


def photometric_features(photometry: pd.DataFrame, with_fit: bool) -> np.ndarray:
    """Return W1, W1-W2, W2-W3 (n, 3) [mag]; `with_fit` adds log chi^2 of the fits in each band."""
    w1, w2, w3 = (photometry[f"{band}_mag"].to_numpy() for band in BANDS)
    columns = [w1, w1 - w2, w2 - w3]
    if with_fit:
        columns += [np.log(photometry[f"{band}_chi2"].to_numpy()) for band in BANDS]
    return np.stack(columns, axis=1)


def floor_probabilities(
    photometry: pd.DataFrame, splits: Splits, seed: int
) -> dict[str, tuple[np.ndarray, float]]:
    """Fit the floors on training sources; return probabilities of test sources by method.

    Parameters
    ----------
    photometry
        Of `psf_photometry`, with `id`.
    splits
        The three parts.
    seed
        Of boosting.

    Returns
    -------
    dict
        `quadratic`: Gaussians of magnitude and two colours for every class; `boosting`: trees on
        the same numbers and chi^2 of the fits, which tells extended and blended sources. Each with
        probabilities (n_test, n_classes) and the cross-entropy of validation sources.
    """
    # 1.5 CPU seconds, which the trainings of networks do without.
    from sklearn.discriminant_analysis import QuadraticDiscriminantAnalysis
    from sklearn.ensemble import HistGradientBoostingClassifier

    parts = splits.all_labelled()
    rows = photometry.set_index("id")

    def numbers(part: str, with_fit: bool) -> np.ndarray:
        return photometric_features(rows.loc[parts[part].ids], with_fit)

    labels = {name: galaxies.labels for name, galaxies in parts.items()}
    methods = [("quadratic", False, QuadraticDiscriminantAnalysis())]
    for leaves in _LEAVES:
        trees = HistGradientBoostingClassifier(max_leaf_nodes=leaves, max_iter=100,
                                               learning_rate=0.05, random_state=seed)  # fmt: skip
        methods.append(("boosting", True, trees))
    found: dict[str, tuple[np.ndarray, float]] = {}
    for name, with_fit, method in methods:
        method.fit(numbers("train", with_fit), labels["train"])
        loss = cross_entropy(method.predict_proba(numbers("val", with_fit)), labels["val"])
        if name not in found or loss < found[name][1]:
            found[name] = method.predict_proba(numbers("test", with_fit)), loss
    return found


def prediction_table(
    model: str,
    seed: int,
    test: Galaxies,
    probabilities: np.ndarray,
    class_names: tuple[str, ...],
    photometry: pd.DataFrame,
) -> pd.DataFrame:
    """Return a row per test source: model, seed, id, label, predicted, W1 and probabilities."""
    w1 = photometry.set_index("id")["w1_mag"].loc[test.ids].to_numpy()
    names = np.array(class_names)
    table = {"model": model, "seed": int(seed), "id": test.ids, "label": names[test.labels],
             "predicted": names[probabilities.argmax(axis=1)], "w1_mag": w1}  # fmt: skip
    shares = {f"p_{name}": probabilities[:, k] for k, name in enumerate(class_names)}
    return pd.DataFrame({**table, **shares})
