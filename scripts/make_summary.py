"""Put the run beside the paper on one page: every table, figures 5, 6 and 10, every claim."""

from collections.abc import Sequence
from pathlib import Path

import pandas as pd
from galaxy_lvm.core.logs import job_log, log
from galaxy_lvm.core.state import atomic_path
from galaxy_lvm.core.tables import load_table, save_table
from galaxy_lvm.fewshot import claims as fewshot
from galaxy_lvm.hitl import claims as hitl
from galaxy_lvm.lenses import claims as lenses
from galaxy_lvm.multitask import tables as multitask
from galaxy_lvm.multitask.claims import best_classical
from galaxy_lvm.report.results import paper_values, read_results
from galaxy_lvm.report.summary import summary_html, summary_text
from galaxy_lvm.training.objectives_table import objective_claims

# Columns of the chapters' tables that a line of the summary shows.
_SCORES = ("n_*", "accuracy*", "aupr*", "boxes_ap*", "paper_*")


def main(
    metrics: Sequence[str],
    paper_csv: str,
    claims: Sequence[str],
    few_shot_metrics: str,
    few_shot_predictions: Sequence[str],
    few_shot_splits: str,
    few_shot_table: str,
    few_shot_models: Sequence[dict],
    detector_metrics: str | None,
    detector_table: str | None,
    hitl_table: str,
    objectives: str,
    in_use: str,
    summary: str,
    summary_page: str,
    verdicts_table: str,
) -> None:
    """Write the summary as Markdown and as an HTML page.

    Parameters
    ----------
    metrics
        Long-format CSVs of the baselines and of the networks of Tables 1 to 4.
    paper_csv
        The paper's printed values.
    claims
        CSVs of claims that were judged elsewhere: of the tables, of the human in the loop.
    few_shot_metrics, few_shot_predictions, few_shot_table
        Figure 5 in long form, class probabilities of single galaxies (parquet), as a table.
    few_shot_splits, few_shot_models
        Splits of its galaxies; the config's list of classifiers.
    detector_metrics, detector_table
        Figure 6 in long form and as a table; None in a run without lenses.
    hitl_table
        Table of figure 10.
    objectives, in_use
        Scores of frozen features in long form; the pretraining that the tasks start from.
    summary, summary_page
        Markdown and HTML to write.
    verdicts_table
        CSV of every claim's verdict to write.
    """
    results = read_results(list(metrics))
    tables = [(spec, multitask.build_table(spec, results, paper_values(paper_csv, spec.item)))
              for spec in multitask.TABLES]  # fmt: skip
    detectors = load_table(detector_table, _SCORES) if detector_table else None
    lines = multitask.summary_lines(tables)
    lines += fewshot.summary_lines(load_table(few_shot_table, _SCORES))
    lines += [] if detectors is None else lenses.summary_lines(detectors)
    lines += hitl.summary_lines(load_table(hitl_table, _SCORES))
    judged = [load_table(path) for path in claims]
    asked = (few_shot_metrics, few_shot_predictions, few_shot_splits, few_shot_models)
    found = [lenses.detector_claims(read_results(detector_metrics))] if detector_metrics else []
    features = objective_claims(read_results(objectives), in_use)
    verdicts = pd.concat(
        [judged[0], features, fewshot.few_shot_verdicts(*asked), *found, *judged[1:]]
    )
    content = (lines, multitask.summary_note(tables), verdicts, best_classical(results))
    save_table(verdicts_table, verdicts)
    for path, text in ((summary, summary_text(*content)), (summary_page, summary_html(*content))):
        with atomic_path(path) as temporary:
            Path(temporary).write_text(text, encoding="utf-8")
    log.info("%s", verdicts["verdict"].value_counts().to_dict())


if __name__ == "__main__":
    with job_log(snakemake.log[0]):  # noqa: F821
        sources = snakemake.input  # noqa: F821
        main(
            metrics=list(sources.metrics),
            paper_csv=sources.paper,
            claims=list(sources.claims),
            few_shot_metrics=sources.few_shot,
            few_shot_predictions=list(sources.few_shot_predictions),
            few_shot_splits=sources.few_shot_splits,
            few_shot_table=sources.few_shot_table,
            few_shot_models=snakemake.params.few_shot_models,  # noqa: F821
            detector_metrics=sources.get("detector_metrics") or None,
            detector_table=sources.get("detectors") or None,
            hitl_table=sources.hitl,
            objectives=sources.objectives,
            in_use=snakemake.params.in_use,  # noqa: F821
            summary=snakemake.output.text,  # noqa: F821
            summary_page=snakemake.output.page,  # noqa: F821
            verdicts_table=snakemake.output.verdicts,  # noqa: F821
        )
