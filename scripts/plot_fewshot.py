"""Draw figure 5 and its companions; table the scores and how many labels the LVM saves."""

from collections.abc import Sequence

import numpy as np
import pandas as pd
from galaxy_lvm.core.logs import job_log, log
from galaxy_lvm.core.tables import load_table, save_table
from galaxy_lvm.fewshot.figures import draw_confusions, draw_few_shot, draw_reliability
from galaxy_lvm.fewshot.scores import (
    efficiency_sentences,
    efficiency_table,
    few_shot_html,
    few_shot_table,
)
from galaxy_lvm.fewshot.subsets import usable_sizes
from galaxy_lvm.report.results import read_results, write_results, write_table
from galaxy_lvm.report.style import save
from galaxy_lvm.survey.splits_table import Splits
from galaxy_lvm.training.model_specs import model_specs


def main(
    splits: str,
    job_metrics: Sequence[str],
    job_predictions: Sequence[str],
    models: Sequence[dict],
    sizes: Sequence[int],
    metrics: str,
    table: str,
    efficiency: str,
    fig05: str,
    confusion: str,
    reliability: str,
) -> None:
    """Join the jobs' results; write metrics, two tables (CSV, one HTML) and three figures.

    Parameters
    ----------
    splits
        Labelled dataset.
    job_metrics, job_predictions
        What the trainings wrote.
    models, sizes
        The config's lists.
    metrics
        Long table of the experiment (CSV) to write.
    table, efficiency
        CSV tables to write; an HTML page with both lies beside the first.
    fig05, confusion, reliability
        Figures to write, ending in .pdf.
    """
    results = read_results(list(job_metrics))
    write_results(metrics, results)
    specs = model_specs(models)
    names = {spec.label: spec.display_name for spec in specs}
    labelled = Splits(splits)
    galaxies, class_names = labelled.all_labelled(), labelled.class_names
    _, skipped = usable_sizes(galaxies["train"].labels, class_names, sizes)
    notes = [f"{n} per class: not shown, too few of {why}" for n, why in skipped.items()]
    scores = few_shot_table(results, list(names))
    saved = efficiency_table(
        results,
        [spec.label for spec in specs if spec.is_lvm and spec.pretrained],
        [spec.label for spec in specs if not spec.is_lvm],
    )
    write_table(table, scores, few_shot_html(scores, saved, names, notes))
    save_table(efficiency, saved)
    for sentence in efficiency_sentences(saved, names):
        log.info("%s", sentence)
    labels = galaxies["test"].labels
    chance = float(np.bincount(labels).max() / len(labels))
    save(draw_few_shot(scores, names, notes, chance), fig05)
    predictions = pd.concat([load_table(path) for path in job_predictions])
    save(draw_confusions(predictions, names, class_names), confusion)
    save(draw_reliability(predictions, names, class_names), reliability)


if __name__ == "__main__":
    with job_log(snakemake.log[0]):  # noqa: F821
        main(
            splits=snakemake.input.splits,  # noqa: F821
            job_metrics=list(snakemake.input.metrics),  # noqa: F821
            job_predictions=list(snakemake.input.predictions),  # noqa: F821
            models=snakemake.params.models,  # noqa: F821
            sizes=snakemake.params.sizes,  # noqa: F821
            metrics=snakemake.output.metrics,  # noqa: F821
            table=snakemake.output.table,  # noqa: F821
            efficiency=snakemake.output.efficiency,  # noqa: F821
            fig05=snakemake.output.fig05,  # noqa: F821
            confusion=snakemake.output.confusion,  # noqa: F821
            reliability=snakemake.output.reliability,  # noqa: F821
        )
