"""The table of pretraining objectives, and whether the one in use taught anything."""

import html

import pandas as pd

from galaxy_lvm.report.labels import variant_label
from galaxy_lvm.report.tables import page_html
from galaxy_lvm.report.verdicts import OWN_QUESTION, Claim, difference, judge, verdict_table

UNTRAINED = "random"  # the encoder's name in the long table


def objectives_summary(results: pd.DataFrame, in_use: str) -> pd.DataFrame:
    """Return one row per variant (index), the best first: scores, time, final loss, in use."""
    table = results.pivot_table(index="model", columns="metric", values="value", aggfunc="mean")
    columns = ["f1", "f1_low95", "f1_high95", "f1_val", "accuracy", "pretrain_seconds"]
    table = table.reindex(columns=[*columns, "final_loss"]).sort_values("f1", ascending=False)
    table.insert(0, "objective", [variant_label(name) for name in table.index])
    table["in_use"] = table.index == in_use
    return table


def objective_claims(results: pd.DataFrame, in_use: str) -> pd.DataFrame:
    """Judge whether frozen features of the encoder in use are above those of an untrained one.

    Parameters
    ----------
    results
        Long table of the experiment `objectives`.
    in_use
        The variant whose encoder the tasks start from.

    Returns
    -------
    DataFrame
        Columns `VERDICT_COLUMNS`, one row.
    """
    text = f"frozen features: pretrained encoder above an untrained one, macro F1 {OWN_QUESTION}"
    claim = Claim(text, "f1", ((in_use, UNTRAINED),))
    of_galaxies = results[:0].assign(id="")  # single galaxies have no F1
    found = difference(results, of_galaxies, claim.metric, claim.pairs[0])
    return verdict_table([judge(claim, [found])])


def objectives_html(table: pd.DataFrame) -> str:
    """Return the table as a page of its own."""
    heads = ("Objective", "Macro F1, test", "Macro F1, validation", "Accuracy, test",
             "Pretraining [s]", "Final loss")  # fmt: skip
    body = "".join(
        f"<tr{' class=network' * row.in_use}><td>{html.escape(row.objective)}"
        f"{' (in use)' * row.in_use}</td><td><b>{row.f1:.3f}</b>"
        f'<span class="interval">{row.f1_low95:.3f} to {row.f1_high95:.3f}</span></td>'
        f"<td>{row.f1_val:.3f}</td><td>{row.accuracy:.3f}</td>"
        f"<td>{_number(row.pretrain_seconds, '.0f')}</td><td>{_number(row.final_loss, '.4g')}</td>"
        "</tr>"
        for row in table.itertuples()
    )
    head = "".join(f"<th>{name}</th>" for name in heads)
    note = (
        "Logistic regression on frozen features; its regularisation is chosen on the validation "
        "split. Intervals: 95 % bootstrap over test galaxies of a single seed. Losses of different "
        "objectives are not comparable."
    )
    return page_html(
        "Pretraining objectives",
        f"<table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table><p>{note}</p>",
    )


def _number(value: float, form: str) -> str:
    return "&ndash;" if pd.isna(value) else format(value, form)
