"""Estimate Teff, logg, [Fe/H], [alpha/M] from spectra: floors and Transformer, split by star."""

from collections.abc import Iterator

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
from galaxy_lvm.spectra.stars import read_stars, split_stars
from galaxy_lvm.spectra.train import finetune
from galaxy_lvm.training.job import JobFiles
from threadpoolctl import threadpool_limits

TRANSFORMER = "transformer"


def main(
    spectra: str,
    pretrained: str,
    metrics: str,
    predictions: str,
    weights: str,
    history: str,
    state_root: str,
    recipe_version: int,
    settings: SpectrumMethods,
    seed: int,
    threads: int = 1,
) -> None:
    """Write scores and the predictions of test stars.

    Parameters
    ----------
    spectra
        Store of spectra with labels.
    pretrained
        Weights of pretrain_spectra.
    metrics, predictions
        Long-format CSV and parquet to write, experiment `spectra`.
    weights, history
        The Transformer trained on these stars, and its losses, to write.
    state_root, recipe_version
        Folder for checkpoints; the version of the rule that it belongs to.
    settings
        Labels, splits, floors and training of the config's section `spectra`.
    seed, threads
        The run's seed; CPU threads.
    """
    torch.set_num_threads(threads)
    stars = split_stars(read_stars(spectra, settings.labels), settings, seed)
    files = JobFiles(state_root, recipe_version, weights, history)

    def methods() -> Iterator[tuple[str, np.ndarray, np.ndarray | None]]:
        for model, predicted in floor_predictions(stars, settings, seed):
            yield model, predicted, None
        found = finetune(stars, pretrained, spectra, settings.finetune, seed, files)
        yield TRANSFORMER, *found

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
            pretrained=snakemake.input.pretrained,  # noqa: F821
            metrics=snakemake.output.metrics,  # noqa: F821
            predictions=snakemake.output.predictions,  # noqa: F821
            weights=snakemake.output.weights,  # noqa: F821
            history=snakemake.output.history,  # noqa: F821
            state_root=snakemake.params.state_root,  # noqa: F821
            recipe_version=snakemake.params.recipe_version,  # noqa: F821
            settings=section(SpectrumMethods, snakemake.params.settings, "spectra"),  # noqa: F821
            seed=snakemake.params.seed,  # noqa: F821
            threads=snakemake.threads,  # noqa: F821
        )
