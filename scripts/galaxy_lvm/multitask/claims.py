"""The paper's claims, judged by our numbers and their intervals; those of Tables 1 to 3."""

import pandas as pd

from galaxy_lvm.multitask.tables import reference_models
from galaxy_lvm.report.names import CLASSICAL
from galaxy_lvm.report.tables import number_text
from galaxy_lvm.report.verdicts import Claim


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
