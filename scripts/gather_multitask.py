"""Put the scores of all multitask trainings into one table each."""

import pandas as pd
from galaxy_lvm.core.logs import job_log
from galaxy_lvm.core.tables import load_table, save_table
from galaxy_lvm.report.results import (
    read_per_galaxy,
    read_results,
    write_per_galaxy,
    write_results,
)


def main(
    metrics: list[str],
    per_galaxy: list[str],
    predictions: list[str],
    all_metrics: str,
    all_per_galaxy: str,
    all_predictions: str,
) -> None:
    """Join the tables of `evaluate_multitask`.

    Parameters
    ----------
    metrics, per_galaxy, predictions
        Its outputs, one of each kind per training.
    all_metrics, all_per_galaxy, all_predictions
        CSV and two parquet files to write.
    """
    write_results(all_metrics, read_results(metrics))
    write_per_galaxy(all_per_galaxy, [read_per_galaxy(per_galaxy)])
    tables = [load_table(path) for path in predictions]
    save_table(all_predictions, pd.concat(tables))


if __name__ == "__main__":
    with job_log(snakemake.log[0]):  # noqa: F821
        main(
            metrics=list(snakemake.input.metrics),  # noqa: F821
            per_galaxy=list(snakemake.input.per_galaxy),  # noqa: F821
            predictions=list(snakemake.input.predictions),  # noqa: F821
            all_metrics=snakemake.output.metrics,  # noqa: F821
            all_per_galaxy=snakemake.output.per_galaxy,  # noqa: F821
            all_predictions=snakemake.output.predictions,  # noqa: F821
        )
