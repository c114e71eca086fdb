"""Search stars across two kinds of spectra: canonical correlation, and the aligned networks."""

import pandas as pd
import torch
from galaxy_lvm.align.network import load_aligned
from galaxy_lvm.align.pairs import read_pairs, split_pairs
from galaxy_lvm.align.search import methods, rank_table, search_rows
from galaxy_lvm.core.config import section
from galaxy_lvm.core.config.align import Experiment
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
    predictions: str,
    experiment: Experiment,
    gallery_size: int,
    splits: SpectrumSplits,
    seed: int,
    threads: int = 1,
) -> None:
    """Write recalls and the rank of every test star.

    Parameters
    ----------
    a, b
        Stores of pair_spectra.
    weights
        Of align_modalities.
    metrics, predictions
        Long-format CSV and parquet to write, experiment `search`.
    experiment, gallery_size, splits
        What makes a pair; stars that a star is searched among; the shares of `spectra`.
    seed, threads
        The run's seed; CPU threads.
    """
    torch.set_num_threads(threads)
    split = split_pairs(read_pairs((a, b)), splits, seed)
    with threadpool_limits(threads):
        tables = [
            rank_table(split.test, model, similarity, gallery_size, seed)
            for model, similarity in methods(split, load_aligned(weights))
        ]
    table = pd.concat(tables, ignore_index=True)
    size = min(gallery_size, len(split.test))
    write_results(metrics, search_rows(table, experiment, size, seed))
    save_table(predictions, table)


if __name__ == "__main__":
    with job_log(snakemake.log[0]):  # noqa: F821
        main(
            a=snakemake.input.a,  # noqa: F821
            b=snakemake.input.b,  # noqa: F821
            weights=snakemake.input.weights,  # noqa: F821
            metrics=snakemake.output.metrics,  # noqa: F821
            predictions=snakemake.output.predictions,  # noqa: F821
            experiment=snakemake.wildcards.experiment,  # noqa: F821
            gallery_size=snakemake.params.gallery_size,  # noqa: F821
            splits=section(SpectrumSplits, snakemake.params.splits, "spectra"),  # noqa: F821
            seed=snakemake.params.seed,  # noqa: F821
            threads=snakemake.threads,  # noqa: F821
        )
