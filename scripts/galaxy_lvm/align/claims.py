"""Is the alignment better than its floors? Judged star by star, by a paired bootstrap."""

import pandas as pd

from galaxy_lvm.report.differences import by_seed_with_ends
from galaxy_lvm.report.verdicts import Claim, judge, verdict_table
from galaxy_lvm.spectra.scores import mean_interval

WAYS = {"a_to_b": "first to second", "b_to_a": "second to first"}

K = 10  # the first so many of a list count as found


def claims_table(ranks: pd.DataFrame, errors: pd.DataFrame, seed: int) -> pd.DataFrame:
    """Judge both ways of every experiment against the floors.

    Found is whether a star is among the first 10 answers of a random gallery; the skill of a
    translation is 1 minus its error over that of the training stars' mean.

    Parameters
    ----------
    ranks
        Columns `RANK_COLUMNS` and `experiment`.
    errors
        Columns `ERROR_COLUMNS` and `experiment`.
    seed
        Of the bootstrap.

    Returns
    -------
    DataFrame
        Columns `VERDICT_COLUMNS`.
    """
    rows = []
    for experiment in dict.fromkeys(ranks["experiment"]):
        for way, told in WAYS.items():
            where = f"experiment == '{experiment}' and direction == '{way}'"
            found = ranks.query(f"{where} and gallery == 'random'")
            hits = (found.pivot(index="id", columns="model", values="rank") <= K).astype(float)
            for floor in ("cca", "cca_gaussian"):
                rows.append(_judged(f"{experiment}, {told}: star found", hits, floor, seed))
            missed = errors.query(where).pivot(index="id", columns="model", values="error")
            skill = 1 - missed / missed["mean"].mean()
            rows.append(_judged(f"{experiment}, {told}: translation", skill, "quadratic", seed))
    return verdict_table(rows)


def _judged(text: str, scores: pd.DataFrame, floor: str, seed: int) -> dict[str, str]:
    claim = Claim(f"{text}, aligned above {floor}", "score", (("aligned", floor),))
    values = (scores["aligned"] - scores[floor]).to_numpy()
    ends = mean_interval(values, seed)
    return judge(claim, [by_seed_with_ends([float(values.mean())], [ends], "stars")])
