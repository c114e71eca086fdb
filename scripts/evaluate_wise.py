"""Fit the floors on photometry; score them and all networks by class and by W1."""

from collections.abc import Sequence

import pandas as pd
from galaxy_lvm.core.config import section
from galaxy_lvm.core.config.wise import WiseScores
from galaxy_lvm.core.logs import job_log
from galaxy_lvm.core.tables import load_table, save_table
from galaxy_lvm.report.results import long_rows, read_results, write_results
from galaxy_lvm.survey.splits_table import Splits
from galaxy_lvm.wise.floors import floor_probabilities, prediction_table
from galaxy_lvm.wise.scores import EXPERIMENT, score_rows
from threadpoolctl import threadpool_limits


def main(
    splits: str,
    photometry: str,
    networks: Sequence[str],
    network_predictions: Sequence[str],
    metrics: str,
    predictions: str,
    sky: str,
    settings: WiseScores,
    seed: int,
) -> None:
    """Write the scores of a sky (CSV) and the predictions behind them (parquet).

    Parameters
    ----------
    splits, photometry
        Of measure_wise.
    networks, network_predictions
        Of train_wise, every network and training.
    metrics, predictions
        Files to write.
    sky
        Name of the sky.
    settings
        The config's section `wise.scores`.
    seed
        The run's seed.
    """
    table, measured = Splits(splits), load_table(photometry)
    test, parts, rows = table.labelled("test"), [], []
    with threadpool_limits(1):
        for name, (shares, loss) in floor_probabilities(measured, table, seed).items():
            parts.append(prediction_table(name, seed, test, shares, table.class_names, measured))
            rows += long_rows(EXPERIMENT, sky, name, "network", seed, {"loss_val": loss})
    parts += [load_table(path) for path in network_predictions]
    found = pd.concat(parts, ignore_index=True)
    save_table(predictions, found.assign(sky=sky))
    rows += score_rows(found, sky, settings, seed)
    if networks:
        rows += read_results(networks).to_dict("records")
    write_results(metrics, rows)


if __name__ == "__main__":
    with job_log(snakemake.log[0]):  # noqa: F821
        main(
            splits=snakemake.input.splits,  # noqa: F821
            photometry=snakemake.input.photometry,  # noqa: F821
            networks=list(snakemake.input.networks),  # noqa: F821
            network_predictions=list(snakemake.input.network_predictions),  # noqa: F821
            metrics=snakemake.output.metrics,  # noqa: F821
            predictions=snakemake.output.predictions,  # noqa: F821
            sky=snakemake.wildcards.sky,  # noqa: F821
            settings=section(WiseScores, snakemake.params.settings, "wise.scores"),  # noqa: F821
            seed=snakemake.params.seed,  # noqa: F821
        )
