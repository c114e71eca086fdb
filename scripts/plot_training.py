"""Draw how training went and what it got wrong, and table what the objectives taught."""

import pandas as pd
from galaxy_lvm.core.logs import job_log, log
from galaxy_lvm.core.state import atomic_path
from galaxy_lvm.multitask.disagreement_figure import N_SHOWN, draw_disagreements
from galaxy_lvm.multitask.disagreements import label_disagreements
from galaxy_lvm.multitask.training_figures import (
    draw_classification,
    draw_multitask_training,
    draw_objectives,
)
from galaxy_lvm.report.results import read_results, write_table
from galaxy_lvm.report.style import save
from galaxy_lvm.survey.crop_store import CropStore
from galaxy_lvm.training.objectives_table import objectives_html, objectives_summary


def main(
    strategy_histories: dict[str, str],
    variant_histories: dict[str, str],
    objectives: str,
    predictions: str,
    crops: str,
    in_use: str,
    training_figure: str,
    objectives_figure: str,
    classification_figure: str,
    objectives_table: str,
    disagreements_figure: str,
    disagreements_table: str,
) -> None:
    """Draw four figures (PDF and PNG); write the tables of objectives and of doubtful labels.

    Parameters
    ----------
    strategy_histories, variant_histories
        Validation record of every strategy; losses of every pretraining variant (CSV).
    objectives, predictions
        Metrics of the objectives (CSV), class probabilities of test galaxies (parquet).
    crops
        Crops of the labelled dataset.
    in_use
        Pretraining variant that the tasks start from.
    training_figure, objectives_figure, classification_figure
        Figures to write, ending in .pdf.
    objectives_table
        CSV to write; an HTML table lies beside it.
    disagreements_figure, disagreements_table
        Figure (.pdf) and CSV of the test galaxies whose label the networks contradict.
    """
    histories = {name: read_history(path) for name, path in strategy_histories.items()}
    save(draw_multitask_training(histories), training_figure)
    table = objectives_summary(read_results(objectives), in_use)
    losses = {name: pd.read_csv(path) for name, path in variant_histories.items()}
    save(draw_objectives(table, losses, in_use), objectives_figure)
    shares = pd.read_parquet(predictions)
    class_names = [name[2:] for name in shares.columns if name.startswith("p_")]
    save(draw_classification(shares, class_names), classification_figure)
    write_table(objectives_table, table.reset_index(), objectives_html(table))
    doubtful = label_disagreements(shares, class_names)
    with atomic_path(disagreements_table) as path:
        doubtful.to_csv(path, index=False)
    with CropStore(crops) as store:
        images = store.by_id(doubtful["id"].head(N_SHOWN).tolist())
    save(draw_disagreements(images, doubtful), disagreements_figure)


def read_history(path: str) -> pd.DataFrame:
    """Read a validation record; one without any validation gives an empty table."""
    try:
        return pd.read_csv(path)
    except pd.errors.EmptyDataError:
        log.warning("%s: no validation; multitask.validate_every_steps is above optim.steps", path)
        return pd.DataFrame()


if __name__ == "__main__":
    with job_log(snakemake.log[0]):  # noqa: F821
        main(
            strategy_histories=dict(
                zip(snakemake.params.strategies, snakemake.input.strategies, strict=True)  # noqa: F821
            ),
            variant_histories=dict(
                zip(snakemake.params.variants, snakemake.input.variants, strict=True)  # noqa: F821
            ),
            objectives=snakemake.input.objectives,  # noqa: F821
            predictions=snakemake.input.predictions,  # noqa: F821
            crops=snakemake.input.crops,  # noqa: F821
            in_use=snakemake.params.in_use,  # noqa: F821
            training_figure=snakemake.output.training,  # noqa: F821
            objectives_figure=snakemake.output.objectives,  # noqa: F821
            classification_figure=snakemake.output.classification,  # noqa: F821
            objectives_table=snakemake.output.table,  # noqa: F821
            disagreements_figure=snakemake.output.disagreements,  # noqa: F821
            disagreements_table=snakemake.output.disagreements_table,  # noqa: F821
        )
