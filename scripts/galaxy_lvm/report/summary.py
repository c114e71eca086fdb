"""The paper against ours on one page, for the README and the terminal.

Nothing heavy is imported here: `make demo` ends with it.
"""

import html
import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, TextIO

from galaxy_lvm.core.errors import DataError

if TYPE_CHECKING:
    import pandas as pd

    from galaxy_lvm.report.printed import Printed
    from galaxy_lvm.report.tables import Line

SUMMARY_FILE = Path("tables") / "summary.md"

_HEADER = ("item", "model", "metric", "ours", "95 % interval", "paper")

# Snakemake puts the graph of the rules beside a narrow description, and both in the middle, where a
# long one cannot be scrolled to its top: here the graph stands below, and all begins at the top.
_FRONT_STYLE = """
.prose:has(.front) { max-width: none; }
div:has(> #rulegraph) { flex-direction: column; }
div:has(> div > #rulegraph) { align-items: flex-start; justify-content: flex-start; }
.front table { border-collapse: collapse; margin: .5rem 0; font-size: .75rem; white-space: nowrap; }
.front th, .front td { padding: .15rem .4rem; text-align: left; border-bottom: 1px solid #dfe4ea; }
.front td:nth-child(3), .front td.text { white-space: normal; }
.front h2 { font-size: 1.1rem; font-weight: 600; margin: 1rem 0 .3rem; }
.front p { margin: .3rem 0; }
.front .holds { color: #1b6e3c; } .front .fails { color: #a61b1b; }
.front .unclear { color: #6b5900; }
"""

# Where a reader looks next, in this order, as far as it is there.
_PLACES = (
    ("report.html", "the report, with everything in it"),
    ("tables", "the tables (CSV, and HTML for a browser)"),
    ("figures", "the figures (PDF and PNG)"),
    ("metrics", "every number, in long format"),
)


def summary_text(
    lines: "Sequence[Line]", note: str, claims: "pd.DataFrame", best: "Sequence[str]"
) -> str:
    """Return the summary in Markdown, its tables aligned for a terminal.

    Parameters
    ----------
    lines
        Rows of all chapters' `summary_lines`.
    note
        What the intervals are.
    claims
        Verdicts of all chapters (`verdict_table`).
    best
        Sentences of `best_classical`.
    """
    from galaxy_lvm.report.tables import aligned
    from galaxy_lvm.report.verdicts import how_to_read

    verdicts = claims[["claim", "verdict", "trainings"]].replace("", "-").to_numpy().tolist()
    details = [f"- {row.claim}: {row.detail or 'no result'}" for row in claims.itertuples()]
    parts = [
        "## The paper's claims in this run, and our own",
        aligned(("claim", "verdict", "trainings"), verdicts),
        how_to_read(claims),
        "## The paper and this run",
        aligned(_HEADER, lines),
        note,
        "Differences with their 95 % intervals (dB for PSNR):",
        "\n".join(details),
    ]
    if best:
        parts += ["Best classical baseline, by validation:", "\n".join(f"- {b}" for b in best)]
    return "\n\n".join(parts) + "\n"


def summary_html(
    lines: "Sequence[Line]", note: str, claims: "pd.DataFrame", best: "Sequence[str]"
) -> str:
    """Return the summary as a page of its own; the parameters are those of `summary_text`."""
    from galaxy_lvm.report.tables import page_html
    from galaxy_lvm.report.verdicts import verdicts_html

    numbers = "".join(
        "<tr>" + "".join(f"<td>{html.escape(cell)}</td>" for cell in line) + "</tr>"
        for line in lines
    )
    head = "".join(f"<th>{name}</th>" for name in _HEADER)
    named = "".join(f"<li>{html.escape(sentence)}</li>" for sentence in best)
    return page_html(
        "The paper and this run",
        f"<h2>The paper's claims in this run, and our own</h2>{verdicts_html(claims)}"
        "<h2>Numbers</h2>"
        f"<table><thead><tr>{head}</tr></thead><tbody>{numbers}</tbody></table>"
        f"<p>{html.escape(note)}</p>"
        + (f"<h2>Best classical baseline, by validation</h2><ul>{named}</ul>" if named else ""),
    )


def front_html(rows: "Sequence[Printed]", claims: "pd.DataFrame") -> str:
    """Return the first thing that the report shows, a piece of HTML with a style of its own.

    Parameters
    ----------
    rows
        Every number that the paper prints, beside this run's.
    claims
        Verdicts of all chapters (`verdict_table`).
    """
    from galaxy_lvm.report.printed import counted, numbers_html, reasons_told
    from galaxy_lvm.report.verdicts import counted_claims, how_to_read, verdicts_table

    return (
        f"<style>{_FRONT_STYLE}</style>"
        f'<div class="front"><h2>Paper against run</h2><p><b>{html.escape(counted(rows))}</b> '
        f"{html.escape(reasons_told(rows))} "
        "Agrees: the printed number lies in this run's 95 % interval, up to its rounding. Where "
        "galaxies, model or training set are not of the paper's kind, the difference is no test of "
        "the paper, and the verdict says so; the claims below compare models within this run.</p>"
        f'<h2 id="claims">Claims</h2><p><b>{html.escape(counted_claims(claims))}</b></p>'
        f"{verdicts_table(claims, details=False)}<p>{html.escape(how_to_read(claims))}</p>"
        f'<h2 id="numbers">Numbers</h2>{numbers_html(rows)}</div>'
    )


def print_summary(run_dir: str | os.PathLike, stream: TextIO | None = None) -> None:
    """Print a run's summary and where to look for more.

    Parameters
    ----------
    run_dir
        Folder of the run, for instance results/demo.
    stream
        Where to print, by default the terminal.

    Raises
    ------
    DataError
        If the run has no summary yet.
    """
    run_dir, stream = Path(run_dir), stream or sys.stdout
    path = run_dir / SUMMARY_FILE
    if not path.exists():
        raise DataError(f"{path}: not there yet; run the workflow (make demo) to the end first")
    print(path.read_text(encoding="utf-8"), file=stream)
    found = [(run_dir / name, what) for name, what in _PLACES if (run_dir / name).exists()]
    width = max((len(str(place)) for place, _ in found), default=0)
    print("Where to look:", file=stream)
    for place, what in found:
        print(f"  {str(place).ljust(width)}  {what}", file=stream)
