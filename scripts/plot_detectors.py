"""Draw figure 6: the same fields with each detector's findings (paper IV.B)."""

from collections.abc import Sequence

import pandas as pd
from galaxy_lvm.core.logs import job_log
from galaxy_lvm.lenses.example_figure import Shown, choose_fields, draw_detections
from galaxy_lvm.lenses.match import of_run, read_detections
from galaxy_lvm.lenses.scores import box_scores
from galaxy_lvm.lenses.table import detector_names
from galaxy_lvm.report.results import read_results
from galaxy_lvm.report.style import SHEET_DPI, save
from galaxy_lvm.survey.fields import FieldStore


def main(
    fields: str,
    detections: Sequence[str],
    metrics: str,
    runs: Sequence[dict],
    n_examples: int,
    figure: str,
) -> None:
    """Draw the figure as PDF and PNG.

    Parameters
    ----------
    fields
        Field store.
    detections
        Parquet files that the trainings wrote.
    metrics
        What evaluate_detectors wrote.
    runs
        `model`, `n_train` and `seed` of every detector. Figure 6 shows those with the most
        training fields, the first seed of each model.
    n_examples
        Fields to show.
    figure
        File to write, ending in .pdf.
    """
    store, results = FieldStore(fields), read_results(metrics)
    found = read_detections(detections, store)
    most = max(run["n_train"] for run in runs)
    first = {}
    for run in sorted(runs, key=lambda run: run["seed"]):
        if run["n_train"] == most:
            first.setdefault(run["model"], run)
    shown = [
        detector(of_run(found, first[model]), first[model], results, name)
        for model, name in detector_names(runs).items()
    ]
    chosen = choose_fields(store, [one.detections for one in shown], n_examples)
    save(draw_detections(store, chosen, shown), figure, png_dpi=SHEET_DPI)


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
            runs=snakemake.params.runs,  # noqa: F821
            n_examples=snakemake.params.n_examples,  # noqa: F821
            figure=snakemake.output.pdf,  # noqa: F821
        )
