"""Estimate redshift, mass to light and classes from image, spectrum, magnitudes, and jointly."""

import torch
from galaxy_lvm.align.network import load_aligned
from galaxy_lvm.core.config import section
from galaxy_lvm.core.config.joint import JointEstimates
from galaxy_lvm.core.config.spectra import SpectrumSplits
from galaxy_lvm.core.logs import job_log
from galaxy_lvm.core.tables import save_table
from galaxy_lvm.joint.estimate import estimate_all, score_rows
from galaxy_lvm.joint.galaxies import read_galaxies
from galaxy_lvm.report.results import write_results
from threadpoolctl import threadpool_limits


def main(
    a: str,
    b: str,
    weights: str,
    metrics: str,
    predictions: str,
    settings: JointEstimates,
    splits: SpectrumSplits,
    seed: int,
    threads: int = 1,
) -> None:
    """Write scores of test galaxies, and the estimates behind them.

    Parameters
    ----------
    a, b
        Stores of pair_galaxies.
    weights
        Of align_modalities.
    metrics, predictions
        Long-format CSV (experiment `joint`) and parquet to write.
    settings, splits
        The config's section `joint`; the shares of `spectra`.
    seed, threads
        The run's seed; CPU threads.
    """
    torch.set_num_threads(threads)
    galaxies = read_galaxies((a, b), load_aligned(weights), settings, splits, seed)
    with threadpool_limits(threads):
        found = estimate_all(galaxies, settings, seed)
    n_train = int((galaxies.split == "train").sum())
    write_results(metrics, score_rows(found, n_train))
    save_table(predictions, found)


if __name__ == "__main__":
    with job_log(snakemake.log[0]):  # noqa: F821
        main(
            a=snakemake.input.a,  # noqa: F821
            b=snakemake.input.b,  # noqa: F821
            weights=snakemake.input.weights,  # noqa: F821
            metrics=snakemake.output.metrics,  # noqa: F821
            predictions=snakemake.output.predictions,  # noqa: F821
            settings=section(JointEstimates, snakemake.params.settings, "joint"),  # noqa: F821
            splits=section(SpectrumSplits, snakemake.params.splits, "spectra"),  # noqa: F821
            seed=snakemake.params.seed,  # noqa: F821
            threads=snakemake.threads,  # noqa: F821
        )
