"""Search, translation and anomalies by method, as a table and as a page."""

import pandas as pd

from galaxy_lvm.align.pairs import SIDE_NAMES
from galaxy_lvm.report.tables import page_html, plain_table
from galaxy_lvm.report.verdicts import verdicts_html

MODEL_NAMES = {
    "mean": "mean of the training stars",
    "cca": "canonical correlation, cosine",
    "cca_gaussian": "canonical correlation, Gaussian",
    "components": "components of both sides",
    "quadratic": "quadratic ridge on components",
    "aligned": "aligned networks",
}
# Metric in front, with its interval, for each of the three questions.
_MAIN = {"search": "recall10", "translation": "error", "anomalies": "recall"}
_WHAT = {
    "search": "found among the first 10",
    "translation": "median relative error, mean over stars",
    "anomalies": "binaries found at 1 % of single stars",
}


def alignment_table(results: pd.DataFrame) -> pd.DataFrame:
    """Return a row per experiment, question, way and method.

    Parameters
    ----------
    results
        Long table, experiments `search`, `translation` and `anomalies`.
    """
    keys = ["task", "experiment", "condition", "model"]
    wide = results.pivot_table(index=keys, columns="metric", values="value", aggfunc="mean")
    wide = wide.reset_index().rename_axis(columns=None)
    wide = wide.rename(columns={"experiment": "question", "task": "experiment"})
    order = [list(SIDE_NAMES), list(_MAIN), None, list(MODEL_NAMES)]
    names = ["experiment", "question", "condition", "model"]
    ranks = {
        f"_{name}": wide[name].map(known.index) if known else wide[name]
        for name, known in zip(names, order, strict=True)
    }
    return (
        wide.assign(**ranks)
        .sort_values(list(ranks))
        .drop(columns=list(ranks))
        .reset_index(drop=True)
    )


def alignment_html(table: pd.DataFrame, claims: pd.DataFrame) -> str:
    """Return the table and the verdicts as a page."""
    lines = []
    for row in table.to_dict("records"):
        main = _MAIN[row["question"]]
        # Shares to a digit that a thousand stars support, errors relative to what they are.
        digits = ".4g" if row["question"] == "translation" else ".3f"
        value, low, high = (f"{row[name]:{digits}}" for name in (main, *_ends(main)))
        cells = [
            " and ".join(SIDE_NAMES[row["experiment"]]),
            _WHAT[row["question"]],
            row["condition"].replace("_", " "),
            MODEL_NAMES[row["model"]],
            f"{value} ({low} to {high})",
            _beside(row),
            f"{row['n_test']:.0f}",
        ]
        lines.append(cells)
    heads = ("Pair", "Question", "Way", "Method", "Value", "Beside", "N test")
    note = (
        "Test stars alone; in brackets the 95 % bootstrap interval over them. a is the first side "
        "of a pair, b the second."
    )
    if table["condition"].str.contains("like_noise").any():
        note += (
            " like noise: searched among stars with errors of about the same size, so that a noisy "
            "spectrum does not betray its star."
        )
    if "twins" in set(table["experiment"]):
        note += " Twins share Teff, log g and [Fe/H], nothing else."
    body = (
        f"<p>{note}</p>{plain_table(heads, lines)}"
        f"<h2>Are the networks above their floors?</h2>{verdicts_html(claims)}"
    )
    return page_html("Two kinds of spectra, aligned", body)


def _ends(metric: str) -> tuple[str, str]:
    """Return the columns of a metric's interval."""
    return f"{metric}_low95", f"{metric}_high95"


def _beside(row: dict) -> str:
    """Return what stands beside the value that a question is answered by."""
    if row["question"] == "search":
        first, of = f"first: {row['recall1']:.3f}", f"of {row['gallery_size']:.0f}"
        return f"{first}, median rank {row['median_rank']:.0f} {of}"
    if row["question"] == "translation":
        median = f"median over stars and pixels {row['median_error']:.4f}"
        return f"{median}, mean absolute {row['mae']:.4f}"
    odd = f"single stars called odd {100 * row['false_positives']:.1f} %"
    return f"{odd}, AUC {row['auroc']:.3f}"
