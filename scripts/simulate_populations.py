"""Simulate galaxies with one mixture of stellar populations each: g, r, z cutouts (GalSim)."""

from galaxy_lvm.core.config import section
from galaxy_lvm.core.config.survey import Mock
from galaxy_lvm.core.logs import job_log
from galaxy_lvm.core.seeds import derive_seed
from galaxy_lvm.simulation.survey import simulate_survey


def main(cutouts: str, settings: Mock, n_galaxies: int, seed: int, cores: int = 1) -> None:
    """Write the galaxies as a cutout store; a mixture is in the columns of its catalogue.

    Parameters
    ----------
    cutouts
        HDF5 store to write: `images` (N, 3, 152, 152) in nanomaggies and the truth as columns.
    settings
        The config's section `mock`; rare kinds, and its number of galaxies, do not count.
    n_galaxies
        Number of galaxies.
    seed
        The run's seed; these are other galaxies than those of simulate_survey.
    cores
        Number of processes.
    """
    own = {"n_galaxies": n_galaxies, "distant_red_share": 0.0, "n_lenses": 0}
    settings = settings.model_copy(update=own)
    simulate_survey(cutouts, settings, derive_seed(seed, "populations"), cores, True)


# Worker processes import this file again, under another name.
if __name__ == "__main__":
    with job_log(snakemake.log[0]):  # noqa: F821
        main(
            cutouts=snakemake.output.cutouts,  # noqa: F821
            settings=section(Mock, snakemake.params.settings, "mock"),  # noqa: F821
            n_galaxies=snakemake.params.n_galaxies,  # noqa: F821
            seed=snakemake.params.seed,  # noqa: F821
            cores=snakemake.threads,  # noqa: F821
        )
