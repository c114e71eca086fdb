"""Decompose a network's weights: singular values, and the task's score against the kept rank."""

import torch
from galaxy_lvm.core.config import section
from galaxy_lvm.core.config.layers import Layers
from galaxy_lvm.core.config.spectra import SpectrumMethods
from galaxy_lvm.core.logs import job_log
from galaxy_lvm.core.tables import save_table
from galaxy_lvm.layers.decompose import (
    enough_rows,
    score_by_layer,
    score_by_rank,
    spectra_of,
    spectrum_rows,
)
from galaxy_lvm.layers.matrices import matrices_of
from galaxy_lvm.layers.stars import latent_directions, networks, skill_of, some_of
from galaxy_lvm.report.results import write_results
from galaxy_lvm.spectra.stars import read_split
from pandas import concat
from threadpoolctl import threadpool_limits


def main(
    spectra: str,
    weights: str,
    metrics: str,
    singular_values: str,
    directions: str,
    settings: Layers,
    methods: SpectrumMethods,
    seed: int,
    threads: int = 1,
) -> None:
    """Write scores by rank, singular values, and stars along the leading latent directions.

    Parameters
    ----------
    spectra
        Store of spectra with labels.
    weights
        Of a member of finetune_spectra.
    metrics
        Long-format CSV to write, experiment `layers`.
    singular_values, directions
        Parquets to write.
    settings, methods
        The config's section `layers`; labels and splits of `spectra`.
    seed, threads
        The run's seed; CPU threads.
    """
    torch.set_num_threads(threads)
    stars = read_split(spectra, methods, seed)
    trained, untrained = networks(weights, seed)
    matrices = matrices_of(trained)
    scores = {name: skill_of(getattr(stars, name), stars.train) for name in ("val", "test")}
    single = skill_of(some_of(stars.val, settings.n_stars, seed), stars.train)
    with threadpool_limits(threads):
        found = [
            spectra_of(module, matrices, name)
            for name, module in (("trained", trained), ("untrained", untrained))
        ]
        rows = score_by_rank(trained, matrices, scores, settings, seed)
        rows += score_by_layer(trained, matrices, single, settings, seed)
        rows += list(enough_rows(rows, settings.enough, seed))
        table, latent = latent_directions(trained, stars, seed)
    spectrum = concat(found, ignore_index=True)
    write_results(metrics, [*rows, *spectrum_rows(spectrum, seed), *latent])
    save_table(singular_values, spectrum)
    save_table(directions, table)


if __name__ == "__main__":
    with job_log(snakemake.log[0]):  # noqa: F821
        main(
            spectra=snakemake.input.spectra,  # noqa: F821
            weights=snakemake.input.weights,  # noqa: F821
            metrics=snakemake.output.metrics,  # noqa: F821
            singular_values=snakemake.output.singular_values,  # noqa: F821
            directions=snakemake.output.directions,  # noqa: F821
            settings=section(Layers, snakemake.params.settings, "layers"),  # noqa: F821
            methods=section(SpectrumMethods, snakemake.params.methods, "spectra"),  # noqa: F821
            seed=snakemake.params.seed,  # noqa: F821
            threads=snakemake.threads,  # noqa: F821
        )
