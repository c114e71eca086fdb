"""Simulate the embedded survey: g, r, z cutouts of galaxies of known truth (GalSim)."""

from galaxy_lvm.core.config import section
from galaxy_lvm.core.config.survey import Mock
from galaxy_lvm.core.logs import job_log
from galaxy_lvm.simulation.survey import simulate_survey


def main(cutouts: str, settings: Mock, seed: int, cores: int = 1) -> None:
    """Write the simulated survey as a cutout store.

    Parameters
    ----------
    cutouts
        HDF5 store to write: `images` (N, 3, 152, 152) in nanomaggies and the truth as columns.
    settings
        The config's section `mock`.
    seed
        Seed; the same seed gives the same survey for any number of cores.
    cores
        Number of processes.
    """
    simulate_survey(cutouts, settings, seed, cores)


# Worker processes import this file again, under another name.
if __name__ == "__main__":
    with job_log(snakemake.log[0]):  # noqa: F821
        main(
            cutouts=snakemake.output.cutouts,  # noqa: F821
            settings=section(Mock, snakemake.params.settings, "mock"),  # noqa: F821
            seed=snakemake.params.seed,  # noqa: F821
            cores=snakemake.threads,  # noqa: F821
        )
