"""Score the lens detectors on the test fields, beside the paper's average precision (figure 6)."""

from collections.abc import Sequence

from galaxy_lvm.core.config import section
from galaxy_lvm.core.config.lenses import Evaluation
from galaxy_lvm.core.logs import job_log, log, progress
from galaxy_lvm.core.seeds import derive_seed
from galaxy_lvm.lenses.curves import resample_fields
from galaxy_lvm.lenses.match import RUN_COLUMNS, check_runs, of_run, read_detections
from galaxy_lvm.lenses.scores import difference_rows, score_run
from galaxy_lvm.lenses.table import detector_table, detectors_html
from galaxy_lvm.report.results import paper_values, read_results, write_results, write_table
from galaxy_lvm.survey.fields import FieldStore


def main(
    fields: str,
    detections: Sequence[str],
    paper_csv: str,
    runs: Sequence[dict],
    settings: dict,
    seed: int,
    metrics: str,
    curves: str,
    table: str,
) -> None:
    """Write all scores, the precision-recall curves and the table.

    Parameters
    ----------
    fields
        Field store; its list of lenses lies beside it.
    detections
        Parquet files that the trainings wrote.
    paper_csv
        The paper's printed values.
    runs
        `model`, `n_train` and `seed` of every detector; one without any detection scores 0.
    settings
        The config's section `lenses.evaluation`.
    seed
        The run's seed.
    metrics, curves
        Long tables to write: the scores, and precision by recall.
    table
        CSV to write; an HTML page lies beside it.
    """
    how, store = section(Evaluation, settings, "lenses.evaluation"), FieldStore(fields)
    found = read_detections(detections, store)
    check_runs(found, runs)
    weights = resample_fields(store, "test", how.n_bootstrap, derive_seed(seed, "lens fields"))
    scores = {}
    for run in progress(runs, desc="evaluate", unit="detectors"):
        name = tuple(run[key] for key in RUN_COLUMNS)
        scores[name] = score_run(store, of_run(found, run), run, how, weights)
        ap, ap50, _ = scores[name].ap["boxes"]
        log.info("%s, %d fields, seed %d: AP %.3f, AP50 %.3f", *name, ap, ap50)
    rows = [row for scored in scores.values() for row in scored.rows]
    write_results(metrics, rows + difference_rows(scores))
    write_results(curves, [row for scored in scores.values() for row in scored.curve_rows])
    made = detector_table(read_results(metrics), paper_values(paper_csv, "fig6"), how.completeness)
    tested = store.rows("test")
    n_lenses = store.lenses["field"].isin(tested).sum()
    scored_on = f"{len(tested)} test fields with {n_lenses} lenses."
    write_table(table, made, detectors_html(made, how.completeness, scored_on))


if __name__ == "__main__":
    with job_log(snakemake.log[0]):  # noqa: F821
        main(
            fields=snakemake.input.fields,  # noqa: F821
            detections=list(snakemake.input.detections),  # noqa: F821
            paper_csv=snakemake.input.paper,  # noqa: F821
            runs=snakemake.params.runs,  # noqa: F821
            settings=snakemake.params.settings,  # noqa: F821
            seed=snakemake.params.seed,  # noqa: F821
            metrics=snakemake.output.metrics,  # noqa: F821
            curves=snakemake.output.curves,  # noqa: F821
            table=snakemake.output.table,  # noqa: F821
        )
