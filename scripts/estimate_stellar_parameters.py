"""Estimate Teff, logg, [Fe/H], [alpha/M] from spectra: floors and Transformer, split by star."""

from collections.abc import Iterator, Sequence

import numpy as np
import pandas as pd
import torch
from galaxy_lvm.core.config import section
from galaxy_lvm.core.config.spectra import SpectrumMethods
from galaxy_lvm.core.gpus import own_gpus
from galaxy_lvm.core.logs import job_log
from galaxy_lvm.core.tables import save_table
from galaxy_lvm.report.results import write_results
from galaxy_lvm.spectra.floors import floor_predictions
from galaxy_lvm.spectra.scores import score_rows
from galaxy_lvm.spectra.stars import read_split
from galaxy_lvm.spectra.train import ensemble
from threadpoolctl import threadpool_limits

TRANSFORMER = "transformer"


def main(
    spectra: str,
    weights: Sequence[str],
    metrics: str,
    predictions: str,
    settings: SpectrumMethods,
    seed: int,
    threads: int = 1,
) -> None:
    """Write scores and the predictions of test stars.

    Parameters
    ----------
    spectra
        Store of spectra with labels.
    weights
        Of finetune_spectra, one file a member of the ensemble.
    metrics, predictions
        Long-format CSV and parquet to write, experiment `spectra`.
    settings
        Labels, splits and floors of the config's section `spectra`.
    seed, threads
        The run's seed; CPU threads.
    """
    torch.set_num_threads(threads)
    stars = read_split(spectra, settings, seed)

    def methods() -> Iterator[tuple[str, np.ndarray, np.ndarray | None]]:
        for model, predicted in floor_predictions(stars, settings, seed):
            yield model, predicted, None
        yield TRANSFORMER, *ensemble(weights, stars)

    with threadpool_limits(threads):
        parts = [
            score_rows(stars.test, model, predicted, sigma, len(stars.train), seed)
            for model, predicted, sigma in methods()
        ]
    write_results(metrics, [row for rows, _ in parts for row in rows])
    save_table(predictions, pd.concat([table for _, table in parts], ignore_index=True))


if __name__ == "__main__":
    gpus = own_gpus(snakemake.resources.get("gpu", 0))  # noqa: F821
    with job_log(snakemake.log[0]), gpus:  # noqa: F821
        main(
            spectra=snakemake.input.spectra,  # noqa: F821
            weights=snakemake.input.weights,  # noqa: F821
            metrics=snakemake.output.metrics,  # noqa: F821
            predictions=snakemake.output.predictions,  # noqa: F821
            settings=section(SpectrumMethods, snakemake.params.settings, "spectra"),  # noqa: F821
            seed=snakemake.params.seed,  # noqa: F821
            threads=snakemake.threads,  # noqa: F821
        )
