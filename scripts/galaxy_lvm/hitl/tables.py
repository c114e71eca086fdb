"""Tables of the human in the loop: figure 10's numbers and the searches."""

import html
import math

import numpy as np
import pandas as pd

from galaxy_lvm.hitl.measures import CHANCE, COMPARISON_METRICS, labels_to_find
from galaxy_lvm.report.results import summarise
from galaxy_lvm.report.tables import page_html
from galaxy_lvm.report.verdicts import verdicts_html

METRIC_NAMES = {
    "aupr": "AUPR",
    "auc": "AUC",
    "accuracy": "Accuracy",
    "purity": "Purity",
    "completeness": "Completeness",
}
RULE_NAMES = {
    "alpha": "Alpha rule (the paper's)",
    "top_score": "Top score",
    "uncertainty": "Uncertainty",
    "random": "Random (control)",
    "k_centre": "k-centre",
    "mix": "Mix",
}
_MODEL_NAMES = {CHANCE: "Chance", "resnet18": "ResNet18", "lvm": "LVM", "lvm_hitl": "LVM + HITL"}
_MODEL_ORDER = ("resnet18", "lvm", "lvm_hitl")


def model_name(model: str) -> str:
    """Return a readable name; other rules of the one step are named by their rule."""
    rule = model.removeprefix("lvm_")
    return _MODEL_NAMES.get(model) or f"LVM + {RULE_NAMES.get(rule, rule).lower()}"


def condition_numbers(condition: str) -> dict[str, int]:
    """Return the numbers of a condition such as "initial=10 rounds=1 recommended=10"."""
    return {k: int(v) for k, v in (part.split("=") for part in condition.split())}


def n_labels(condition: str) -> int:
    """Return how many labels a training set of figure 10 has in all."""
    numbers = condition_numbers(condition)
    if "train" in numbers:
        return numbers["train"]
    return numbers["initial"] + numbers["rounds"] * numbers["recommended"]


def comparison_table(results: pd.DataFrame, paper: pd.DataFrame) -> pd.DataFrame:
    """Return one row per model and training set, the paper's numbers beside ours.

    Parameters
    ----------
    results
        Long table with experiment `hitl`.
    paper
        Item `fig10` of the paper's values.

    Returns
    -------
    DataFrame
        `model`, `condition`, `n_labels`, `n_seeds`, and of every metric its mean, `_low95`,
        `_high95` (NaN for a single seed) and `_paper` (NaN where the paper prints none); ordered
        by number of labels, then model. First comes chance, which has no completeness (NaN).
    """
    summary = summarise(results[results["experiment"] == "hitl"])
    printed = paper.set_index(["model", "condition", "metric"])["value"]
    rows = []
    for (model, condition), part in summary.groupby(["model", "condition"]):
        part = part.set_index("metric").reindex(COMPARISON_METRICS)
        row = {"model": model, "condition": condition, "n_labels": n_labels(condition)}
        row["n_seeds"] = int(part["n_seeds"].iloc[0])
        for metric in COMPARISON_METRICS:
            row[metric] = part.loc[metric, "mean"]
            row[f"{metric}_low95"], row[f"{metric}_high95"] = part.loc[metric, ["low95", "high95"]]
            row[f"{metric}_paper"] = printed.get((model, condition, metric), math.nan)
        rows.append(row)
    table = pd.DataFrame(rows)
    order = table["model"].map({m: i for i, m in enumerate(_MODEL_ORDER)}).fillna(9)
    table = table.assign(order=order).sort_values(["n_labels", "order", "model"])
    return table.drop(columns="order").reset_index(drop=True)


def asked_galaxies(results: pd.DataFrame) -> str:
    """Return how many galaxies figure 10 asks and how many of them are positives, in words."""
    rows = results[(results["experiment"] == "hitl") & (results["model"] == CHANCE)]
    found = rows.set_index("metric")["value"]
    if found.empty:
        return "test split"
    return f"{found['n_galaxies']:.0f} test galaxies, {found['n_positives']:.0f} positive"


def split_round(results: pd.DataFrame) -> pd.DataFrame:
    """Return the rows of experiment `discovery` with columns `annotator` and `round`."""
    table = results[results["experiment"] == "discovery"]
    parts = table["condition"].str.extract(r"annotator=(?P<annotator>\w+) round=(?P<round>\d+)")
    return table.assign(annotator=parts["annotator"], round=parts["round"].astype(int))


def discovery_table(results: pd.DataFrame, paper: pd.DataFrame) -> pd.DataFrame:
    """Return one row per target, rule and annotator: the state after the last round.

    Parameters
    ----------
    results
        Long table with experiment `discovery`.
    paper
        Item `sec5c` of the paper's values.

    Returns
    -------
    DataFrame
        Means over seeds of the last round's metrics; `asked_precision_all` (over all rounds);
        `labels_to_half`, the median number of labels until half of the positives were found (inf
        where most searches never got there); `precision_paper`.
    """
    table = split_round(results)
    printed = {c.split()[0]: v for c, v in zip(paper["condition"], paper["value"], strict=True)}
    rows = []
    for (target, rule, annotator), part in table.groupby(["task", "model", "annotator"]):
        wide = part.pivot_table(index=["seed", "round"], columns="metric", values="value")
        last = wide.groupby("seed").tail(1)
        halves = [
            labels_to_find(list(s["found"]), list(s["n_labels"])) for _, s in wide.groupby("seed")
        ]
        row = {"target": target, "rule": rule, "annotator": annotator, "n_seeds": len(last)}
        row |= last.mean().to_dict()
        row["asked_precision_all"] = wide["asked_precision"].mean()
        row["labels_to_half"] = float(np.median(halves))
        row["precision_paper"] = printed.get(target, math.nan) if rule == "alpha" else math.nan
        rows.append(row)
    return pd.DataFrame(rows)


def comparison_html(table: pd.DataFrame, claims: pd.DataFrame, target: str, asked: str) -> str:
    """Return figure 10's table and the claims as a page of its own.

    Parameters
    ----------
    table
        Of `comparison_table`.
    claims
        Verdicts.
    target
        What the positives are.
    asked
        Of `asked_galaxies`.
    """
    printed_ones = {m for m in COMPARISON_METRICS if table[f"{m}_paper"].notna().any()}
    head = "".join(
        f"<th>{METRIC_NAMES[m]}</th>" + "<th>paper</th>" * (m in printed_ones)
        for m in COMPARISON_METRICS
    )
    body = ""
    for row in table.to_dict("records"):
        cells = f"<td>{html.escape(model_name(row['model']))}</td>"
        cells += f"<td>{html.escape(row['condition'])}</td><td>{row['n_seeds']}</td>"
        for metric in COMPARISON_METRICS:
            # A t interval over a few seeds may reach beyond what a score can be.
            low, high = np.clip([row[f"{metric}_low95"], row[f"{metric}_high95"]], 0, 1)
            interval = "" if math.isnan(low) else f"{low:.3f} to {high:.3f}"
            printed = row[f"{metric}_paper"]
            value = "&ndash;" if math.isnan(row[metric]) else f"{row[metric]:.3f}"
            cells += f'<td>{value}<span class="interval">{interval}</span></td>'
            if metric in printed_ones:
                cells += f'<td class="paper">{"&ndash;" if math.isnan(printed) else printed}</td>'
        kind = ' class="network"' if row["model"] == "lvm_hitl" else ""
        body += f"<tr{kind}>{cells}</tr>"
    note = (
        f"Positives: {target}. {asked.capitalize()}; mean and 95 % t interval over seeds, which "
        "draw the training sets and the first weights; the test galaxies are the same for all. "
        "The intervals of the claims below are over seeds and, by a bootstrap, over test galaxies. "
        "The paper's galaxies are others. Chance: "
        "galaxies in random order, and for the accuracy all called what most are."
    )
    return page_html(
        "Figure 10: training sets",
        "<table><thead><tr><th>model</th><th>training set</th><th>seeds</th>"
        f"{head}</tr></thead><tbody>{body}</tbody></table><p>{html.escape(note)}</p>"
        f"<h2>The paper's claims</h2>{verdicts_html(claims)}",
    )
