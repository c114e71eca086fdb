"""Which method is better: judged star by star, in units of what the mean of the labels errs."""

from dataclasses import replace
from itertools import pairwise

import pandas as pd

from galaxy_lvm.report.differences import Difference, by_galaxy
from galaxy_lvm.report.verdicts import Claim, judge, verdict_table
from galaxy_lvm.spectra.labels import NAMES

# Each is asked to be better than the one in front of it.
LADDER = ("mean", "neighbours", "quadratic", "transformer")


def claims_table(predictions: pd.DataFrame) -> pd.DataFrame:
    """Judge for every label whether each method of the ladder errs less than the one before.

    What is compared is 1 minus a star's absolute error over the mean error of the floor `mean`: 1
    is right, 0 is no better than the mean of the training labels. All claims are asked at once.

    Parameters
    ----------
    predictions
        Columns `PREDICTION_COLUMNS`.

    Returns
    -------
    DataFrame
        Columns `VERDICT_COLUMNS`.
    """
    present = set(predictions["model"])
    pairs = list(pairwise(name for name in LADDER if name in present))
    labels = list(dict.fromkeys(predictions["label"]))
    rows = []
    for label in labels:
        skills = star_skills(predictions[predictions["label"] == label])
        for lower, upper in pairs:
            claim = Claim(
                f"{NAMES[label]}: {upper} above {lower}",
                "skill",
                ((upper, lower),),
                n_comparisons=len(pairs) * len(labels),
            )
            rows.append(judge(claim, [by_star(skills[upper], skills[lower])]))
    return verdict_table(rows)


def star_skills(predictions: pd.DataFrame) -> pd.DataFrame:
    """Return the skill of every star (rows) and model (columns) for one label."""
    error = (predictions["predicted"] - predictions["true"]).abs()
    table = predictions.assign(error=error)
    errors = table.pivot_table(index="id", columns="model", values="error", aggfunc="mean")
    return 1 - errors / errors["mean"].mean()


def by_star(first: pd.Series, second: pd.Series) -> Difference | None:
    """Compare two fitted methods star by star; see `by_galaxy`."""
    found = by_galaxy(first, second)
    return found and replace(found, how=found.how.replace("galaxies", "stars"))
