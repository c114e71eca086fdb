"""Estimate Teff, logg, [Fe/H], [alpha/M] from spectra: floors, split by star."""

import pandas as pd
from galaxy_lvm.core.config import section
from galaxy_lvm.core.config.spectra import SpectrumMethods
from galaxy_lvm.core.logs import job_log
from galaxy_lvm.core.tables import save_table
from galaxy_lvm.report.results import write_results
from galaxy_lvm.spectra.floors import floor_predictions
from galaxy_lvm.spectra.scores import score_rows
from galaxy_lvm.spectra.stars import read_stars, split_stars
from threadpoolctl import threadpool_limits


def main(
    spectra: str,
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
    metrics, predictions
        Long-format CSV and parquet to write, experiment `spectra`.
    settings
        Labels, splits and floors of the config's section `spectra`.
    seed, threads
        The run's seed; CPU threads.
    """
    stars = split_stars(read_stars(spectra, settings.labels), settings, seed)
    rows, tables = [], []
    with threadpool_limits(threads):
        for model, predicted in floor_predictions(stars, settings, seed):
            found = score_rows(stars.test, model, predicted, None, len(stars.train), seed)
            rows += found[0]
            tables.append(found[1])
    write_results(metrics, rows)
    save_table(predictions, pd.concat(tables, ignore_index=True))


if __name__ == "__main__":
    with job_log(snakemake.log[0]):  # noqa: F821
        main(
            spectra=snakemake.input.spectra,  # noqa: F821
            metrics=snakemake.output.metrics,  # noqa: F821
            predictions=snakemake.output.predictions,  # noqa: F821
            settings=section(SpectrumMethods, snakemake.params.settings, "spectra"),  # noqa: F821
            seed=snakemake.params.seed,  # noqa: F821
            threads=snakemake.threads,  # noqa: F821
        )
