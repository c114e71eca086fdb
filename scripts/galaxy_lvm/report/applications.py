"""What the summary says of the applications: few labels, strong lenses, the human in the loop."""

import math
from collections.abc import Mapping

import pandas as pd

from galaxy_lvm.fewshot.scores import condition_of, size_of
from galaxy_lvm.report.verdicts import Difference, paired_by_seed, verdict_row

PRETRAINED_LVM = ("lvm_finetuned", "lvm_frozen")
RANDOM_CONTROL = "lvm_random"

Line = tuple[str, str, str, str, str, str]


def application_lines(
    few_shot: pd.DataFrame, detectors: pd.DataFrame | None, comparison: pd.DataFrame
) -> list[Line]:
    """Return the rows of the summary for figures 5, 6 and 10.

    Parameters
    ----------
    few_shot
        Table of `few_shot_table`; its smallest and its largest training set are shown.
    detectors
        Table of `detector_table`; shown at the most training fields. None in a run
        without lenses.
    comparison
        Table of figure 10; rows that the paper has as well, the control with random labels, and
        those with most labels.

    Returns
    -------
    list of tuple
        Item, model, metric, our value, its 95 % interval, the paper's value, all text.
    """
    lines = []
    for size in ends_of(few_shot["n_per_class"]):
        for row in few_shot[few_shot["n_per_class"] == size].to_dict("records"):
            lines.append(_line(f"figure 5, {size} a class", row, "accuracy", "accuracy"))
    for row in [] if detectors is None else _most_fields(detectors).to_dict("records"):
        if " - " not in row["model"]:
            item = f"figure 6, {row['n_train']} fields"
            lines.append(_line(item, row, "boxes_ap", "AP of boxes", row["paper_ap"]))
    most = comparison["n_labels"] == comparison["n_labels"].max()
    shown = comparison["aupr_paper"].notna() | most | (comparison["model"] == RANDOM_CONTROL)
    for row in comparison[shown].to_dict("records"):
        item = f"figure 10, {row['n_labels']:g} labels"
        lines.append(_line(item, row, "aupr", "AUPR", row["aupr_paper"]))
    return lines


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


def detector_claims(detectors: pd.DataFrame) -> pd.DataFrame:
    """Judge whether the LVM finds lenses better than each other backbone (paper IV.B).

    Parameters
    ----------
    detectors
        Table of `detector_table`, with rows `lvm - NAME`.

    Returns
    -------
    DataFrame
        `claim`, `verdict`, `detail`, at the most training fields.
    """
    largest = _most_fields(detectors)
    pairs = largest[largest["model"].str.startswith("lvm - ")]
    rows = []
    for row in pairs.to_dict("records"):
        single = row["interval"] == "fields"
        how = "paired by fields" if single else f"{row['n_seeds']} trainings"
        low, high = _ends(row["boxes_ap_low95"], row["boxes_ap_high95"])
        first, second = row["model"].split(" - ")
        found = Difference(row["boxes_ap"], low, high, how)
        text = f"lenses: {first} above {second}, AP of boxes"
        text += " (one training each)" if single else ""
        rows.append(verdict_row(text, "ap", [(first, second, found)]))
    return pd.DataFrame(rows, columns=["claim", "verdict", "detail"])


def _most_fields(detectors: pd.DataFrame) -> pd.DataFrame:
    return detectors[detectors["n_train"] == detectors["n_train"].max()]


def _ends(low: float, high: float) -> tuple[float, float]:
    """Return the ends of an interval; without one nothing can be told apart."""
    return (-math.inf, math.inf) if math.isnan(low) or math.isnan(high) else (low, high)


def _line(item: str, row: Mapping, metric: str, name: str, printed: float = math.nan) -> Line:
    low, high = row[f"{metric}_low95"], row[f"{metric}_high95"]
    interval = "" if pd.isna(low) else f"{low:.3f} to {high:.3f}"
    paper = "-" if pd.isna(printed) else f"{printed:.3f}"
    return item, row["model"], name, f"{row[metric]:.3f}", interval, paper
