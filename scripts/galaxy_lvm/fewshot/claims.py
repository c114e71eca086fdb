"""What the summary says of few labels: rows of figure 5, and who is above whom."""

from collections.abc import Mapping

import pandas as pd

from galaxy_lvm.fewshot.scores import condition_of, size_of
from galaxy_lvm.report.tables import Line, score_line
from galaxy_lvm.report.verdicts import paired_by_seed, verdict_row

PRETRAINED_LVM = ("lvm_finetuned", "lvm_frozen")


def summary_lines(few_shot: pd.DataFrame) -> list[Line]:
    """Return the rows of a table of `few_shot_table`, of its smallest and largest training set."""
    return [
        score_line(f"figure 5, {size} a class", row, "accuracy", "accuracy")
        for size in ends_of(few_shot["n_per_class"])
        for row in few_shot[few_shot["n_per_class"] == size].to_dict("records")
    ]


def ends_of(sizes: pd.Series) -> list[int]:
    """Return the smallest and the largest of some sizes, once where they are the same."""
    return sorted({int(sizes.min()), int(sizes.max())})


def few_shot_claims(results: pd.DataFrame, from_scratch: Mapping[str, str]) -> pd.DataFrame:
    """Judge whether the LVM is above the networks without pretraining, in pairs of seeds.

    Parameters
    ----------
    results
        Long table of the experiment `fewshot`.
    from_scratch
        Label and name of the networks that start from random weights.

    Returns
    -------
    DataFrame
        `claim`, `verdict`, `detail`; one row per variant of the LVM and end of the sizes.
    """
    scores = results[results["metric"] == "accuracy"]
    rows = []
    for size in ends_of(scores["condition"].map(size_of)):
        block = scores[scores["condition"] == condition_of(size)]
        by_seed = block.pivot(index="seed", columns="model", values="value")
        for model in PRETRAINED_LVM:
            if model in by_seed:
                others = {k: name for k, name in from_scratch.items() if k in by_seed}
                text = f"{size} labels a class: {model} above {', '.join(others.values())}"
                pairs = [
                    (model, name, paired_by_seed(by_seed[model], by_seed[label]))
                    for label, name in others.items()
                ]
                rows.append(verdict_row(text, "accuracy", pairs))
    return pd.DataFrame(rows, columns=["claim", "verdict", "detail"])
