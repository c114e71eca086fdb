"""The paper's claims, judged by our numbers and their intervals; those of Tables 1 to 3."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from scipy import stats

from galaxy_lvm.evaluation.metrics import bootstrap_interval
from galaxy_lvm.evaluation.names import CLASSICAL
from galaxy_lvm.evaluation.results import summarise
from galaxy_lvm.evaluation.tables import interval_of, number_text, reference_models

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


def paper_claims(results: pd.DataFrame) -> list[Claim]:
    """Return the claims; which baselines and other networks there are is read off the results."""
    active, uniform, frozen = "multi_active", "multi_uniform", "pre_train"
    claims = [
        Claim(
            "multi_active classifies best", "classification", "accuracy",
            ((active, uniform), (active, frozen)),
        ),
        Claim(
            "multi_uniform classifies better than pre_train", "classification", "accuracy",
            ((uniform, frozen),),
        ),
        Claim(
            "restoration: multi_active > multi_uniform > pre_train > blurred", "restoration",
            "psnr", ((active, uniform), (uniform, frozen), (frozen, "blurred")),
        ),
        Claim(
            "reconstruction: multi_active > multi_uniform > pre_train > masked", "reconstruction",
            "psnr", ((active, uniform), (uniform, frozen), (frozen, "masked")),
        ),
    ]  # fmt: skip
    if "from_scratch" in set(results["model"]):
        # The paper takes this for granted; the framework stands on it.
        claims.append(
            Claim(
                "pretraining helps: multi_uniform > from_scratch", "classification", "accuracy",
                ((uniform, "from_scratch"),),
            )
        )  # fmt: skip
    for task, metric in (
        ("classification", "accuracy"), ("restoration", "psnr"), ("reconstruction", "psnr"),
    ):  # fmt: skip
        models = set(results.loc[results["task"] == task, "model"])
        pairs = tuple((active, name) for name in CLASSICAL if name in models)
        claims.append(Claim(f"LVM above the classical baselines: {task}", task, metric, pairs))
    claims += [
        Claim(
            f"LVM above {name}, trained on the same galaxies", "classification", "accuracy",
            ((active, name),),
        )
        for name in reference_models(results)
    ]  # fmt: skip
    return claims


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


def best_classical(results: pd.DataFrame) -> list[str]:
    """Return a sentence per task that names its best classical baseline.

    Best by the validation score; the score told is that of the test split.
    """
    rows = results[(results["condition"] == "") & results["model"].isin(CLASSICAL)]
    means = rows.groupby(["task", "metric", "model"])["value"].mean()
    sentences = []
    for task, metric, judged_by in (
        ("classification", "accuracy", "f1_val"),
        ("restoration", "psnr", "psnr_val"),
        ("reconstruction", "psnr", "psnr_val"),
    ):
        if (task, judged_by) in means.index.droplevel("model"):
            name, unit = means[task, judged_by].idxmax(), " dB" if metric == "psnr" else ""
            value = number_text(means[task, metric, name], metric)
            sentences.append(f"{task}: {name}, {metric} {value}{unit} on the test split")
    return sentences
