"""Translate spectra into those of the other kind; find binaries by what does not fit."""

import pandas as pd
import torch
from galaxy_lvm.align.ask import ask_translations
from galaxy_lvm.align.network import load_aligned
from galaxy_lvm.align.pairs import read_pairs, split_pairs
from galaxy_lvm.core.config import section
from galaxy_lvm.core.config.align import Binaries, Experiment
from galaxy_lvm.core.config.spectra import SpectrumSplits
from galaxy_lvm.core.logs import job_log
from galaxy_lvm.core.tables import save_table
from galaxy_lvm.report.results import write_results
from threadpoolctl import threadpool_limits


def main(
    a: str,
    b: str,
    weights: str,
    metrics: str,
    errors: str,
    profiles: str,
    anomalies: str,
    experiment: Experiment,
    settings: Binaries,
    splits: SpectrumSplits,
    seed: int,
    threads: int = 1,
) -> None:
    """Write errors of test stars, by star and by wavelength, and the scores of anomalies.

    Parameters
    ----------
    a, b
        Stores of pair_spectra.
    weights
        Of align_modalities.
    metrics
        Long-format CSV to write, experiments `translation` and `anomalies`.
    errors, profiles, anomalies
        Parquets to write: errors by star and by wavelength; scores of stars and binaries.
    experiment, settings, splits
        What makes a pair; the config's section `align.binaries`; the shares of `spectra`.
    seed, threads
        The run's seed; CPU threads.
    """
    torch.set_num_threads(threads)
    split = split_pairs(read_pairs((a, b)), splits, seed)
    with threadpool_limits(threads):
        found = ask_translations(split, load_aligned(weights), experiment, settings, seed)
    write_results(metrics, found.rows)
    save_table(errors, pd.concat(found.errors, ignore_index=True))
    save_table(profiles, pd.concat(found.profiles, ignore_index=True))
    save_table(anomalies, found.scores)


if __name__ == "__main__":
    with job_log(snakemake.log[0]):  # noqa: F821
        main(
            a=snakemake.input.a,  # noqa: F821
            b=snakemake.input.b,  # noqa: F821
            weights=snakemake.input.weights,  # noqa: F821
            metrics=snakemake.output.metrics,  # noqa: F821
            errors=snakemake.output.errors,  # noqa: F821
            profiles=snakemake.output.profiles,  # noqa: F821
            anomalies=snakemake.output.anomalies,  # noqa: F821
            experiment=snakemake.wildcards.experiment,  # noqa: F821
            settings=section(Binaries, snakemake.params.settings, "align.binaries"),  # noqa: F821
            splits=section(SpectrumSplits, snakemake.params.splits, "spectra"),  # noqa: F821
            seed=snakemake.params.seed,  # noqa: F821
            threads=snakemake.threads,  # noqa: F821
        )
