"""Table the few-shot scores, and how many labels the LVM saves (paper IV.A)."""

from collections.abc import Sequence

from galaxy_lvm.core.logs import job_log, log
from galaxy_lvm.core.tables import save_table
from galaxy_lvm.fewshot.scores import (
    efficiency_sentences,
    efficiency_table,
    few_shot_html,
    few_shot_table,
)
from galaxy_lvm.fewshot.subsets import sizes_left_out
from galaxy_lvm.report.results import read_results, write_results, write_table
from galaxy_lvm.survey.splits_table import Splits
from galaxy_lvm.training.model_specs import display_names, model_specs


def main(
    splits: str,
    job_metrics: Sequence[str],
    models: Sequence[dict],
    sizes: Sequence[int],
    metrics: str,
    table: str,
    efficiency: str,
) -> None:
    """Join the jobs' results; write metrics and two tables (CSV, one HTML).

    Parameters
    ----------
    splits
        Labelled dataset.
    job_metrics
        What the trainings wrote.
    models, sizes
        The config's lists.
    metrics
        Long table of the experiment (CSV) to write.
    table, efficiency
        CSV tables to write; an HTML page with both lies beside the first.
    """
    results = read_results(list(job_metrics))
    write_results(metrics, results)
    specs, names = model_specs(models), display_names(models)
    scores = few_shot_table(results, list(names))
    saved = efficiency_table(
        results,
        [spec.label for spec in specs if spec.is_lvm and spec.pretrained],
        [spec.label for spec in specs if not spec.is_lvm],
    )
    notes = sizes_left_out(Splits(splits), sizes)
    write_table(table, scores, few_shot_html(scores, saved, names, notes))
    save_table(efficiency, saved)
    for sentence in efficiency_sentences(saved, names):
        log.info("%s", sentence)


if __name__ == "__main__":
    with job_log(snakemake.log[0]):  # noqa: F821
        main(
            splits=snakemake.input.splits,  # noqa: F821
            job_metrics=list(snakemake.input.metrics),  # noqa: F821
            models=snakemake.params.models,  # noqa: F821
            sizes=snakemake.params.sizes,  # noqa: F821
            metrics=snakemake.output.metrics,  # noqa: F821
            table=snakemake.output.table,  # noqa: F821
            efficiency=snakemake.output.efficiency,  # noqa: F821
        )
