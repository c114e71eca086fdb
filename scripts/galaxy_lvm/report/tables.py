"""What all tables share: numbers, intervals, pages for a browser, columns for a terminal."""

import html
import math
import re
from collections.abc import Iterable, Mapping

import pandas as pd

_DECIMALS = {"mse": 5, "psnr": 2}

# A row of the summary: item, model, metric, our value, its 95 % interval, the paper's value.
Line = tuple[str, str, str, str, str, str]


def number_text(value: float, metric: str) -> str:
    """Return a number with the decimals that suit its metric, '' for NaN."""
    return "" if pd.isna(value) else f"{value:.{_DECIMALS.get(metric, 3)}f}"


def interval_of(values: pd.DataFrame, metric: str) -> tuple[float, float, str]:
    """Return the interval of a metric and what it runs over: 'seeds', 'galaxies' or ''.

    Parameters
    ----------
    values
        Rows of `summarise` for one model, indexed by metric.
    metric
        Name of the metric.
    """
    row = values.loc[metric]
    if row["n_seeds"] > 1:
        return row["low95"], row["high95"], "seeds"
    ends = [f"{metric}_low95", f"{metric}_high95"]
    if set(ends) <= set(values.index):
        return *values.loc[ends, "mean"], "galaxies"
    return math.nan, math.nan, ""


def score_line(item: str, row: Mapping, metric: str, name: str, printed: float = math.nan) -> Line:
    """Return a row of the summary for a score in [0, 1] of a chapter's table.

    Parameters
    ----------
    item
        What the row belongs to, for instance "figure 10, 20 labels".
    row
        The table's row: `model`, `<metric>`, `<metric>_low95`, `<metric>_high95`.
    metric, name
        The score, and what it is called.
    printed
        The paper's value, NaN where it prints none.
    """
    low, high = row[f"{metric}_low95"], row[f"{metric}_high95"]
    interval = "" if pd.isna(low) else f"{low:.3f} to {high:.3f}"
    paper = "-" if pd.isna(printed) else f"{printed:.3f}"
    return item, row["model"], name, f"{row[metric]:.3f}", interval, paper


_STYLE = """
body { font: 14px/1.45 system-ui, sans-serif; color: #1c2430; margin: 1.5rem; }
h1 { font-size: 1.15rem; margin: 0 0 .8rem; }
h2 { font-size: 1rem; margin: 1.4rem 0 .5rem; }
table { border-collapse: collapse; }
th, td { padding: .35rem .5rem; text-align: right; border-bottom: 1px solid #dfe4ea; }
th:first-child, td:first-child { text-align: left; }
thead th { border-bottom: 2px solid #5b6b7d; font-weight: 600; vertical-align: bottom; }
tr.block td { background: #eef2f6; font-weight: 600; text-align: left; }
tr.network td:first-child { color: #0b5394; }
.interval { display: block; font-size: .8em; color: #5b6b7d; white-space: nowrap; }
.paper { color: #7a4b00; }
.best { font-weight: 700; }
td.text { text-align: left; font-size: .9rem; }
.holds { color: #1b6e3c; } .fails { color: #a61b1b; } .unclear { color: #6b5900; }
p { max-width: 46rem; font-size: .9rem; color: #3d4a59; }
"""


def page_html(title: str, body: str) -> str:
    """Return a complete page in the tables' style; `body` is HTML, `title` is text."""
    title = html.escape(title)
    return (
        '<!DOCTYPE html>\n<html lang="en"><head><meta charset="utf-8">'
        f"<title>{title}</title><style>{_STYLE}</style></head>"
        f"<body><h1>{title}</h1>{body}</body></html>\n"
    )


def plain_table(heads: Iterable[str], rows: Iterable[Iterable[str]]) -> str:
    """Return texts as an HTML table, a line a row."""
    head = "".join(f"<th>{html.escape(name)}</th>" for name in heads)
    lines = ("".join(f"<td>{html.escape(cell)}</td>" for cell in row) for row in rows)
    body = "".join(f"<tr>{line}</tr>" for line in lines)
    return f"<table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>"


def aligned(header: Iterable[str], rows: Iterable[Iterable[str]]) -> str:
    """Return a Markdown table whose columns also line up on a terminal."""
    # A bar within a cell would begin another one.
    lines = [[str(cell).replace("|", r"\|") for cell in line] for line in (header, *rows)]
    widths = [max(len(line[i]) for line in lines) for i in range(len(lines[0]))]
    text = [
        "| " + " | ".join(c.ljust(w) for c, w in zip(line, widths, strict=True)) + " |"
        for line in lines
    ]
    text.insert(1, "|" + "|".join("-" * (w + 2) for w in widths) + "|")
    return "\n".join(re.sub(r" +$", "", line) for line in text)
