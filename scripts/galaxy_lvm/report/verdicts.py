"""Verdicts: claims judged by differences and their intervals; the one judge of all chapters."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from scipy import stats

from galaxy_lvm.report.metrics import bootstrap_interval
from galaxy_lvm.report.results import summarise
from galaxy_lvm.report.tables import interval_of

HOLDS, FAILS, UNCLEAR = "holds", "does not hold", "not distinguishable"
NOT_EVALUATED = "not evaluated"

_BOOTSTRAP_SEED = 0  # fixed: a verdict must not change with the run's seed


@dataclass(frozen=True)
class Claim:
    """A statement that the first model of every pair scores higher than the second."""

    text: str
    task: str
    metric: str
    pairs: tuple[tuple[str, str], ...]


@dataclass(frozen=True)
class Difference:
    """How much higher the first of two models scores, with a 95 % interval."""

    value: float
    low: float
    high: float
    how: str
    """Where the interval is from."""

    @property
    def verdict(self) -> str:
        """`HOLDS` or `FAILS` where the interval excludes 0, else `UNCLEAR`."""
        if self.low > 0:
            return HOLDS
        return FAILS if self.high < 0 else UNCLEAR


def judge(claims: list[Claim], results: pd.DataFrame, per_galaxy: pd.DataFrame) -> pd.DataFrame:
    """Compare the models of every claim, in pairs of seeds or galaxies where possible.

    Parameters
    ----------
    claims
        From `paper_claims`.
    results
        Long table of experiment 'multitask'.
    per_galaxy
        Scores of single galaxies (`read_per_galaxy`), may be empty.

    Returns
    -------
    DataFrame
        `claim`, `verdict` and `detail` (every difference with its interval and its origin). A
        claim holds if all its pairs do, fails if one fails, is not evaluated where a model is
        missing.
    """
    plain = results[(results["experiment"] == "multitask") & (results["condition"] == "")]
    galaxies = per_galaxy[per_galaxy["condition"] == ""]
    rows = []
    for claim in claims:
        pairs = [(a, b, difference(plain, galaxies, claim, a, b)) for a, b in claim.pairs]
        rows.append(verdict_row(claim.text, claim.metric, pairs))
    return pd.DataFrame(rows)


def verdict_row(
    text: str, metric: str, pairs: Sequence[tuple[str, str, Difference | None]]
) -> dict[str, str]:
    """Return `claim`, `verdict` and `detail` of a claim with one or several parts.

    Parameters
    ----------
    text
        The claim.
    metric
        What is compared.
    pairs
        Name that is claimed to score higher, name of the other, their difference or None.
    """
    verdicts = [found.verdict if found else NOT_EVALUATED for *_, found in pairs]
    order = (FAILS, NOT_EVALUATED, UNCLEAR, HOLDS)  # the first that occurs decides
    verdict = next((v for v in order if v in verdicts), NOT_EVALUATED)
    detail = "; ".join(_describe(metric, a, b, found) for a, b, found in pairs)
    return {"claim": text, "verdict": verdict, "detail": detail}


def paired_by_seed(first: pd.Series, second: pd.Series) -> Difference | None:
    """Return the mean difference of two series by seed with its t interval; None without pairs."""
    values = (first - second).dropna().to_numpy()
    if len(values) < 2:
        return None
    half = stats.t.ppf(0.975, len(values) - 1) * values.std(ddof=1) / math.sqrt(len(values))
    mean = values.mean()
    how = f"paired by {len(values)} seeds"
    return Difference(mean, mean - half, mean + half, how if values.any() else f"equal, {how}")


def _describe(metric: str, a: str, b: str, found: Difference | None) -> str:
    if found is None:
        return f"{a} - {b}: no result"
    value, low, high = (
        f"{float(x):+.{2 if metric == 'psnr' else 3}f}"
        for x in (found.value, found.low, found.high)
    )
    unit = " dB" if metric == "psnr" else ""
    return f"{a} - {b}: {value}{unit} [{low}, {high}] ({found.how})"


def difference(
    results: pd.DataFrame, per_galaxy: pd.DataFrame, claim: Claim, first: str, second: str
) -> Difference | None:
    """Return the difference of two models' scores, None where one of them has no score.

    The best pairing there is: by seed with two or more common seeds, else by galaxy, else from
    the two intervals as if they were independent.
    """
    rows = results[results["task"] == claim.task]
    scores = rows[rows["metric"] == claim.metric].pivot(
        index="seed", columns="model", values="value"
    )
    if not {first, second} <= set(scores):
        return None
    by_seed = paired_by_seed(scores[first], scores[second])
    if by_seed is not None:
        return by_seed
    paired = _by_galaxy(per_galaxy, claim, first, second)
    if paired is not None:
        low, high = bootstrap_interval(paired, np.mean, _BOOTSTRAP_SEED)
        return Difference(paired.mean(), low, high, f"paired by {len(paired)} galaxies")
    return _independent(rows, claim.metric, first, second)


def _by_galaxy(
    per_galaxy: pd.DataFrame, claim: Claim, first: str, second: str
) -> np.ndarray | None:
    """Return the differences galaxy by galaxy, each model averaged over its seeds."""
    rows = per_galaxy[(per_galaxy["task"] == claim.task) & (per_galaxy["metric"] == claim.metric)]
    table = rows.pivot_table(index="id", columns="model", values="value", aggfunc="mean")
    if not {first, second} <= set(table):
        return None
    values = (table[first] - table[second]).dropna().to_numpy(dtype=float)
    return values if len(values) > 1 else None


def _independent(rows: pd.DataFrame, metric: str, first: str, second: str) -> Difference:
    summary = summarise(rows).set_index(["model", "metric"])
    means, halves = [], []
    for model in (first, second):
        low, high, _ = interval_of(summary.loc[model], metric)
        means.append(summary.loc[(model, metric), "mean"])
        halves.append((high - low) / 2)
    value, half = means[0] - means[1], math.hypot(*halves)
    if math.isnan(half):  # without any interval nothing can be told apart
        return Difference(value, -math.inf, math.inf, "no interval")
    return Difference(value, value - half, value + half, "unpaired")
