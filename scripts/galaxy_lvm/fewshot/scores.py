"""Scores of few-shot classifiers, and the views of them: summary table, label efficiency."""

import html
import os
from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd

from galaxy_lvm.core.tables import load_table
from galaxy_lvm.fewshot.label_efficiency import label_efficiency
from galaxy_lvm.report.class_scores import classification_metrics
from galaxy_lvm.report.rankings import area_under_roc
from galaxy_lvm.report.results import summarise
from galaxy_lvm.report.tables import page_html

EXPERIMENT, TASK = "fewshot", "classification"
METRICS = ("accuracy", "f1", "auc")
METRIC_NAMES = {"accuracy": "Accuracy", "f1": "Macro F1", "auc": "AUC (one class against the rest)"}


def condition_of(size: int) -> str:
    """Return the condition of a training set of `size` galaxies per class."""
    return f"n={size}"


def size_of(condition: str) -> int:
    """Return the galaxies per class that a condition stands for."""
    return int(condition.removeprefix("n="))


def few_shot_scores(labels: np.ndarray, shares: np.ndarray) -> dict[str, float]:
    """Return accuracy, macro precision, recall, F1, and macro AUC.

    The AUC is the mean over the classes that occur of the area under the curve of one class
    against the rest.

    Parameters
    ----------
    labels
        Class numbers (N,).
    shares
        Class probabilities (N, number of classes).
    """
    scores = classification_metrics(labels, shares.argmax(axis=1), shares.shape[1])
    areas = [
        area_under_roc(shares[labels != number, number], shares[labels == number, number])
        for number in np.unique(labels)
        if (labels != number).any()
    ]
    return scores | {"auc": float(np.mean(areas))}


def read_predictions(paths: Sequence[str | os.PathLike]) -> pd.DataFrame:
    """Return the class probabilities of single test galaxies that the trainings wrote (parquet)."""
    return pd.concat([load_table(path) for path in paths])


def few_shot_table(results: pd.DataFrame, order: Sequence[str]) -> pd.DataFrame:
    """Return one row per model and size: mean and 95 % interval over seeds of every metric.

    Parameters
    ----------
    results
        Long table of the experiment.
    order
        Models in the order of the table.
    """
    summary = summarise(results[results["metric"].isin(METRICS)])
    summary["n_per_class"] = summary["condition"].map(size_of)
    rows = []
    for model in order:
        for size, block in summary[summary["model"] == model].groupby("n_per_class"):
            block = block.set_index("metric")
            row = {"model": model, "n_per_class": size, "n_seeds": int(block["n_seeds"].max())}
            for metric in METRICS:
                row[metric] = block.loc[metric, "mean"]
                row[f"{metric}_low95"] = block.loc[metric, "low95"]
                row[f"{metric}_high95"] = block.loc[metric, "high95"]
            rows.append(row)
    return pd.DataFrame(rows)


def score_curves(results: pd.DataFrame, model: str, metric: str) -> pd.DataFrame:
    """Return the scores of a model: one row per size (rising), one column per seed."""
    rows = results[(results["model"] == model) & (results["metric"] == metric)]
    curves = rows.assign(size=rows["condition"].map(size_of))
    return curves.pivot(index="size", columns="seed", values="value").sort_index()


def efficiency_table(
    results: pd.DataFrame, models: Sequence[str], references: Sequence[str]
) -> pd.DataFrame:
    """Return how much fewer labels each model needs than each reference, by accuracy.

    Returns
    -------
    DataFrame
        `model`, `reference`, `reference_n_per_class`, `score` (that the reference reaches with
        them), `k`, `k_low95`, `k_high95`, `at_least` and `text`; see `label_efficiency`.
    """
    rows = []
    for model in models:
        ours = score_curves(results, model, "accuracy")
        for reference in references:
            theirs = score_curves(results, reference, "accuracy")
            sizes = [int(size) for size in ours.index.intersection(theirs.index)]
            for size in sizes:
                found = label_efficiency(
                    sizes, ours.loc[sizes].to_numpy(), theirs.loc[sizes].to_numpy(), size
                )
                rows.append(
                    {
                        "model": model,
                        "reference": reference,
                        "reference_n_per_class": size,
                        "score": float(theirs.loc[size].mean()),
                        "k": found.k,
                        "k_low95": found.low95,
                        "k_high95": found.high95,
                        "at_least": found.at_least,
                        "text": found.text,
                    }
                )
    return pd.DataFrame(rows)


def efficiency_sentences(table: pd.DataFrame, names: Mapping[str, str]) -> list[str]:
    """Return one sentence per model and reference, for the reference's largest training set."""
    sentences = []
    for (model, reference), block in table.groupby(["model", "reference"], sort=False):
        row = block.loc[block["reference_n_per_class"].idxmax()]
        sentences.append(
            f"Accuracy {row['score']:.3f} of {names[reference]} with "
            f"{row['reference_n_per_class']} labels per class: {names[model]} needs 1/k of them, "
            f"k = {row['text']}."
        )
    return sentences


def few_shot_html(
    table: pd.DataFrame, efficiency: pd.DataFrame, names: Mapping[str, str], notes: Sequence[str]
) -> str:
    """Return both tables as a page of its own, for the report."""
    head = "".join(f"<th>{html.escape(METRIC_NAMES[m])}</th>" for m in METRICS)
    body = []
    for size, block in table.groupby("n_per_class"):
        body.append(
            f'<tr class="block"><td colspan="{1 + len(METRICS)}">'
            f"{size} galaxies per class</td></tr>"
        )
        best = {m: block[m].max() for m in METRICS}
        for _, row in block.iterrows():
            cells = "".join(_cell(row, m, row[m] == best[m]) for m in METRICS)
            kind = ' class="network"' if row["model"].startswith("lvm") else ""
            body.append(f"<tr{kind}><td>{html.escape(names[row['model']])}</td>{cells}</tr>")
    seeds = ", ".join(str(n) for n in sorted(set(table["n_seeds"])))
    text = (
        f"Mean and 95 % t interval over {seeds} seeds (training set and start of the network). "
        "All numbers are for the same test galaxies; bold: best of its block."
    )
    sentences = [*efficiency_sentences(efficiency, names), *notes] if len(efficiency) else notes
    return page_html(
        "Few-shot classification",
        f"<table><thead><tr><th>model</th>{head}</tr></thead><tbody>{''.join(body)}</tbody></table>"
        f"<p>{text}</p><h2>Labels saved</h2>"
        + "".join(f"<p>{html.escape(sentence)}</p>" for sentence in sentences),
    )


def _cell(row: pd.Series, metric: str, best: bool) -> str:
    mark = ' class="best"' if best else ""
    low, high = row[f"{metric}_low95"], row[f"{metric}_high95"]
    interval = "single seed" if pd.isna(low) else f"{low:.3f} to {high:.3f}"
    return f'<td><span{mark}>{row[metric]:.3f}</span><span class="interval">{interval}</span></td>'
