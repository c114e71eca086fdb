"""Accuracies of test sources by class and by W1, and whose are higher."""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pandas as pd

from galaxy_lvm.core.config.wise import WiseScores
from galaxy_lvm.report.differences import Difference
from galaxy_lvm.report.metrics import bootstrap_interval
from galaxy_lvm.report.results import long_rows
from galaxy_lvm.report.verdicts import Claim, difference, judge, verdict_table

EXPERIMENT = "wise"
FLOORS = ("quadratic", "boosting")
ALL = "all"


def condition_of(low: float, high: float) -> str:
    """Return the name of a bin in measured W1."""
    return f"w1={low:g}-{high:g}"


def edges_of(condition: str) -> tuple[float, float]:
    """Return the edges of a bin by its name."""
    low, _, high = condition.removeprefix("w1=").partition("-")
    return float(low), float(high)


def in_bin(predictions: pd.DataFrame, condition: str) -> pd.DataFrame:
    """Return the predictions of sources in a bin of measured W1, its lower edge included."""
    if condition == ALL:
        return predictions
    low, high = edges_of(condition)
    return predictions[(predictions["w1_mag"] >= low) & (predictions["w1_mag"] < high)]


def conditions_of(settings: WiseScores) -> list[str]:
    """Return all test sources and the bins, bright to faint; the last one is the faint end."""
    edges = settings.w1_edges_mag
    return [ALL, *(condition_of(a, b) for a, b in zip(edges[:-1], edges[1:], strict=True))]


def score_rows(predictions: pd.DataFrame, sky: str, settings: WiseScores, seed: int) -> list[dict]:
    """Return rows of the long table: the task is the sky, the condition a bin.

    Parameters
    ----------
    predictions
        Of `prediction_table`, all models and seeds of one sky.
    sky
        Its name.
    settings
        Bins and resamples.
    seed
        Of the bootstrap.

    Returns
    -------
    list of dict
        `accuracy` and `recall_CLASS`, each with the ends of its 95 % bootstrap interval over
        sources, and `n_test`; no row where a bin, or a class in it, has no source.
    """
    rows = []
    for (model, training), own in predictions.groupby(["model", "seed"], sort=False):
        for condition in conditions_of(settings):
            chosen = in_bin(own, condition)
            if chosen.empty:
                continue
            scores = _with_ends("accuracy", chosen, settings, seed) | {"n_test": len(chosen)}
            for name, part in chosen.groupby("label"):
                scores |= _with_ends(f"recall_{name}", part, settings, seed)
            rows += long_rows(EXPERIMENT, sky, str(model), condition, int(training), scores)
    return rows


def _with_ends(
    metric: str, predictions: pd.DataFrame, settings: WiseScores, seed: int
) -> dict[str, float]:
    right = (predictions["label"] == predictions["predicted"]).to_numpy().astype(int)
    ends = bootstrap_interval((np.ones_like(right), right), "accuracy", seed, settings.n_bootstrap)
    return {metric: right.mean(), f"{metric}_low95": ends[0], f"{metric}_high95": ends[1]}


def best_network(results: pd.DataFrame, names: Sequence[str]) -> str:
    """Return the network of the smallest validation loss, averaged over trainings of a sky."""
    losses = results[(results["metric"] == "loss_val") & results["model"].isin(names)]
    return str(losses.groupby("model")["value"].mean().idxmin())


def claims_table(
    results: pd.DataFrame,
    predictions: pd.DataFrame,
    own: Sequence[str],
    settings: WiseScores,
) -> pd.DataFrame:
    """Judge our networks against the floors at the faint end, and against the best other network.

    Which other network is the best is told by validation sources.

    Parameters
    ----------
    results
        Long table of all skies.
    predictions
        Of all skies, with `sky`.
    own
        Names of our networks.
    settings
        Bins.

    Returns
    -------
    DataFrame
        Columns `VERDICT_COLUMNS`.
    """
    rows = []
    faint = conditions_of(settings)[-1]
    for sky, of_sky in results.groupby("task", sort=False):
        models = set(of_sky["model"])
        asked = predictions[predictions["sky"] == sky]
        others = sorted(models - {*own, *FLOORS})
        best = best_network(of_sky, others) if others else None
        for name in (name for name in own if name in models):
            for floor in FLOORS:
                pair = (name, floor)
                claim = Claim(f"{sky}, faint end: {name} above {floor}", "accuracy", (pair,))
                rows.append(judge(claim, [_compared(of_sky, asked, faint, pair)]))
            if best:
                claim = Claim(f"{sky}, all sources: {name} at or above {best}", "accuracy",
                              ((name, best),), at_or_above=True)  # fmt: skip
                rows.append(judge(claim, [_compared(of_sky, asked, ALL, (name, best))]))
    return verdict_table(rows)


def _compared(
    results: pd.DataFrame, predictions: pd.DataFrame, condition: str, pair: tuple[str, str]
) -> Difference | None:
    chosen = in_bin(predictions, condition)
    right = (chosen["label"] == chosen["predicted"]).astype(float)
    sources = chosen.assign(metric="accuracy", value=right)
    rows = results[results["condition"] == condition]
    found = difference(rows, sources, "accuracy", pair, FLOORS)
    return found and replace(found, how=found.how.replace("galaxies", "sources"))
