"""Put every number that the paper prints beside this run's: the report's front page."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path

import pandas as pd
from galaxy_lvm.core.logs import job_log, log
from galaxy_lvm.core.state import atomic_path
from galaxy_lvm.core.tables import load_table, save_table
from galaxy_lvm.hitl import claims as hitl
from galaxy_lvm.lenses import claims as lenses
from galaxy_lvm.report.printed import as_records, counted, printed_numbers
from galaxy_lvm.report.results import PAPER_COLUMNS, read_results
from galaxy_lvm.report.summary import front_html


def main(
    metrics: Sequence[str],
    detector_metrics: str | None,
    hitl_metrics: Sequence[str],
    searches: str,
    verdicts: str,
    paper_csv: str,
    reasons: Mapping[str, Sequence[str]],
    numbers: str,
    data: str,
    front: str,
) -> None:
    """Write the numbers as CSV, with the claims as JSON, and both as the front page.

    Parameters
    ----------
    metrics, detector_metrics, hitl_metrics, searches
        Long-format CSVs of Tables 1 to 4, figure 6 (None in a run without lenses), figure 10 and
        section V.C.
    verdicts
        CSV of all judged claims.
    paper_csv
        The paper's printed values.
    reasons
        Of `comparable.differences_of_size`: why numbers cannot be compared, by item.
    numbers, data, front
        CSV, JSON and piece of HTML to write.
    """
    paper = load_table(paper_csv, numbers=("value",))[list(PAPER_COLUMNS)]
    of_loop = hitl.under_printed_names(read_results(hitl_metrics), read_results(searches), paper)
    found = [read_results(list(metrics)), of_loop]
    if detector_metrics:
        found.append(lenses.under_printed_names(read_results(detector_metrics)))
    rows = printed_numbers(paper, pd.concat(found, ignore_index=True), reasons)
    records, claims = as_records(rows), load_table(verdicts)
    save_table(numbers, pd.DataFrame(records))
    content = {"numbers": records, "claims": claims.to_dict("records")}
    for path, text in (
        (data, json.dumps(content, indent=1) + "\n"),
        (front, front_html(rows, claims)),
    ):
        with atomic_path(path) as temporary:
            Path(temporary).write_text(text, encoding="utf-8")
    log.info("%s", counted(rows))


if __name__ == "__main__":
    with job_log(snakemake.log[0]):  # noqa: F821
        main(
            metrics=list(snakemake.input.metrics),  # noqa: F821
            detector_metrics=snakemake.input.get("detectors") or None,  # noqa: F821
            hitl_metrics=list(snakemake.input.hitl),  # noqa: F821
            searches=snakemake.input.searches,  # noqa: F821
            verdicts=snakemake.input.verdicts,  # noqa: F821
            paper_csv=snakemake.input.paper,  # noqa: F821
            reasons=snakemake.params.reasons,  # noqa: F821
            numbers=snakemake.output.numbers,  # noqa: F821
            data=snakemake.output.data,  # noqa: F821
            front=snakemake.output.front,  # noqa: F821
        )
