"""Ask networks and floors that learned from different numbers of stars; fit the errors' law."""

from collections.abc import Iterator, Mapping

import numpy as np
import pandas as pd
import torch
from galaxy_lvm.core.config import section
from galaxy_lvm.core.config.spectra import Scaling, SpectrumMethods
from galaxy_lvm.core.gpus import own_gpus
from galaxy_lvm.core.logs import job_log
from galaxy_lvm.core.tables import save_table
from galaxy_lvm.report.results import write_results
from galaxy_lvm.spectra.floors import floor_predictions
from galaxy_lvm.spectra.networks import load_for, usual_device
from galaxy_lvm.spectra.scaling import first_stars, scaling_rows
from galaxy_lvm.spectra.scores import score_rows
from galaxy_lvm.spectra.stars import SplitStars, read_split
from threadpoolctl import threadpool_limits

MODELS = {"pretrained": "transformer", "scratch": "transformer_scratch"}


def main(
    spectra: str,
    weights: Mapping[str, list[str]],
    metrics: str,
    predictions: str,
    settings: SpectrumMethods,
    scaling: Scaling,
    seed: int,
    threads: int = 1,
) -> None:
    """Write errors and laws, and the predictions for test stars.

    Parameters
    ----------
    spectra
        Store of spectra with labels.
    weights
        Of scale_training: for `pretrained` and `scratch` a file a number of stars, in the config's
        order.
    metrics, predictions
        Long-format CSV (experiment `spectra_scaling`) and parquet to write.
    settings, scaling
        Of the config's section `spectra`.
    seed, threads
        The run's seed; CPU threads.
    """
    torch.set_num_threads(threads)
    everything = read_split(spectra, settings, seed)
    parts = []
    with threadpool_limits(threads):
        for k, n_stars in enumerate(scaling.n_stars):
            stars = first_stars(everything, n_stars, seed)
            own = {MODELS[start]: paths[k] for start, paths in weights.items()}
            for model, predicted in _estimates(stars, own, settings, seed):
                _, table = score_rows(stars.test, model, predicted, None, n_stars, seed)
                parts.append(table.drop(columns="sigma").assign(n_train=n_stars))
    table = pd.concat(parts, ignore_index=True)
    save_table(predictions, table)
    write_results(metrics, scaling_rows(table, scaling, seed))


def _estimates(
    stars: SplitStars, weights: Mapping[str, str], settings: SpectrumMethods, seed: int
) -> Iterator[tuple[str, np.ndarray]]:
    """Yield name and predictions (n_test, k) of the floors but the mean, and of the networks."""
    yield from (f for f in floor_predictions(stars, settings, seed) if f[0] != "mean")
    for model, path in weights.items():
        module = load_for(path, stars.test, usual_device())
        columns = module.columns(stars.train.label_names)
        yield model, module.estimate(stars.test.flux)[0][:, columns]


if __name__ == "__main__":
    gpus = own_gpus(snakemake.resources.get("gpu", 0))  # noqa: F821
    with job_log(snakemake.log[0]), gpus:  # noqa: F821
        main(
            spectra=snakemake.input.spectra,  # noqa: F821
            weights={start: list(snakemake.input[start]) for start in MODELS},  # noqa: F821
            metrics=snakemake.output.metrics,  # noqa: F821
            predictions=snakemake.output.predictions,  # noqa: F821
            settings=section(SpectrumMethods, snakemake.params.settings, "spectra"),  # noqa: F821
            scaling=section(Scaling, snakemake.params.scaling, "spectra.scaling"),  # noqa: F821
            seed=snakemake.params.seed,  # noqa: F821
            threads=snakemake.threads,  # noqa: F821
        )
