"""Draw figure 6, the same fields with each detector's findings, and the detectors' curves."""

from collections.abc import Sequence

import pandas as pd
from galaxy_lvm.core.logs import job_log
from galaxy_lvm.core.tables import load_table
from galaxy_lvm.lenses.curve_figures import draw_detection_curves
from galaxy_lvm.lenses.example_figure import Shown, choose_fields, draw_detections
from galaxy_lvm.lenses.match import of_run, read_detections
from galaxy_lvm.lenses.scores import box_scores
from galaxy_lvm.lenses.table import DETECTOR_NAMES
from galaxy_lvm.report.results import read_results
from galaxy_lvm.report.style import save
from galaxy_lvm.survey.fields import FieldStore

_SCORES = ("n_*", "boxes_*", "masks_*", "max_*", "paper_*")


def main(
    fields: str,
    detections: Sequence[str],
    metrics: str,
    curves: str,
    table: str,
    runs: Sequence[dict],
    n_examples: int,
    fig06: str,
    curves_figure: str,
) -> None:
    """Draw both figures as PDF and PNG.

    Parameters
    ----------
    fields
        Field store.
    detections
        Parquet files that the trainings wrote.
    metrics, curves, table
        What evaluate_detectors wrote.
    runs
        `model`, `n_train` and `seed` of every detector. Figure 6 shows those with the most
        training fields, the first seed of each model.
    n_examples
        Fields in figure 6.
    fig06, curves_figure
        Figures to write, ending in .pdf.
    """
    store, results = FieldStore(fields), read_results(metrics)
    found = read_detections(detections, store)
    most = max(run["n_train"] for run in runs)
    first = {}
    for run in sorted(runs, key=lambda run: run["seed"]):
        if run["n_train"] == most:
            first.setdefault(run["model"], run)
    models = {run["model"]: None for run in runs}
    names = {model: DETECTOR_NAMES.get(model, model) for model in models}
    shown = [
        detector(of_run(found, first[model]), first[model], results, name)
        for model, name in names.items()
    ]
    chosen = choose_fields(store, [one.detections for one in shown], n_examples)
    save(draw_detections(store, chosen, shown), fig06)
    drawn = draw_detection_curves(results, read_results(curves), load_table(table, _SCORES), names)
    save(drawn, curves_figure)


def detector(found: pd.DataFrame, run: dict, results: pd.DataFrame, name: str) -> Shown:
    """Return what figure 6 shows of one detector."""
    scores = box_scores(results, run)
    title = f"{name}: AP {scores['ap']:.3f}, AP50 {scores['ap50']:.3f}"
    return Shown(title, found[found["split"] == "test"], scores["threshold"])


if __name__ == "__main__":
    with job_log(snakemake.log[0]):  # noqa: F821
        main(
            fields=snakemake.input.fields,  # noqa: F821
            detections=list(snakemake.input.detections),  # noqa: F821
            metrics=snakemake.input.metrics,  # noqa: F821
            curves=snakemake.input.curves,  # noqa: F821
            table=snakemake.input.table,  # noqa: F821
            runs=snakemake.params.runs,  # noqa: F821
            n_examples=snakemake.params.n_examples,  # noqa: F821
            fig06=snakemake.output.fig06,  # noqa: F821
            curves_figure=snakemake.output.curves,  # noqa: F821
        )
