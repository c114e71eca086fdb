"""Stellar parameters by method, as a table and as a page."""

import pandas as pd

from galaxy_lvm.report.tables import page_html, plain_table
from galaxy_lvm.report.verdicts import verdicts_html
from galaxy_lvm.spectra.floor_names import FLOOR_NAMES
from galaxy_lvm.spectra.labels import NAMES, UNITS

MODEL_NAMES = {**FLOOR_NAMES, "transformer": "Transformer, pretrained on simulated spectra",
               "transformer_scratch": "Transformer from scratch"}  # fmt: skip


def parameters_table(results: pd.DataFrame) -> pd.DataFrame:
    """Return a row per label and method: errors, intervals, coverage where there is one.

    Parameters
    ----------
    results
        Long table, experiment `spectra`.
    """
    keys = ["task", "model", "condition"]
    wide = results.pivot_table(index=keys, columns="metric", values="value", aggfunc="mean")
    wide = wide.reset_index().rename_axis(columns=None).rename(columns={"task": "label"})
    labels, models = list(NAMES), list(MODEL_NAMES)
    order = wide["label"].map(labels.index), wide["model"].map(models.index)
    wide = wide.assign(a=order[0], b=order[1]).sort_values(["a", "b"]).drop(columns=["a", "b"])
    wide.insert(1, "unit", [UNITS[name] for name in wide["label"]])
    return wide.reset_index(drop=True)


def digits(label: str) -> int:
    """Return the decimals that suit a label's errors."""
    return 1 if UNITS[label] == "K" else 3


def parameters_html(table: pd.DataFrame, claims: pd.DataFrame) -> str:
    """Return the table and the verdicts as a page."""
    heads = ("Label", "Method", "Mean absolute error", "Bias", "sigma NMAD", "Within 1 sigma",
             "N train / test")  # fmt: skip
    lines = []
    for row in table.to_dict("records"):
        n = digits(row["label"])
        covered = row.get("coverage68", float("nan"))
        cells = [
            f"{NAMES[row['label']]} [{row['unit']}]",
            MODEL_NAMES[row["model"]],
            f"{row['mae']:.{n}f} ({row['mae_low95']:.{n}f} to {row['mae_high95']:.{n}f})",
            f"{row['bias']:+.{n}f}",
            f"{row['sigma_nmad']:.{n}f}",
            "" if pd.isna(covered) else f"{100 * covered:.0f} %",
            f"{row['condition'].removeprefix('train=')} / {row['n_test']:.0f}",
        ]
        lines.append(cells)
    note = (
        "Errors on test stars, none of whose spectra was learned from or chosen by; in brackets "
        "the 95 % bootstrap interval over them. Within 1 sigma: share of the stars whose error is "
        "below the method's own uncertainty; 68 % where it is right."
    )
    body = f"<p>{note}</p>{plain_table(heads, lines)}"
    verdicts = f"<h2>Is each method better than the one before?</h2>{verdicts_html(claims)}"
    return page_html("Stellar parameters from spectra", body + verdicts)
