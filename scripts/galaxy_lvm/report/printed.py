"""Every number that the paper prints beside this run's, with interval and verdict."""

import html
import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

import pandas as pd

from galaxy_lvm.report.results import summarise
from galaxy_lvm.report.tables import interval_of, number_text

AGREES, DIFFERS = "agrees", "differs"
NOT_COMPARABLE = "not comparable at this size"
NO_INTERVAL, NOT_EVALUATED = "no interval", "not evaluated"
_ITEMS = {"fig6": "figure 6", "fig10": "figure 10", "sec5c": "section V.C"}


@dataclass(frozen=True)
class Printed:
    """A number of the paper and this run's.

    Attributes
    ----------
    item, model, condition, metric
        Which number; a condition is named as this run has it.
    paper
        As it is printed.
    ours, low95, high95
        Mean and ends of its 95 % interval, NaN for none.
    n_seeds
        Trainings or repetitions behind it.
    over
        What the interval runs over: `seeds`, `galaxies` (or fields), or "".
    verdict
        One of the words above.
    why
        Why it cannot be compared; "" where it can.
    """

    item: str
    model: str
    condition: str
    metric: str
    paper: float
    ours: float = math.nan
    low95: float = math.nan
    high95: float = math.nan
    n_seeds: int = 0
    over: str = ""
    verdict: str = NOT_EVALUATED
    why: str = ""


def printed_numbers(
    paper: pd.DataFrame, results: pd.DataFrame, reasons: Mapping[str, Sequence[str]]
) -> list[Printed]:
    """Return a row for every number that the paper prints, in its order.

    Parameters
    ----------
    paper
        The paper's values (`PAPER_COLUMNS`).
    results
        Long table of the run in which task, model and condition are named as the paper's are.
    reasons
        Of `comparable.differences_of_size`.
    """
    summary = summarise(results).set_index(["task", "model", "condition"]).sort_index()
    return [_row(line, summary, reasons) for line in paper.to_dict("records")]


def _row(line: Mapping, summary: pd.DataFrame, reasons: Mapping[str, Sequence[str]]) -> Printed:
    item, model, condition, metric = (line[k] for k in ("item", "model", "condition", "metric"))
    row = Printed(item, model, condition, metric, float(line["value"]))
    used = _condition_of_run(summary, line["task"], model, condition)
    if used is None:
        return row
    values = summary.loc[[(line["task"], model, used)]].set_index("metric")
    if metric not in values.index:
        return row
    low, high, over = interval_of(values, metric)
    other = [] if used == condition else [f"{used} where the paper has {condition}"]
    why = [*reasons[item], *other]
    row = replace(
        row, condition=used, ours=float(values.loc[metric, "mean"]), low95=low, high95=high,
        n_seeds=int(values.loc[metric, "n_seeds"]), over=over, why=", ".join(why),
    )  # fmt: skip
    return replace(row, verdict=_verdict(row))


def _condition_of_run(summary: pd.DataFrame, task: str, model: str, wanted: str) -> str | None:
    """Return the wanted condition, or the largest training set where the run has not that one."""
    if (task, model) not in summary.index:
        return None
    found = set(summary.loc[(task, model)].index)
    if wanted in found:
        return wanted
    sizes = [name for name in found if name.startswith("train=")]
    if not wanted.startswith("train=") or not sizes:
        return None
    return max(sizes, key=lambda name: int(name.partition("=")[2]))


def _verdict(row: Printed) -> str:
    if row.why:
        return NOT_COMPARABLE
    if not row.over:
        return NO_INTERVAL
    half = 0.5 * 10.0 ** -_decimals(row.paper)  # what the paper's rounding leaves open
    return AGREES if row.low95 - half <= row.paper <= row.high95 + half else DIFFERS


def _decimals(value: float) -> int:
    return len(f"{value:.10f}".rstrip("0").partition(".")[2])


def as_records(rows: Iterable[Printed]) -> list[dict[str, Any]]:
    """Return the rows for JSON, which knows no NaN."""
    return [
        {k: None if isinstance(v, float) and math.isnan(v) else v for k, v in asdict(row).items()}
        for row in rows
    ]


def counted(rows: Sequence[Printed]) -> str:
    """Return how many numbers have which verdict, in a sentence."""
    verdicts = pd.Series([row.verdict for row in rows]).value_counts()
    # Of these two a reader wants to know also that there is none.
    told = dict.fromkeys((AGREES, DIFFERS), 0) | verdicts.to_dict()
    counted = ", ".join(f"{n} {_sentence_end(word, n)}" for word, n in told.items())
    return f"Of the {len(rows)} numbers that the paper prints: {counted}."


def _sentence_end(verdict: str, n: int) -> str:
    one = n == 1
    verbs = {AGREES: ("agree", "agrees"), DIFFERS: ("differ", "differs")}
    verbs[NOT_COMPARABLE] = (f"are {NOT_COMPARABLE}", f"is {NOT_COMPARABLE}")
    verbs[NO_INTERVAL] = (f"have {NO_INTERVAL}", f"has {NO_INTERVAL}")
    verbs[NOT_EVALUATED] = (f"were {NOT_EVALUATED}", f"was {NOT_EVALUATED}")
    return verbs[verdict][one]


def reasons_told(rows: Iterable[Printed]) -> str:
    """Return in a sentence why numbers of this run are no test of the paper's; "" where all are."""
    reasons = dict.fromkeys(part for row in rows for part in row.why.split(", ") if part)
    return f"Not comparable because of: {', '.join(reasons)}." if reasons else ""


def footnotes(rows: Iterable[Printed]) -> dict[str, str]:
    """Return the reasons why numbers cannot be compared, each once -> its letter or letters."""
    reasons = dict.fromkeys(row.why for row in rows if row.why)
    letters = "abcdefghijklmnopqrstuvwxyz"
    return {why: letters[i % 26] * (1 + i // 26) for i, why in enumerate(reasons)}


HEADER = (
    "item",
    "model",
    "condition",
    "metric",
    "paper",
    "run",
    "95 % interval",
    "over",
    "trainings",
)


def cells(row: Printed) -> tuple[str, ...]:
    """Return a row's texts under `HEADER`; intervals of shares end at 0 and 1."""
    low, high = row.low95, row.high95
    if row.metric not in ("psnr", "mse"):
        low, high = max(low, 0.0), min(high, 1.0)
    ends = f"{number_text(low, row.metric)} to {number_text(high, row.metric)}"
    item = _ITEMS.get(row.item, row.item.replace("table", "table "))
    ours = number_text(row.ours, row.metric) or "-"
    shown = (ours, ends if row.over else "-", row.over or "-", str(row.n_seeds or "-"))
    metric = "psnr [dB]" if row.metric == "psnr" else row.metric
    return item, row.model, row.condition, metric, f"{row.paper:g}", *shown


def numbers_html(rows: Sequence[Printed]) -> str:
    """Return the rows as an HTML table, and under it why numbers cannot be compared."""
    head = "".join(f"<th>{name}</th>" for name in (*HEADER, "verdict"))
    tones, notes = {AGREES: "holds", DIFFERS: "fails"}, footnotes(rows)
    lines = []
    for row in rows:
        body = "".join(f"<td>{html.escape(cell)}</td>" for cell in cells(row))
        mark = f" <sup>{notes[row.why]}</sup>" if row.why else ""
        tone = tones.get(row.verdict, "unclear")
        lines.append(f'<tr>{body}<td class="{tone}">{row.verdict}{mark}</td></tr>')
    why = "<br>".join(f"<sup>{mark}</sup> {html.escape(text)}" for text, mark in notes.items())
    return (
        f"<table><thead><tr>{head}</tr></thead><tbody>{''.join(lines)}</tbody></table><p>{why}</p>"
    )
