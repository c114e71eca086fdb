"""Predict catalogue parameters from frozen features, with and without the crop's box side."""

import pandas as pd
from galaxy_lvm.core.config.extensions import Parameter
from galaxy_lvm.core.config.handed import section
from galaxy_lvm.core.logs import job_log, log, progress
from galaxy_lvm.core.tables import save_table
from galaxy_lvm.features.parameters import (
    INPUTS,
    PREDICTION_COLUMNS,
    Inputs,
    catalogue_of_crops,
    evaluate_parameter,
    limit_training,
    usable_values,
)
from galaxy_lvm.features.store import FeatureStore
from galaxy_lvm.report.results import long_rows, write_results
from galaxy_lvm.survey.splits_table import Splits
from threadpoolctl import threadpool_limits


def main(
    features: str,
    crops: str,
    cutouts: str,
    splits: str,
    metrics: str,
    predictions: str,
    parameters: list[Parameter],
    max_train: int,
    seed: int,
    threads: int = 1,
) -> None:
    """Write scores and the predictions of test galaxies.

    Parameters
    ----------
    features
        Feature vectors; see `FeatureStore`.
    crops, cutouts, splits
        Labelled dataset; the cutout store holds the catalogue.
    metrics, predictions
        Long-format CSV and parquet (scaled values, test split) to write.
    parameters
        Columns to predict; see `Parameter`. Absent ones are skipped with a note.
    max_train
        Training galaxies at most.
    seed, threads
        The run's seed; CPU threads.
    """
    table = limit_training(Splits(splits).table, max_train, seed)
    catalogue = catalogue_of_crops(crops, cutouts, table["index"].to_numpy())
    split = table["split"].to_numpy()
    values = FeatureStore.open(features).take(table["id"])
    rows, predicted = [], []
    with threadpool_limits(threads):
        inputs = Inputs(values, catalogue["box_side_pix"].to_numpy(), split == "train", seed)
        for parameter in progress(parameters, desc="parameters", unit="columns"):
            target, reason = usable_values(parameter, catalogue, split)
            if target is None:
                log.warning("extensions.parameters: %s is skipped: %s", parameter.column, reason)
                skipped = parameter.column, "none", f"skipped: {reason}", seed, {"n_test": 0}
                rows += long_rows("parameters", *skipped)
                continue
            for name in INPUTS:
                scores, test = evaluate_parameter(parameter, name, inputs, target, table, seed)
                rows += long_rows("parameters", parameter.column, "regression", name, seed, scores)
                predicted.append(test)
    write_results(metrics, rows)
    none = pd.DataFrame(columns=list(PREDICTION_COLUMNS))
    save_table(predictions, pd.concat(predicted) if predicted else none)


if __name__ == "__main__":
    with job_log(snakemake.log[0]):  # noqa: F821
        main(
            features=snakemake.input.features,  # noqa: F821
            crops=snakemake.input.crops,  # noqa: F821
            cutouts=snakemake.input.cutouts,  # noqa: F821
            splits=snakemake.input.splits,  # noqa: F821
            metrics=snakemake.output.metrics,  # noqa: F821
            predictions=snakemake.output.predictions,  # noqa: F821
            parameters=[
                section(Parameter, given, f"extensions.parameters.{number}")
                for number, given in enumerate(snakemake.params.parameters)  # noqa: F821
            ],
            max_train=snakemake.params.max_train,  # noqa: F821
            seed=snakemake.params.seed,  # noqa: F821
            threads=snakemake.threads,  # noqa: F821
        )
