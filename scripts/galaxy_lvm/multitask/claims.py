"""The paper's claims on Tables 1 to 3, judged by our numbers and their intervals."""

import pandas as pd

from galaxy_lvm.multitask.tables import reference_models
from galaxy_lvm.report.names import CLASSICAL, INPUTS
from galaxy_lvm.report.tables import number_text
from galaxy_lvm.report.verdicts import Claim, difference, judge, verdict_table

_JUDGED_BY = {"classification": "accuracy", "restoration": "psnr", "reconstruction": "psnr"}
_ACTIVE, _UNIFORM, _FROZEN, _SCRATCH = "multi_active", "multi_uniform", "pre_train", "from_scratch"


def judge_claims(results: pd.DataFrame, per_galaxy: pd.DataFrame) -> pd.DataFrame:
    """Judge all claims; classical baselines and inputs have no chance in them.

    Parameters
    ----------
    results
        Long table of experiment 'multitask'.
    per_galaxy
        Scores of single galaxies (`read_per_galaxy`), may be empty.

    Returns
    -------
    DataFrame
        Columns `VERDICT_COLUMNS`, a row per claim.
    """
    plain = results[(results["experiment"] == "multitask") & (results["condition"] == "")]
    galaxies = per_galaxy[per_galaxy["condition"] == ""]
    rows = []
    for claim in paper_claims(plain):
        block = plain[plain["task"] == claim.task]
        pairs_of = galaxies[galaxies["task"] == claim.task]
        fixed = (*CLASSICAL, *INPUTS)
        found = [difference(block, pairs_of, claim.metric, pair, fixed) for pair in claim.pairs]
        rows.append(judge(claim, found))
    return verdict_table(rows)


def paper_claims(results: pd.DataFrame) -> list[Claim]:
    """Return the claims; which baselines and other networks there are is read off the results."""
    claims = [
        _claim("multi_active classifies best", "classification",
               (_ACTIVE, _UNIFORM), (_ACTIVE, _FROZEN)),
        _claim("multi_uniform classifies better than pre_train", "classification",
               (_UNIFORM, _FROZEN)),
    ]  # fmt: skip
    for task, given in (("restoration", "blurred"), ("reconstruction", "masked")):
        order = (_ACTIVE, _UNIFORM, _FROZEN, given)
        pairs = zip(order[:-1], order[1:], strict=True)
        claims.append(_claim(f"{task}: {' > '.join(order)}", task, *pairs))
    if _SCRATCH in set(results["model"]):
        # The paper takes this for granted; the framework stands on it.
        text = "pretraining helps: multi_uniform > from_scratch"
        claims.append(_claim(text, "classification", (_UNIFORM, _SCRATCH)))
    for task in _JUDGED_BY:
        models = set(results.loc[results["task"] == task, "model"])
        pairs = [(_ACTIVE, name) for name in CLASSICAL if name in models]
        claims.append(_claim(f"LVM above the classical baselines: {task}", task, *pairs))
    for name in reference_models(results):
        text = f"LVM above {name}, trained on the same galaxies"
        claims.append(_claim(text, "classification", (_ACTIVE, name)))
    return claims


def _claim(text: str, task: str, *pairs: tuple[str, str]) -> Claim:
    return Claim(text, _JUDGED_BY[task], pairs, task)


def best_classical(results: pd.DataFrame) -> list[str]:
    """Return a sentence per task that names its best classical baseline.

    Best by the validation score; the score told is that of the test split.
    """
    rows = results[(results["condition"] == "") & results["model"].isin(CLASSICAL)]
    means = rows.groupby(["task", "metric", "model"])["value"].mean()
    sentences = []
    for task, metric in _JUDGED_BY.items():
        judged_by = "f1_val" if metric == "accuracy" else f"{metric}_val"
        if (task, judged_by) in means.index.droplevel("model"):
            name, unit = means[task, judged_by].idxmax(), " dB" if metric == "psnr" else ""
            value = number_text(means[task, metric, name], metric)
            sentences.append(f"{task}: {name}, {metric} {value}{unit} on the test split")
    return sentences
