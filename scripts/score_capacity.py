"""Score the rank that networks need for true and shuffled labels of few stars."""

from collections.abc import Sequence

import torch
from galaxy_lvm.core.config import section
from galaxy_lvm.core.config.layers import Layers
from galaxy_lvm.core.config.spectra import SpectrumMethods
from galaxy_lvm.core.logs import job_log
from galaxy_lvm.layers.capacity import capacity_rows
from galaxy_lvm.report.results import write_results
from galaxy_lvm.spectra.stars import read_split
from threadpoolctl import threadpool_limits


def main(
    spectra: str,
    weights: Sequence[str],
    metrics: str,
    settings: Layers,
    methods: SpectrumMethods,
    seed: int,
    threads: int = 1,
) -> None:
    """Write skills, ranks that keep them, and what moved late in the trainings.

    Parameters
    ----------
    spectra
        Store of spectra with labels.
    weights
        Of train_capacity.
    metrics
        Long-format CSV to write, experiment `layers_capacity`.
    settings, methods
        The config's section `layers`; labels and splits of `spectra`.
    seed, threads
        The run's seed; CPU threads.
    """
    torch.set_num_threads(threads)
    stars = read_split(spectra, methods, seed)
    with threadpool_limits(threads):
        rows = capacity_rows(weights, stars, settings, seed)
    write_results(metrics, rows)


if __name__ == "__main__":
    with job_log(snakemake.log[0]):  # noqa: F821
        main(
            spectra=snakemake.input.spectra,  # noqa: F821
            weights=snakemake.input.weights,  # noqa: F821
            metrics=snakemake.output.metrics,  # noqa: F821
            settings=section(Layers, snakemake.params.settings, "layers"),  # noqa: F821
            methods=section(SpectrumMethods, snakemake.params.methods, "spectra"),  # noqa: F821
            seed=snakemake.params.seed,  # noqa: F821
            threads=snakemake.threads,  # noqa: F821
        )
