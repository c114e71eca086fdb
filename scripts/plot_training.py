"""Draw how training went, and table what the objectives taught the encoder."""

import html
from pathlib import Path

import pandas as pd
from galaxy_lvm.evaluation.results import read_results
from galaxy_lvm.evaluation.tables import page_html
from galaxy_lvm.plots.labels import variant_label
from galaxy_lvm.plots.style import save
from galaxy_lvm.plots.training import (
    draw_classification,
    draw_multitask_training,
    draw_objectives,
)
from galaxy_lvm.workflow import atomic_path, job_log, log


def main(
    strategy_histories: dict[str, str],
    variant_histories: dict[str, str],
    objectives: str,
    predictions: str,
    in_use: str,
    training_figure: str,
    objectives_figure: str,
    classification_figure: str,
    objectives_table: str,
) -> None:
    """Draw three figures (PDF and PNG) and write the table of objectives (CSV and HTML).

    Parameters
    ----------
    strategy_histories, variant_histories
        Validation record of every strategy; losses of every pretraining variant (CSV).
    objectives, predictions
        Metrics of the objectives (CSV), class probabilities of test galaxies (parquet).
    in_use
        Pretraining variant that the tasks start from.
    training_figure, objectives_figure, classification_figure
        Figures to write, ending in .pdf.
    objectives_table
        CSV to write; an HTML table lies beside it.
    """
    histories = {name: read_history(path) for name, path in strategy_histories.items()}
    save(draw_multitask_training(histories), training_figure)
    table = objectives_summary(read_results(objectives), in_use)
    losses = {name: pd.read_csv(path) for name, path in variant_histories.items()}
    save(draw_objectives(table, losses, in_use), objectives_figure)
    shares = pd.read_parquet(predictions)
    class_names = [name[2:] for name in shares.columns if name.startswith("p_")]
    save(draw_classification(shares, class_names), classification_figure)
    with atomic_path(objectives_table) as temporary:
        table.to_csv(temporary)
    with atomic_path(Path(objectives_table).with_suffix(".html")) as temporary:
        temporary.write_text(objectives_html(table), encoding="utf-8")


def read_history(path: str) -> pd.DataFrame:
    """Read a validation record; one without any validation gives an empty table."""
    try:
        return pd.read_csv(path)
    except pd.errors.EmptyDataError:
        log.warning("%s: no validation; multitask.validate_every_steps is above optim.steps", path)
        return pd.DataFrame()


def objectives_summary(results: pd.DataFrame, in_use: str) -> pd.DataFrame:
    """Return one row per variant (index), the best first: scores, time, final loss, in use."""
    table = results.pivot_table(index="model", columns="metric", values="value", aggfunc="mean")
    columns = ["f1", "f1_low95", "f1_high95", "f1_val", "accuracy", "pretrain_seconds"]
    table = table.reindex(columns=[*columns, "final_loss"]).sort_values("f1", ascending=False)
    table.insert(0, "objective", [variant_label(name) for name in table.index])
    table["in_use"] = table.index == in_use
    return table


def objectives_html(table: pd.DataFrame) -> str:
    """Return the table as a page of its own."""
    heads = ("Objective", "Macro F1, test", "Macro F1, validation", "Accuracy, test",
             "Pretraining [s]", "Final loss")  # fmt: skip
    body = "".join(
        f"<tr{' class=network' * row.in_use}><td>{html.escape(row.objective)}"
        f"{' (in use)' * row.in_use}</td><td><b>{row.f1:.3f}</b>"
        f'<span class="interval">{row.f1_low95:.3f} to {row.f1_high95:.3f}</span></td>'
        f"<td>{row.f1_val:.3f}</td><td>{row.accuracy:.3f}</td>"
        f"<td>{_number(row.pretrain_seconds, '.0f')}</td><td>{_number(row.final_loss, '.4g')}</td>"
        "</tr>"
        for row in table.itertuples()
    )
    head = "".join(f"<th>{name}</th>" for name in heads)
    note = (
        "Logistic regression on frozen features; its regularisation is chosen on the validation "
        "split. Intervals: 95 % bootstrap over test galaxies of a single seed. Losses of different "
        "objectives are not comparable."
    )
    return page_html(
        "Pretraining objectives",
        f"<table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table><p>{note}</p>",
    )


def _number(value: float, form: str) -> str:
    return "&ndash;" if pd.isna(value) else format(value, form)


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
            in_use=snakemake.params.in_use,  # noqa: F821
            training_figure=snakemake.output.training,  # noqa: F821
            objectives_figure=snakemake.output.objectives,  # noqa: F821
            classification_figure=snakemake.output.classification,  # noqa: F821
            objectives_table=snakemake.output.table,  # noqa: F821
        )
