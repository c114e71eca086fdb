"""Do image and spectrum together say more than the better one? Judged galaxy by galaxy."""

from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np
import pandas as pd

from galaxy_lvm.joint.names import TARGET_NAMES
from galaxy_lvm.joint.skills import skills
from galaxy_lvm.report.differences import Difference, by_galaxy
from galaxy_lvm.report.verdicts import Claim, judge, verdict_table

ABOUT_VERDICTS = (
    "Verdicts speak of these training {unit}: repetitions share nine tenths of them and are "
    "averaged, not counted as trainings. What others would change is in no interval."
)

# What is asked to be better, than the better of which; each question is asked of every target.
QUESTIONS = (
    ("joint", ("image", "spectrum")),
    ("all", ("image", "spectrum", "photometry")),
    ("image_aligned", ("image",)),
)


def better_of(models: Sequence[str], on_validation: dict[str, pd.DataFrame]) -> str:
    """Return which of the models has the highest mean skill of validation galaxies."""
    return max(models, key=lambda name: float(on_validation[name].to_numpy().mean()))


def claims_table(
    predictions: pd.DataFrame,
    questions: Sequence[tuple[str, Sequence[str]]] = QUESTIONS,
    names: Mapping[str, str] = TARGET_NAMES,
    unit: str = "galaxies",
) -> pd.DataFrame:
    """Judge every question for every target.

    Compared is the skill of test galaxies (of numbers its mean is R2, of classes the accuracy),
    galaxy by galaxy, a mean over repetitions. Which single view is the better one, validation
    galaxies decide.

    Parameters
    ----------
    predictions
        Columns `PREDICTION_COLUMNS`.
    questions
        A model, and those of which the better one it is asked to beat.
    names
        What targets are called.
    unit
        What was asked, in the plural.

    Returns
    -------
    DataFrame
        Columns `VERDICT_COLUMNS`.
    """
    rows, targets = [], list(dict.fromkeys(predictions["target"]))
    for first, others in questions:
        for target in targets:
            second = better_of(others, skills(predictions, target, "val"))
            asked = skills(predictions, target, "test")
            claim = Claim(
                f"{names[target]}: {first} above {second}",
                "skill",
                ((first, second),),
                n_comparisons=len(targets),
            )
            found = difference(asked[first], asked[second])
            if found is not None:
                found = replace(found, how=found.how.replace("galaxies", unit))
            rows.append(judge(claim, [found]))
    return verdict_table(rows)


def difference(first: pd.DataFrame, second: pd.DataFrame) -> Difference | None:
    """Return how much higher the first is, for other test galaxies; tables of `skills`.

    Repetitions share nine tenths of one training set: their scatter is far less than that of new
    trainings, and is not taken for it. So they count as one training.
    """
    found = by_galaxy(first.mean(), second.mean())
    if found is None or len(first) == 1:
        return found
    return replace(found, how=f"{found.how}, means of {len(first)} repetitions")


def interval(table: pd.DataFrame, seed: int, n_resamples: int = 1000) -> tuple[float, float]:
    """Return the 95 % bootstrap interval over galaxies of the mean skill."""
    values = table.to_numpy().mean(axis=0)
    rng = np.random.default_rng(seed)
    means = [values[rng.integers(len(values), size=len(values))].mean() for _ in range(n_resamples)]
    return tuple(float(end) for end in np.percentile(means, (2.5, 97.5)))
