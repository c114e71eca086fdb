"""Make pairs of spectra of a star: both ends of one, or a real one and its simulated twin."""

from galaxy_lvm.align.pairs import write_pairs
from galaxy_lvm.core.config import section
from galaxy_lvm.core.config.align import Experiment, Pairing
from galaxy_lvm.core.logs import job_log


def main(
    spectra: str, a: str, b: str, experiment: Experiment, settings: Pairing, seed: int
) -> None:
    """Write two stores with the same stars in the same order.

    Parameters
    ----------
    spectra
        Store of spectra.
    a, b
        HDF5 stores to write.
    experiment
        What makes a pair.
    settings
        The config's section `align.pairing`.
    seed
        The run's seed.
    """
    write_pairs(spectra, (a, b), experiment, settings, seed)


if __name__ == "__main__":
    with job_log(snakemake.log[0]):  # noqa: F821
        main(
            spectra=snakemake.input.spectra,  # noqa: F821
            a=snakemake.output.a,  # noqa: F821
            b=snakemake.output.b,  # noqa: F821
            experiment=snakemake.wildcards.experiment,  # noqa: F821
            settings=section(Pairing, snakemake.params.settings, "align.pairing"),  # noqa: F821
            seed=snakemake.params.seed,  # noqa: F821
        )
